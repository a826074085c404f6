"""The files of a session's segments, in a folder that goes with it."""

import os
import shutil
import tempfile

from iopio_async.pytest_plugin.attribution import BASE
from iopio_async.worker.tracing import bytecode, segments


class Traces:
    """The files of the segments, in a folder that goes with the session."""

    def __init__(self, root: str) -> None:
        self.folder = tempfile.mkdtemp(prefix="iopio-tests-")
        self._segments = {BASE: segments.Segment(self.file(BASE))}
        bytecode.install(root)
        segments.install(self._segments[BASE], root, self.folder)

    def file(self, number: int) -> str:
        """The trace of a segment."""
        return os.path.join(self.folder, str(number))

    def go_on(self, number: int) -> None:
        """Tell the rest into the segment of this number."""
        if number not in self._segments:
            self._segments[number] = segments.Segment(self.file(number))
        segments.go_on(self._segments[number])

    def rest(self) -> None:
        """Tell nothing until the next segment."""
        segments.rest()

    def forget(self, number: int) -> None:
        """A segment is over for good."""
        self._segments.pop(number, None)

    def finish(self) -> None:
        """Trace nothing any more."""
        segments.finish(self._segments[BASE])

    def remove(self) -> None:
        """Remove the files."""
        shutil.rmtree(self.folder, ignore_errors=True)
