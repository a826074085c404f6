"""The one entry point: a run as an async context manager that yields envelopes.

The command, the pytest plugin and every embedding program use it; none of them can do more than the
others. Leaving the context early, or cancelling the scope around it, ends every process of the run;
the statistics are then those of what had been told, brought to a proper end.
"""

import contextlib
import functools
import os
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from iopio_async.errors import InfrastructureError, IopioError
from iopio_async.history.journal import Journal
from iopio_async.model import events as ev
from iopio_async.model.config import Config
from iopio_async.model.outcome import CancelReason
from iopio_async.model.stats import RunStats
from iopio_async.orchestration import assembly, records
from iopio_async.orchestration.claims import ClaimsSource
from iopio_async.orchestration.covered import restore
from iopio_async.orchestration.lookup import ResultCache, open_cache
from iopio_async.orchestration.machine_guard import open_guard
from iopio_async.orchestration.preparation import Plan, prepare
from iopio_async.orchestration.session import Session
from iopio_async.orchestration.stream import EventStream
from iopio_async.project.memory import MemoryGauge
from iopio_async.project.settings import load_config as settings_of_project

if TYPE_CHECKING:
    from iopio_async.reporting.observers import Observer, Observers

#: Batches of envelopes that may wait for the consumer before the tests have to.
BUFFERED_BATCHES = 64


class Run:
    """A run in progress: iterate over it for its envelopes, to the last (``RunFinished``).

    An iteration that was left can be taken up again, where it stopped.
    """

    def __init__(
        self,
        config: Config,
        plan: Plan,
        cache: ResultCache | None,
        *,
        owns_process: bool,
        observers: "Observers | None" = None,
    ) -> None:
        self.config = config
        #: A sentence on each observer that was left out; complete when the context is left.
        self.left_out: list[str] = []
        self._observers = observers
        self._cache = cache
        self.run_id = records.new_run_id()
        #: What went wrong inside iopio itself, if anything did; the exit code is 3 then.
        self.fault: BaseException | None = None
        self._plan = plan
        self._coverage = assembly.make_coverage(config)
        self._executor = assembly.make_executor(
            config, self.run_id, owns_process=owns_process, keep=self._coverage.keep
        )
        self._stream = EventStream(BUFFERED_BATCHES)
        self._journal = Journal(config.root, self.run_id)
        # What the cache can't be kept in, nothing else can be kept in.
        self._fault_told = cache is not None and bool(cache.warnings)
        #: Said before the journal's fault, where it is the cache's as well.
        self._nothing_kept = ""
        fault = "" if config.cache_dir else self._journal.fault
        if fault and cache is not None and cache.lies_still(fault):
            self._nothing_kept = "nothing of this run is kept: "
        self._doubts_told = 0
        self._remembered = False
        self._guard = open_guard(config, self._warn)
        self._session = Session(
            config=config,
            run_id=self.run_id,
            modules=plan.modules,
            executor=self._executor,
            make_action=plan.make_action,
            settings_of=plan.settings_of,
            emit=self._emit,
            pace=self._stream.pace,
            opening=records.opening(
                config,
                plan,
                self.run_id,
                cache.warnings if cache is not None else (),
                cache.verdicts if cache is not None else None,
            ),
            remainder=plan.remainder,
            remainder_expected=plan.remainder_expected,
            memory=cache,
            divide=plan.divide,
            outlook=plan.outlook,
            free_memory=MemoryGauge().free_bytes,
            claims=None if config.no_locks else ClaimsSource(config, plan.settings_of),
            guard=self._guard,
        )
        if cache is not None:
            cache.begin(self._session.warn, self._coverage)

    @property
    def stats(self) -> RunStats:
        """The fold of all events so far."""
        return self._session.stats

    async def __aiter__(self) -> AsyncIterator[ev.Envelope]:
        while (envelope := await self._stream.receive_one()) is not None:
            yield envelope

    async def batches(self) -> AsyncIterator[list[ev.Envelope]]:
        """The same envelopes in the batches in which they came: cheaper for large suites."""
        while batch := await self._stream.receive():
            yield batch

    async def cancel(self, reason: CancelReason = CancelReason.EMBEDDER) -> None:
        """Start nothing new, give what runs its grace period; the stream goes on to its end."""
        self._session.cancel(reason)

    def kill(self) -> None:
        """Start nothing new and end what runs, now; the stream goes on to its end."""
        self._session.kill()

    def suspend(self) -> None:
        """Stop all test processes and their clocks."""
        self._executor.suspend()

    def resume(self) -> None:
        """Let all test processes and their clocks go on."""
        self._executor.resume()

    async def _drive(self) -> None:
        try:
            async with self._executor:
                if self._cache is not None:
                    restore(self._cache.covered, self._executor.directory, self._coverage)
                await self._session.run()
                if self._cache is not None:
                    await self._cache.close()
                    self._learn(self._cache)
                self._remember()
                failed = self._has_slowed_down()
                self._session.close(failed=await self._covers_too_little() or failed)
        except Exception as error:
            self.fault = _innermost(error)
            self._session.abandon(CancelReason.INTERNAL)
        finally:
            self._stream.close()

    def _has_slowed_down(self) -> bool:
        """Name what has become slower, where the run is to fail for it."""
        told = records.slower(self.config, self.stats)
        for message in told:
            self._session.warn(message)
        return bool(told)

    async def _covers_too_little(self) -> bool:
        """Report the coverage, if any was measured; like pytest-cov, not of a run cut short."""
        if self.stats.cancelled is not None:
            return False
        conclusion = await self._coverage.conclude(failed=self.stats.failed > 0)
        if conclusion.text:
            self._session.warn(conclusion.text, category="iopio-report")
        if conclusion.complaint:
            self._session.warn(conclusion.complaint)
        return conclusion.failed

    def _warn(self, message: str) -> None:
        self._session.warn(message)

    def _emit(self, envelopes: Sequence[ev.Envelope]) -> None:
        self._journal.observe(envelopes)
        if self._observers is not None:
            self._observers.observe(envelopes)
        self._stream.put(envelopes)
        if self._journal.fault and not self._fault_told and self.stats.exit_code is None:
            self._fault_told = True
            self._session.warn(self._nothing_kept + self._journal.fault)
        told = self._doubts_told
        if len(self._executor.doubts) > told and self.stats.exit_code is None:
            self._doubts_told = len(self._executor.doubts)
            for doubt in self._executor.doubts[told:]:
                message = f"processes are started in a slower way: {doubt}"
                self._session.warn(message, category="iopio-detail")

    def _learn(self, cache: ResultCache) -> None:
        """Find out which modules contend for something that their source does not tell."""
        if self.config.no_locks or not cache.witnessed:
            return
        # Runs that replay everything have no use for it.
        from iopio_async.orchestration import learning

        try:
            told = learning.learn_from(
                cache.folder,
                cache.witnessed,
                self._session.claimed,
                root=self.config.root,
                filtered=records.is_filtered(self.config),
            )
        except InfrastructureError as error:
            told = [] if self._fault_told else [learning.Lesson(error.message, "iopio")]
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            message = f"what modules contend for is not learned, for an internal error: {why}"
            told = [learning.Lesson(message, "iopio-detail")]
        for lesson in told:
            self._session.warn(lesson.message, category=lesson.category)

    def _remember(self) -> None:
        """Bring what is known of the modules up to date."""
        self._remembered = True
        try:
            records.remember(self.config, self._plan, self.stats, self._session.collected)
        except InfrastructureError as error:
            # The journal is in the same folder: it may have told of its fault already.
            if not self._fault_told and self.stats.exit_code is None:
                self._fault_told = True
                self._session.warn(error.message)

    def _settle(self) -> None:
        """Close the books, whatever has happened."""
        self._session.abandon(CancelReason.EMBEDDER)
        if self._guard is not None:
            self._guard.close()
        if not self._remembered:
            self._remember()
        self._stream.close()
        self._journal.close()

    async def _dismiss(self) -> None:
        """Let the observers finish, for a bounded time, also where the run was cancelled."""
        if self._observers is not None:
            with anyio.CancelScope(shield=True):
                self.left_out = await anyio.to_thread.run_sync(self._observers.close)


def load_config(directory: str | os.PathLike[str] = ".", **settings: object) -> Config:
    """Resolve the settings of the project at ``directory``; keyword arguments are like flags.

    Raises:
        ConfigurationError: a setting is unknown, unfit or contradicts another one.
        UsageError: a path does not exist.
    """
    return settings_of_project(invocation_dir=Path(directory), flags=settings, environ=os.environ)


def _prepare(config: Config, *, color: bool) -> tuple[Plan, ResultCache | None]:
    began_ns = time.time_ns()
    plan = prepare(config, color=color)
    return plan, open_cache(config, plan, began_ns=began_ns)


@contextlib.asynccontextmanager
async def open_run(
    config: Config,
    *,
    owns_process: bool = False,
    color: bool = False,
    plan: Plan | None = None,
    cache: ResultCache | None = None,
    observers: "Sequence[Observer] | Observers" = (),
) -> AsyncIterator[Run]:
    """Start a run; iterate over what it yields.

    ``owns_process`` says that every child of this process belongs to the run, so that even
    processes that hide their origin are found and ended. ``color`` has failures rendered with SGR
    colour sequences. ``plan`` and ``cache`` are for who has them already, and otherwise made.
    ``observers`` are told all events, each on a thread of its own; one that raises or hangs is left
    out, and named by ``Run.left_out`` at the end, after at most some seconds.
    Leaving the context ends the run.

    Raises:
        UsageError: the configuration names something that isn't there.
        InfrastructureError: no process can be started at all.
    """
    if plan is None:
        prepared = functools.partial(_prepare, config, color=color)
        made, cache = await anyio.to_thread.run_sync(prepared)
    else:
        made = plan
    run = Run(config, made, cache, owns_process=owns_process, observers=_watched(observers))
    cancelled = anyio.get_cancelled_exc_class()
    error_of_body: BaseException | None = None
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run._drive)
            try:
                yield run
            except (cancelled, GeneratorExit):
                raise
            except BaseException as error:
                # Kept out of the task group, which would wrap it into an exception group.
                error_of_body = error
            finally:
                tasks.cancel_scope.cancel()
    finally:
        run._settle()
        await run._dismiss()
    if error_of_body is not None:
        raise error_of_body
    if isinstance(run.fault, IopioError):
        raise run.fault


async def run_tests(config: Config) -> RunStats:
    """Run to the end and return the statistics."""
    async with open_run(config) as run:
        async for _ in run.batches():
            pass
    return run.stats


def _watched(observers: "Sequence[Observer] | Observers") -> "Observers | None":
    if not observers:
        return None
    from iopio_async.reporting.observers import Observers, named

    return observers if isinstance(observers, Observers) else Observers(named(observers))


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error
