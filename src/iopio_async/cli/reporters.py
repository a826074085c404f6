"""The reporters that a configuration asks for, and what their faults do to the exit code.

Each is imported only where it is wanted: the first test waits for all of this.
"""

import contextlib
import math
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from iopio_async.cache.reader import ACTIONS, BLOBS
from iopio_async.errors import InfrastructureError
from iopio_async.model.config import Config
from iopio_async.model.outcome import ExitCode
from iopio_async.orchestration.lookup import ResultCache
from iopio_async.reporting.fanout import Fault
from iopio_async.reporting.ports import Reporter
from iopio_async.reporting.sink import Sink

if TYPE_CHECKING:
    from iopio_async.reporting.metrics import CacheFacts

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


def file_reporters(config: Config, cache: ResultCache | None = None) -> list[Reporter]:
    """The reporters that write files; ``cache`` is the one that the run uses, if any."""
    reporters: list[Reporter] = []
    if config.junit_xml:
        from iopio_async.reporting.junit import JUnitReporter

        reporters.append(JUnitReporter(config.junit_xml))
    if config.report:
        from iopio_async.reporting.json_report import JsonReporter

        reporters.append(JsonReporter(config.report, cache_facts=lambda: cache_facts(cache)))
    if config.trace:
        from iopio_async.reporting.chrome_trace import TraceReporter

        reporters.append(TraceReporter(config.trace))
    if config.timeline:
        from iopio_async.reporting.timeline import TimelineReporter

        reporters.append(TimelineReporter(config.timeline))
    return reporters


def cache_facts(cache: ResultCache | None) -> "CacheFacts":
    """What a report says of the cache beside what the events tell, as it is now."""
    from iopio_async.cache import census
    from iopio_async.reporting.metrics import CacheFacts

    if cache is None:
        return CacheFacts(enabled=False)
    size_bytes: int | None = None
    with contextlib.suppress(InfrastructureError):
        areas = (census.files_of(cache.folder, area) for area in (ACTIONS, BLOBS))
        size_bytes = sum(found.status.st_size for area in areas for found in area)
    left_s = cache.holds_until_s - time.time()
    return CacheFacts(
        enabled=True,
        lookup_s=round(cache.lookup_s, 6),
        size_bytes=size_bytes,
        ttl_s=cache.config.cache_ttl_s,
        expires_in_s=round(max(0.0, left_s)) if math.isfinite(left_s) else None,
    )


def tell_left_out(told: Sequence[str]) -> None:
    """Warn of observers that were left out: it is no fault of the run's."""
    for each in told:
        if sys.stderr is not None:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"iopio: warning: {each}\n")


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
