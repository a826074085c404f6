"""Takes one run to its end: envelopes to reporters, signals to the run, and an exit code.

First SIGINT (or SIGTERM, SIGHUP): nothing new starts, what runs gets its grace, the reports are
written. Second: what runs is killed, and nobody waits any more for a reader that takes nothing.
SIGTSTP stops the tests and their clocks with the command. A signal that the caller ignores, as
``nohup`` does, is ignored.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from typing import TextIO

import anyio
import anyio.abc
import anyio.to_thread

from iopio_async.cli.invocation import Invocation
from iopio_async.model.config import Config
from iopio_async.model.outcome import CancelReason, ExitCode
from iopio_async.orchestration.embedding import Run, open_run
from iopio_async.reporting.console import ConsoleReporter, make_console_reporter
from iopio_async.reporting.fanout import Fanout
from iopio_async.reporting.palette import wants_color
from iopio_async.reporting.ports import Reporter
from iopio_async.reporting.sink import Sink

#: Exit code where the reader of the output has gone: 128 and SIGPIPE's number.
PIPE_CLOSED = 128 + signal.SIGPIPE

#: How often to look whether a reader that is behind has caught up.
READER_POLL_S = 0.02

#: A reader that takes nothing for so long after the second signal is given up.
READER_STALL_S = 1.0

_REASONS = {
    signal.SIGINT: CancelReason.INTERRUPT,
    signal.SIGTERM: CancelReason.TERMINATE,
    signal.SIGHUP: CancelReason.HANGUP,
}


def run_given(invocation: Invocation, given: Mapping[str, object]) -> int:
    """Carry out ``iopio run`` with these options; the exit code.

    Raises:
        UsageError: they can't be used as they are.
        InfrastructureError: no process can be started at all.
    """
    return anyio.run(_Conductor(invocation.resolve(given)).run)


class _Conductor:
    def __init__(self, config: Config) -> None:
        self._config = config
        self._reader_gone: anyio.Event
        self._loop: asyncio.AbstractEventLoop
        self._pipe_closed = False
        self._interrupted = False
        self._given_up = False
        data_on_stdout = "-" in (config.report, config.junit_xml)
        stream: TextIO | None = sys.stderr if data_on_stdout else sys.stdout
        reporters: list[Reporter] = []
        self._console: ConsoleReporter | None = None
        #: Where the stream of events goes, if it was asked for.
        self._events: Sink | None = None
        # Each reporter is imported where it is wanted: the first test waits for all of this.
        if config.json:
            from iopio_async.reporting.stream import StreamReporter

            events = StreamReporter(sys.stdout, on_broken=self._on_broken)
            self._events = events.sink
            reporters.append(events)
        else:
            self._console = make_console_reporter(
                stream=stream,
                verbosity=config.verbosity,
                color=config.color,
                environ=os.environ,
                invocation_dir=config.invocation_dir,
                on_broken=self._on_broken,
            )
            reporters.append(self._console)
        if config.junit_xml:
            from iopio_async.reporting.junit import JUnitReporter

            reporters.append(JUnitReporter(config.junit_xml))
        if config.report:
            from iopio_async.reporting.json_report import JsonReporter

            reporters.append(JsonReporter(config.report))
        self._fanout = Fanout(reporters)
        self._color = wants_color(
            config.color, os.environ, is_terminal=stream is not None and stream.isatty()
        )

    def _on_broken(self) -> None:
        # Called from the writing thread, perhaps when the loop has ended already.
        self._pipe_closed = True
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._reader_gone.set)

    async def run(self) -> int:
        self._reader_gone = anyio.Event()
        self._loop = asyncio.get_running_loop()
        async with (
            open_run(self._config, owns_process=True, color=self._color) as run,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(self._mind_signals, run, tasks)
            tasks.start_soon(self._mind_reader, run)
            async for batch in run.batches():
                for envelope in batch:
                    if self._reader_is_behind:
                        await self._let_reader_catch_up()
                    self._fanout.handle(envelope, run.stats)
            tasks.cancel_scope.cancel()
        self._fanout.close()
        return self._exit_code(run)

    @property
    def _reader_is_behind(self) -> bool:
        """The stream of events can take no more, and none of it may be left out."""
        return self._events is not None and self._events.full and not self._given_up

    async def _let_reader_catch_up(self) -> None:
        """Wait here rather than in the reporter: the loop goes on, and with it all time limits."""
        while self._reader_is_behind:  # noqa: ASYNC110 - the writing thread knows no events of ours
            await anyio.sleep(READER_POLL_S)

    async def _give_up_reader(self) -> None:
        """Leave out the rest of the events if nobody takes any, since somebody wants an end."""
        if self._events is None:
            return
        if not await anyio.to_thread.run_sync(self._events.flush, READER_STALL_S):
            self._given_up = True
            self._events.close(0.0)

    async def _mind_reader(self, run: Run) -> None:
        await self._reader_gone.wait()
        await run.cancel(CancelReason.EMBEDDER)
        run.kill()

    def _exit_code(self, run: Run) -> int:
        problems = [f"{fault.reporter}: {fault.message}" for fault in self._fanout.faults]
        if run.fault is not None:
            problems.append(f"internal error: {type(run.fault).__name__}: {run.fault}")
        if problems and sys.stderr is not None:
            for problem in problems:
                sys.stderr.write(f"iopio: error: {problem}\n")
        if self._pipe_closed:
            return PIPE_CLOSED
        if problems:
            return ExitCode.INTERNAL
        code = run.stats.exit_code
        return ExitCode.INTERNAL if code is None else code

    async def _mind_signals(self, run: Run, tasks: anyio.abc.TaskGroup) -> None:
        heeded = [number for number in _REASONS if signal.getsignal(number) != signal.SIG_IGN]
        with anyio.open_signal_receiver(*heeded, signal.SIGTSTP) as signals:
            async for number in signals:
                if number == signal.SIGTSTP:
                    self._pause(run)
                elif not self._interrupted:
                    self._interrupted = True
                    # Beside this loop: it may have to wait until somebody reads.
                    tasks.start_soon(run.cancel, _REASONS[number])
                    tasks.start_soon(self._give_up_reader)
                else:
                    run.kill()

    def _pause(self, run: Run) -> None:
        """Stop with everything that runs; go on when somebody says so."""
        if self._console is not None:
            self._console.suspend()
        run.suspend()
        os.kill(os.getpid(), signal.SIGSTOP)
        run.resume()
        if self._console is not None:
            self._console.resume()
