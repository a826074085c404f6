"""Long modules in several processes: which to split, and into which tests.

A run can't end before its longest module does. So what is longer than the rest of the run leaves
room for is cut into chunks, each a process of its own. A chunk costs what the tests don't account
for: the process, the imports, the collection; so there are as few as possible, and none whose
saving is smaller than that.

Tests of one class stay together, and so do those that share a key: whoever knows the fixtures gives
one to all tests that share a fixture of the module or the class. What must stay together is a
*unit*; chunks are runs of neighbouring units in the order of collection. The search goes over the
longest chunk that is allowed, from coarse to fine, and looks at how long the whole run would take,
dealt out longest first; then it takes back every cut that does not pay.

The tests are those of earlier runs. So that none is lost, the last chunk of a module is to be run
as *all tests but those of the other chunks*.
"""

import heapq
from bisect import bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import msgspec

#: The time that the run would take at best, over the longest chunk that is tried. Below 1, chunks
#: are longer than at best, as they have to be where each costs much.
_PARTS = (0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)

#: A run that takes so much longer than at best is not worth a search.
_GOOD_ENOUGH = 1.02

#: Modules shorter than this share of a worker's time fill gaps, whatever their order.
_FILLER_SHARE = 0.02

#: The halvings of the interval in which the shortest possible longest chunk is looked for.
_HALVINGS = 24


class LongModule(msgspec.Struct, frozen=True, kw_only=True):
    """A module that may be split.

    ``tests`` are ids with seconds, in the order of collection; ``whole_s`` is what the module takes
    in one process, ``overhead_s`` the least that another process costs. Tests with the same key in
    ``together`` are not separated.
    """

    tests: Sequence[tuple[str, float]]
    whole_s: float
    overhead_s: float
    together: Mapping[str, Hashable] = {}


class Chunk(NamedTuple):
    """Tests to be run in one process, and what that is expected to take."""

    tests: tuple[str, ...]
    expected_s: float


def split(
    tests: Sequence[tuple[str, float]],
    *,
    whole_s: float,
    overhead_s: float,
    workers: int,
    others_total_s: float,
    others_longest_s: float = 0.0,
    together: Mapping[str, Hashable] | None = None,
) -> tuple[tuple[str, ...], ...]:
    """The chunks of the only module of a run that may be split; none where it should stay whole.

    Of all others together, only the longest can't be dealt out at will.
    """
    module = LongModule(
        tests=tests, whole_s=whole_s, overhead_s=overhead_s, together=together or {}
    )
    rest_s = max(others_total_s - others_longest_s, 0.0)
    chunks = plan_chunks({"": module}, [others_longest_s], workers, filler_s=rest_s)
    return tuple(chunk.tests for chunk in chunks.get("", ()))


def worth_splitting(durations_s: Mapping[str, float], workers: int) -> tuple[str, ...]:
    """Names of the modules that are long enough to be looked at, the longest first; often none.

    ``durations_s`` are what all modules of the run are expected to take.
    """
    share_s = sum(durations_s.values()) / workers
    if makespan_s(durations_s.values(), workers) <= share_s * _GOOD_ENOUGH:
        return ()
    least_s = share_s / _PARTS[-1]
    names = (name for name, duration_s in durations_s.items() if duration_s > least_s)
    return tuple(sorted(names, key=lambda name: (-durations_s[name], name)))


def plan_chunks(
    modules: Mapping[str, LongModule],
    others_s: Iterable[float],
    workers: int,
    *,
    filler_s: float = 0.0,
) -> dict[str, tuple[Chunk, ...]]:
    """The chunks of those modules that should be split, by the names they have in ``modules``.

    ``others_s`` are what the modules take that must stay whole; ``filler_s`` is what else there is,
    in pieces so small that they fill every gap.
    """
    parts = {name: _Divisible(module) for name, module in sorted(modules.items())}
    run = _Run(parts, others_s, workers, filler_s)
    counts = run.search()
    return {name: parts[name].chunks(count) for name, count in counts.items() if count > 1}


def makespan_s(durations_s: Iterable[float], workers: int, filler_s: float = 0.0) -> float:
    """The seconds from start to end where each worker takes the longest that is left."""
    loads = [0.0] * workers
    for duration_s in sorted(durations_s, reverse=True):
        heapq.heapreplace(loads, loads[0] + duration_s)
    return max(*loads, (sum(loads) + filler_s) / workers)


def shortest_s(module: LongModule) -> float:
    """What the longest chunk of a module takes at least, into however many it is split."""
    part = _Divisible(module)
    return part.fixed_s + part.longest_unit_s


class _Divisible:
    """One module with its units, and all the ways of cutting it."""

    def __init__(self, module: LongModule) -> None:
        self.whole_s = module.whole_s
        self._tests = [test for test, _ in module.tests]
        self._units = _units(self._tests, module.together)
        # What the tests don't account for is taken to be needed by each process anew.
        given_s = sum(duration_s for _, duration_s in module.tests)
        room_s = max(module.whole_s - module.overhead_s, 0.0)
        scale = min(room_s / given_s, 1.0) if given_s > 0 else 0.0
        self.fixed_s = module.whole_s - given_s * scale
        weights = [scale * sum(module.tests[at][1] for at in unit) for unit in self._units]
        self._until_s = [0.0, *accumulate(weights)]
        self.longest_unit_s = max(weights, default=0.0)
        self._cuts: dict[int, tuple[int, ...]] = {}

    def count_for(self, longest_s: float) -> int:
        """The fewest chunks that are no longer than this, or as short as makes sense."""
        # A chunk whose tests take less than its process is more loss than gain.
        limit_s = max(longest_s - self.fixed_s, self.longest_unit_s, self.fixed_s)
        return len(self._ends(limit_s))

    def durations_s(self, count: int) -> list[float]:
        """What each of ``count`` chunks takes."""
        until_s = self._until_s
        cuts = (0, *self.cuts(count))
        return [self.fixed_s + until_s[end] - until_s[start] for start, end in pairwise(cuts)]

    def chunks(self, count: int) -> tuple[Chunk, ...]:
        """The module in ``count`` chunks."""
        spans = pairwise((0, *self.cuts(count)))
        durations_s = self.durations_s(count)
        return tuple(
            Chunk(self._names(start, end), duration_s)
            for (start, end), duration_s in zip(spans, durations_s, strict=True)
        )

    def _names(self, start: int, end: int) -> tuple[str, ...]:
        places = sorted(place for unit in self._units[start:end] for place in unit)
        return tuple(self._tests[place] for place in places)

    def cuts(self, count: int) -> tuple[int, ...]:
        """The units at which ``count`` chunks end so that the longest is as short as can be."""
        if count not in self._cuts:
            self._cuts[count] = self._balanced(count)
        return self._cuts[count]

    def _balanced(self, count: int) -> tuple[int, ...]:
        total_s = self._until_s[-1]
        too_short_s, enough_s = max(total_s / count, self.longest_unit_s), total_s
        best = self._ends(enough_s)
        for _ in range(_HALVINGS):
            middle_s = (too_short_s + enough_s) / 2
            ends = self._ends(middle_s)
            if len(ends) <= count:
                best, enough_s = ends, middle_s
            else:
                too_short_s = middle_s
        return best

    def _ends(self, limit_s: float) -> tuple[int, ...]:
        """Where chunks end if each takes as many units as the limit allows, and at least one."""
        until_s, last = self._until_s, len(self._units)
        ends: list[int] = []
        start = 0
        while start < last:
            start = max(bisect_right(until_s, until_s[start] + limit_s) - 1, start + 1)
            ends.append(start)
        return tuple(ends) or (last,)


class _Run:
    """The run as a whole: what it takes for any numbers of chunks."""

    def __init__(
        self,
        parts: Mapping[str, _Divisible],
        others_s: Iterable[float],
        workers: int,
        filler_s: float,
    ) -> None:
        self._parts = parts
        self._workers = workers
        others = list(others_s)
        whole_s = sum(part.whole_s for part in parts.values())
        share_s = (sum(others) + filler_s + whole_s) / workers
        # No run is shorter than this, however its modules are cut.
        self._floor_s = max(share_s, *others, 0.0)
        self._others_s = [each for each in others if each > share_s * _FILLER_SHARE]
        self._filler_s = filler_s + sum(others) - sum(self._others_s)

    def search(self) -> dict[str, int]:
        """The number of chunks of each module: the fewest with which the run is about as short."""
        counts = dict.fromkeys(self._parts, 1)
        shortest_s = self.takes_s(counts)
        if shortest_s <= self._floor_s * _GOOD_ENOUGH:
            return counts
        for part in _PARTS:
            longest_s = self._floor_s / part
            finer = {
                name: each.count_for(longest_s) if each.whole_s > longest_s else 1
                for name, each in self._parts.items()
            }
            takes_s = self.takes_s(finer)
            if takes_s < shortest_s:
                counts, shortest_s = finer, takes_s
        return self._without_idle_cuts(counts, shortest_s)

    def takes_s(self, counts: Mapping[str, int]) -> float:
        """The seconds that the run takes with so many chunks of each module."""
        durations_s = list(self._others_s)
        for name, part in self._parts.items():
            durations_s += part.durations_s(counts[name])
        return makespan_s(durations_s, self._workers, self._filler_s)

    def _without_idle_cuts(self, counts: dict[str, int], shortest_s: float) -> dict[str, int]:
        """The fewest chunks of each module with which the run is about as short.

        A module whose cuts save less than one of its processes costs stays whole.
        """
        counts = dict(counts)
        enough_s = shortest_s * _GOOD_ENOUGH
        for name, part in sorted(self._parts.items(), key=lambda item: (item[1].whole_s, item[0])):
            for count in range(part.count_for(enough_s), counts[name]):
                if self.takes_s({**counts, name: count}) <= enough_s:
                    counts[name] = count
                    break
            if counts[name] > 1:
                whole = {**counts, name: 1}
                if self.takes_s(whole) - self.takes_s(counts) <= part.fixed_s:
                    counts = whole
        return counts


def _units(tests: Sequence[str], together: Mapping[str, Hashable]) -> list[list[int]]:
    """Places of tests that must not be separated, in order of their first ones."""
    groups: dict[str, list[int]] = {}
    for place, test in enumerate(tests):
        groups.setdefault(class_of(test) or test, []).append(place)
    units = list(groups.values())
    if not together:
        return units
    # A key may join classes, and a class may join keys: each unit finds the first of its kind.
    leaders = list(range(len(units)))

    def leader(number: int) -> int:
        while leaders[number] != number:
            leaders[number] = leaders[leaders[number]]
            number = leaders[number]
        return number

    holders: dict[Hashable, int] = {}
    for number, unit in enumerate(units):
        for key in {together[tests[place]] for place in unit if tests[place] in together}:
            one, other = leader(number), leader(holders.setdefault(key, number))
            leaders[max(one, other)] = min(one, other)
    joined: dict[int, list[int]] = {}
    for number, unit in enumerate(units):
        joined.setdefault(leader(number), []).extend(unit)
    return list(joined.values())


def class_of(test: str) -> str:
    """The id of the outermost class that a test is in, or ``""``.

    What that class sets up serves the classes within it as well.
    """
    path, _, names = test.partition("::")
    outermost, separator, _ = names.partition("[")[0].partition("::")
    return f"{path}::{outermost}" if separator else ""
