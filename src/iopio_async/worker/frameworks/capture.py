"""What a test prints and what it warns of, for the frameworks that leave both alone.

Only ``sys.stdout`` and ``sys.stderr`` are taken over, and only while a test runs: what is written
to the descriptors themselves, or between tests, goes where it always went. The streams outlive the
test, since loggers keep hold of them.
"""

import io
import sys
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from iopio_async.model.outcome import Section

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Capture:
    """Takes over the standard streams between ``start`` and ``stop``.

    ``limit_chars`` bounds what is kept of one stream for one test.
    """

    #: Attributes of ``sys``; they give the sections their titles.
    STREAMS = ("stdout", "stderr")

    def __init__(self, limit_chars: int) -> None:
        self._limit_chars = limit_chars
        self._taken: dict[str, CapturedStream] = {}
        self._originals: dict[str, Any] = {}

    def start(self) -> None:
        """Take the streams over."""
        for name in self.STREAMS:
            original = getattr(sys, name, None)
            stream = self._taken.get(name)
            if stream is None or not stream.usable(original):
                stream = CapturedStream(name, original, self._limit_chars)
                self._taken[name] = stream
            self._originals[name] = original
            setattr(sys, name, stream)

    def stop(self) -> list[Section]:
        """Give the streams back, whatever stands in their place by now; what was captured."""
        sections = []
        for name, original in self._originals.items():
            setattr(sys, name, original)
            text = self._taken[name].take()
            if text:
                sections.append(Section(f"Captured {name} call", text))
        self._originals.clear()
        return sections


class CapturedStream(io.TextIOWrapper):
    """Stands in for a standard stream: text and ``buffer`` go to one bounded place in memory.

    ``fileno`` is the original's, so that what is handed to subprocesses works as in a plain run.
    """

    def __init__(self, name: str, original: TextIO | None, limit_chars: int) -> None:
        self._kept = _Kept(name, original, limit_chars)
        super().__init__(
            self._kept,
            encoding="utf-8",
            errors="backslashreplace",
            newline="",
            write_through=True,
        )

    def usable(self, original: object) -> bool:
        """True unless the test closed or detached it, or it stands in for another stream."""
        try:
            return not self.closed and self.writable() and self._kept.original is original
        except ValueError:
            return False

    def getvalue(self) -> str:
        """What was written so far, as from a ``StringIO``."""
        return self._kept.text()

    def take(self) -> str:
        """What was written since the last call."""
        text = self._kept.text()
        self._kept.clear()
        return text


class _Kept(io.BufferedIOBase):
    """Keeps the head and the tail of what is written, at most ``limit_chars`` bytes."""

    def __init__(self, name: str, original: TextIO | None, limit_chars: int) -> None:
        self.name = f"<{name}>"
        self.mode = "w"
        self.original = original
        # The remark on what is left out needs its place, too.
        self._end_bytes = max(limit_chars // 2 - 32, 1)
        self._data = bytearray()
        self._left_out_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        if self.closed:
            raise ValueError("write to closed file")
        view = memoryview(data)
        self._data += view
        # Twice as much as needed is let in, so that not every write has to move the tail.
        if len(self._data) > 4 * self._end_bytes:
            self._left_out_bytes += len(self._data) - 2 * self._end_bytes
            del self._data[self._end_bytes : -self._end_bytes]
        return view.nbytes

    def fileno(self) -> int:
        if self.original is None:
            raise io.UnsupportedOperation("fileno")
        return self.original.fileno()

    def isatty(self) -> bool:
        return False

    def text(self) -> str:
        if not self._left_out_bytes:
            return self._data.decode("utf-8", "replace")
        head, tail = self._data[: self._end_bytes], self._data[-self._end_bytes :]
        gap = self._left_out_bytes + len(self._data) - len(head) - len(tail)
        remark = f"\n[... {gap} bytes left out ...]\n"
        return head.decode("utf-8", "replace") + remark + tail.decode("utf-8", "replace")

    def clear(self) -> None:
        self._data.clear()
        self._left_out_bytes = 0


class Warnings:
    """While entered, tells ``heard`` of each warning and lets it be shown as ever."""

    def __init__(self, heard: Callable[[str, str, str, int], None]) -> None:
        self._heard = heard
        self._context = warnings.catch_warnings()
        self._show: Callable[..., Any] = warnings.showwarning

    def __enter__(self) -> Self:
        self._context.__enter__()
        self._show = warnings.showwarning
        warnings.showwarning = self._showwarning
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._context.__exit__(kind, error, traceback)

    def show_each_once(self) -> None:
        """Show each warning once a place, as unittest does, unless the user asked otherwise."""
        if not sys.warnoptions:
            warnings.simplefilter("default")

    def _showwarning(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        try:
            self._heard(str(message), category.__name__, str(filename), int(lineno))
        finally:
            self._show(message, category, filename, lineno, file, line)
