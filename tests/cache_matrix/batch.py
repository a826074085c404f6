"""Takes many rows through their lives at once: four runs of ``iopio run`` judge a whole table.

After the first run and its replay, every other row changes while something harmless happens to the
rest; then the rest changes. So each row is seen to be replayed while its neighbours run again, and
the other way round. Both times plain pytest says what must come out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cache_matrix.row import Level, Row
from cache_matrix.world import CACHED, EXECUTED, Outcomes, Ran, World, by_module, halves


@dataclass(frozen=True)
class Phase:
    """A run, what plain pytest came to in the same tree, and which rows had changed before."""

    name: str
    ran: Ran
    expected: dict[str, Outcomes]
    changed: frozenset[str]
    harmed_none: frozenset[str]


class Batch:
    """The phases of a table's rows in one world."""

    def __init__(self, folder: Path, start_method: str, rows: Sequence[Row]) -> None:
        self.world = World(folder, start_method)
        for row in rows:
            self.world.lay_out(row)
        changing = [row for row in rows if row.change]
        early, late = halves(changing)
        still = [row for row in rows if not row.change]
        self.phases = [
            self._phase("the first run", [], []),
            self._phase("the run with nothing changed", [], []),
            self._phase("the run after half of the changes", early, [*late, *still]),
            self._phase("the run after the other changes", late, []),
        ]

    def _phase(self, name: str, changing: Sequence[Row], spared: Sequence[Row]) -> Phase:
        for row in changing:
            for mutation in row.change:
                mutation.apply(self.world.place(row))
        for row in spared:
            for mutation in row.harmless:
                mutation.apply(self.world.place(row))
        ran = self.world.run()
        # What holds before any change is plain enough: everything passes.
        plainly = self.world.run_plainly("--continue-on-collection-errors") if changing else {}
        return Phase(
            name,
            ran,
            by_module(plainly),
            frozenset(row.name for row in changing),
            frozenset(row.name for row in spared),
        )

    def findings(self, row: Row) -> Iterator[str]:
        """All that is wrong with a row, in words."""
        module = self.world.module(row)
        first, again, *later = self.phases
        if first.ran.sources.get(module) != EXECUTED or first.ran.statuses[module] != "passed":
            yield f"{first.name} did not pass it: {first.ran.outcomes.get(module)}"
            return
        yield from self._replayed(row, again)
        before: Outcomes = first.ran.outcomes[module]
        changed = False
        for phase in later:
            # A change that breaks one module's import may leave nothing to tell of it.
            expected = phase.expected.get(module, {})
            got = phase.ran.outcomes.get(module, {})
            source = phase.ran.sources.get(module)
            if row.name in phase.changed:
                changed = True
                if row.visible and expected == before:
                    yield f"{phase.name}: the change alters nothing for plain pytest: {expected}"
                if source != EXECUTED:
                    yield f"{phase.name}: STALE, its input changed and it was not run again"
            elif row.name in phase.harmed_none:
                yield from self._replayed(row, phase)
            if got != expected:
                stale = "STALE, " if source == CACHED else ""
                yield f"{phase.name}: {stale}plain pytest says {expected}, iopio {got} ({source})"
        if row.change and not changed:
            yield "its change was never applied"

    def _replayed(self, row: Row, phase: Phase) -> Iterator[str]:
        source = phase.ran.sources.get(self.world.module(row))
        unchanged = phase is self.phases[1]
        if row.level is Level.UNCACHEABLE and source != EXECUTED:
            yield f"{phase.name}: STALE, it must run every time and was replayed"
        precise = row.level is Level.PRECISE or (row.level is Level.COARSE and unchanged)
        if precise and source != CACHED:
            yield (
                f"{phase.name}: not replayed though none of its inputs had changed"
                f"{''.join(each.ran.warnings for each in self.phases)}"
            )
