"""Which console a stream gets, decided once: moving or plain, coloured or not, Unicode or ASCII."""

import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TextIO

from iopio_async.model.config import ColorChoice
from iopio_async.reporting.narration import Narrator
from iopio_async.reporting.palette import Palette, speaks_unicode, wants_color
from iopio_async.reporting.plain import PLAIN_COLUMNS, PlainReporter
from iopio_async.reporting.sink import Sink
from iopio_async.reporting.terminal import TerminalReporter, terminal_size

if TYPE_CHECKING:
    from iopio_async.planning.estimate import Outlook

#: Both have ``sink``, ``suspend()`` and ``resume()`` beside a reporter's methods.
ConsoleReporter = PlainReporter | TerminalReporter

_NO = frozenset({"", "0", "false", "no"})


def make_console_reporter(
    *,
    stream: TextIO | None,
    verbosity: int,
    color: ColorChoice,
    environ: Mapping[str, str],
    is_ci: bool | None = None,
    invocation_dir: str = "",
    on_broken: Callable[[], None] | None = None,
    outlook: "Outlook | None" = None,
) -> ConsoleReporter:
    """The console for ``stream``; ``None`` is a stream that was closed, and gets nothing.

    ``is_ci`` is found in ``environ`` where it is not told. ``invocation_dir`` is where the person
    stands, for the paths of the command that reruns failures. ``on_broken`` is called, from another
    thread, when the reader of the stream has gone. ``outlook`` is what the modules usually take.
    """
    sink = Sink(stream, on_broken=on_broken)
    moves, narrator, palette = _narrator(
        stream, sink, verbosity, color, environ, is_ci, invocation_dir
    )
    if not moves or verbosity < 0:
        return PlainReporter(sink, narrator)
    return TerminalReporter(sink, narrator, palette, size=_size_of(stream), outlook=outlook)


def make_page_reporter(
    page: TextIO,
    *,
    stream: TextIO | None,
    verbosity: int,
    color: ColorChoice,
    environ: Mapping[str, str],
    invocation_dir: str = "",
) -> PlainReporter:
    """Writes to ``page`` what a console for ``stream`` would have said when all is over."""
    _, narrator, _ = _narrator(
        stream, Sink(stream), verbosity, color, environ, None, invocation_dir
    )
    return PlainReporter(Sink(page), narrator)


def _narrator(
    stream: TextIO | None,
    sink: Sink,
    verbosity: int,
    color: ColorChoice,
    environ: Mapping[str, str],
    is_ci: bool | None,
    invocation_dir: str,
) -> tuple[bool, Narrator, Palette]:
    """Whether the console moves, who speaks on it, and in which colours."""
    moves = sink.is_terminal and environ.get("TERM") != "dumb"
    if is_ci is None:
        is_ci = environ.get("CI", "").lower() not in _NO
    palette = Palette(
        color=wants_color(color, environ, is_terminal=sink.is_terminal),
        unicode=speaks_unicode(stream),
    )
    in_github = environ.get("GITHUB_ACTIONS", "").lower() not in _NO
    moves = moves and not is_ci
    size = _size_of(stream)
    narrator = Narrator(
        palette,
        verbosity=verbosity,
        every_module=not moves,
        counter=not moves,
        width=(lambda: size()[0]) if moves else (lambda: PLAIN_COLUMNS),
        invocation_dir=invocation_dir,
        github_token=secrets.token_hex(16) if in_github else "",
    )
    return moves, narrator, palette


def _size_of(stream: TextIO | None) -> Callable[[], tuple[int, int]]:
    def size() -> tuple[int, int]:
        return terminal_size(stream.fileno()) if stream is not None else (80, 24)

    return size
