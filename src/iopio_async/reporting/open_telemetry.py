"""``--otel``: a run as OpenTelemetry spans and metrics, sent by OTLP over HTTP.

A span for the run, one for each module below it, and one for each test below its module. They begin
and end when the events say, by the clock on the wall; what was recalled from the cache took no time
and has ``iopio.duration_s`` instead. A module's spans are made when it has its final word, and sent
in batches. Where a receiver takes nothing, the exporter raises: observers that do so are left out.

All of it is configured by the SDK's own variables (``OTEL_EXPORTER_OTLP_ENDPOINT`` and the like,
``OTEL_SERVICE_NAME``, ``OTEL_RESOURCE_ATTRIBUTES``, ``OTEL_TRACES_SAMPLER``); of ``TRACEPARENT``
the run's span becomes a child. Only this module imports OpenTelemetry.
"""

import logging
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Span, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from iopio_async.errors import InfrastructureError
from iopio_async.model import events as ev
from iopio_async.model.outcome import BAD_OUTCOMES, BAD_STATUSES, ExitCode, Outcome, Source
from iopio_async.model.spans import AttemptSpan, RunSpans, TestSpan
from iopio_async.version import __version__

#: So many spans are sent at once, as the SDK's own batches.
BATCH = 512

#: How long the receiver may take for a batch, where no variable says so: the SDK's own default is
#: longer than a run has patience at its end.
TIMEOUT_S = 2.0

#: The results of a test in OpenTelemetry's words; there are none for the others.
_RESULTS = {Outcome.PASSED: "pass", Outcome.FAILED: "fail", Outcome.ERROR: "fail"}

Attributes = dict[str, str | bool | int | float]


def telemetry_is_off(signal: str, environ: Mapping[str, str]) -> bool:
    """What OpenTelemetry's variables switch off: ``traces`` or ``metrics``, or everything."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return True
    return environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip().lower() == "none"


class OpenTelemetry:
    """The observer."""

    name = "otel"

    def __init__(self) -> None:
        # What it has to say is said once, by whoever leaves the observer out.
        log = logging.getLogger("opentelemetry")
        log.addHandler(logging.NullHandler())
        log.propagate = False
        resource = _resource()
        self._spans = _Outbox(
            None
            if telemetry_is_off("traces", os.environ)
            else OTLPSpanExporter(timeout=_timeout_s("traces"))
        )
        tracing = TracerProvider(resource=resource, shutdown_on_exit=False)
        tracing.add_span_processor(self._spans)
        self._tracer = tracing.get_tracer("iopio", __version__)
        self._figures = _Figures(resource)
        self._fold = RunSpans()
        self._modules: dict[str, _Module] = {}
        self._epoch_ns = 0
        self._run: Span | None = None

    def handle(self, envelope: ev.Envelope) -> None:
        """Take one envelope.

        Raises:
            InfrastructureError: the receiver takes no spans.
        """
        self._fold.apply(envelope)
        match envelope.event:
            case ev.RunStarted() as event:
                self._begin(event, envelope.elapsed_s)
            case ev.ModulePlanned() as event:
                self._modules[event.module] = _Module(str(event.framework))
            case ev.AttemptStarted() as event:
                self._modules[event.module].attempts.append(_Attempt(self._fold.attempts[-1]))
            case ev.TestFinished() as event:
                module = self._modules[event.module]
                if not module.attempts:
                    module.attempts.append(_Attempt(None))
                module.attempts[-1].tests.append(event)
            case ev.ModuleFinished() as event:
                self._module_finished(event, envelope.elapsed_s)
            case ev.RunFinished() as event:
                self._end(event, envelope.elapsed_s)
            case _:
                pass

    def close(self) -> None:
        """Send what is left.

        Raises:
            InfrastructureError: the receiver takes no spans, or no metrics.
        """
        self._spans.send()
        self._figures.send()

    def _ns(self, elapsed_s: float) -> int:
        return self._epoch_ns + round(elapsed_s * 1e9)

    def _begin(self, event: ev.RunStarted, elapsed_s: float) -> None:
        started_s = datetime.fromisoformat(event.started_at).timestamp()
        self._epoch_ns = round((started_s - elapsed_s) * 1e9)
        carrier = {name: os.environ.get(name.upper(), "") for name in ("traceparent", "tracestate")}
        self._run = self._tracer.start_span(
            "iopio run",
            context=TraceContextTextMapPropagator().extract(carrier),
            start_time=self._epoch_ns,
            attributes={
                "iopio.run.id": event.run_id,
                "iopio.version": event.iopio,
                "iopio.run.modules": event.modules,
                "iopio.run.workers": event.workers,
            },
        )

    def _end(self, event: ev.RunFinished, elapsed_s: float) -> None:
        if self._run is not None:
            good = event.exit_code in {ExitCode.OK, ExitCode.NOTHING_RAN}
            self._run.set_attribute("iopio.run.exit_code", event.exit_code)
            if event.cancelled is not None:
                self._run.set_attribute("iopio.run.cancelled", str(event.cancelled))
            self._run.set_status(StatusCode.OK if good else StatusCode.ERROR)
            self._run.end(self._ns(elapsed_s))

    def _module_finished(self, event: ev.ModuleFinished, elapsed_s: float) -> None:
        module = self._modules.pop(event.module)
        path = _sound(event.module)
        source = "executed" if event.source is Source.EXECUTED else "cached"
        real = [each.span for each in module.attempts if each.span] if source == "executed" else []
        span = self._tracer.start_span(
            path,
            context=set_span_in_context(self._run) if self._run else None,
            start_time=self._ns(real[0].begin_s if real else elapsed_s),
            attributes={
                "test.suite.name": path,
                "iopio.module": path,
                "iopio.outcome": str(event.status),
                "iopio.source": source,
                "iopio.framework": module.framework,
                "iopio.attempts": event.attempts,
                "iopio.duration_s": event.duration_s,
                "iopio.cpu_s": sum(each.cpu_s for each in real),
                "iopio.peak_rss_bytes": max((each.peak_rss_bytes for each in real), default=0),
            },
        )
        if event.status in BAD_STATUSES:
            message = event.failure.message if event.failure else str(event.status)
            span.set_status(StatusCode.ERROR, _sound(message))
        else:
            span.set_status(StatusCode.OK)
        for number, attempt in enumerate(module.attempts, 1):
            spans = attempt.span.tests if attempt.span and real else ()
            self._tests(attempt.tests, spans, span, source, number, elapsed_s)
        span.end(self._ns(elapsed_s))
        self._figures.module(event, source)
        self._spans.send_full()

    def _tests(
        self,
        tests: Iterable[ev.TestFinished],
        spans: Iterable[TestSpan],
        parent: Span,
        source: str,
        attempt: int,
        elapsed_s: float,
    ) -> None:
        # Of tests that were not run there are events, but nothing that took time.
        times = iter(spans)
        for test in tests:
            name = _sound(test.id)
            lasted = next(times, None) if test.outcome is not Outcome.NOT_RUN else None
            attributes: Attributes = {
                "test.case.name": name,
                "iopio.module": _sound(test.module),
                "iopio.outcome": str(test.outcome),
                "iopio.source": source,
                "iopio.attempt": attempt,
                "iopio.duration_s": test.duration_s,
            }
            if test.outcome in _RESULTS:
                attributes["test.case.result.status"] = _RESULTS[test.outcome]
            if test.reason:
                attributes["iopio.reason"] = _sound(test.reason)
            span = self._tracer.start_span(
                name,
                context=set_span_in_context(parent),
                start_time=self._ns(lasted.begin_s if lasted else elapsed_s),
                attributes=attributes,
            )
            if test.outcome in BAD_OUTCOMES:
                message = test.failures[0].message if test.failures else test.reason
                span.set_status(StatusCode.ERROR, _sound(message))
            elif test.outcome is Outcome.PASSED:
                span.set_status(StatusCode.OK)
            span.end(self._ns(lasted.end_s if lasted else elapsed_s))
            self._figures.test(test, source)


@dataclass(slots=True)
class _Attempt:
    span: AttemptSpan | None
    tests: list[ev.TestFinished] = field(default_factory=list)


@dataclass(slots=True)
class _Module:
    framework: str
    attempts: list[_Attempt] = field(default_factory=list)


class _Outbox(SpanProcessor):
    """Keeps the spans that have ended until there are enough of them to be sent."""

    def __init__(self, exporter: SpanExporter | None) -> None:
        self._exporter = exporter
        self._ended: list[ReadableSpan] = []
        self._enough = 1

    def on_end(self, span: ReadableSpan) -> None:
        if self._exporter is not None and span.context and span.context.trace_flags.sampled:
            self._ended.append(span)

    def send_full(self) -> None:
        """Send as many full batches as there are; at first, whatever there is.

        So a receiver that is not there is noticed while the tests run, and not at the end.
        """
        while len(self._ended) >= self._enough:
            self._send(BATCH)
            self._enough = BATCH

    def send(self) -> None:
        """Send everything."""
        while self._ended:
            self._send(BATCH)

    def _send(self, number: int) -> None:
        batch, self._ended = self._ended[:number], self._ended[number:]
        if self._exporter is not None and (
            self._exporter.export(batch) is not SpanExportResult.SUCCESS
        ):
            raise InfrastructureError("no spans could be sent: see OTEL_EXPORTER_OTLP_ENDPOINT")


class _Figures:
    """The metrics of a run, which are sent once, at its end."""

    def __init__(self, resource: Resource) -> None:
        self._exporter: _Honest | None = None
        readers = []
        if not telemetry_is_off("metrics", os.environ):
            self._exporter = _Honest(OTLPMetricExporter(timeout=_timeout_s("metrics")))
            # Never by itself: it would need a thread that outlives the run.
            readers = [PeriodicExportingMetricReader(self._exporter, math.inf)]
        self._provider = MeterProvider(readers, resource, shutdown_on_exit=False)
        meter = self._provider.get_meter("iopio", __version__)
        self._tests = meter.create_counter("iopio.tests", "{test}", "Tests by outcome and source.")
        self._modules = meter.create_counter(
            "iopio.modules", "{module}", "Modules by outcome and source."
        )
        self._test_durations = meter.create_histogram(
            "iopio.test.duration", "s", "Set-up, call and teardown of the executed tests."
        )
        self._module_durations = meter.create_histogram(
            "iopio.module.duration", "s", "Duration of the executed modules."
        )

    def test(self, event: ev.TestFinished, source: str) -> None:
        about = {"iopio.outcome": str(event.outcome), "iopio.source": source}
        self._tests.add(1, about)
        if source == "executed" and event.outcome is not Outcome.NOT_RUN:
            self._test_durations.record(event.duration_s, {"iopio.outcome": str(event.outcome)})

    def module(self, event: ev.ModuleFinished, source: str) -> None:
        outcome = str(event.status)
        self._modules.add(1, {"iopio.outcome": outcome, "iopio.source": source})
        if source == "executed":
            self._module_durations.record(event.duration_s, {"iopio.outcome": outcome})

    def send(self) -> None:
        self._provider.force_flush()
        if self._exporter is not None and self._exporter.failed:
            raise InfrastructureError("no metrics could be sent: see OTEL_EXPORTER_OTLP_ENDPOINT")


class _Honest(MetricExporter):
    """Remembers whether an export failed, which the SDK only logs."""

    def __init__(self, exporter: OTLPMetricExporter) -> None:
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)
        self._exporter = exporter
        self.failed = False

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: object
    ) -> MetricExportResult:
        result = self._exporter.export(metrics_data, timeout_millis)
        self.failed = self.failed or result is not MetricExportResult.SUCCESS
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **_: object) -> None:
        self._exporter.shutdown(timeout_millis)


def _sound(text: str) -> str:
    """A text that can be sent: ids and messages may hold what UTF-8 can't."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _timeout_s(signal: str) -> float | None:
    """The time limit of a batch; ``None`` where the SDK is told one by a variable."""
    names = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
    return None if any(os.environ.get(name) for name in names) else TIMEOUT_S


def _resource() -> Resource:
    """What the variables say of the service; it is called iopio where they don't name it."""
    named = "service.name" in OTELResourceDetector().detect().attributes
    return Resource.create(None if named else {"service.name": "iopio"})
