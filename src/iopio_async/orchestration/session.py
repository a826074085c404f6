"""The pump of one run: it carries out the scheduler's instructions and tells what happens.

``Session.run`` plans all modules, then lets each ``Start`` become a task in one task group: the
task runs an attempt through the executor, turns its messages into events and reports its end to the
scheduler, whose next instructions it carries out. The ``CapacityLimiter`` is taken without waiting:
the scheduler has counted already, so a failure to take it is a bug that shows at once.

To tell an event is to fold it into the statistics, number it and ``emit`` it, all at once: what has
been told is in order and can't get lost. Only then a task waits, in ``pace``, where the consumer is
slow. So whatever cancels, kills or abandons a run needs to wait for nobody.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import anyio
import anyio.abc
import msgspec

from iopio_async.errors import IopioError
from iopio_async.execution.ports import Attempt, Executor, Gone, Placement
from iopio_async.history.timings import Collected
from iopio_async.model import events as ev
from iopio_async.model.action import Action
from iopio_async.model.config import Config, ModuleSettings
from iopio_async.model.module import TestModule
from iopio_async.model.outcome import (
    CancelReason,
    ExitCode,
    ExitStatus,
    Failure,
    ModuleStatus,
    Source,
)
from iopio_async.model.stats import RunStats
from iopio_async.orchestration.batches import BatchNarration
from iopio_async.orchestration.claims import ClaimedPlan
from iopio_async.orchestration.guard_port import Guard
from iopio_async.orchestration.holdings import Claims, Holdings
from iopio_async.orchestration.lost_time import LostTime
from iopio_async.orchestration.memory import Memory
from iopio_async.orchestration.narration import Narration
from iopio_async.orchestration.units import Divide, Units, final_status, whole_warning
from iopio_async.planning.estimate import Outlook
from iopio_async.planning.parts import Part
from iopio_async.planning.room import Need
from iopio_async.planning.scheduler import Finish, Scheduler, Start
from iopio_async.wire.contract import TRACE_FILE

#: Takes the next batch of envelopes; never waits.
Emit = Callable[[Sequence[ev.Envelope]], None]

#: Waits while the consumer is too far behind.
Pace = Callable[[], Awaitable[None]]

#: Free memory is measured when something has ended, but not more often than this.
MEASURE_EVERY_S = 0.1

#: Exit codes of runs that were cut short; other cancellations mean that not all passed.
CUT_SHORT_EXIT_CODES = {
    CancelReason.INTERNAL: int(ExitCode.INTERNAL),
    CancelReason.HANGUP: 129,
    CancelReason.INTERRUPT: 130,
    CancelReason.TERMINATE: 143,
}


@dataclass(slots=True)
class _Going:
    """An attempt whose start has been told, and its end not yet."""

    attempt: Attempt
    narration: Narration
    began_s: float


class Session:
    """One run. ``stats`` is the fold of all events so far.

    ``opening`` is told first. ``make_action`` and ``settings_of`` are pure functions over a module.
    ``remainder`` is the module that stands for what plugins and conftests collect beyond the known
    files, to be run if a worker reports such collectors, or at once if ``remainder_expected``;
    ``None`` where it is not this run's business. ``memory`` has the results of earlier runs: what
    it recalls is told at the start and never scheduled. ``outlook`` is what the modules usually
    take; ``free_memory`` tells the bytes that are free, ``None`` where nothing tells. ``claims``
    knows what modules share, and ``guard`` is asked before each attempt whether other runs on this
    machine share it, too.
    """

    def __init__(
        self,
        *,
        config: Config,
        run_id: str,
        modules: Sequence[TestModule],
        executor: Executor,
        make_action: Callable[[TestModule, Start], Action],
        settings_of: Callable[[str], ModuleSettings],
        emit: Emit,
        pace: Pace,
        opening: Sequence[ev.AnyEvent] = (),
        remainder: TestModule | None = None,
        remainder_expected: bool = False,
        memory: Memory | None = None,
        divide: Divide = list,
        outlook: Outlook = Outlook(),  # noqa: B008 - it is frozen
        free_memory: Callable[[], int | None] = lambda: None,
        claims: Claims | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._config = config
        self._memory = memory
        self._divide = divide
        self._units = Units(settings_of)
        self._holdings = Holdings(config, claims, guard)
        self._lost = LostTime()
        self._run_id = run_id
        self._modules = {module.path: module for module in modules}
        if remainder is not None and remainder_expected:
            self._modules[remainder.path] = remainder
            remainder = None
        self._remainder = remainder
        self._executor = executor
        self._make_action = make_action
        self._settings_of = settings_of
        self._emit = emit
        self._pace = pace
        self._opening = opening
        self._peaks_bytes = outlook.peaks_bytes
        self._free_memory = free_memory
        self._measured_s = float("-inf")
        self._scheduler = Scheduler(
            config.workers,
            memory_limit_bytes=config.memory_limit_bytes,
            capacities={name: each.capacity for name, each in config.resources.items()},
        )
        self._limiter = anyio.CapacityLimiter(config.workers)
        self._going: dict[str, _Going] = {}
        self._failures: dict[str, Failure | None] = {}
        self._bad_tests: dict[str, set[str]] = {}
        #: Tests that failed first and passed later, in order, by module.
        self._flaky: dict[str, dict[str, None]] = {}
        self._final_failures = 0
        self._begun = False
        self._started_s = 0.0
        self._next_seq = 0
        self._tasks: anyio.abc.TaskGroup
        self.stats = RunStats()
        #: What the processes of each module told of its tests.
        self.collected: dict[str, Collected] = {}

    @property
    def claimed(self) -> ClaimedPlan | None:
        """What the modules claim that are executed, if it is known."""
        return self._holdings.plan

    # -- the run -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run all modules to their final word; ``close`` is to follow."""
        self._begin()
        await self._pace()
        async with anyio.create_task_group() as self._tasks:
            if self._holdings.pending and not self._holdings.needless():
                self._tasks.start_soon(self._find_claims)
            self._carry_out()
            await self._pace()
        if lost := self._lost.told():
            self.warn(lost, category="iopio-detail")

    async def _find_claims(self) -> None:
        """Let modules run at once as soon as it is known which of them may."""
        self._scheduler.reclaim(await self._holdings.find_out(self.warn))
        self._carry_out()

    def close(self, *, failed: bool = False) -> None:
        """Tell the run's last word; ``failed`` says that something beside the tests did."""
        late = failed and self._scheduler.cancelled is None
        self._tell([self._last_event(ExitCode.NOT_ALL_PASSED if late else None)])

    def cancel(self, reason: CancelReason) -> None:
        """Start nothing new, and ask what runs to end. A run that is over stays as it is."""
        if self._scheduler.cancelled is not None or (self._begun and self._scheduler.idle):
            return
        self._begin()
        self._scheduler.cancel(reason)
        self._holdings.stop()
        self._executor.halt()
        for going in self._going.values():
            going.attempt.stop()
        self._tell([ev.CancellationStarted(reason=reason)])
        self._carry_out()

    def kill(self) -> None:
        """Start nothing new, and end what runs, now."""
        self.cancel(CancelReason.EMBEDDER)
        for going in self._going.values():
            going.attempt.kill()

    def abandon(self, reason: CancelReason) -> None:
        """Bring the books of a run that was cut off, and whose tasks are gone, to a proper end."""
        if self.stats.exit_code is not None:
            return
        self._begin()
        if self._scheduler.cancelled is None:
            self._scheduler.cancel(reason)
            self._tell([ev.CancellationStarted(reason=reason)])
        for name, going in list(self._going.items()):
            duration_s = anyio.current_time() - going.began_s
            gone = Gone(exit_status=ExitStatus(), duration_s=duration_s, stopped=True)
            self._conclude(name, going.narration, gone)
        for split in self._units.splits():
            self._tell(split.broken_off())
        self._tell(
            [
                self._last_word(path, self._status_so_far(path))
                for path, module in self.stats.modules.items()
                if module.status is None
            ]
        )
        internal = reason is CancelReason.INTERNAL
        self._tell([self._last_event(ExitCode.INTERNAL if internal else None)])

    def warn(self, message: str, *, category: str = "iopio") -> None:
        """Tell a warning of iopio's own; ``iopio-detail`` is for those who ask for details."""
        self._tell([ev.WarningIssued(message=message, category=category)])

    def _begin(self) -> None:
        """Tell the opening and the plan, once."""
        if not self._begun:
            self._begun = True
            self._started_s = anyio.current_time()
            self._tell([*self._opening, *map(_planned, self._modules.values())])
            self._expect()
            self._schedule(self._modules.values())
            if self._memory is not None:
                for path in list(self._modules):
                    self._recall(path)

    def _expect(self) -> None:
        """Ask what those share that are going to be executed, unless the run is over anyway."""
        for warning in self._holdings.expect(self._unrecalled(self._modules.values())):
            self.warn(warning)

    def _unrecalled(self, modules: Iterable[TestModule]) -> list[TestModule]:
        """Those that have to be executed."""
        if self._memory is None:
            return list(modules)
        return [each for each in modules if not self._memory.recalled(each.path)]

    def _recall(self, path: str) -> None:
        """Tell again what is remembered of a module, if anything is."""
        events = self._memory.recalled(path) if self._memory is not None else ()
        self._tell(events)
        if any(type(event) is ev.TestsCollected and event.foreign_collectors for event in events):
            self._take_remainder()

    def _take_remainder(self) -> None:
        """Items beyond the known files are to be expected: plan the module that stands for them."""
        if self._remainder is not None:
            remainder, self._remainder = self._remainder, None
            self._modules[remainder.path] = remainder
            self._tell([_planned(remainder)])
            self._schedule([remainder])
            self._recall(remainder.path)

    def _schedule(self, modules: Iterable[TestModule]) -> None:
        """Hand over to the scheduler what is not recalled; ``divide`` splits long modules."""
        units = self._divide(
            [
                msgspec.structs.replace(each, claims=self._holdings.with_claims(each))
                for each in self._unrecalled(modules)
            ]
        )
        self._units.enlist(units)
        for unit in units:
            if isinstance(unit, TestModule):
                self._add(unit, retries=self._settings_of(unit.path).retries)
            elif isinstance(unit, Part):
                self._add(unit.module, name=unit.name)
            else:
                self._add(unit.lead, name=unit.name, paths=unit.paths)

    def _add(
        self, module: TestModule, *, retries: int = 0, name: str = "", paths: Sequence[str] = ()
    ) -> None:
        path = module.path
        need = Need(self._settings_of(path).workers, self._peaks_bytes.get(path, 0))
        name = name or path
        claims = self._holdings.enlist(name, module.claims, tuple(paths) or (path,))
        module = msgspec.structs.replace(module, path=name, claims=claims)
        self._scheduler.add(module, retries=retries, need=need)

    def _last_event(self, code: int | None = None) -> ev.RunFinished:
        cancelled = self._scheduler.cancelled
        if code is None and cancelled is not None:
            code = CUT_SHORT_EXIT_CODES.get(cancelled, ExitCode.NOT_ALL_PASSED)
        if code is None and self._memory is not None and self._memory.disproved:
            code = ExitCode.NOT_ALL_PASSED
        return ev.RunFinished(
            exit_code=int(self.stats.verdict() if code is None else code),
            duration_s=round(anyio.current_time() - self._started_s, 6),
            cancelled=cancelled,
        )

    def _tell(self, events: Sequence[ev.AnyEvent]) -> None:
        if not events:
            return
        elapsed_s = round(anyio.current_time() - self._started_s, 6)
        envelopes = []
        for event in events:
            self.stats.apply(event)
            envelopes.append(ev.Envelope(self._next_seq, elapsed_s, event))
            self._next_seq += 1
        if self._memory is not None:
            self._memory.heard(events)
        self._emit(envelopes)

    # -- instructions --------------------------------------------------------------------------

    def _carry_out(self) -> None:
        words: list[ev.AnyEvent] = []
        self._measure()
        held_up = self._holdings.waiting and self._scheduler.cancelled is None
        while not held_up and (instructions := self._scheduler.decide()):
            for instruction in instructions:
                match instruction:
                    case Start():
                        for slot in instruction.slots:
                            self._limiter.acquire_on_behalf_of_nowait((instruction.path, slot))
                        self._tasks.start_soon(self._run_attempt, instruction)
                    case Finish():
                        words += self._finished(instruction)
        self._tell(words)
        self._lost.note(anyio.current_time(), self._scheduler.held_up())
        if self._scheduler.idle:
            self._holdings.stop()

    def _finished(self, finish: Finish) -> list[ev.AnyEvent]:
        """What is to be told where the scheduler is done with a module, a part or a batch."""
        narration = self._units.narration(finish.path)
        if isinstance(narration, BatchNarration):
            return self._after_batch(narration)
        if narration is None:
            status = final_status(finish, self.stats.modules[finish.path])
            word = self._last_word(finish.path, status)
            if not self._units.proved_whole(word):
                return [word]
            self.collected[word.module] = Collected(whole=True)
            return [whole_warning(word), word]
        split = narration.split
        told = split.done(narration.part.number)
        if not split.all_done:
            return told
        if split.followed and self._scheduler.cancelled is None:
            self._add(split.follow_up(), retries=max(split.retries - 1, 0))
            return told
        return [*told, self._last_word(split.module.path, split.status)]

    def _after_batch(self, narration: BatchNarration) -> list[ev.AnyEvent]:
        """Let the modules of a batch that have no last word yet run by themselves, or have it."""
        words: list[ev.AnyEvent] = []
        for module in narration.batch.modules:
            path = module.path
            if self.stats.modules[path].status is not None:
                continue
            if self._scheduler.cancelled is not None:
                words.append(self._last_word(path, self._status_so_far(path)))
            else:
                left, retries = narration.left_of(module)
                self._add(left, retries=retries)
        return words

    def _measure(self) -> None:
        """Tell the scheduler what memory is free, where any module is known to need some."""
        now_s = anyio.current_time()
        if self._peaks_bytes and now_s >= self._measured_s + MEASURE_EVERY_S:
            self._measured_s = now_s
            free_bytes = self._free_memory()
            if free_bytes is not None:
                self._scheduler.measured(free_bytes)

    def _last_word(self, path: str, status: ModuleStatus) -> ev.ModuleFinished:
        self._bad_tests.pop(path, None)
        module = self.stats.modules[path]
        return ev.ModuleFinished(
            module=path,
            status=status,
            source=Source.EXECUTED,
            attempts=module.attempts,
            duration_s=round(module.duration_s, 6),
            failure=self._failures.pop(path, None),
            flaky=tuple(self._flaky.pop(path, ())),
        )

    def _status_so_far(self, path: str) -> ModuleStatus:
        """What a module ends as that is not run (again)."""
        last = self.stats.modules[path].last_attempt
        return last.status if last is not None else ModuleStatus.NOT_RUN

    # -- attempts ------------------------------------------------------------------------------

    async def _run_attempt(self, instruction: Start) -> None:
        name, (start, narration) = instruction.path, self._role(instruction)
        try:
            await self._holdings.enter(name)
            status = await self._execute(name, start, narration)
        finally:
            self._holdings.leave(name)
            for slot in start.slots:
                self._limiter.release_on_behalf_of((name, slot))
        if not isinstance(narration, BatchNarration):
            self._note(narration)
        if narration.certificate.foreign_collectors:
            self._take_remainder()
        self._scheduler.ended(name, status, narration.retry_selectors())
        self._carry_out()
        if self._memory is not None:
            for each in narration.paths:
                await self._memory.keep(each, self.stats.modules[each])
        await self._pace()

    def _role(self, instruction: Start) -> tuple[Start, Narration]:
        """What the scheduler has started, in terms of modules, and who is to tell of it."""
        path = instruction.path
        narration: Narration | None = self._units.narration(path)
        if narration is not None:
            return msgspec.structs.replace(instruction, path=narration.path), narration
        # There may have been attempts under another name.
        attempt = self.stats.modules[path].attempts + 1
        final = attempt >= self._units.last_attempt(path)
        narration = Narration(self._modules[path], attempt, final=final)
        return msgspec.structs.replace(instruction, attempt=attempt), narration

    def _note(self, narration: Narration) -> None:
        """Take note of what an attempt tells beside its events."""
        path = narration.path
        self.collected[path] = narration.collected()
        earlier = self._bad_tests.setdefault(path, set())
        flaky = self._flaky.setdefault(path, {})
        flaky.update(dict.fromkeys(test for test in narration.good_tests if test in earlier))
        for test in narration.bad_tests:
            flaky.pop(test, None)
        earlier.update(narration.bad_tests)

    def _take_over(self, narration: Narration) -> None:
        """Tell the last word on modules whose turn in a batch is over."""
        if not isinstance(narration, BatchNarration):
            return
        for each, judgement in narration.take_over():
            self._failures[each.path] = judgement.failure
            self._note(each)
            if not narration.is_followed(each.path):
                self._tell([self._last_word(each.path, judgement.status)])

    async def _execute(self, name: str, start: Start, narration: Narration) -> ModuleStatus:
        """Run the attempt and tell it; what it came to."""
        path = start.path
        module, settings = narration.module, self._settings_of(path)
        action = narration.adapted(self._make_action(module, start))
        placement = Placement(
            run_id=self._run_id,
            slot=start.slot,
            attempt=start.attempt,
            timeout_s=narration.timeout_s(self._settings_of),
            env={**settings.env, **self._holdings.environment(start.units)},
            preload=module.preload,
        )
        started = False
        try:
            async with self._executor.start(action, placement) as attempt:
                if self._scheduler.cancelled is None:
                    started = True
                    self._going[name] = _Going(attempt, narration, anyio.current_time())
                    self._tell(narration.started(start.slot, attempt.pid))
                    await self._listen(attempt, settings.slow_after_s, narration)
                    gone = attempt.gone
                    if self._memory is not None:
                        for each in narration.paths:
                            self._memory.traced(each, attempt.private_file(TRACE_FILE))
        except IopioError as error:
            if not started and self._scheduler.cancelled is None:
                started = True
                self._tell(narration.started(start.slot, 0))
            gone = Gone(exit_status=ExitStatus(), duration_s=0.0, protocol_error=str(error))
        if not started:
            return self._status_so_far(path)
        self._conclude(name, narration, gone)
        status = self._status_so_far(path)
        self._mind_maxfail(narration.take_final_failures(status))
        return status

    def _conclude(self, name: str, narration: Narration, gone: Gone) -> None:
        self._going.pop(name, None)
        judgement, events = narration.conclude(gone)
        if not isinstance(narration, BatchNarration):
            self._failures[narration.path] = judgement.failure
        self._tell(events)
        self._take_over(narration)

    async def _listen(self, attempt: Attempt, slow_after_s: float, narration: Narration) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_slowness, slow_after_s, narration)
            async for batch in attempt.messages():
                self._tell(narration.tell(batch))
                self._take_over(narration)
                if narration.protocol_error is not None:
                    attempt.distrust(narration.protocol_error)
                self._mind_maxfail(narration.take_final_failures())
                await self._pace()
            tasks.cancel_scope.cancel()

    async def _watch_slowness(self, slow_after_s: float, narration: Narration) -> None:
        """Tell each time the running time has doubled."""
        began_s = anyio.current_time()
        while True:
            await anyio.sleep_until(began_s + slow_after_s)
            self._tell(narration.slow(slow_after_s))
            slow_after_s *= 2

    def _mind_maxfail(self, more: int) -> None:
        self._final_failures += more
        if more and 0 < self._config.maxfail <= self._final_failures:
            self.cancel(CancelReason.MAXFAIL)


def _planned(module: TestModule) -> ev.ModulePlanned:
    return ev.ModulePlanned(module=module.path, framework=module.framework)
