"""What the orchestration asks of a store, whichever it is, and what it may give to one.

Reading is synchronous, since a run that has nothing to execute never starts an event loop; writing
is asynchronous, since it happens while tests run. No method raises for what goes wrong with a
store: what can't be read is a miss, what can't be written is not kept, and the store has warned.
"""

from collections.abc import Iterable
from typing import Protocol, Self, final

from iopio_async.cache.lifetime import is_dated
from iopio_async.model.outcome import BAD_OUTCOMES, ModuleStatus, Source
from iopio_async.model.stats import ModuleStats
from iopio_async.model.trace import ActionEntry, Level, StoredResult

#: How modules end that may be replayed: nothing went wrong. That there is no test to run is as
#: certain as that all of them passed.
CLEAN_STATUSES = frozenset({ModuleStatus.PASSED, ModuleStatus.EMPTY})


@final
class Clean:
    """The result of a module that passed at its first attempt; only :meth:`judged` makes one.

    Stores take nothing else, so what failed, was retried or was cut short can't get into one.
    """

    __slots__ = ("module", "result")

    module: str
    result: StoredResult

    def __init__(self) -> None:
        raise TypeError("only Clean.judged() tells what is clean")

    @classmethod
    def judged(cls, stats: ModuleStats, result: StoredResult) -> Self | str:
        """The result of a module that ended so, or else why it must not be stored."""
        fault = _fault(stats, result)
        if fault:
            return fault
        clean = cls.__new__(cls)
        clean.module = stats.path
        clean.result = result
        return clean


def _fault(stats: ModuleStats, result: StoredResult) -> str:
    if stats.status not in CLEAN_STATUSES:
        return f"it ended as {stats.status}" if stats.status else "it has not ended"
    if stats.source is not Source.EXECUTED:
        return "it was not executed"
    if stats.attempts != 1 or (stats.finished and stats.finished.flaky):
        return "it took more than one attempt"
    for (test, _), finished in stats.tests.items():
        if finished.outcome in BAD_OUTCOMES:
            return f"{test} ended as {finished.outcome}"
        if finished.reruns:
            return f"{test} took more than one attempt"
    if result.trace.level is Level.UNCACHEABLE:
        return "; ".join(result.trace.reasons) or "what it read is not known"
    return "" if is_dated(result) else "it is not known when it was executed"


class BlobStore(Protocol):
    """Bytes by their SHA-256."""

    def blob(self, digest: str) -> bytes | None:
        """The bytes of this digest, verified; ``None`` where they are not there."""
        ...

    async def put_blob(self, data: bytes) -> bool:
        """Keep the bytes; false where they could not be."""
        ...


class ActionCache(Protocol):
    """What is known of actions by their keys."""

    def entry(self, key: str) -> ActionEntry | None:
        """The entry of this key, verified; ``None`` where there is none that can be used."""
        ...

    async def put(self, key: str, clean: Clean, blobs: Iterable[bytes] = ()) -> bool:
        """Add a result, after the blobs that it needs; false where it could not be kept.

        Raises:
            ValueError: the result names a blob that is not given.
        """
        ...

    async def refuse(self, key: str, module: str, reason: str) -> bool:
        """Note why there is no newer result; false where that could not be kept."""
        ...


class ResultStore(ActionCache, BlobStore, Protocol):
    """Both: what a run needs."""
