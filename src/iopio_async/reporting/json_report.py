"""``--report FILE``: the whole run as one JSON object, version 1.

Times are in seconds, sizes in bytes. A key whose value would be empty (``""``, ``[]``, ``0``,
``false``, ``null``) is left out where it is marked with ``?``. Fields may be added within a
version; readers should ignore what they don't know.

``schema_version``
    1.
``summary``
    ``exit_code`` (``null`` if the run was torn down), ``cancelled`` (why, or ``null``),
    ``started_at`` (UTC, ISO 8601), ``duration_s``, ``run_id``, ``root``, ``python``, ``iopio``,
    ``workers``, ``tests`` (how many), ``outcomes`` (passed, failed, error, skipped, xfailed,
    xpassed, not-run: how many each), ``modules`` (how many), ``statuses`` (how many modules each),
    ``sources`` (likewise), ``flaky`` (node ids), ``deselected``, ``warnings``,
    ``serial_estimate_s`` (the sum of all attempts' durations, of cached modules the recorded
    ones), ``cpu_s``, ``peak_rss_bytes`` (of the largest module).
``metrics``
    How well the machine and the cache were used: the fields of :class:`metrics.Metrics`, which the
    README lists.
``modules[*]``
    ``path``, ``status``, ``source``, ``attempts``, ``tests``, ``duration_s``, ``cpu_s``,
    ``peak_rss_bytes``, ``flaky?``, ``failure?``, ``exit_code?``, ``signal?``, ``in_flight?``,
    ``stacks?``, ``stdout?`` and ``stderr?`` (what was written outside of tests: all that was
    kept where the module did not pass, else the last 1000 characters).
``tests[*]``
    ``id`` (the node id), ``outcome``, ``duration_s``, ``module``, ``source``, ``attempt``,
    ``call_s?``, ``reason?``, ``failures?``, ``sections?``, ``properties?``, ``subtests?``,
    ``reruns?``, ``line?``, ``flaky?``.
``warnings[*]``
    ``message``, ``category``, ``module?``, ``test?``, ``path?``, ``line?``.
``failures[*]`` and ``failure``
    ``message``, ``text?``, ``phase``, ``path?``, ``line?``. Colours are taken out.
``sections[*]``
    ``title``, ``text``.
``subtests[*]``
    ``description``, ``outcome``, ``failure?``.

Each module, test and warning stands on a line of its own. Lone surrogates, which JSON readers
refuse, are spelled out.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import msgspec

from iopio_async.model import events as ev
from iopio_async.model.outcome import BAD_STATUSES, Failure, ModuleStatus, Outcome, Source
from iopio_async.model.spans import RunSpans
from iopio_async.model.stats import ModuleStats, RunStats
from iopio_async.reporting import metrics
from iopio_async.reporting.artefact import write_artefact
from iopio_async.reporting.escape import strip_colors
from iopio_async.reporting.json_text import dumps, lines
from iopio_async.reporting.sink import Sink
from iopio_async.reporting.stream import check_sink

SCHEMA_VERSION = 1

#: How much of a good module's output is kept, in characters a stream.
GOOD_TAIL_CHARS = 1000

#: Where the report goes to standard output.
STDOUT = "-"


class JsonReporter:
    """Writes the report when it is closed. ``path`` ``-`` is standard output, or ``stream``.

    ``cache_facts`` is asked then for what the events don't tell of the cache.
    """

    name = "JSON report"

    def __init__(
        self,
        path: str,
        *,
        stream: TextIO | None = None,
        cache_facts: Callable[[], metrics.CacheFacts] = metrics.CacheFacts,
    ) -> None:
        self.broken = False
        self._path = path
        self._stream = stream
        self._stats = RunStats()
        self._spans = RunSpans()
        self._cache_facts = cache_facts
        self._started: ev.RunStarted | None = None
        self._warnings: list[ev.WarningIssued] = []
        self._outputs: dict[str, dict[str, str]] = {}

    def handle(self, envelope: ev.Envelope, stats: RunStats) -> None:
        """Remember what the fold doesn't hold."""
        self._stats = stats
        self._spans.apply(envelope)
        match envelope.event:
            case ev.TestStarted() | ev.TestFinished():
                pass
            case ev.RunStarted() as event:
                self._started = event
            case ev.WarningIssued() as event:
                self._warnings.append(event)
            case ev.AttemptStarted() as event:
                self._outputs.pop(event.module, None)
            case ev.OutputCaptured() as event if event.captured.text:
                streams = self._outputs.setdefault(event.module, {})
                streams[event.stream] = event.captured.text
            case ev.ModuleFinished() as event if event.status not in BAD_STATUSES:
                if event.module in self._outputs:
                    self._outputs[event.module] = {
                        stream: text[-GOOD_TAIL_CHARS:]
                        for stream, text in self._outputs[event.module].items()
                    }
            case _:
                pass

    def close(self) -> None:
        """Write the report.

        Raises:
            InfrastructureError: it can't be written.
        """
        if self._path != STDOUT:
            write_artefact(self._path, self._pieces())
            return
        sink = Sink(self._stream or sys.stdout)
        for piece in self._pieces():
            sink.put(piece)
        sink.close()
        self.broken = sink.broken
        check_sink(sink)

    def _pieces(self) -> Iterator[bytes]:
        yield b'{"schema_version": %d,\n"summary": ' % SCHEMA_VERSION
        yield dumps(self._summary())
        yield b',\n"metrics": '
        figures = metrics.measure(self._spans, self._stats, self._cache_facts())
        yield dumps(msgspec.to_builtins(figures))
        yield b',\n"modules": ['
        yield from lines(map(self._module, self._stats.modules.values()))
        yield b'],\n"tests": ['
        yield from lines(self._tests())
        yield b'],\n"warnings": ['
        yield from lines(map(_warning, self._warnings))
        yield b"]}\n"

    def _summary(self) -> dict[str, Any]:
        stats, started = self._stats, self._started
        modules = stats.modules.values()
        return {
            "exit_code": stats.exit_code,
            "cancelled": stats.cancelled,
            "started_at": started.started_at if started else None,
            "duration_s": stats.duration_s,
            "run_id": started.run_id if started else None,
            "root": started.root if started else None,
            "python": started.python if started else None,
            "iopio": started.iopio if started else None,
            "workers": stats.workers,
            "tests": stats.total,
            "outcomes": {outcome.value: stats.outcomes[outcome] for outcome in Outcome},
            "modules": len(modules),
            "statuses": {status.value: stats.statuses[status] for status in ModuleStatus},
            "sources": {source.value: stats.sources[source] for source in Source},
            "flaky": stats.flaky,
            "deselected": stats.deselected,
            "warnings": stats.warnings,
            "serial_estimate_s": sum(map(_duration_s, modules)),
            "cpu_s": sum(module.cpu_s for module in modules),
            "peak_rss_bytes": max((module.peak_rss_bytes for module in modules), default=0),
        }

    def _module(self, module: ModuleStats) -> dict[str, Any]:
        finished, last = module.finished, module.last_attempt
        failure = (finished and finished.failure) or (last and last.failure) or None
        exit_status = last.exit_status if last else None
        outputs = self._outputs.get(module.path, {})
        return {
            "path": module.path,
            "status": module.status,
            "source": module.source,
            "attempts": finished.attempts if finished else module.attempts,
            "tests": len(module.tests),
            "duration_s": _duration_s(module),
            "cpu_s": module.cpu_s,
            "peak_rss_bytes": module.peak_rss_bytes,
            **_present(
                flaky=finished.flaky if finished else (),
                failure=_failure(failure) if failure else None,
                # An exit code of 0 says nothing that the status doesn't.
                exit_code=exit_status.code if exit_status else None,
                signal=exit_status.signal if exit_status else None,
                in_flight=last.in_flight if last else "",
                stacks=last.stacks if last else "",
                stdout=outputs.get("stdout"),
                stderr=outputs.get("stderr"),
            ),
        }

    def _tests(self) -> Iterator[dict[str, Any]]:
        for module in self._stats.modules.values():
            flaky = frozenset(module.finished.flaky) if module.finished else frozenset()
            for (test_id, _), test in module.tests.items():
                row: dict[str, Any] = {
                    "id": test_id,
                    "outcome": test.outcome,
                    "duration_s": test.duration_s,
                    "module": module.path,
                    "source": module.source,
                    "attempt": test.attempt,
                }
                if test.call_s:
                    row["call_s"] = test.call_s
                if test.line:
                    row["line"] = test.line
                if test_id in flaky:
                    row["flaky"] = True
                if test.outcome is not Outcome.PASSED or test.sections or test.properties:
                    row |= _present(
                        reason=test.reason,
                        failures=[_failure(failure) for failure in test.failures],
                        sections=[
                            {"title": section.title, "text": strip_colors(section.text)}
                            for section in test.sections
                        ],
                        properties=test.properties,
                    )
                if test.subtests or test.reruns:
                    row |= _present(
                        reruns=test.reruns,
                        subtests=[
                            {
                                "description": sub.description,
                                "outcome": sub.outcome,
                                **_present(failure=sub.failure and _failure(sub.failure)),
                            }
                            for sub in test.subtests
                        ],
                    )
                yield row


def _duration_s(module: ModuleStats) -> float:
    # A module from the cache has no attempt in this run, but the time that it took once.
    return module.duration_s or (module.finished.duration_s if module.finished else 0.0)


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "message": strip_colors(failure.message),
        "phase": failure.phase,
        **_present(text=strip_colors(failure.text), path=failure.path, line=failure.line),
    }


def _warning(event: ev.WarningIssued) -> dict[str, Any]:
    return {
        "message": strip_colors(event.message),
        "category": event.category,
        **_present(module=event.module, test=event.test, path=event.path, line=event.line),
    }


def _present(**fields: object) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
