"""Who may take which resource: shared by many readers, or exclusively by one writer.

A module takes all of its claims at once or none of them, so there is no order in which two could
wait for each other. A resource may also be *kept* for a module that has waited too long: then
nobody of a later rank gets it in a way that would stand in that module's way. Names are opaque; the
table knows nothing of processes or time.

Of a resource with a capacity there are so many units, numbered from 0. A module that needs some of
them gets the lowest that are free, each for itself.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping

from iopio_async.model.module import Claim, Mode

#: The numbers of the units that a module got, by resource.
Units = tuple[tuple[str, tuple[int, ...]], ...]


def merged(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """The claims with each resource once, in the stronger mode, in order of their names.

    Units that several claims ask for are the same ones.
    """
    modes: dict[str, Mode] = {}
    units: dict[str, int] = {}
    for claim in claims:
        if claim.units:
            units[claim.resource] = max(claim.units, units.get(claim.resource, 0))
        elif claim.mode is Mode.EXCLUSIVE or claim.resource not in modes:
            modes[claim.resource] = claim.mode
    locks = [Claim(resource, modes[resource]) for resource in sorted(modes)]
    return (*locks, *(Claim(resource, units=units[resource]) for resource in sorted(units)))


class LockTable:
    """The resources that are taken, and those that are kept. Claims given to it are merged.

    ``capacities`` says of how many units a resource consists; of others there is one.
    """

    def __init__(self, capacities: Mapping[str, int] | None = None) -> None:
        self._readers: Counter[str] = Counter()
        self._written: set[str] = set()
        self._capacities = dict(capacities or {})
        #: Free units, by resource, the lowest first.
        self._units: dict[str, list[int]] = {}
        #: Ranks that a claim is kept for, smallest first, with some that have been let go since.
        self._kept: dict[Claim, list[int]] = {}
        self._keepers: set[int] = set()

    def clamped(self, claims: Iterable[Claim]) -> tuple[Claim, ...]:
        """The claims, merged, as far as there are units at all."""
        return tuple(
            Claim(claim.resource, units=min(claim.units, self._capacities.get(claim.resource, 1)))
            if claim.units
            else claim
            for claim in merged(claims)
        )

    def obstacle(self, claims: Iterable[Claim], rank: int) -> Claim | None:
        """The first of ``claims`` that a module of this rank can't take now, or ``None``."""
        for claim in claims:
            if not self.admits(claim, rank):
                return claim
        return None

    def admits(self, claim: Claim, rank: int) -> bool:
        """True where a module of this rank could take the claim now, and every smaller rank too."""
        resource = claim.resource
        if claim.units:
            return claim.units <= len(self._free(resource)) and rank <= self._first_keeper(
                Claim(resource, units=1), rank
            )
        if resource in self._written:
            return False
        exclusive = claim.mode is Mode.EXCLUSIVE
        if exclusive and resource in self._readers:
            return False
        if not self._keepers:
            return True
        return rank <= self._first_keeper(Claim(resource, Mode.EXCLUSIVE), rank) and (
            not exclusive or rank <= self._first_keeper(Claim(resource, Mode.SHARED), rank)
        )

    def take(self, claims: Iterable[Claim]) -> Units:
        """Take all of ``claims``; the units it got. Call only where :meth:`obstacle` found none."""
        units: list[tuple[str, tuple[int, ...]]] = []
        for claim in claims:
            if claim.units:
                free = self._free(claim.resource)
                numbers = tuple(heapq.heappop(free) for _ in range(claim.units))
                units.append((claim.resource, numbers))
            elif claim.mode is Mode.EXCLUSIVE:
                self._written.add(claim.resource)
            else:
                self._readers[claim.resource] += 1
        return tuple(units)

    def release(self, claims: Iterable[Claim], units: Units = ()) -> None:
        """Give back what :meth:`take` took."""
        for resource, numbers in units:
            for number in numbers:
                heapq.heappush(self._free(resource), number)
        for claim in claims:
            if claim.units:
                continue
            if claim.mode is Mode.EXCLUSIVE:
                self._written.remove(claim.resource)
            elif self._readers[claim.resource] > 1:
                self._readers[claim.resource] -= 1
            else:
                del self._readers[claim.resource]

    def keep(self, claims: Iterable[Claim], rank: int) -> None:
        """From now on nobody of a later rank takes what conflicts with ``claims``."""
        self._keepers.add(rank)
        for claim in claims:
            # Whoever takes any units may take those that somebody else waits for.
            key = Claim(claim.resource, units=1) if claim.units else claim
            heapq.heappush(self._kept.setdefault(key, []), rank)

    def let_go(self, rank: int) -> None:
        """End what :meth:`keep` began for this rank."""
        self._keepers.discard(rank)

    def _free(self, resource: str) -> list[int]:
        free = self._units.get(resource)
        if free is None:
            free = self._units[resource] = list(range(self._capacities.get(resource, 1)))
        return free

    def _first_keeper(self, claim: Claim, default: int) -> int:
        ranks = self._kept.get(claim)
        while ranks and ranks[0] not in self._keepers:
            heapq.heappop(ranks)
        return ranks[0] if ranks else default
