"""Are the project's files that a fork server has loaded still the ones on disk?

A child that is forked from what was loaded earlier must not differ from a process that loads it
now. So when a server is ready it notes the status of every file of the project that modules were
loaded from, and looks at it again before each fork: some microseconds a file. What is installed, in
environments inside of the project as well, is taken to stay as it is while tests run.
"""

import os
import sys
from collections.abc import Iterator
from typing import NamedTuple, Self

#: A part of the path of whatever was installed rather than written here.
INSTALLED = ("/site-packages/", "/dist-packages/")

# Bound before anything that is loaded can patch it.
_stat = os.stat


class Status(NamedTuple):
    """What changes when a file does: its times in ns, its size, and which file it is."""

    mtime_ns: int
    ctime_ns: int
    size: int
    inode: int
    device: int

    @classmethod
    def of(cls, path: str) -> Self | None:
        """Of the file at ``path``; ``None`` where there is none."""
        try:
            found = _stat(path)
        except OSError:
            return None
        return cls(found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)


class Freshness:
    """What the files under ``root`` are like that the modules of this process came from.

    A file that has changed since ``since_ns`` may have been loaded before or after that: it does
    not count as being what was loaded.
    """

    def __init__(self, root: str, since_ns: int) -> None:
        self._statuses = {path: Status.of(path) for path in project_files(root)}
        self._doubtful = [
            path
            for path, status in self._statuses.items()
            if status is None or status.mtime_ns >= since_ns
        ]

    def changed(self) -> str:
        """A file that is not as it was when it was loaded; empty where there is none."""
        for path in self._doubtful:
            return path
        for path, status in self._statuses.items():
            if Status.of(path) != status:
                return path
        return ""


def project_files(root: str) -> Iterator[str]:
    """The files under ``root`` that modules were loaded from, but for what is installed there."""
    prefix = root.rstrip("/") + "/"
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.startswith(prefix):
            continue
        if not any(part in file for part in INSTALLED):
            yield file
