"""The console on a terminal, looked at on a screen; redraws are called by the tests themselves."""

import io
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from types import ModuleType

import pytest
from rich.cells import cell_len

from iopio_async.model import events as ev
from iopio_async.model.stats import RunStats
from iopio_async.reporting.narration import Narrator
from iopio_async.reporting.palette import Palette
from iopio_async.reporting.sink import Sink
from iopio_async.reporting.terminal import TerminalReporter

Snapshot = Callable[[str, str], None]


class Console:
    """A terminal reporter on a stream in memory, with a clock that stands still."""

    def __init__(
        self, screen: ModuleType, *, verbosity: int = 0, color: bool = False, columns: int = 100
    ) -> None:
        self.stream = io.StringIO()
        self.now_s = 0.0
        self.columns = columns
        palette = Palette(color=color, unicode=True)
        narrator = Narrator(
            palette,
            verbosity=verbosity,
            every_module=False,
            counter=False,
            width=lambda: self.columns,
        )
        self.reporter = TerminalReporter(
            Sink(self.stream),
            narrator,
            palette,
            size=lambda: (self.columns, 24),
            clock=lambda: self.now_s,
            refresh_s=None,
        )
        self._screen = screen

    def handle(self, envelope: ev.Envelope, stats: RunStats) -> None:
        self.now_s = envelope.elapsed_s
        self.reporter.handle(envelope, stats)

    def close(self) -> None:
        self.reporter.close()

    def screen(self) -> object:
        return self._screen.Screen().feed(self.stream.getvalue())

    def text(self) -> str:
        return str(self.screen().text())


def play(console: Console, story: ModuleType, *, until_s: float, every: int = 1) -> None:
    for number, (envelope, stats) in enumerate(story.play(story.tell())):
        if envelope.elapsed_s > until_s:
            break
        console.handle(envelope, stats)
        if number % every == 0:
            console.reporter.tick()
    console.now_s = until_s
    console.reporter.tick()


def test_what_is_running_moves_at_the_bottom(
    story: ModuleType, screen: ModuleType, snapshot: Snapshot
) -> None:
    console = Console(screen)
    play(console, story, until_s=6.0)
    snapshot("terminal_running.txt", console.text())
    assert not console.screen().cursor_shown


@pytest.mark.parametrize(("name", "verbosity"), [("default", 0), ("verbose", 1)])
def test_what_stays_is_the_same_however_often_it_was_redrawn(
    story: ModuleType, screen: ModuleType, snapshot: Snapshot, name: str, verbosity: int
) -> None:
    for every in (1, 7, 10_000):
        console = Console(screen, verbosity=verbosity)
        play(console, story, until_s=100.0, every=every)
        console.close()
        snapshot(f"terminal_{name}.txt", console.text())
        assert console.screen().cursor_shown


def test_a_run_that_ends_before_the_first_redraw_has_no_moving_part(
    story: ModuleType, screen: ModuleType
) -> None:
    console = Console(screen)
    story.report(console, story.tell())
    assert "\x1b" not in console.stream.getvalue()


def test_every_colour_is_ended(story: ModuleType, screen: ModuleType) -> None:
    console = Console(screen, color=True)
    play(console, story, until_s=100.0)
    console.close()
    for line in console.stream.getvalue().split("\n"):
        codes = re.findall(r"\x1b\[([0-9;]*)m", line)
        assert not codes or codes[-1] in {"0", ""}


def test_nothing_is_written_where_nothing_changed(story: ModuleType, screen: ModuleType) -> None:
    console = Console(screen)
    play(console, story, until_s=6.0)
    before = console.stream.getvalue()
    console.reporter.tick()
    assert console.stream.getvalue() == before
    console.now_s += 0.1
    console.reporter.tick()
    assert console.stream.getvalue() != before


def test_lines_are_cut_to_the_width_in_cells(story: ModuleType, screen: ModuleType) -> None:
    console = Console(screen, columns=50)
    module = "tests/test_wide.py"
    script = story.Script()
    script.add(
        ev.RunStarted(
            run_id="r", root="/", modules=1, workers=1, python="", iopio="", started_at=""
        ),
        ev.ModulePlanned(module=module, framework="pytest"),
    ).start(module, 0, 1)
    script.add(ev.TestStarted(module=module, attempt=1, id=f"{module}::test_日本語日本語日本語"))
    for envelope, stats in story.play(script.envelopes):
        console.handle(envelope, stats)
    console.reporter.tick()
    row = console.text().splitlines()[0]
    # A wide character takes two cells and is never halved; one of the 50 cells stays free.
    assert row == "   0.2 s  tests/test_wide.py  test_日本語日本語 …"
    assert cell_len(row) == 49


def test_suspending_leaves_a_clean_screen_and_resuming_draws_again(
    story: ModuleType, screen: ModuleType
) -> None:
    console = Console(screen)
    play(console, story, until_s=6.0)
    assert "modules" in console.text().splitlines()[-1]
    console.reporter.suspend()
    assert console.screen().cursor_shown
    assert not any("11/16 modules" in line for line in console.text().splitlines())
    console.now_s += 10.0
    console.reporter.tick()
    assert not any("11/16 modules" in line for line in console.text().splitlines())
    console.reporter.resume()
    console.reporter.tick()
    assert "11/16 modules" in console.text().splitlines()[-1]
    assert not console.screen().cursor_shown


def test_a_drawing_that_fails_costs_the_drawing_only(
    story: ModuleType, screen: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = Console(screen)
    reference = Console(screen)
    for console in (failing, reference):
        play(console, story, until_s=6.0)

    def no_size() -> tuple[int, int]:
        raise RuntimeError("no such terminal")

    monkeypatch.setattr(failing.reporter, "_size", no_size)
    # The redrawing thread would end like this; here it runs in the test's own.
    monkeypatch.setattr(failing.reporter, "_refresh_s", 0.0)
    failing.reporter._run()
    for envelope, stats in story.play(story.tell()):
        if envelope.elapsed_s > 6.0:
            failing.handle(envelope, stats)
            reference.handle(envelope, stats)
    with pytest.raises(RuntimeError, match="no such terminal"):
        failing.close()
    reference.close()
    assert failing.screen().cursor_shown
    assert failing.text().splitlines()[-20:] == reference.text().splitlines()[-20:]


def test_abandoning_gives_the_cursor_back(story: ModuleType, screen: ModuleType) -> None:
    console = Console(screen)
    play(console, story, until_s=6.0)
    console.reporter.abandon()
    assert console.screen().cursor_shown
    assert "11/16 modules" not in console.text()


def test_the_thread_redraws_and_ends(story: ModuleType, screen: ModuleType) -> None:
    console = Console(screen)
    console.reporter._refresh_s = 0.001
    drawn = []
    original = console.reporter._progress.frame

    def frame(*args: object, **kwargs: object) -> object:
        drawn.append(None)
        return original(*args, **kwargs)

    console.reporter._progress.frame = frame
    play(console, story, until_s=6.0)
    thread = console.reporter._thread
    assert thread is not None
    assert thread.is_alive()
    console.close()
    assert not thread.is_alive()
    assert drawn


def test_rich_is_imported_only_to_draw() -> None:
    program = textwrap.dedent(
        """
        import sys
        from iopio_async.reporting.console import make_console_reporter
        from iopio_async.reporting import fanout, stream
        make_console_reporter(stream=sys.stdout, verbosity=0, color="always", environ={}).close()
        heavy = {"rich", "junitparser", "typer", "asyncio", "xml"} & set(sys.modules)
        print(sorted(heavy))
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
