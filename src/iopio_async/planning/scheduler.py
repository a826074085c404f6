"""The state machine of a run: stimulus in → instructions out; no I/O, no clock, no surprises.

A module is *waiting* (in a queue by rank, or parked at the claim that it can't take, or for want of
room), *running* (it has its slots and memory and holds its claims) or *finished*. A parked module
costs nothing until its resource is given back; then the parked ones that could take it are woken
one by one, each waking the next when it has had its turn, so a decision costs no more where
thousands are parked. Those that lack room are kept by what they need, a queue by rank for each
need: only the first of each is looked at, when room was given back.

So that nobody starves, a module that has seen many others start since it was first parked is
*aged*: from then on nobody of a later rank starts who would stand in its way, which is anybody
where it lacks room. Aged modules wait for smaller ranks alone, so the one of the smallest rank
always comes next.

=============  =====================================================================
stimulus       effect
=============  =====================================================================
``add``        a module waits from now on
``ended``      an attempt is over: the module waits again (a retry) or is finished
``measured``   so much memory is free now
``reclaim``    modules claim something else than was known so far
``cancel``     nothing starts any more; waiting modules are finished: as not run, or
               where they waited to be run again, as their last attempt ended
=============  =====================================================================

After each stimulus, :meth:`Scheduler.decide` gives the instructions that now hold: ``Start`` and
``Finish``, in an order that is to be kept.
"""

import heapq
from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

from iopio_async.model.module import Claim, Mode, TestModule
from iopio_async.model.outcome import RETRIED_STATUSES, CancelReason, ModuleStatus
from iopio_async.planning.locks import LockTable, Units
from iopio_async.planning.room import ONE_SLOT, Need, Room

#: After so many starts a parked module is aged. No module is overtaken more often than that, where
#: to overtake is to start, with a later rank, and hold what the waiting module claims, or take of
#: the room that is all that it waits for.
OVERTAKES = 64


class Start(msgspec.Struct, frozen=True):
    """Run an attempt of the module in this slot; ``selectors`` narrows it to these tests.

    ``more_slots`` are those that it takes beside, where it needs several; ``slot`` is the lowest.
    ``units`` are the numbers that it got of resources with a capacity.
    """

    path: str
    attempt: int
    slot: int
    selectors: tuple[str, ...]
    more_slots: tuple[int, ...] = ()
    units: Units = ()

    @property
    def slots(self) -> tuple[int, ...]:
        """All slots that it takes."""
        return (self.slot, *self.more_slots)


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
        "cramped",
        "held",
        "module",
        "need",
        "parked_at",
        "rank",
        "retries",
        "selectors",
        "slots",
        "status",
        "units",
        "woken_by",
    )

    def __init__(
        self,
        module: TestModule,
        rank: int,
        retries: int,
        need: Need,
        claims: tuple[Claim, ...],
    ) -> None:
        self.module = module
        self.rank = rank
        self.retries = retries
        self.need = need
        #: Merged, and no more than there is.
        self.claims = claims
        #: What it has taken of them; all, unless they changed while it ran.
        self.held: tuple[Claim, ...] = ()
        self.units: Units = ()
        self.selectors = module.selectors
        self.attempts = 0
        self.slots: tuple[int, ...] = ()
        #: How its last attempt ended; what it ends as if there is no other.
        self.status = ModuleStatus.NOT_RUN
        #: The number of starts so far at the moment it was first parked.
        self.parked_at: int | None = None
        #: What it claims is kept for it.
        self.aged = False
        #: It lacks room, or did when it was last looked at.
        self.cramped = False
        #: The resource whose release brought it back into the queue.
        self.woken_by: str | None = None


class Scheduler:
    """Decides what runs. ``capacity`` is the number of slots, ``overtakes`` the bound on them.

    ``capacities`` are those of resources that consist of units.

    What modules need of memory, summed up over those that run, stays within ``memory_limit_bytes``
    and what was measured; one that exceeds these by itself runs alone.
    """

    def __init__(
        self,
        capacity: int,
        overtakes: int = OVERTAKES,
        *,
        memory_limit_bytes: int | None = None,
        capacities: Mapping[str, int] | None = None,
    ) -> None:
        self._capacity = capacity
        self._overtakes = overtakes
        self._entries: dict[str, _Entry] = {}
        self._ready: list[tuple[int, str]] = []
        #: Who waits at which claim. Unless the first of them can't take it, a module that the
        #: claim's resource has woken is still in the queue, and will wake that first one.
        self._parked: dict[Claim, list[tuple[int, str]]] = {}
        #: Who lacks room, by what they need.
        self._cramped: dict[Need, list[tuple[int, str]]] = {}
        #: The aged ones of these, with some that have found room since.
        self._room_kept: list[tuple[int, str]] = []
        #: Those that were parked, with ``parked_at``, in this order: the next to be aged is first.
        self._aging: deque[tuple[int, _Entry]] = deque()
        self._locks = LockTable(capacities)
        #: How many units of a resource somebody wants at once, in all different numbers.
        self._amounts: dict[str, set[int]] = {}
        self._room = Room(capacity, memory_limit_bytes)
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

    def held_up(self) -> list[str]:
        """The resources for which modules wait that idle slots could run; at most one a slot."""
        idle = self._capacity - sum(len(self._entries[path].slots) for path in self._running)
        if not idle or not self._parked:
            return []
        firsts = ((parked[0], claim.resource) for claim, parked in self._parked.items())
        return [resource for _, resource in heapq.nsmallest(idle, firsts)]

    def __contains__(self, path: str) -> bool:
        return path in self._entries

    def add(self, module: TestModule, *, retries: int = 0, need: Need = ONE_SLOT) -> None:
        """A module joins the run; ranks follow the order of the calls.

        It takes no more slots than there are, whatever it needs.

        Raises:
            ValueError: a module of this path is there already.
        """
        if module.path in self._entries:
            raise ValueError(f"module {module.path} was added twice")
        claims = self._claims(module.claims)
        entry = _Entry(module, len(self._entries), retries, self._room.clamped(need), claims)
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
        held = entry.held
        self._locks.release(held, entry.units)
        self._room.give_back(entry.need, entry.slots)
        entry.held, entry.units, entry.slots = (), (), ()
        entry.status = status
        for claim in held:
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

    def reclaim(self, claims: Mapping[str, Sequence[Claim]]) -> None:
        """These modules claim this from now on, and nothing else.

        Who runs, and can't hold what it now claims beside others that run, goes on with as much of
        it as it can. Nobody counts as overtaken so far.
        """
        running = [self._entries[path] for path in sorted(self._running)]
        for entry in running:
            self._locks.release(entry.held, entry.units)
        for entry in self._entries.values():
            if entry.aged:
                entry.aged = False
                self._locks.let_go(entry.rank)
            entry.parked_at = None
            entry.woken_by = None
            entry.cramped = False
            if entry.module.path in claims:
                entry.claims = self._claims(claims[entry.module.path])
        for entry in sorted(running, key=lambda each: each.rank):
            entry.held = tuple(
                each for each in entry.claims if self._locks.admits(each, entry.rank)
            )
            entry.units = self._locks.take(entry.held)
        for parked in (*self._parked.values(), *self._cramped.values()):
            self._ready.extend(parked)
        heapq.heapify(self._ready)
        self._parked.clear()
        self._cramped.clear()
        self._room_kept.clear()
        self._aging.clear()

    def _claims(self, claims: Sequence[Claim]) -> tuple[Claim, ...]:
        clamped = self._locks.clamped(claims)
        for claim in clamped:
            if claim.units:
                self._amounts.setdefault(claim.resource, set()).add(claim.units)
        return clamped

    def measured(self, free_bytes: int) -> None:
        """So much memory is free now, beside what the modules have taken that run."""
        self._room.measured(free_bytes)

    def cancel(self, reason: CancelReason) -> None:
        """Nothing starts any more. What runs has to end before the run does."""
        if self.cancelled is not None:
            return
        self.cancelled = reason
        waiting = list(self._ready)
        for parked in (*self._parked.values(), *self._cramped.values()):
            waiting.extend(parked)
        self._ready.clear()
        self._parked.clear()
        self._cramped.clear()
        self._aging.clear()
        for _, path in sorted(waiting):
            self._finish(self._entries[path])

    def decide(self) -> list[Instruction]:
        """What is to be done now; each instruction is given once."""
        instructions: list[Instruction] = list(self._finishing)
        self._finishing.clear()
        while self._room.open and (entry := self._next()) is not None:
            obstacle = self._locks.obstacle(entry.claims, entry.rank)
            if obstacle is not None:
                self._park(entry, obstacle)
            elif not self._room.fits(entry.need):
                self._park_for_room(entry)
            else:
                instructions.append(self._start(entry))
            woken_by, entry.woken_by = entry.woken_by, None
            if woken_by is not None:
                # The resource may serve the next one too: this module may share it, or wait
                # elsewhere, or wait here for readers among whom there is room for others.
                self._wake(woken_by)
        return instructions

    def _next(self) -> _Entry | None:
        """Take the first of those that may have their turn now, if any."""
        queue = self._ready
        for need, cramped in self._cramped.items():
            if (not queue or cramped[0] < queue[0]) and self._room.fits(need):
                queue = cramped
        if not queue or self._room_is_kept(queue[0][0]):
            return None
        _, path = heapq.heappop(queue)
        entry = self._entries[path]
        if entry.cramped:
            entry.cramped = False
            if not queue:
                del self._cramped[entry.need]
        return entry

    def _room_is_kept(self, rank: int) -> bool:
        """Room is kept for somebody of a smaller rank."""
        while self._room_kept:
            first, path = self._room_kept[0]
            entry = self._entries[path]
            if entry.aged and entry.cramped:
                return first < rank
            heapq.heappop(self._room_kept)
        return False

    def _park(self, entry: _Entry, claim: Claim) -> None:
        heapq.heappush(self._parked.setdefault(claim, []), (entry.rank, entry.module.path))
        self._begin_to_age(entry)

    def _park_for_room(self, entry: _Entry) -> None:
        place = (entry.rank, entry.module.path)
        heapq.heappush(self._cramped.setdefault(entry.need, []), place)
        entry.cramped = True
        if entry.aged:
            heapq.heappush(self._room_kept, place)
        self._begin_to_age(entry)

    def _begin_to_age(self, entry: _Entry) -> None:
        if entry.parked_at is None:
            entry.parked_at = self._starts
            self._aging.append((self._starts, entry))

    def _wake(self, resource: str) -> None:
        """Put the first of those back in the queue that could take the resource now, if any."""
        first: tuple[int, str] | None = None
        from_claim: Claim | None = None
        wanted = [Claim(resource, mode) for mode in Mode]
        wanted += (Claim(resource, units=each) for each in self._amounts.get(resource, ()))
        for claim in wanted:
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
        was_aged = entry.aged
        if was_aged:
            entry.aged = False
            self._locks.let_go(entry.rank)
        entry.held = entry.claims
        entry.units = self._locks.take(entry.claims)
        if was_aged:
            # Whom a lock stood in the way of, it stands in the way of still. But of units all were
            # kept, and not all of them need have been taken.
            for resource, _ in entry.units:
                self._wake(resource)
        self._running.add(path)
        entry.attempts += 1
        entry.slots = self._room.take(entry.need)
        self._starts += 1
        self._age()
        slot, *more_slots = entry.slots
        return Start(path, entry.attempts, slot, entry.selectors, tuple(more_slots), entry.units)

    def _age(self) -> None:
        while self._aging and self._starts - self._aging[0][0] >= self._overtakes:
            parked_at, entry = self._aging.popleft()
            # It may have started since, and even have been parked again.
            if entry.parked_at == parked_at:
                entry.aged = True
                self._locks.keep(entry.claims, entry.rank)
                if entry.cramped:
                    heapq.heappush(self._room_kept, (entry.rank, entry.module.path))

    def _finish(self, entry: _Entry) -> None:
        path = entry.module.path
        self._finished[path] = entry.status
        self._finishing.append(Finish(path, entry.status, entry.attempts))
