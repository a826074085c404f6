"""The state machine of a run: stimulus in → instructions out; no I/O, no clock, no surprises.

A module is *waiting* (in a queue by rank, or parked at the resource that blocks it), *running*
(it has a slot and holds its claims) or *finished*. A parked module costs nothing until its resource
is given back; then the parked ones are woken one by one, each waking the next unless it took the
resource for itself, so a decision costs no more where thousands are parked. So that nobody starves,
a module that was overtaken too often is *aged*: what it claims is kept for it until it starts;
there is at most one such module at a time.

=============  =====================================================================
stimulus       effect
=============  =====================================================================
``add``        a module waits from now on
``ended``      an attempt is over: the module waits again (a retry) or is finished
``cancel``     nothing starts any more; waiting modules are finished as not run
=============  =====================================================================

After each stimulus, :meth:`Scheduler.decide` gives the instructions that now hold: ``Start`` and
``Finish``, in an order that is to be kept.
"""

import heapq
from collections.abc import Sequence

import msgspec

from iopio_async.model.module import Claim, TestModule
from iopio_async.model.outcome import RETRIED_STATUSES, CancelReason, ModuleStatus
from iopio_async.planning.locks import LockTable, conflict

#: How many modules of a later rank may start before one that is parked, until that one is aged.
OVERTAKES = 64


class Start(msgspec.Struct, frozen=True):
    """Run an attempt of the module in this slot; ``selectors`` narrows it to these tests."""

    path: str
    attempt: int
    slot: int
    selectors: tuple[str, ...]


class Finish(msgspec.Struct, frozen=True):
    """The module has its final word."""

    path: str
    status: ModuleStatus
    attempts: int


Instruction = Start | Finish


class _Entry:
    """One module's state."""

    __slots__ = (
        "attempts",
        "claims",
        "module",
        "parked_at",
        "rank",
        "retries",
        "selectors",
        "slot",
        "woken_by",
    )

    def __init__(self, module: TestModule, rank: int, retries: int) -> None:
        self.module = module
        self.rank = rank
        self.retries = retries
        self.claims: tuple[Claim, ...] = module.claims
        self.selectors = module.selectors
        self.attempts = 0
        self.slot: int | None = None
        #: The number of starts so far at the moment it was first parked.
        self.parked_at: int | None = None
        #: The resource whose release brought it back into the queue.
        self.woken_by: str | None = None


class Scheduler:
    """Decides what runs. ``capacity`` is the number of slots."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: dict[str, _Entry] = {}
        self._ready: list[tuple[int, str]] = []
        self._parked: dict[str, list[tuple[int, str]]] = {}
        self._locks = LockTable()
        self._free_slots = list(range(capacity))
        self._running: set[str] = set()
        self._starts = 0
        self._aged: _Entry | None = None
        self._finishing: list[Finish] = []
        self._finished: dict[str, ModuleStatus] = {}
        self.cancelled: CancelReason | None = None

    @property
    def idle(self) -> bool:
        """Nothing waits, nothing runs, and all has been said."""
        return len(self._finished) == len(self._entries) and not self._finishing

    @property
    def running(self) -> frozenset[str]:
        """Paths of the running modules."""
        return frozenset(self._running)

    def __contains__(self, path: str) -> bool:
        return path in self._entries

    def add(self, module: TestModule, *, retries: int = 0) -> None:
        """A module joins the run; ranks follow the order of the calls.

        Raises:
            ValueError: a module of this path is there already.
        """
        if module.path in self._entries:
            raise ValueError(f"module {module.path} was added twice")
        entry = _Entry(module, len(self._entries), retries)
        self._entries[module.path] = entry
        if self.cancelled is not None:
            self._finish(entry, ModuleStatus.NOT_RUN)
        else:
            heapq.heappush(self._ready, (entry.rank, module.path))

    def ended(self, path: str, status: ModuleStatus, retry: Sequence[str] | None = None) -> None:
        """An attempt of ``path`` is over.

        ``retry`` are the tests that another attempt would run: empty for all of the module's,
        ``None`` where another attempt would be pointless.
        """
        entry = self._entries[path]
        self._running.remove(path)
        self._locks.release(path, entry.claims)
        assert entry.slot is not None
        heapq.heappush(self._free_slots, entry.slot)
        for claim in entry.claims:
            self._wake(claim.resource)
        wanted = (
            retry is not None
            and status in RETRIED_STATUSES
            and entry.attempts <= entry.retries
            and self.cancelled is None
        )
        if wanted:
            assert retry is not None
            entry.selectors = tuple(retry) or entry.selectors
            heapq.heappush(self._ready, (entry.rank, path))
            return
        if entry.attempts > 1 and status in {ModuleStatus.PASSED, ModuleStatus.LEAKED}:
            status = ModuleStatus.FLAKY
        self._finish(entry, status)

    def cancel(self, reason: CancelReason) -> None:
        """Nothing starts any more. What runs has to end before the run does."""
        if self.cancelled is not None:
            return
        self.cancelled = reason
        waiting = [path for _, path in self._ready]
        for parked in self._parked.values():
            waiting.extend(path for _, path in parked)
        self._ready.clear()
        self._parked.clear()
        self._aged = None
        for path in sorted(waiting, key=lambda path: self._entries[path].rank):
            self._finish(self._entries[path], ModuleStatus.NOT_RUN)

    def decide(self) -> list[Instruction]:
        """What is to be done now; each instruction is given once."""
        instructions: list[Instruction] = list(self._finishing)
        self._finishing.clear()
        while self._free_slots and self._ready:
            _, path = heapq.heappop(self._ready)
            entry = self._entries[path]
            obstacle = self._obstacle(entry)
            woken_by, entry.woken_by = entry.woken_by, None
            if obstacle is None:
                instructions.append(self._start(entry))
            else:
                self._park(entry, obstacle)
            if woken_by is not None and woken_by != obstacle:
                # The resource may serve the next one too: as one more reader, or since this
                # module waits elsewhere.
                self._wake(woken_by)
        return instructions

    def _obstacle(self, entry: _Entry) -> str | None:
        obstacle = self._locks.obstacle(entry.module.path, entry.claims)
        if obstacle is not None or not entry.claims:
            return obstacle
        aged = self._aged
        if aged is not None and aged is not entry and conflict(aged.claims, entry.claims):
            wanted = {claim.resource for claim in aged.claims}
            return next(claim.resource for claim in entry.claims if claim.resource in wanted)
        return None

    def _park(self, entry: _Entry, resource: str) -> None:
        heapq.heappush(self._parked.setdefault(resource, []), (entry.rank, entry.module.path))
        if entry.parked_at is None:
            entry.parked_at = self._starts
        elif self._aged is None and self._starts - entry.parked_at >= OVERTAKES:
            self._aged = entry

    def _wake(self, resource: str) -> None:
        parked = self._parked.get(resource)
        if not parked or self._locks.writer(resource) is not None:
            return
        aged = self._aged
        if aged is not None and (aged.rank, aged.module.path) in parked:
            # Whoever else were woken would only find the resource kept for the aged one.
            item = (aged.rank, aged.module.path)
            parked.remove(item)
            heapq.heapify(parked)
        else:
            item = heapq.heappop(parked)
        if not parked:
            del self._parked[resource]
        self._entries[item[1]].woken_by = resource
        heapq.heappush(self._ready, item)

    def _start(self, entry: _Entry) -> Start:
        path = entry.module.path
        self._locks.take(path, entry.claims)
        self._running.add(path)
        self._starts += 1
        entry.attempts += 1
        entry.slot = heapq.heappop(self._free_slots)
        entry.parked_at = None
        if self._aged is entry:
            self._aged = None
            for claim in entry.claims:
                self._wake(claim.resource)
        return Start(path, entry.attempts, entry.slot, entry.selectors)

    def _finish(self, entry: _Entry, status: ModuleStatus) -> None:
        self._finished[entry.module.path] = status
        self._finishing.append(Finish(entry.module.path, status, entry.attempts))
