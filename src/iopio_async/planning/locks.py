"""Who holds which resource: shared by many readers, or exclusively by one writer.

A module takes all of its claims at once or none of them, so there is no order in which two could
wait for each other. Names are opaque; the table knows nothing of processes or time.
"""

from collections.abc import Iterable

from iopio_async.model.module import Claim, Mode


class LockTable:
    """The resources that running modules hold."""

    def __init__(self) -> None:
        self._readers: dict[str, set[str]] = {}
        self._writer: dict[str, str] = {}

    def obstacle(self, holder: str, claims: Iterable[Claim]) -> str | None:
        """The first resource that keeps ``holder`` from taking ``claims`` now, or ``None``."""
        for claim in claims:
            writer = self._writer.get(claim.resource)
            if writer is not None and writer != holder:
                return claim.resource
            if claim.mode is Mode.EXCLUSIVE and self._readers.get(claim.resource, set()) - {holder}:
                return claim.resource
        return None

    def take(self, holder: str, claims: Iterable[Claim]) -> None:
        """Take all of ``claims``. Call only where :meth:`obstacle` found none."""
        for claim in claims:
            if claim.mode is Mode.EXCLUSIVE:
                self._writer[claim.resource] = holder
            else:
                self._readers.setdefault(claim.resource, set()).add(holder)

    def release(self, holder: str, claims: Iterable[Claim]) -> None:
        """Give back what :meth:`take` took."""
        for claim in claims:
            if self._writer.get(claim.resource) == holder:
                del self._writer[claim.resource]
            readers = self._readers.get(claim.resource)
            if readers is not None:
                readers.discard(holder)
                if not readers:
                    del self._readers[claim.resource]

    def writer(self, resource: str) -> str | None:
        """Who holds ``resource`` exclusively now, if anyone."""
        return self._writer.get(resource)

    def holders(self, resource: str) -> frozenset[str]:
        """Who holds ``resource`` now."""
        writer = self._writer.get(resource)
        alone = frozenset({writer}) if writer is not None else frozenset()
        return alone | frozenset(self._readers.get(resource, ()))


def conflict(some: Iterable[Claim], others: Iterable[Claim]) -> bool:
    """Two sets of claims can't be held at the same time."""
    modes = {claim.resource: claim.mode for claim in some}
    return any(
        claim.resource in modes
        and (claim.mode is Mode.EXCLUSIVE or modes[claim.resource] is Mode.EXCLUSIVE)
        for claim in others
    )
