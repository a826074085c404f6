"""Who may take which resource: shared by many readers, or exclusively by one writer.

A module takes all of its claims at once or none of them, so there is no order in which two could
wait for each other. A resource may also be *kept* for a module that has waited too long: then
nobody of a later rank gets it in a way that would stand in that module's way. Names are opaque; the
table knows nothing of processes or time.
"""

import heapq
from collections import Counter
from collections.abc import Iterable

from iopio_async.model.module import Claim, Mode


def merged(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """The claims with each resource once, in the stronger mode, in order of their names."""
    modes: dict[str, Mode] = {}
    for claim in claims:
        if claim.mode is Mode.EXCLUSIVE or claim.resource not in modes:
            modes[claim.resource] = claim.mode
    return tuple(Claim(resource, modes[resource]) for resource in sorted(modes))


class LockTable:
    """The resources that are taken, and those that are kept. Claims given to it are merged."""

    def __init__(self) -> None:
        self._readers: Counter[str] = Counter()
        self._written: set[str] = set()
        #: Ranks that a claim is kept for, smallest first, with some that have been let go since.
        self._kept: dict[Claim, list[int]] = {}
        self._keepers: set[int] = set()

    def obstacle(self, claims: Iterable[Claim], rank: int) -> Claim | None:
        """The first of ``claims`` that a module of this rank can't take now, or ``None``."""
        for claim in claims:
            if not self.admits(claim, rank):
                return claim
        return None

    def admits(self, claim: Claim, rank: int) -> bool:
        """True where a module of this rank could take the claim now, and every smaller rank too."""
        resource = claim.resource
        if resource in self._written:
            return False
        exclusive = claim.mode is Mode.EXCLUSIVE
        if exclusive and resource in self._readers:
            return False
        if not self._keepers:
            return True
        return rank <= self._first_keeper(resource, Mode.EXCLUSIVE, rank) and (
            not exclusive or rank <= self._first_keeper(resource, Mode.SHARED, rank)
        )

    def take(self, claims: Iterable[Claim]) -> None:
        """Take all of ``claims``. Call only where :meth:`obstacle` found none."""
        for claim in claims:
            if claim.mode is Mode.EXCLUSIVE:
                self._written.add(claim.resource)
            else:
                self._readers[claim.resource] += 1

    def release(self, claims: Iterable[Claim]) -> None:
        """Give back what :meth:`take` took."""
        for claim in claims:
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
            heapq.heappush(self._kept.setdefault(claim, []), rank)

    def let_go(self, rank: int) -> None:
        """End what :meth:`keep` began for this rank."""
        self._keepers.discard(rank)

    def _first_keeper(self, resource: str, mode: Mode, default: int) -> int:
        ranks = self._kept.get(Claim(resource, mode))
        while ranks and ranks[0] not in self._keepers:
            heapq.heappop(ranks)
        return ranks[0] if ranks else default
