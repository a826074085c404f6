"""Takes one run to its end: envelopes to reporters, signals to the run, and an exit code.

First SIGINT (or SIGTERM, SIGHUP): nothing new starts, what runs gets its grace, the reports are
written; a reader that takes nothing for a while is waited for no more. Second: what runs is killed,
and a reader has to take what it gets at once.
SIGTSTP stops the tests and their clocks with the command. A signal that the caller ignores, as
``nohup`` does, is ignored.
"""

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import anyio.to_thread

from iopio_async.cli.reporters import (
    console_stream,
    event_stream,
    exit_code_of,
    file_reporters,
    tell_left_out,
)
from iopio_async.model.config import Config
from iopio_async.model.outcome import CancelReason
from iopio_async.orchestration.embedding import Run, open_run
from iopio_async.orchestration.lookup import ResultCache
from iopio_async.orchestration.preparation import Plan
from iopio_async.reporting.console import ConsoleReporter, make_console_reporter
from iopio_async.reporting.fanout import Fanout

if TYPE_CHECKING:
    from iopio_async.reporting.observers import Observers

#: How often to look whether a reader that is behind has caught up.
READER_POLL_S = 0.02

#: A reader that takes nothing for so long after the first signal is given up.
READER_STALL_S = 1.0

#: Likewise after the second.
READER_LAST_STALL_S = 0.1

_REASONS = {
    signal.SIGINT: CancelReason.INTERRUPT,
    signal.SIGTERM: CancelReason.TERMINATE,
    signal.SIGHUP: CancelReason.HANGUP,
}


def conduct(
    config: Config,
    plan: Plan,
    cache: ResultCache | None,
    observers: "Observers | None" = None,
) -> int:
    """Take a run to its end; the exit code.

    Raises:
        InfrastructureError: no process can be started at all.
    """
    return anyio.run(_Conductor(config, plan, cache, observers).run)


class _Conductor:
    def __init__(
        self,
        config: Config,
        plan: Plan,
        cache: ResultCache | None,
        observers: "Observers | None",
    ) -> None:
        self._observers = observers
        self._config = config
        self._plan = plan
        self._cache = cache
        self._reader_gone: anyio.Event
        self._loop: asyncio.AbstractEventLoop
        self._pipe_closed = False
        #: The first signal to end the run.
        self._interrupted: int | None = None
        self._given_up = False
        self._console: ConsoleReporter | None = None
        #: ``_events`` is where the stream of events goes, if it was asked for.
        reporters, self._events = event_stream(config, self._on_broken)
        if not config.json:
            self._console = make_console_reporter(
                stream=console_stream(config),
                verbosity=config.verbosity,
                color=config.color,
                environ=os.environ,
                invocation_dir=config.invocation_dir,
                on_broken=self._on_broken,
                outlook=plan.outlook,
            )
            reporters.append(self._console)
        self._fanout = Fanout([*reporters, *file_reporters(config, cache)])

    def _on_broken(self) -> None:
        # Called from the writing thread, perhaps when the loop has ended already.
        self._pipe_closed = True
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._reader_gone.set)

    async def run(self) -> int:
        self._reader_gone = anyio.Event()
        self._loop = asyncio.get_running_loop()
        async with (
            open_run(
                self._config,
                owns_process=True,
                plan=self._plan,
                cache=self._cache,
                observers=self._observers or (),
            ) as run,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(self._mind_signals, run, tasks)
            tasks.start_soon(self._mind_reader, run)
            async for batch in run.batches():
                for envelope in batch:
                    if self._reader_is_behind:
                        await self._let_reader_catch_up()
                    self._fanout.handle(envelope, run.stats)
            await self._let_reader_take_the_rest()
            tasks.cancel_scope.cancel()
            if run.fault is None:
                # Before observers get their time to finish: for who reads, the run is over.
                self._fanout.close()
        self._fanout.close()
        tell_left_out(run.left_out)
        return self._exit_code(run)

    @property
    def _reader_is_behind(self) -> bool:
        """The stream of events can take no more, and none of it may be left out."""
        return self._events is not None and self._events.full and not self._given_up

    async def _let_reader_catch_up(self) -> None:
        """Wait here rather than in the reporter: the loop goes on, and with it all time limits."""
        while self._reader_is_behind:  # noqa: ASYNC110 - the writing thread knows no events of ours
            await anyio.sleep(READER_POLL_S)

    async def _let_reader_take_the_rest(self) -> None:
        """Wait for the reader while signals are still minded: it may never take what is left."""
        pause_s = READER_POLL_S / 16
        while self._events is not None and self._events.backlog_bytes and not self._given_up:
            await anyio.sleep(pause_s)
            pause_s = min(2 * pause_s, READER_POLL_S)

    async def _doubt_reader(self, stall_s: float) -> None:
        """Give the reader up as soon as it takes nothing for so long: somebody wants an end."""
        while self._events is not None and not self._given_up:
            if await anyio.to_thread.run_sync(self._events.flush, stall_s):
                await anyio.sleep(READER_POLL_S)
            elif not self._given_up:
                self._given_up = True
                self._events.close(0.0)

    async def _mind_reader(self, run: Run) -> None:
        await self._reader_gone.wait()
        await run.cancel(CancelReason.EMBEDDER)
        run.kill()

    def _exit_code(self, run: Run) -> int:
        fault = run.fault
        problem = f"internal error: {type(fault).__name__}: {fault}" if fault is not None else ""
        code = run.stats.exit_code
        if self._given_up and self._interrupted is not None:
            # The run may have been over by then, but what it came to was not told to the end.
            code = 128 + self._interrupted
        return exit_code_of(code, self._fanout.faults, problem, pipe_closed=self._pipe_closed)

    async def _mind_signals(self, run: Run, tasks: anyio.abc.TaskGroup) -> None:
        heeded = [number for number in _REASONS if signal.getsignal(number) != signal.SIG_IGN]
        with anyio.open_signal_receiver(*heeded, signal.SIGTSTP) as signals:
            async for number in signals:
                if number == signal.SIGTSTP:
                    self._pause(run)
                elif self._interrupted is None:
                    self._interrupted = number
                    # Beside this loop: it may have to wait until somebody reads.
                    tasks.start_soon(run.cancel, _REASONS[number])
                    tasks.start_soon(self._doubt_reader, READER_STALL_S)
                else:
                    run.kill()
                    tasks.start_soon(self._doubt_reader, READER_LAST_STALL_S)

    def _pause(self, run: Run) -> None:
        """Stop with everything that runs; go on when somebody says so."""
        if self._console is not None:
            self._console.suspend()
        run.suspend()
        os.kill(os.getpid(), signal.SIGSTOP)
        run.resume()
        if self._console is not None:
            self._console.resume()
