"""The pump of one run: it carries out the scheduler's instructions and tells what happens.

``Session.run`` plans all modules, then lets each ``Start`` become a task in one task group: the
task runs an attempt through the executor, turns its messages into events and reports its end to the
scheduler, whose next instructions it carries out. The ``CapacityLimiter`` is taken without waiting:
the scheduler has counted already, so a failure to take it is a bug that shows at once.

Events leave in batches through ``emit``, which waits where the consumer is slow.
"""

from collections.abc import Awaitable, Callable, Sequence

import anyio
import anyio.abc

from iopio_async.errors import IopioError
from iopio_async.execution.ports import Attempt, Executor, Gone, Placement
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
from iopio_async.orchestration.narration import Narration
from iopio_async.planning.scheduler import Finish, Scheduler, Start

#: Takes the next batch of envelopes; waits where the consumer is slow.
Emit = Callable[[Sequence[ev.Envelope]], Awaitable[None]]

#: Exit codes of runs that were cut short; other cancellations mean that not all passed.
CUT_SHORT_EXIT_CODES = {
    CancelReason.INTERNAL: int(ExitCode.INTERNAL),
    CancelReason.HANGUP: 129,
    CancelReason.INTERRUPT: 130,
    CancelReason.TERMINATE: 143,
}


class Session:
    """One run. ``stats`` is the fold of all events so far.

    ``make_action`` and ``settings_of`` are pure functions over a module. ``remainder`` is the
    module that stands for what plugins and conftests collect beyond the known files, to be run if a
    worker reports such collectors, or at once if ``remainder_expected``; ``None`` where it is not
    this run's business.
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
        remainder: TestModule | None = None,
        remainder_expected: bool = False,
    ) -> None:
        self._config = config
        self._run_id = run_id
        self._modules = {module.path: module for module in modules}
        if remainder is not None and remainder_expected:
            self._modules[remainder.path] = remainder
            remainder = None
        self._remainder = remainder
        self._executor = executor
        self._make_action = make_action
        self._settings_of = settings_of
        self._emit_batch = emit
        self._scheduler = Scheduler(config.workers)
        self._limiter = anyio.CapacityLimiter(config.workers)
        self._attempts: dict[str, Attempt] = {}
        self._failures: dict[str, Failure | None] = {}
        self._bad_tests: dict[str, set[str]] = {}
        self._flaky: dict[str, list[str]] = {}
        self._final_failures = 0
        self._started_s = 0.0
        self._next_seq = 0
        self._tasks: anyio.abc.TaskGroup
        self.stats = RunStats()

    # -- the run -------------------------------------------------------------------------------

    async def run(self, opening: Sequence[ev.AnyEvent]) -> None:
        """Run to the end; ``opening`` is told first. Returns after ``RunFinished`` is told."""
        self._started_s = anyio.current_time()
        planned = [self._plan(module) for module in self._modules.values()]
        await self._emit([*opening, *planned])
        async with anyio.create_task_group() as self._tasks:
            await self._carry_out()
        await self._emit([self._last_event()])

    def abandon(self, reason: CancelReason) -> list[ev.Envelope]:
        """Bring the books of a run that was cut off from outside to a proper end, at once."""
        events: list[ev.AnyEvent] = []
        if self._scheduler.cancelled is None:
            self._scheduler.cancel(reason)
            events.append(ev.CancellationStarted(reason=reason))
        events.extend(
            ev.ModuleFinished(module=path, status=ModuleStatus.NOT_RUN)
            for path, module in self.stats.modules.items()
            if module.status is None
        )
        if self.stats.exit_code is None:
            events.append(self._last_event())
        return self._fold(events)

    async def cancel(self, reason: CancelReason) -> None:
        """Start nothing new, and ask what runs to end."""
        if self._scheduler.cancelled is not None:
            return
        self._scheduler.cancel(reason)
        for attempt in self._attempts.values():
            attempt.stop()
        await self._emit([ev.CancellationStarted(reason=reason)])
        await self._carry_out()

    def kill(self) -> None:
        """End what runs, now."""
        for attempt in self._attempts.values():
            attempt.kill()

    async def warn(self, message: str) -> None:
        """Tell a warning of iopio's own."""
        await self._emit([ev.WarningIssued(message=message, category="iopio")])

    def _plan(self, module: TestModule) -> ev.ModulePlanned:
        self._scheduler.add(module, retries=self._settings_of(module.path).retries)
        return ev.ModulePlanned(module=module.path, framework=module.framework)

    def _last_event(self) -> ev.RunFinished:
        cancelled = self._scheduler.cancelled
        code = int(self.stats.verdict())
        if cancelled is not None:
            code = CUT_SHORT_EXIT_CODES.get(cancelled, ExitCode.NOT_ALL_PASSED)
        duration_s = anyio.current_time() - self._started_s
        return ev.RunFinished(exit_code=code, duration_s=round(duration_s, 6), cancelled=cancelled)

    async def _emit(self, events: Sequence[ev.AnyEvent]) -> None:
        if events:
            await self._emit_batch(self._fold(events))

    def _fold(self, events: Sequence[ev.AnyEvent]) -> list[ev.Envelope]:
        elapsed_s = round(anyio.current_time() - self._started_s, 6)
        envelopes = []
        for event in events:
            self.stats.apply(event)
            envelopes.append(ev.Envelope(self._next_seq, elapsed_s, event))
            self._next_seq += 1
        return envelopes

    # -- instructions --------------------------------------------------------------------------

    async def _carry_out(self) -> None:
        for instruction in self._scheduler.decide():
            match instruction:
                case Start():
                    self._limiter.acquire_on_behalf_of_nowait(instruction.path)
                    self._tasks.start_soon(self._run_attempt, instruction)
                case Finish():
                    await self._finish(instruction)

    async def _finish(self, instruction: Finish) -> None:
        path = instruction.path
        self._bad_tests.pop(path, None)
        await self._emit(
            [
                ev.ModuleFinished(
                    module=path,
                    status=instruction.status,
                    source=Source.EXECUTED,
                    attempts=instruction.attempts,
                    duration_s=round(self.stats.modules[path].duration_s, 6),
                    failure=self._failures.pop(path, None),
                    flaky=tuple(self._flaky.pop(path, ())),
                )
            ]
        )

    # -- attempts ------------------------------------------------------------------------------

    async def _run_attempt(self, start: Start) -> None:
        module = self._modules[start.path]
        settings = self._settings_of(start.path)
        narration = Narration(module, start.attempt, final=start.attempt > settings.retries)
        try:
            status = await self._execute(module, start, settings, narration)
        finally:
            self._limiter.release_on_behalf_of(start.path)
            self._attempts.pop(start.path, None)
        earlier = self._bad_tests.setdefault(start.path, set())
        recovered = [test for test in narration.good_tests if test in earlier]
        self._flaky.setdefault(start.path, []).extend(recovered)
        earlier.update(narration.bad_tests)
        if narration.certificate.foreign_collectors and self._remainder is not None:
            remainder, self._remainder = self._remainder, None
            self._modules[remainder.path] = remainder
            await self._emit([self._plan(remainder)])
        self._scheduler.ended(start.path, status, narration.retry_selectors())
        await self._carry_out()

    async def _execute(
        self, module: TestModule, start: Start, settings: ModuleSettings, narration: Narration
    ) -> ModuleStatus:
        """Run the attempt and tell it; what it came to."""
        placement = Placement(
            run_id=self._run_id,
            slot=start.slot,
            attempt=start.attempt,
            timeout_s=settings.timeout_s,
            env=settings.env,
        )
        pid = 0
        try:
            async with self._executor.start(self._make_action(module, start), placement) as attempt:
                if self._scheduler.cancelled is not None:
                    return ModuleStatus.NOT_RUN
                self._attempts[start.path] = attempt
                pid = attempt.pid
                await self._emit([_attempt_started(start, pid)])
                await self._listen(attempt, start, settings, narration)
                gone = attempt.gone
        except IopioError as error:
            if self._scheduler.cancelled is not None:
                return ModuleStatus.NOT_RUN
            if not pid:
                await self._emit([_attempt_started(start, pid)])
            gone = Gone(exit_status=ExitStatus(), duration_s=0.0, protocol_error=str(error))
        judgement, events = narration.conclude(gone)
        self._failures[start.path] = judgement.failure
        await self._emit(events)
        await self._mind_maxfail(narration.take_final_failures(judgement.status))
        return judgement.status

    async def _listen(
        self, attempt: Attempt, start: Start, settings: ModuleSettings, narration: Narration
    ) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_slowness, start, settings.slow_after_s, narration)
            async for batch in attempt.messages():
                events = narration.tell(batch)
                if narration.protocol_error is not None:
                    attempt.distrust(narration.protocol_error)
                await self._emit(events)
                await self._mind_maxfail(narration.take_final_failures())
            tasks.cancel_scope.cancel()

    async def _watch_slowness(
        self, start: Start, slow_after_s: float, narration: Narration
    ) -> None:
        """Tell each time the running time has doubled."""
        began_s = anyio.current_time()
        while True:
            await anyio.sleep_until(began_s + slow_after_s)
            await self._emit(
                [
                    ev.ModuleSlow(
                        module=start.path,
                        attempt=start.attempt,
                        running_s=round(slow_after_s, 3),
                        test=narration.current,
                    )
                ]
            )
            slow_after_s *= 2

    async def _mind_maxfail(self, more: int) -> None:
        self._final_failures += more
        if more and 0 < self._config.maxfail <= self._final_failures:
            await self.cancel(CancelReason.MAXFAIL)


def _attempt_started(start: Start, pid: int) -> ev.AttemptStarted:
    return ev.AttemptStarted(module=start.path, attempt=start.attempt, slot=start.slot, pid=pid)
