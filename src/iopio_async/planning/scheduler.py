"""The state machine of a run: stimulus in → instructions out; no I/O, no clock, no surprises.

A module is *waiting* (in a queue by rank, or parked at the claim that it can't take), *running*
(it has a slot and holds its claims) or *finished*. A parked module costs nothing until its resource
is given back; then the parked ones that could take it are woken one by one, each waking the next
when it has had its turn, so a decision costs no more where thousands are parked. So that nobody
starves, a module that has seen many others start since it was first parked is *aged*: from then on
nobody of a later rank starts who would stand in its way. Aged modules wait for smaller ranks alone,
so the one of the smallest rank always comes next.

=============  =====================================================================
stimulus       effect
=============  =====================================================================
``add``        a module waits from now on
``ended``      an attempt is over: the module waits again (a retry) or is finished
``cancel``     nothing starts any more; waiting modules are finished: as not run, or
               where they waited to be run again, as their last attempt ended
=============  =====================================================================

After each stimulus, :meth:`Scheduler.decide` gives the instructions that now hold: ``Start`` and
``Finish``, in an order that is to be kept.
"""

import heapq
from collections import deque
from collections.abc import Sequence

import msgspec

from iopio_async.model.module import Claim, Mode, TestModule
from iopio_async.model.outcome import RETRIED_STATUSES, CancelReason, ModuleStatus
from iopio_async.planning.locks import LockTable, merged

#: After so many starts a parked module is aged. No module is overtaken more often than that, where
#: to overtake is to start, with a later rank, and hold what the waiting module claims.
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
        "aged",
        "attempts",
        "claims",
        "module",
        "parked_at",
        "rank",
        "retries",
        "selectors",
        "slot",
        "status",
        "woken_by",
    )

    def __init__(self, module: TestModule, rank: int, retries: int) -> None:
        self.module = module
        self.rank = rank
        self.retries = retries
        self.claims: tuple[Claim, ...] = merged(module.claims)
        self.selectors = module.selectors
        self.attempts = 0
        self.slot: int | None = None
        #: How its last attempt ended; what it ends as if there is no other.
        self.status = ModuleStatus.NOT_RUN
        #: The number of starts so far at the moment it was first parked.
        self.parked_at: int | None = None
        #: What it claims is kept for it.
        self.aged = False
        #: The resource whose release brought it back into the queue.
        self.woken_by: str | None = None


class Scheduler:
    """Decides what runs. ``capacity`` is the number of slots, ``overtakes`` the bound on them."""

    def __init__(self, capacity: int, overtakes: int = OVERTAKES) -> None:
        self._overtakes = overtakes
        self._entries: dict[str, _Entry] = {}
        self._ready: list[tuple[int, str]] = []
        #: Who waits at which claim. Unless the first of them can't take it, a module that the
        #: claim's resource has woken is still in the queue, and will wake that first one.
        self._parked: dict[Claim, list[tuple[int, str]]] = {}
        #: Those that were parked, with ``parked_at``, in this order: the next to be aged is first.
        self._aging: deque[tuple[int, _Entry]] = deque()
        self._locks = LockTable()
        self._free_slots = list(range(capacity))
        self._running: set[str] = set()
        self._starts = 0
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
            self._finish(entry)
        else:
            heapq.heappush(self._ready, (entry.rank, module.path))

    def ended(self, path: str, status: ModuleStatus, retry: Sequence[str] | None = None) -> None:
        """An attempt of ``path`` is over.

        ``retry`` are the tests that another attempt would run: empty for all of the module's,
        ``None`` where another attempt would be pointless.
        """
        entry = self._entries[path]
        self._running.remove(path)
        self._locks.release(entry.claims)
        assert entry.slot is not None
        heapq.heappush(self._free_slots, entry.slot)
        entry.slot = None
        entry.status = status
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
            entry.status = ModuleStatus.FLAKY
        self._finish(entry)

    def cancel(self, reason: CancelReason) -> None:
        """Nothing starts any more. What runs has to end before the run does."""
        if self.cancelled is not None:
            return
        self.cancelled = reason
        waiting = list(self._ready)
        for parked in self._parked.values():
            waiting.extend(parked)
        self._ready.clear()
        self._parked.clear()
        self._aging.clear()
        for _, path in sorted(waiting):
            self._finish(self._entries[path])

    def decide(self) -> list[Instruction]:
        """What is to be done now; each instruction is given once."""
        instructions: list[Instruction] = list(self._finishing)
        self._finishing.clear()
        while self._free_slots and self._ready:
            _, path = heapq.heappop(self._ready)
            entry = self._entries[path]
            obstacle = self._locks.obstacle(entry.claims, entry.rank)
            if obstacle is None:
                instructions.append(self._start(entry))
            else:
                self._park(entry, obstacle)
            woken_by, entry.woken_by = entry.woken_by, None
            if woken_by is not None:
                # The resource may serve the next one too: this module may share it, or wait
                # elsewhere, or wait here for readers among whom there is room for others.
                self._wake(woken_by)
        return instructions

    def _park(self, entry: _Entry, claim: Claim) -> None:
        heapq.heappush(self._parked.setdefault(claim, []), (entry.rank, entry.module.path))
        if entry.parked_at is None:
            entry.parked_at = self._starts
            self._aging.append((self._starts, entry))

    def _wake(self, resource: str) -> None:
        """Put the first of those back in the queue that could take the resource now, if any."""
        first: tuple[int, str] | None = None
        from_claim: Claim | None = None
        for mode in Mode:
            claim = Claim(resource, mode)
            parked = self._parked.get(claim)
            if not parked or (first is not None and first < parked[0]):
                continue
            if self._locks.admits(claim, parked[0][0]):
                first, from_claim = parked[0], claim
        if first is None or from_claim is None:
            return
        heapq.heappop(self._parked[from_claim])
        if not self._parked[from_claim]:
            del self._parked[from_claim]
        self._entries[first[1]].woken_by = resource
        heapq.heappush(self._ready, first)

    def _start(self, entry: _Entry) -> Start:
        path = entry.module.path
        entry.parked_at = None
        if entry.aged:
            # Nobody needs to be woken: whom it stood in the way of, it stands in the way of still.
            entry.aged = False
            self._locks.let_go(entry.rank)
        self._locks.take(entry.claims)
        self._running.add(path)
        entry.attempts += 1
        entry.slot = heapq.heappop(self._free_slots)
        self._starts += 1
        self._age()
        return Start(path, entry.attempts, entry.slot, entry.selectors)

    def _age(self) -> None:
        while self._aging and self._starts - self._aging[0][0] >= self._overtakes:
            parked_at, entry = self._aging.popleft()
            # It may have started since, and even have been parked again.
            if entry.parked_at == parked_at:
                entry.aged = True
                self._locks.keep(entry.claims, entry.rank)

    def _finish(self, entry: _Entry) -> None:
        path = entry.module.path
        self._finished[path] = entry.status
        self._finishing.append(Finish(path, entry.status, entry.attempts))
