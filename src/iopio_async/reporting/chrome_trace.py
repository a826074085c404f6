"""``--trace FILE``: the run in the trace event format, which Perfetto and Chrome's tracing show.

Workers are threads, attempts at modules complete events, and tests such events within them. What
was recalled from the cache is an instant on a thread of its own; the queue and the memory (the sum
of the peaks of what runs) are counters. Tests of a module that ran in several parts overlap, so
they have a second process with as many threads as it takes. Times are microseconds.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from iopio_async.model.events import Envelope
from iopio_async.model.spans import AttemptSpan, RunSpans, TestSpan, lanes, packed
from iopio_async.model.stats import RunStats
from iopio_async.reporting.artefact import write_artefact
from iopio_async.reporting.json_text import dumps, lines
from iopio_async.reporting.metrics import memory_over_time

#: The process of the workers, and that of tests which ran in parts.
RUN_PID, PARTS_PID = 1, 2

_RECALLED_TID = 1_000_000


class TraceReporter:
    """Writes the trace when it is closed."""

    name = "trace"

    def __init__(self, path: str) -> None:
        self._path = path
        self._spans = RunSpans()

    def handle(self, envelope: Envelope, stats: RunStats) -> None:  # noqa: ARG002
        """Remember when what began and ended."""
        self._spans.apply(envelope)

    def close(self) -> None:
        """Write the trace.

        Raises:
            InfrastructureError: it can't be written.
        """
        write_artefact(self._path, pieces(self._spans))


def pieces(spans: RunSpans) -> Iterator[bytes]:
    """The whole trace, in pieces; an event a line."""
    started = spans.started
    about = {"run_id": started.run_id, "started_at": started.started_at} if started else {}
    yield b'{"displayTimeUnit": "ms",\n"otherData": ' + dumps(about)
    yield b',\n"traceEvents": ['
    yield from lines(trace_events(spans))
    yield b"\n]}\n"


def trace_events(spans: RunSpans) -> Iterator[dict[str, Any]]:
    """All events of the trace."""
    yield _named("process_name", RUN_PID, 0, "iopio run")
    split: list[TestSpan] = []
    for number, lane in enumerate(lanes(spans)):
        tid = number + 1
        again = f" ({lane.row + 1})" if lane.row else ""
        yield _named("thread_name", RUN_PID, tid, f"worker {lane.slot}{again}")
        yield {**_event("M", "thread_sort_index", RUN_PID, tid), "args": {"sort_index": tid}}
        for attempt in lane.attempts:
            yield _attempt(attempt, spans, tid)
            if attempt.parts > 1:
                split += attempt.tests
            else:
                yield from _tests(attempt.tests, RUN_PID, tid)
    if split:
        yield _named("process_name", PARTS_PID, 0, "tests of modules in parts")
        for tid, row in enumerate(packed(split)):
            yield _named("thread_name", PARTS_PID, tid, f"part {tid}")
            yield from _tests(row, PARTS_PID, tid)
    if spans.recalled:
        yield _named("thread_name", RUN_PID, _RECALLED_TID, "recalled from the cache")
    for recalled in spans.recalled:
        yield {
            **_event("i", recalled.module, RUN_PID, _RECALLED_TID),
            "cat": "recalled",
            "s": "t",
            "ts": _us(recalled.at_s),
            "args": {
                "status": recalled.status,
                "source": recalled.source,
                "tests": recalled.tests,
                "took_s": recalled.duration_s,
            },
        }
    for point in spans.queue:
        yield _counter("queue", point.at_s, waiting=point.waiting, running=point.running)
    for at_s, total_bytes in memory_over_time(spans.attempts):
        yield _counter("memory (MiB)", at_s, peaks=round(total_bytes / (1 << 20), 1))


def _attempt(attempt: AttemptSpan, spans: RunSpans, tid: int) -> dict[str, Any]:
    return {
        **_event("X", attempt.module, RUN_PID, tid),
        "cat": "module",
        "ts": _us(attempt.begin_s),
        "dur": _us(attempt.end_s) - _us(attempt.begin_s),
        "args": {
            "status": attempt.status or "unknown",
            "final": spans.statuses.get(attempt.module, "unknown"),
            "attempt": attempt.attempt,
            "parts": attempt.parts,
            "pid": attempt.pid,
            "cpu_s": attempt.cpu_s,
            "peak_rss_bytes": attempt.peak_rss_bytes,
            "tests": len(attempt.tests),
        },
    }


def _tests(tests: Iterable[TestSpan], pid: int, tid: int) -> Iterator[dict[str, Any]]:
    for test in tests:
        yield {
            **_event("X", test.id.partition("::")[2] or test.id, pid, tid),
            "cat": "test",
            "ts": _us(test.begin_s),
            "dur": _us(test.end_s) - _us(test.begin_s),
            "args": {"id": test.id, "outcome": test.outcome},
        }


def _counter(name: str, at_s: float, **values: float) -> dict[str, Any]:
    return {**_event("C", name, RUN_PID, 0), "ts": _us(at_s), "args": values}


def _named(what: str, pid: int, tid: int, name: str) -> dict[str, Any]:
    return {**_event("M", what, pid, tid), "args": {"name": name}}


def _event(phase: str, name: str, pid: int, tid: int) -> dict[str, Any]:
    return {"ph": phase, "name": name, "pid": pid, "tid": tid}


def _us(value_s: float) -> int:
    return round(value_s * 1_000_000)
