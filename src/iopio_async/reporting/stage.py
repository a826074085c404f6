"""The moving part of a terminal, drawn by rich. Imported only when there is something to draw."""

from typing import IO, cast

from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from iopio_async.reporting.palette import Palette
from iopio_async.reporting.progress import Frame
from iopio_async.reporting.sink import Sink

#: rich's names of the palette's roles.
_STYLES = {
    "good": "green",
    "bad": "bold red",
    "warn": "yellow",
    "note": "cyan",
    "strong": "bold",
    "dim": "dim",
    "": "",
}


class _Verbatim:
    """Text that rich passes on as it is, colour sequences and line ends included."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(self._text)


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
        self._cut = "ellipsis" if palette.unicode else "crop"
        self._live = Live(
            Text(""),
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
        content = Text("\n").join(self._line(line, columns) for line in frame)
        content.no_wrap = True
        content.overflow = "ignore"
        if not self._live.is_started:
            self._live.start()
        self._live.update(content)
        if text:
            self._console.print(_Verbatim(text), soft_wrap=True, end="")
        else:
            self._live.refresh()

    def _line(self, line: tuple[tuple[str, str], ...], columns: int) -> Text:
        told = Text.assemble(*((piece, _STYLES[role]) for piece, role in line if piece))
        # One column stays free: a terminal that is made narrower wraps less of what it shows.
        told.truncate(columns - 1, overflow="ellipsis" if self._cut == "ellipsis" else "crop")
        told.rstrip()
        return told

    def clear(self) -> None:
        """Take the frame off the screen and show the cursor again."""
        self._live.stop()
