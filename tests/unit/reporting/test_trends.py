"""Durations over the last runs as lines."""

import pytest

from iopio_async.reporting.trends import DRAWN, Trend, duration, sparkline, table


@pytest.mark.parametrize(
    ("durations_s", "drawn"),
    [
        ([], ""),
        ([1.0, 1.0], "▁▁"),
        ([1.0, 2.0, 3.0], "▁▅█"),
        ([1.00, 1.01], "▁▂"),
        ([0.0, 0.0], "▁▁"),
    ],
)
def test_sparklines(durations_s: list[float], drawn: str) -> None:
    assert sparkline(durations_s) == drawn


def test_only_the_last_runs_are_drawn() -> None:
    assert len(sparkline([1.0] * 100)) == DRAWN


def test_without_blocks_it_is_ascii() -> None:
    assert sparkline([1.0, 2.0], unicode=False).isascii()


def test_a_table() -> None:
    text = table(
        [
            Trend("tests/test_a.py", [1.0, 1.5], 1.25, 0.2, 0.5, slower=True),
            Trend("tests/test_\x1b.py", [0.0123], 0.0123, 0.0, None, slower=False),
        ],
        unicode=True,
    )
    assert text.splitlines() == [
        "last runs  runs   median  spread  change",
        "▁█            2   1.25 s    20 %   +50 %  tests/test_a.py  slower",
        "▁             1  12.3 ms     0 %          tests/test_\\x1b.py",
    ]


@pytest.mark.parametrize(
    ("value_s", "told"), [(0.0005, "0.5 ms"), (0.9994, "999.4 ms"), (1.0, "1.00 s")]
)
def test_durations(value_s: float, told: str) -> None:
    assert duration(value_s) == told
