"""Durations over the last runs, as lines: a sparkline, the median, the spread, and the change.

Every function is pure and returns whole lines.
"""

from collections.abc import Sequence
from typing import NamedTuple

from iopio_async.reporting import wording
from iopio_async.reporting.escape import escape_line

#: So many of the last runs are drawn.
DRAWN = 24

_STEPS = "▁▂▃▄▅▆▇█"

#: In ASCII, where the terminal has no blocks.
_PLAIN_STEPS = "_.-=+*#@"


class Trend(NamedTuple):
    """A module or test: its durations, oldest first, and what they come to.

    ``spread`` and ``change`` are shares; ``change`` is ``None`` where too few runs are known.
    """

    name: str
    durations_s: Sequence[float]
    median_s: float
    spread: float
    change: float | None
    slower: bool


def table(trends: Sequence[Trend], *, unicode: bool) -> str:
    """A line for each, under a heading."""
    rows = [("last runs", "runs", "median", "spread", "change", "")]
    for trend in trends:
        change = "" if trend.change is None else f"{100 * trend.change:+.0f} %"
        rows.append(
            (
                sparkline(trend.durations_s, unicode=unicode),
                str(len(trend.durations_s)),
                duration(trend.median_s),
                f"{100 * trend.spread:.0f} %",
                change,
                f"{escape_line(trend.name)}{'  slower' if trend.slower else ''}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:5], widths[1:], strict=True)]
        lines.append("  ".join([*cells, row[5]]).rstrip() + "\n")
    return "".join(lines)


def sparkline(durations_s: Sequence[float], *, unicode: bool = True) -> str:
    """The last runs as a small picture, from the shortest to the longest of them."""
    steps = _STEPS if unicode else _PLAIN_STEPS
    drawn = durations_s[-DRAWN:]
    low, high = min(drawn, default=0.0), max(drawn, default=0.0)
    # What differs by less than a twentieth is drawn level, or noise would look like mountains.
    room = max(high - low, 0.05 * high, 1e-9)
    return "".join(
        steps[min(len(steps) - 1, int((each - low) / room * len(steps)))] for each in drawn
    )


def duration(value_s: float) -> str:
    """A duration; short ones in milliseconds."""
    return f"{1000 * value_s:.1f} ms" if value_s < 0.9995 else wording.seconds(value_s)
