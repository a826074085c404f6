"""The moving part of a terminal, drawn by rich. Imported only when there is something to draw."""

from typing import IO, cast

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.style import Style

from iopio_async.reporting.palette import Palette
from iopio_async.reporting.progress import Frame
from iopio_async.reporting.sink import Sink

#: rich's names of the palette's roles.
_STYLES = {
    "good": Style(color="green"),
    "bad": Style(color="red", bold=True),
    "warn": Style(color="yellow"),
    "note": Style(color="cyan"),
    "strong": Style(bold=True),
    "dim": Style(dim=True),
    "": None,
}


class _Verbatim:
    """Text that rich passes on as it is, colour sequences and line ends included."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(self._text)


class _Moving:
    """A frame, as the segments that rich draws; each line is cut where the screen ends.

    Made by hand rather than from rich's texts, which cost twice as much, ten times a second.
    """

    def __init__(self, frame: Frame, columns: int, ellipsis: str) -> None:
        self._frame = frame
        # One column stays free: a terminal that is made narrower wraps less of what it shows.
        self._columns = columns - 1
        self._ellipsis = ellipsis

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number, line in enumerate(self._frame):
            if number:
                yield Segment.line()
            room = self._columns
            for text, role in line:
                needed = cell_len(text)
                if needed <= room:
                    yield Segment(text, _STYLES[role])
                    room -= needed
                    continue
                kept = max(0, room - len(self._ellipsis))
                yield Segment(set_cell_size(text, kept) + self._ellipsis[:room], _STYLES[role])
                break


class _SinkFile:
    """The sink, seen as the file that rich writes to."""

    encoding = "utf-8"

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, text: str) -> int:
        # Whatever moves the cursor back must arrive, or the screen is wrong from there on.
        self._sink.write(text, keep=len(text) < 4096)
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


class Stage:
    """A place at the bottom of the screen whose content is replaced, while text goes above it."""

    def __init__(self, sink: Sink, palette: Palette) -> None:
        self._console = Console(
            file=cast("IO[str]", _SinkFile(sink)),
            force_terminal=True,
            force_interactive=True,
            force_jupyter=False,
            color_system="standard" if palette.color else None,
            no_color=not palette.color,
            legacy_windows=False,
            highlight=False,
            markup=False,
            emoji=False,
            width=80,
            height=24,
        )
        self._ellipsis = palette.glyph("ellipsis")
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )

    def draw(self, text: str, frame: Frame, *, columns: int, lines: int) -> None:
        """Write ``text`` for good, and ``frame`` below it until the next call."""
        self._console.size = ConsoleDimensions(columns, lines)
        if not self._live.is_started:
            self._live.start()
        self._live.update(_Moving(frame, columns, self._ellipsis))
        if text:
            self._console.print(_Verbatim(text), soft_wrap=True, end="")
        else:
            self._live.refresh()

    def clear(self) -> None:
        """Take the frame off the screen and show the cursor again."""
        self._live.stop()
