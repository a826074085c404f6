"""What moves at the bottom of a terminal: a row a running module, and the bar.

Pure: counts, rows and a size in; a frame out. A frame is rows of pieces with a role each, so that
frames can be compared before anything is drawn. The bar comes last, where the eye finds it at the
same place whatever happens above it.

::

      2.1 s  tests/test_parse.py  test_roundtrip[3]
      0.3 s  tests/test_net.py    test_retry
    ━━━━━━━━━╸━━━━━━━━━━━━━━  12/268 modules  340 passed  2 failed  0:07, about 40 s left
"""

from collections.abc import Sequence

from iopio_async.model.outcome import Outcome, Source
from iopio_async.model.stats import RunStats
from iopio_async.reporting import wording
from iopio_async.reporting.escape import escape_line
from iopio_async.reporting.palette import Palette

#: The most rows of running modules; the rest is counted.
MOST_ROWS = 8

_BAR_COLUMNS = 24

#: A piece of text and its role; ``""`` is plain text.
Piece = tuple[str, str]
Line = tuple[Piece, ...]
Frame = tuple[Line, ...]


class Row:
    """A running module: where it runs, since when, and what it is at."""

    __slots__ = ("attempt", "module", "slot", "slow", "started_s", "test")

    def __init__(self, module: str, slot: int, started_s: float, attempt: int = 1) -> None:
        self.module = module
        self.slot = slot
        self.started_s = started_s
        self.attempt = attempt
        self.test = ""
        self.slow = False


class Progress:
    """Composes frames. ``modules`` is how many the run has."""

    def __init__(self, palette: Palette) -> None:
        self.modules = 0
        self._palette = palette

    def frame(
        self,
        rows: Sequence[Row],
        stats: RunStats,
        elapsed_s: float,
        *,
        columns: int,
        lines: int,
        left_s: float | None = None,
    ) -> Frame:
        """The lines to show on a screen of ``columns`` by ``lines``; ``left_s`` where known."""
        most = max(1, min(MOST_ROWS, lines - 3))
        # Which to show goes by age, where to show them by slot: so a row keeps its place.
        oldest = sorted(rows, key=lambda row: row.started_s)[:most]
        shown = sorted(oldest, key=lambda row: row.slot)
        names = [escape_line(row.module) for row in shown]
        name_columns = min(max(map(len, names), default=0), max(12, columns // 2))
        frame = [
            self._row(row, name, name_columns, elapsed_s)
            for row, name in zip(shown, names, strict=True)
        ]
        if len(rows) > most:
            frame.append(((f"{'':9}and {len(rows) - most} more", "dim"),))
        frame.append(self._bar_line(stats, elapsed_s, left_s, columns))
        return tuple(frame)

    def _row(self, row: Row, name: str, name_columns: int, elapsed_s: float) -> Line:
        age_s = max(0.0, elapsed_s - row.started_s)
        age = f"{age_s:.1f} s" if age_s < 60 else wording.clock(age_s)
        test = escape_line(row.test.removeprefix(row.module + "::"))
        if row.attempt > 1:
            test = f"(attempt {row.attempt}) {test}"
        if len(name) > name_columns:
            # The end of a path says more than its beginning.
            ellipsis = self._palette.glyph("ellipsis")
            name = ellipsis + name[len(name) - name_columns + len(ellipsis) :]
        return (
            (f"{age:>8} ", "warn" if row.slow else "dim"),
            (f" {name:<{name_columns}}", ""),
            (f"  {test}", "dim"),
        )

    def _bar_line(
        self, stats: RunStats, elapsed_s: float, left_s: float | None, columns: int
    ) -> Line:
        finished = stats.finished_modules
        modules = max(self.modules, stats.planned, finished)
        outcomes = stats.outcomes
        cached = finished - stats.sources[Source.EXECUTED]
        counts: list[Piece] = [(f"  {finished}/{modules} modules", "strong")]
        for number, word, role in (
            (outcomes[Outcome.FAILED] + outcomes[Outcome.ERROR], "failed", "bad"),
            (outcomes[Outcome.NOT_RUN], "not run", "bad"),
            (outcomes[Outcome.PASSED], "passed", "good"),
            (outcomes[Outcome.SKIPPED], "skipped", "warn"),
            (cached, "cached", "note"),
        ):
            if number or word == "passed":
                counts.append((f"  {number} {word}", role))
        left = f", about {wording.about(left_s)} left" if left_s else ""
        counts.append((f"  {wording.clock(elapsed_s)}{left}", "dim"))
        # The bar gives way to the figures.
        figures = sum(len(text) for text, _ in counts)
        room = min(_BAR_COLUMNS, columns - figures - 1)
        if room >= 8:
            share = finished / modules if modules else 0.0
            counts[:0] = self._bar(
                share, room, "bad" if stats.failed or stats.bad_modules else "good"
            )
        return tuple(counts)

    def _bar(self, share: float, columns: int, role: str) -> list[Piece]:
        full, half = self._palette.glyph("bar"), self._palette.glyph("half")
        if self._palette.color and self._palette.unicode:
            bars, halves = divmod(int(share * columns * 2), 2)
            done = full * bars + half * halves
            return [(done, role), (full * (columns - len(done)), "dim")]
        # Without colours the bar's two parts must differ in shape.
        inner = columns - 2
        done = full * int(share * inner)
        tip = ">" if done else ""
        return [(f"[{done[:-1]}{tip}", role), (f"{' ' * (inner - len(done))}]", "")]
