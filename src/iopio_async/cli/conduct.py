"""Takes one run to its end: envelopes to reporters, signals to the run, and an exit code.

First SIGINT (or SIGTERM, SIGHUP): nothing new starts, what runs gets its grace, the reports are
written. Second: what runs is killed. SIGTSTP stops the tests and their clocks with the command.
"""

import os
import signal
import sys
from collections.abc import Mapping
from typing import TextIO

import anyio

from iopio_async.cli.invocation import Invocation
from iopio_async.model.config import Config
from iopio_async.model.outcome import CancelReason, ExitCode
from iopio_async.orchestration.embedding import Run, open_run
from iopio_async.reporting.console import ConsoleReporter, make_console_reporter
from iopio_async.reporting.fanout import Fanout
from iopio_async.reporting.palette import wants_color
from iopio_async.reporting.ports import Reporter

#: Exit code where the reader of the output has gone: 128 and SIGPIPE's number.
PIPE_CLOSED = 128 + signal.SIGPIPE

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
        self._pipe_closed = False
        data_on_stdout = "-" in (config.report, config.junit_xml)
        stream: TextIO | None = sys.stderr if data_on_stdout else sys.stdout
        reporters: list[Reporter] = []
        self._console: ConsoleReporter | None = None
        # Each reporter is imported where it is wanted: the first test waits for all of this.
        if config.json:
            from iopio_async.reporting.stream import StreamReporter

            reporters.append(StreamReporter(sys.stdout, on_broken=self._on_broken))
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
        # Called from the writing thread; seen at the next batch.
        self._pipe_closed = True

    async def run(self) -> int:
        fanout = self._fanout
        async with (
            open_run(self._config, owns_process=True, color=self._color) as run,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(self._mind_signals, run)
            async for batch in run.batches():
                for envelope in batch:
                    fanout.handle(envelope, run.stats)
                if self._pipe_closed:
                    await run.cancel(CancelReason.EMBEDDER)
                    run.kill()
            tasks.cancel_scope.cancel()
        fanout.close()
        return self._exit_code(run)

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

    async def _mind_signals(self, run: Run) -> None:
        with anyio.open_signal_receiver(*_REASONS, signal.SIGTSTP) as signals:
            async for number in signals:
                if number == signal.SIGTSTP:
                    self._pause(run)
                elif run.stats.cancelled is None:
                    await run.cancel(_REASONS[number])
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
