"""The reporters that a configuration asks for, and what their faults do to the exit code.

Each is imported only where it is wanted: the first test waits for all of this.
"""

import signal
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

from iopio_async.model.config import Config
from iopio_async.model.outcome import ExitCode
from iopio_async.reporting.fanout import Fault
from iopio_async.reporting.ports import Reporter
from iopio_async.reporting.sink import Sink

#: Exit code where the reader of the output has gone: 128 and SIGPIPE's number.
PIPE_CLOSED = 128 + signal.SIGPIPE


def console_stream(config: Config) -> TextIO | None:
    """Where the console speaks: on standard error, where standard output carries a report."""
    return sys.stderr if "-" in (config.report, config.junit_xml) else sys.stdout


def event_stream(
    config: Config, on_broken: Callable[[], None]
) -> tuple[list[Reporter], Sink | None]:
    """The reporter of ``--json`` and its sink, if it was asked for."""
    if not config.json:
        return [], None
    from iopio_async.reporting.stream import StreamReporter

    events = StreamReporter(sys.stdout, on_broken=on_broken)
    return [events], events.sink


def file_reporters(config: Config) -> list[Reporter]:
    """The reporters that write files."""
    reporters: list[Reporter] = []
    if config.junit_xml:
        from iopio_async.reporting.junit import JUnitReporter

        reporters.append(JUnitReporter(config.junit_xml))
    if config.report:
        from iopio_async.reporting.json_report import JsonReporter

        reporters.append(JsonReporter(config.report))
    return reporters


def exit_code_of(
    code: int | None, faults: Sequence[Fault], problem: str = "", *, pipe_closed: bool
) -> int:
    """The command's exit code; what went wrong inside iopio is told on standard error."""
    problems = [f"{fault.reporter}: {fault.message}" for fault in faults]
    if problem:
        problems.append(problem)
    if sys.stderr is not None:
        for each in problems:
            sys.stderr.write(f"iopio: error: {each}\n")
    if pipe_closed:
        return PIPE_CLOSED
    return ExitCode.INTERNAL if problems or code is None else code
