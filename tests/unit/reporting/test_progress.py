"""Frames: what moves fits its screen and keeps its place."""

import pytest

from iopio_async.model.outcome import ModuleStatus, Outcome, Source
from iopio_async.model.stats import RunStats
from iopio_async.reporting.palette import Palette
from iopio_async.reporting.progress import Frame, Progress, Row


def text(frame: Frame) -> list[str]:
    return ["".join(piece for piece, _ in line).rstrip() for line in frame]


def stats(*, finished: int = 0, planned: int = 0, **outcomes: int) -> RunStats:
    run = RunStats(planned=planned)
    for name, number in outcomes.items():
        run.outcomes[Outcome[name.upper()]] = number
    run.statuses[ModuleStatus.PASSED] = finished
    run.sources[Source.EXECUTED] = finished
    return run


def row(slot: int, started_s: float, module: str = "", test: str = "") -> Row:
    made = Row(module or f"tests/test_{slot}.py", slot, started_s)
    made.test = f"{made.module}::{test}" if test else ""
    return made


@pytest.fixture
def progress() -> Progress:
    made = Progress(Palette(color=True, unicode=True))
    made.modules = 268
    return made


def test_rows_stand_by_slot_above_the_bar(progress: Progress) -> None:
    rows = [row(1, 0.5, test="test_retry"), row(0, 3.0, "tests/test_parse.py", "test_x[3]")]
    frame = progress.frame(
        rows, stats(finished=67, planned=268, passed=340, failed=2), 7.9, columns=80, lines=24
    )
    assert text(frame) == [
        "   4.9 s  tests/test_parse.py  test_x[3]",
        "   7.4 s  tests/test_1.py      test_retry",
        "━" * 24 + "  67/268 modules  2 failed  340 passed  0:07",
    ]
    # A quarter is done: six columns of the bar.
    assert frame[-1][:2] == (("━" * 6, "bad"), ("━" * 18, "dim"))


def test_a_low_screen_shows_the_oldest(progress: Progress) -> None:
    rows = [row(slot, started_s=10.0 - slot) for slot in range(6)]
    frame = progress.frame(rows, stats(), 20.0, columns=80, lines=6)
    assert text(frame)[:4] == [
        "  13.0 s  tests/test_3.py",
        "  14.0 s  tests/test_4.py",
        "  15.0 s  tests/test_5.py",
        "         and 3 more",
    ]


@pytest.mark.parametrize("lines", [1, 2, 5, 24, 100])
def test_no_more_lines_than_the_screen_has_room_for(progress: Progress, lines: int) -> None:
    rows = [row(slot, 0.0) for slot in range(200)]
    frame = progress.frame(rows, stats(), 1.0, columns=80, lines=lines)
    assert len(frame) <= max(3, min(lines, 10))


def test_the_bar_gives_way_on_a_narrow_screen(progress: Progress) -> None:
    narrow = progress.frame([], stats(planned=268, passed=3), 1.0, columns=36, lines=24)
    assert text(narrow) == ["  0/268 modules  3 passed  0:01"]


def test_a_long_path_loses_its_beginning(progress: Progress) -> None:
    rows = [row(0, 0.0, "tests/" + "deep/" * 20 + "test_it.py")]
    line = text(progress.frame(rows, stats(), 1.0, columns=60, lines=24))[0]
    assert line == "   1.0 s  …eep/deep/deep/deep/test_it.py"


def test_without_colours_the_bar_shows_by_its_shape() -> None:
    plain = Progress(Palette(color=False, unicode=False))
    plain.modules = 4
    line = text(plain.frame([], stats(finished=2, passed=1), 1.0, columns=80, lines=24))[-1]
    assert line == "[==========>           ]  2/4 modules  1 passed  0:01"


def test_bad_modules_colour_the_bar(progress: Progress) -> None:
    run = stats(finished=10)
    run.statuses[ModuleStatus.CRASHED] = 1
    assert progress.frame([], run, 1.0, columns=80, lines=24)[-1][0][1] == "bad"


def test_slow_and_repeated_modules_are_marked(progress: Progress) -> None:
    slow = Row("tests/test_a.py", 0, 0.0, attempt=2)
    slow.slow = True
    slow.test = "tests/test_a.py::test_x"
    first = progress.frame([slow], stats(), 75.0, columns=80, lines=24)[0]
    assert first[0] == ("    1:15 ", "warn")
    assert first[2][0] == "  (attempt 2) test_x"


def test_hostile_names_are_shown_as_one_line(progress: Progress) -> None:
    rows = [row(0, 0.0, "tests/a\nb.py", "t\x1b[2J")]
    line = text(progress.frame(rows, stats(), 1.0, columns=80, lines=24))[0]
    assert line == r"   1.0 s  tests/a\nb.py  t\x1b[2J"
