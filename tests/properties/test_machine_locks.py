"""Runs that take and give back at random, with real locks: who holds what never conflicts."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

from iopio_async.planning.machine import Wanted, conflict
from iopio_async.project.machine_locks import Entry, MachineLocks, _close

NAMES = ("path:/a", "path:/a/b", "path:/a/c", "db", "port:80")
CLAIMS = st.lists(
    st.builds(
        lambda name, exclusive: Wanted(name, exclusive, name), st.sampled_from(NAMES), st.booleans()
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda each: each.name,
).map(lambda each: tuple(sorted(each)))


class Unit:
    def __init__(self, table: MachineLocks, entry: Entry) -> None:
        self.table = table
        self.entry = entry


class TwoRuns(RuleBasedStateMachine):
    """Two tables over one folder; each unit has a descriptor of its own, as in two processes."""

    units = Bundle("units")

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        place = f"{self.folder.name}/iopio"
        # Time stands still: nobody is taken for asleep.
        self.tables = [MachineLocks(place, f"/{each}", now_s=lambda: 1.0) for each in range(2)]
        #: In the order in which they came.
        self.alive: list[Unit] = []

    @rule(target=units, which=st.integers(0, 1), claims=CLAIMS)
    def apply(self, which: int, claims: tuple[Wanted, ...]) -> Unit:
        table = self.tables[which]
        unit = Unit(table, table.apply(claims))
        self.alive.append(unit)
        return unit

    @rule(unit=units)
    def look_again(self, unit: Unit) -> None:
        unit.table.retry(unit.entry)

    @rule(unit=consumes(units))
    def give_back(self, unit: Unit) -> None:
        unit.table.give_back(unit.entry)
        self.alive.remove(unit)

    @rule(unit=consumes(units))
    def die(self, unit: Unit) -> None:
        _close(unit.entry.descriptor)
        self.alive.remove(unit)

    @rule()
    def all_get_their_turn(self) -> None:
        """Whoever holds gives back, over and over: each round at least the first gets its turn."""
        rounds = len(self.alive)
        seen: set[int] = set()
        for _ in range(rounds):
            for unit in self.alive:
                if id(unit) not in seen and unit.table.retry(unit.entry):
                    seen.add(id(unit))
                    unit.table.give_back(unit.entry)
        assert len(seen) == rounds
        for unit in self.alive:
            # To the end of the line, with a new entry.
            unit.entry = unit.table.apply(unit.entry.claims)

    @invariant()
    def holders_do_not_conflict(self) -> None:
        with self._holding() as holding:
            for one in holding:
                for two in holding:
                    if one is not two:
                        assert conflict(one.entry.claims, two.entry.claims) is None

    @invariant()
    def the_first_never_waits_for_those_behind(self) -> None:
        with self._holding() as holding:
            ahead: list[Wanted] = [claim for each in holding for claim in each.entry.claims]
            waiting = [each for each in getattr(self, "alive", ()) if each not in holding]
            for unit in waiting[:1]:
                if unit.table.retry(unit.entry):
                    assert conflict(unit.entry.claims, ahead) is None
                else:
                    assert conflict(unit.entry.claims, ahead) is not None

    @contextmanager
    def _holding(self) -> Iterator[list[Unit]]:
        yield [each for each in getattr(self, "alive", ()) if each.entry.obstacle is None]

    def teardown(self) -> None:
        for unit in getattr(self, "alive", ()):
            unit.table.give_back(unit.entry)
        for table in getattr(self, "tables", ()):
            table.close()
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestTwoRuns = TwoRuns.TestCase
TestTwoRuns.settings = settings(stateful_step_count=25)
