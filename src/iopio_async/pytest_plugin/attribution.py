"""Segments of a session's trace ↔ the tests that depend on them.

All tests of a session share a process: what was read once is not read again for the next test, and
yet an input of both. So the trace is cut into segments, and each test depends on

- the *base*: the start of the session, conftests and collecting, less what follows;
- the segment in which its file was collected, and those of the conftests on the way to it;
- its own, from set-up to tear-down;
- those in which the fixtures of wider scope that it uses were set up;
- those in which modules were first imported that any of these asked for, and so on.

Who asks for a module that has been imported before depends on the segment of its first import, with
all that was read then.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Tracer(Protocol):
    """What writes the segments."""

    def go_on(self, number: int) -> None:
        """Tell the rest into the segment of this number."""
        ...

    def rest(self) -> None:
        """Tell nothing until the next segment."""
        ...


#: The number of the segment that every test depends on.
BASE = 0

#: Stands for what happened between the segments, where nothing is told.
UNTOLD = -1


class Attribution:
    """The segments so far. ``active`` is the one that is being told; ``None`` between tests."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self.active: int | None = BASE
        self._count = 1
        #: Modules that were asked for, and segments that are needed, by segment.
        self._asked: dict[int, set[str]] = {BASE: set()}
        self._needs: dict[int, set[int]] = {BASE: set()}
        #: Segments in which a module of this name was looked for, hence imported.
        self._homes: dict[str, set[int]] = {}
        #: Called with a segment that is left, if only for a while.
        self.left: Callable[[int], None] = lambda _: None
        #: What segments depend on directly, once that is asked.
        self._settled: dict[int, frozenset[int]] = {}

    @contextmanager
    def within(self, number: int | None = None) -> Iterator[int]:
        """Tell into a segment, a new one unless named, and then go on with what was active."""
        if number is None:
            number = self._count
            self._count += 1
        before = self.active
        if before is not None:
            self.left(before)
        self._asked.setdefault(number, set())
        self._needs.setdefault(number, set())
        self.active = number
        self._tracer.go_on(number)
        try:
            yield number
        finally:
            self.left(number)
            self.active = before
            if before is None:
                self._tracer.rest()
            else:
                self._tracer.go_on(before)

    def rest(self) -> None:
        """Tell nothing until a segment is entered; nobody depends on what happens meanwhile."""
        self.active = None
        self._tracer.rest()

    def searched(self, module: str) -> None:
        """A module is looked for: it is about to be imported for the first time."""
        home = UNTOLD if self.active is None else self.active
        self._homes.setdefault(module, set()).add(home)

    def forgive(self, is_harmless: Callable[[str], bool]) -> None:
        """Forget which modules were imported untold, of those that are no input at all."""
        for module, homes in self._homes.items():
            if UNTOLD in homes and is_harmless(module):
                homes.discard(UNTOLD)

    def asked(self, module: str, inside: Iterable[str] = ()) -> None:
        """A module is asked for, and these names inside of it, which may be modules too."""
        if self.active is None:
            return
        asked = self._asked[self.active]
        asked.add(module)
        for name in inside:
            asked.add(f"{module}.{name}")

    def need(self, segment: int, needed: int) -> None:
        """Whoever depends on one segment depends on the other."""
        self._needs[segment].add(needed)

    def closure(self, first: int) -> tuple[int, ...]:
        """All segments that a test depends on whose own is ``first``: in order, that one last.

        :data:`UNTOLD` is among them where something is not known. To be asked when all is over.
        """
        found: set[int] = set()
        waiting = [BASE, first]
        while waiting:
            number = waiting.pop()
            if number in found:
                continue
            found.add(number)
            waiting += self._direct(number)
        return (*sorted(found - {first}), first)

    def _direct(self, number: int) -> frozenset[int]:
        """The segments that one depends on by itself; nothing is added to them any more."""
        known = self._settled.get(number)
        if known is None and number == UNTOLD:
            return frozenset()
        if known is None:
            modules = {name for each in self._asked[number] for name in _with_parents(each)}
            homes = [self._homes[name] for name in modules & self._homes.keys()]
            known = self._settled[number] = frozenset(self._needs[number].union(*homes))
        return known


def _with_parents(module: str) -> Iterator[str]:
    while module:
        yield module
        module = module.rpartition(".")[0]
