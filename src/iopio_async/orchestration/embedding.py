"""The one entry point: a run as an async context manager that yields envelopes.

The command, the pytest plugin and every embedding program use it; none of them can do more than the
others. Leaving the context early, or cancelling the scope around it, ends every process of the run;
the statistics are then those of what had been told, brought to a proper end.
"""

import contextlib
import functools
import os
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from platform import python_version

import anyio
import anyio.to_thread

from iopio_async.errors import InfrastructureError, IopioError
from iopio_async.history import last_failed
from iopio_async.history.durations import History
from iopio_async.history.journal import Journal
from iopio_async.model import events as ev
from iopio_async.model.config import Config
from iopio_async.model.outcome import CancelReason
from iopio_async.model.stats import RunStats
from iopio_async.orchestration import assembly
from iopio_async.orchestration.preparation import Plan, prepare
from iopio_async.orchestration.session import Session
from iopio_async.orchestration.stream import EventStream
from iopio_async.project.settings import load_config as settings_of_project
from iopio_async.version import __version__

#: Batches of envelopes that may wait for the consumer before the tests have to.
BUFFERED_BATCHES = 64


class Run:
    """A run in progress: iterate over it for its envelopes, to the last (``RunFinished``).

    An iteration that was left can be taken up again, where it stopped.
    """

    def __init__(self, config: Config, plan: Plan, *, owns_process: bool) -> None:
        self.config = config
        self.run_id = assembly.new_run_id()
        #: What went wrong inside iopio itself, if anything did; the exit code is 3 then.
        self.fault: BaseException | None = None
        self._plan = plan
        self._executor = assembly.make_executor(config, self.run_id, owns_process=owns_process)
        self._stream = EventStream(BUFFERED_BATCHES)
        self._journal = Journal(config.root, self.run_id)
        self._fault_told = False
        self._doubts_told = 0
        self._remembered = False
        self._session = Session(
            config=config,
            run_id=self.run_id,
            modules=plan.modules,
            executor=self._executor,
            make_action=plan.make_action,
            settings_of=plan.settings_of,
            emit=self._emit,
            pace=self._stream.pace,
            opening=self._opening(),
            remainder=plan.remainder,
            remainder_expected=plan.remainder_expected,
        )

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
                await self._session.run()
                self._remember()
                self._session.close()
        except Exception as error:
            self.fault = _innermost(error)
            self._session.abandon(CancelReason.INTERNAL)
        finally:
            self._stream.close()

    def _opening(self) -> list[ev.AnyEvent]:
        plan = self._plan
        remainder_planned = plan.remainder is not None and plan.remainder_expected
        notes = [*self.config.notes, *plan.warnings]
        return [
            ev.RunStarted(
                run_id=self.run_id,
                root=self.config.root,
                modules=len(plan.modules) + remainder_planned,
                workers=self.config.workers,
                python=python_version(),
                iopio=__version__,
                started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            ),
            *(ev.WarningIssued(message=note, category="iopio") for note in notes),
        ]

    def _emit(self, envelopes: Sequence[ev.Envelope]) -> None:
        self._journal.observe(envelopes)
        self._stream.put(envelopes)
        if self._journal.fault and not self._fault_told and self.stats.exit_code is None:
            self._fault_told = True
            self._session.warn(self._journal.fault)
        told = self._doubts_told
        if len(self._executor.doubts) > told and self.stats.exit_code is None:
            self._doubts_told = len(self._executor.doubts)
            for doubt in self._executor.doubts[told:]:
                message = f"processes are started in a slower way: {doubt}"
                self._session.warn(message, category="iopio-detail")

    def _remember(self) -> None:
        """Bring what is known of the modules up to date."""
        self._remembered = True
        config = self.config
        by_id = any("::" in path for path in config.paths)
        filtered = bool(by_id or config.keyword or config.markers or config.arguments)
        asked = {module.path: module.selectors for module in self._plan.modules}
        try:
            last_failed.store(config.root, self.stats, asked=asked, filtered=filtered)
            history = History.load(config.root)
            history.record(self.stats, asked=asked, filtered=filtered)
            history.store()
        except InfrastructureError as error:
            # The journal is in the same folder: it may have told of its fault already.
            if not self._fault_told and self.stats.exit_code is None:
                self._fault_told = True
                self._session.warn(error.message)

    def _settle(self) -> None:
        """Close the books, whatever has happened."""
        self._session.abandon(CancelReason.EMBEDDER)
        if not self._remembered:
            self._remember()
        self._stream.close()
        self._journal.close()


def load_config(directory: str | os.PathLike[str] = ".", **settings: object) -> Config:
    """Resolve the settings of the project at ``directory``; keyword arguments are like flags.

    Raises:
        ConfigurationError: a setting is unknown, unfit or contradicts another one.
        UsageError: a path does not exist.
    """
    return settings_of_project(invocation_dir=Path(directory), flags=settings, environ=os.environ)


@contextlib.asynccontextmanager
async def open_run(
    config: Config, *, owns_process: bool = False, color: bool = False
) -> AsyncIterator[Run]:
    """Start a run; iterate over what it yields.

    ``owns_process`` says that every child of this process belongs to the run, so that even
    processes that hide their origin are found and ended. ``color`` has failures rendered with SGR
    colour sequences. Leaving the context ends the run.

    Raises:
        UsageError: the configuration names something that isn't there.
        InfrastructureError: no process can be started at all.
    """
    plan = await anyio.to_thread.run_sync(functools.partial(prepare, config, color=color))
    run = Run(config, plan, owns_process=owns_process)
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


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error
