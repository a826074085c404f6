"""Drives the real scheduler through simulated time, and checks every step against the promises.

:class:`CheckedScheduler` takes the same stimuli as the scheduler that it wraps. It keeps books of
its own, as simple as can be (it looks at every pair of modules), and verifies each instruction.
:func:`simulate` is a tiny event-driven simulation on top: modules that take time and end somehow.
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from iopio_async.model.module import Claim, Mode, TestModule
from iopio_async.model.outcome import RETRIED_STATUSES, CancelReason, ModuleStatus
from iopio_async.planning.locks import merged
from iopio_async.planning.room import ONE_SLOT, Need
from iopio_async.planning.scheduler import OVERTAKES, Finish, Instruction, Scheduler, Start

HEALED = {ModuleStatus.PASSED, ModuleStatus.LEAKED}


def conflict(some: Sequence[Claim], others: Sequence[Claim]) -> bool:
    """Two modules with these claims must not run at the same time."""
    return any(
        one.resource == other.resource
        and not one.units
        and not other.units
        and Mode.EXCLUSIVE in (one.mode, other.mode)
        for one in some
        for other in others
    )


def compete(some: Sequence[Claim], others: Sequence[Claim]) -> bool:
    """What one of two modules with these claims takes, the other may wait for."""
    return conflict(some, others) or any(
        one.resource == other.resource and one.units and other.units
        for one in some
        for other in others
    )


@dataclass
class _Book:
    """What is known of one module."""

    module: TestModule
    rank: int
    retries: int
    selectors: tuple[str, ...]
    need: Need
    status: ModuleStatus = ModuleStatus.NOT_RUN
    attempts: int = 0
    slots: tuple[int, ...] = ()
    #: The number of all starts when it began to wait; ``None`` while it does not.
    waiting_since: int | None = None
    overtaken: int = 0
    final: ModuleStatus | None = None
    #: What it holds, while it runs.
    held: tuple[Claim, ...] = ()
    units: dict[str, tuple[int, ...]] = field(default_factory=dict)


class CheckedScheduler:
    """A scheduler whose every instruction is verified; an ``AssertionError`` where one is wrong.

    ``memory_bytes`` is what the machine has, all of it free while nothing runs.
    """

    def __init__(
        self,
        capacity: int,
        overtakes: int = OVERTAKES,
        *,
        memory_limit_bytes: int | None = None,
        memory_bytes: int | None = None,
        capacities: Mapping[str, int] | None = None,
    ) -> None:
        self.scheduler = Scheduler(
            capacity, overtakes, memory_limit_bytes=memory_limit_bytes, capacities=capacities
        )
        self.capacities = capacities or {}
        self.capacity = capacity
        self.overtakes = overtakes
        self.memory_bytes = memory_bytes
        bounds = [bound for bound in (memory_limit_bytes, memory_bytes) if bound is not None]
        self.most_bytes = min(bounds, default=None)
        self.books: dict[str, _Book] = {}
        self.finals: Counter[str] = Counter()
        self.started: list[str] = []
        self._due: dict[str, ModuleStatus] = {}
        self.measured(0.0)

    # -- stimuli -------------------------------------------------------------------------------

    def add(self, module: TestModule, *, retries: int = 0, need: Need = ONE_SLOT) -> None:
        slots = min(need.slots, self.capacity)
        book = _Book(module, len(self.books), retries, module.selectors, need._replace(slots=slots))
        self.scheduler.add(module, retries=retries, need=need)
        self.books[module.path] = book
        if self.scheduler.cancelled is None:
            book.waiting_since = len(self.started)
        else:
            self._due[module.path] = ModuleStatus.NOT_RUN

    def ended(self, path: str, status: ModuleStatus, retry: Sequence[str] | None = None) -> None:
        self.scheduler.ended(path, status, retry)
        book = self.books[path]
        book.slots, book.status = (), status
        book.held, book.units = (), {}
        again = book.attempts <= book.retries and self.scheduler.cancelled is None
        if again and retry is not None and status in RETRIED_STATUSES:
            book.selectors = tuple(retry) or book.selectors
            book.waiting_since, book.overtaken = len(self.started), 0
        elif book.attempts > 1 and status in HEALED:
            self._due[path] = ModuleStatus.FLAKY
        else:
            self._due[path] = status

    def reclaim(self, claims: Mapping[str, tuple[Claim, ...]]) -> None:
        self.scheduler.reclaim(claims)
        for path, own in claims.items():
            book = self.books[path]
            book.module = TestModule(path=path, claims=own, selectors=book.module.selectors)
        for book in self.waiting():
            book.waiting_since, book.overtaken = len(self.started), 0
        running = sorted(self.running(), key=lambda book: book.rank)
        for book in running:
            book.held = ()
        for book in running:
            book.held = tuple(
                claim
                for claim in merged(book.module.claims)
                if not claim.units and not any(conflict([claim], other.held) for other in running)
            )

    def measured(self, share: float) -> None:
        """Measure what is free while those that run use this share of their peaks."""
        if self.memory_bytes is not None:
            used_bytes = sum(int(share * book.need.memory_bytes) for book in self.running())
            self.scheduler.measured(self.memory_bytes - used_bytes)

    def cancel(self, reason: CancelReason = CancelReason.INTERRUPT) -> None:
        self.scheduler.cancel(reason)
        for book in self.waiting():
            book.waiting_since = None
            self._due[book.module.path] = book.status

    def decide(self) -> list[Instruction]:
        instructions = self.scheduler.decide()
        for instruction in instructions:
            match instruction:
                case Start():
                    self._check_start(instruction)
                case Finish():
                    self._check_finish(instruction)
        assert not self._due, f"no final word was given on {self._due}"
        assert self.scheduler.running == {book.module.path for book in self.running()}
        self._check_idle_slots()
        return instructions

    # -- promises ------------------------------------------------------------------------------

    def waiting(self) -> list[_Book]:
        return [book for book in self.books.values() if book.waiting_since is not None]

    def running(self) -> list[_Book]:
        return [book for book in self.books.values() if book.slots]

    def verify(self) -> None:
        """Call when all is over: every module has exactly one final word."""
        assert self.finals == Counter(dict.fromkeys(self.books, 1))
        assert self.scheduler.idle
        assert not self.running()
        assert not self.waiting()

    def _check_start(self, start: Start) -> None:
        book = self.books[start.path]
        assert self.scheduler.cancelled is None, f"{start.path} started after the cancellation"
        assert book.waiting_since is not None, f"{start.path} started though it did not wait"
        taken = {slot for other in self.running() for slot in other.slots}
        assert set(start.slots) <= set(range(self.capacity)) - taken
        assert len(set(start.slots)) == len(start.slots) == book.need.slots
        assert start.slot == min(start.slots)
        assert self._has_room(book), f"{start.path} started without room for it"
        assert start.attempt == book.attempts + 1 <= book.retries + 1
        assert start.selectors == book.selectors
        assert not self._blocking(book), f"{start.path} started beside {self._blocking(book)}"
        for other in self.waiting():
            if other.rank >= book.rank:
                continue
            assert not self._could_start(other), f"{start.path} went before {other.module.path}"
            lacks_room = self._finds_claims_free(other) and not self._has_room(other)
            if lacks_room or compete(book.module.claims, other.module.claims):
                other.overtaken += 1
                assert other.overtaken <= self.overtakes, f"{other.module.path} starves"
        book.attempts += 1
        book.slots = start.slots
        book.held = book.module.claims
        self._check_units(book, start)
        book.waiting_since = None
        self.started.append(start.path)

    def _check_finish(self, finish: Finish) -> None:
        book = self.books[finish.path]
        self.finals[finish.path] += 1
        assert self.finals[finish.path] == 1, f"{finish.path} finished twice"
        assert finish.status is self._due.pop(finish.path)
        assert finish.attempts == book.attempts
        assert not book.slots
        assert book.waiting_since is None
        book.final = finish.status

    def _check_idle_slots(self) -> None:
        if sum(len(book.slots) for book in self.running()) == self.capacity:
            return
        idlers = [book.module.path for book in self.waiting() if self._could_start(book)]
        assert not idlers, f"a slot is idle, yet {idlers} wait"

    def _has_room(self, book: _Book) -> bool:
        running = self.running()
        if sum(len(other.slots) for other in running) + book.need.slots > self.capacity:
            return False
        used_bytes = sum(other.need.memory_bytes for other in running)
        return (
            not running
            or self.most_bytes is None
            or used_bytes + book.need.memory_bytes <= self.most_bytes
        )

    def _blocking(self, book: _Book) -> list[str]:
        return [
            other.module.path
            for other in self.running()
            if conflict(book.module.claims, other.held)
        ]

    def _wanted(self, book: _Book) -> dict[str, int]:
        """The units that it needs, by resource."""
        wanted: Counter[str] = Counter()
        for claim in book.module.claims:
            if claim.units:
                most = min(claim.units, self.capacities.get(claim.resource, 1))
                wanted[claim.resource] = max(wanted[claim.resource], most)
        return wanted

    def _taken(self, resource: str) -> list[int]:
        return [unit for other in self.running() for unit in other.units.get(resource, ())]

    def _has_units(self, book: _Book) -> bool:
        return all(
            len(self._taken(resource)) + count <= self.capacities.get(resource, 1)
            for resource, count in self._wanted(book).items()
        )

    def _check_units(self, book: _Book, start: Start) -> None:
        got = dict(start.units)
        assert {resource: len(units) for resource, units in got.items()} == self._wanted(book)
        for resource, units in got.items():
            free = set(range(self.capacities.get(resource, 1))) - set(self._taken(resource))
            assert units == tuple(sorted(free)[: len(units)])
        book.units = got

    def _could_start(self, book: _Book) -> bool:
        """True where neither a running module nor one that may be aged is in the way."""
        return (
            self._finds_claims_free(book)
            and self._has_room(book)
            and all(map(self._has_room, self._may_be_aged(book)))
        )

    def _finds_claims_free(self, book: _Book) -> bool:
        return (
            not self._blocking(book)
            and self._has_units(book)
            and not any(
                compete(book.module.claims, other.module.claims)
                for other in self._may_be_aged(book)
            )
        )

    def _may_be_aged(self, book: _Book) -> list[_Book]:
        """Those of a smaller rank for which something may be kept."""
        return [
            other
            for other in self.waiting()
            if other.rank < book.rank
            and other.waiting_since is not None
            and len(self.started) - other.waiting_since >= self.overtakes
        ]


@dataclass(frozen=True)
class Job:
    """A module with what is going to happen to it: each attempt's status, and when it joins."""

    module: TestModule
    duration: int = 1
    statuses: tuple[ModuleStatus, ...] = (ModuleStatus.PASSED,)
    retries: int = 0
    joins_at: int = 0
    need: Need = ONE_SLOT


@dataclass(order=True)
class _Due:
    at: int
    serial: int
    path: str = field(compare=False)
    status: ModuleStatus = field(compare=False)


def simulate(
    jobs: Sequence[Job],
    capacity: int,
    *,
    overtakes: int = OVERTAKES,
    cancel_at: int | None = None,
    memory_limit_bytes: int | None = None,
    memory_bytes: int | None = None,
    used_shares: Sequence[float] = (0.0,),
    capacities: Mapping[str, int] | None = None,
    reclaims: Mapping[int, Mapping[str, tuple[Claim, ...]]] | None = None,
) -> CheckedScheduler:
    """Run the jobs to their end; a scheduler that gets stuck is found out as well.

    Memory is measured each time when something has happened; ``used_shares`` says, in turn, how
    much of their peaks the running ones use by then. ``reclaims`` are claims that get known at
    some time.
    """
    checked = CheckedScheduler(
        capacity,
        overtakes,
        memory_limit_bytes=memory_limit_bytes,
        memory_bytes=memory_bytes,
        capacities=capacities,
    )
    reclaiming = dict(reclaims or {})
    shares = itertools.cycle(used_shares)
    by_path = {job.module.path: job for job in jobs}
    joining = sorted(jobs, key=lambda job: job.joins_at)
    due: list[_Due] = []
    serial = now = 0
    while True:
        while joining and joining[0].joins_at <= now:
            job = joining.pop(0)
            checked.add(job.module, retries=job.retries, need=job.need)
        if cancel_at is not None and cancel_at <= now:
            checked.cancel()
        while due and due[0].at <= now:
            ended = heapq.heappop(due)
            checked.ended(ended.path, ended.status, ())
        for at in [at for at in reclaiming if at <= now]:
            found = reclaiming.pop(at)
            checked.reclaim({path: own for path, own in found.items() if path in checked.books})
        checked.measured(next(shares))
        for instruction in checked.decide():
            if isinstance(instruction, Start):
                job = by_path[instruction.path]
                status = job.statuses[min(instruction.attempt, len(job.statuses)) - 1]
                serial += 1
                heapq.heappush(due, _Due(now + job.duration, serial, instruction.path, status))
        nexts = [due[0].at] if due else []
        nexts += [joining[0].joins_at] if joining else []
        if not nexts:
            break
        now = max(min(nexts), now)
    checked.verify()
    return checked
