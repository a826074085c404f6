"""The pump of one run: it carries out the scheduler's instructions and tells what happens.

``Session.run`` plans all modules, then lets each ``Start`` become a task in one task group: the
task runs an attempt through the executor, turns its messages into events and reports its end to the
scheduler, whose next instructions it carries out. The ``CapacityLimiter`` is taken without waiting:
the scheduler has counted already, so a failure to take it is a bug that shows at once.

To tell an event is to fold it into the statistics, number it and ``emit`` it, all at once: what has
been told is in order and can't get lost. Only then a task waits, in ``pace``, where the consumer is
slow. So whatever cancels, kills or abandons a run needs to wait for nobody.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

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

#: Takes the next batch of envelopes; never waits.
Emit = Callable[[Sequence[ev.Envelope]], None]

#: Waits while the consumer is too far behind.
Pace = Callable[[], Awaitable[None]]

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
    ``None`` where it is not this run's business.
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
        self._emit = emit
        self._pace = pace
        self._opening = opening
        self._scheduler = Scheduler(config.workers)
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

    # -- the run -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run all modules to their final word; ``close`` is to follow."""
        self._begin()
        await self._pace()
        async with anyio.create_task_group() as self._tasks:
            self._carry_out()
            await self._pace()

    def close(self) -> None:
        """Tell the run's last word."""
        self._tell([self._last_event()])

    def cancel(self, reason: CancelReason) -> None:
        """Start nothing new, and ask what runs to end. A run that is over stays as it is."""
        if self._scheduler.cancelled is not None or (self._begun and self._scheduler.idle):
            return
        self._begin()
        self._scheduler.cancel(reason)
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
        for path, going in list(self._going.items()):
            duration_s = anyio.current_time() - going.began_s
            gone = Gone(exit_status=ExitStatus(), duration_s=duration_s, stopped=True)
            self._tell(self._conclude(path, going.narration, gone))
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
            self._tell([*self._opening, *map(self._plan, self._modules.values())])

    def _plan(self, module: TestModule) -> ev.ModulePlanned:
        self._scheduler.add(module, retries=self._settings_of(module.path).retries)
        return ev.ModulePlanned(module=module.path, framework=module.framework)

    def _last_event(self, code: int | None = None) -> ev.RunFinished:
        cancelled = self._scheduler.cancelled
        if code is None and cancelled is not None:
            code = CUT_SHORT_EXIT_CODES.get(cancelled, ExitCode.NOT_ALL_PASSED)
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
        self._emit(envelopes)

    # -- instructions --------------------------------------------------------------------------

    def _carry_out(self) -> None:
        words: list[ev.AnyEvent] = []
        for instruction in self._scheduler.decide():
            match instruction:
                case Start():
                    self._limiter.acquire_on_behalf_of_nowait(instruction.path)
                    self._tasks.start_soon(self._run_attempt, instruction)
                case Finish():
                    words.append(self._last_word(instruction.path, instruction.status))
        self._tell(words)

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

    async def _run_attempt(self, start: Start) -> None:
        path = start.path
        retries = self._settings_of(path).retries
        narration = Narration(self._modules[path], start.attempt, final=start.attempt > retries)
        try:
            status = await self._execute(start, narration)
        finally:
            self._limiter.release_on_behalf_of(path)
        self._note_flaky(path, narration)
        if narration.certificate.foreign_collectors and self._remainder is not None:
            remainder, self._remainder = self._remainder, None
            self._modules[remainder.path] = remainder
            self._tell([self._plan(remainder)])
        self._scheduler.ended(path, status, narration.retry_selectors())
        self._carry_out()
        await self._pace()

    def _note_flaky(self, path: str, narration: Narration) -> None:
        earlier = self._bad_tests.setdefault(path, set())
        flaky = self._flaky.setdefault(path, {})
        flaky.update(dict.fromkeys(test for test in narration.good_tests if test in earlier))
        for test in narration.bad_tests:
            flaky.pop(test, None)
        earlier.update(narration.bad_tests)

    async def _execute(self, start: Start, narration: Narration) -> ModuleStatus:
        """Run the attempt and tell it; what it came to."""
        path = start.path
        module, settings = self._modules[path], self._settings_of(path)
        action = self._make_action(module, start)
        placement = Placement(
            run_id=self._run_id,
            slot=start.slot,
            attempt=start.attempt,
            timeout_s=settings.timeout_s,
            env=settings.env,
            preload=module.preload,
        )
        started = False
        try:
            async with self._executor.start(action, placement) as attempt:
                if self._scheduler.cancelled is None:
                    started = True
                    self._going[path] = _Going(attempt, narration, anyio.current_time())
                    self._tell([_attempt_started(start, attempt.pid)])
                    await self._listen(attempt, start, settings.slow_after_s, narration)
                    gone = attempt.gone
        except IopioError as error:
            if not started and self._scheduler.cancelled is None:
                started = True
                self._tell([_attempt_started(start, 0)])
            gone = Gone(exit_status=ExitStatus(), duration_s=0.0, protocol_error=str(error))
        if not started:
            return self._status_so_far(path)
        self._tell(self._conclude(path, narration, gone))
        status = self._status_so_far(path)
        self._mind_maxfail(narration.take_final_failures(status))
        return status

    def _conclude(self, path: str, narration: Narration, gone: Gone) -> list[ev.AnyEvent]:
        self._going.pop(path, None)
        judgement, events = narration.conclude(gone)
        self._failures[path] = judgement.failure
        return events

    async def _listen(
        self, attempt: Attempt, start: Start, slow_after_s: float, narration: Narration
    ) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_slowness, start, slow_after_s, narration)
            async for batch in attempt.messages():
                self._tell(narration.tell(batch))
                if narration.protocol_error is not None:
                    attempt.distrust(narration.protocol_error)
                self._mind_maxfail(narration.take_final_failures())
                await self._pace()
            tasks.cancel_scope.cancel()

    async def _watch_slowness(
        self, start: Start, slow_after_s: float, narration: Narration
    ) -> None:
        """Tell each time the running time has doubled."""
        began_s = anyio.current_time()
        while True:
            await anyio.sleep_until(began_s + slow_after_s)
            self._tell(
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

    def _mind_maxfail(self, more: int) -> None:
        self._final_failures += more
        if more and 0 < self._config.maxfail <= self._final_failures:
            self.cancel(CancelReason.MAXFAIL)


def _attempt_started(start: Start, pid: int) -> ev.AttemptStarted:
    return ev.AttemptStarted(module=start.path, attempt=start.attempt, slot=start.slot, pid=pid)
