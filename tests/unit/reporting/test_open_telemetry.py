"""A whole run as spans and metrics, as a real receiver gets them."""

from collections.abc import Iterator
from datetime import datetime
from types import ModuleType

import pytest
from fakes.otlp import Receiver, attributes, receiving

from iopio_async.errors import InfrastructureError
from iopio_async.model import events as ev

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from iopio_async.reporting.open_telemetry import OpenTelemetry, telemetry_is_off

OK, ERROR = 1, 2
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        yield receiver


def observe(story: ModuleType) -> list[ev.Envelope]:
    envelopes: list[ev.Envelope] = story.tell()
    observer = OpenTelemetry()
    for envelope in envelopes:
        observer.handle(envelope)
    observer.close()
    return envelopes


def test_every_module_and_test_has_a_span_below_the_right_one(
    receiver: Receiver, story: ModuleType
) -> None:
    envelopes = observe(story)
    spans = receiver.spans
    run = spans["iopio run"]
    assert run.parent_span_id == b""
    for module in story.MODULES:
        assert spans[module].parent_span_id == run.span_id
    tests = {each.event.id for each in envelopes if isinstance(each.event, ev.TestFinished)}
    sound = {test.encode("utf-8", "backslashreplace").decode() for test in tests}
    assert set(spans) == sound | {"iopio run", *story.MODULES}
    assert any("ud800" in test or "\u202e" in test for test in sound)
    for test in sound:
        assert spans[test].parent_span_id == spans[test.partition("::")[0]].span_id
    assert {span.trace_id for span in spans.values()} == {run.trace_id}


def test_times_are_those_of_the_events(receiver: Receiver, story: ModuleType) -> None:
    observe(story)
    epoch_ns = round(datetime.fromisoformat("2026-01-02T03:04:05+00:00").timestamp() * 1e9)

    def lasted(name: str) -> tuple[float, float]:
        span = receiver.spans[name]
        return tuple(
            pytest.approx((time_ns - epoch_ns) / 1e9, abs=1e-6)
            for time_ns in (span.start_time_unix_nano, span.end_time_unix_nano)
        )

    assert lasted("iopio run") == (0.0, 12.25)
    assert lasted("tests/test_ok.py") == (0.05, 0.65)
    assert lasted("tests/test_ok.py::test_one") == (0.25, 0.35)
    assert lasted("tests/test_ok.py::TestGroup::test_two") == (0.35, 0.55)
    # Recalled in no time.
    assert lasted("tests/test_cached.py") == (0.0, 0.0)
    for span in receiver.spans.values():
        assert epoch_ns <= span.start_time_unix_nano <= span.end_time_unix_nano


def test_attributes_and_status_say_how_it_ended(receiver: Receiver, story: ModuleType) -> None:
    observe(story)
    spans = receiver.spans
    assert attributes(spans["iopio run"]) == {
        "iopio.run.id": "r1",
        "iopio.version": "0.1.0",
        "iopio.run.modules": len(story.MODULES),
        "iopio.run.workers": 2,
        "iopio.run.exit_code": 1,
    }
    assert attributes(spans["tests/test_ok.py"]) == {
        "test.suite.name": "tests/test_ok.py",
        "iopio.module": "tests/test_ok.py",
        "iopio.outcome": "passed",
        "iopio.source": "executed",
        "iopio.framework": "pytest",
        "iopio.attempts": 1,
        "iopio.duration_s": 0.52,
        "iopio.cpu_s": 0.416,
        "iopio.peak_rss_bytes": 45 << 20,
    }
    failed = spans["tests/test_parse.py::test_roundtrip[3]"]
    assert attributes(failed) == {
        "test.case.name": "tests/test_parse.py::test_roundtrip[3]",
        "test.case.result.status": "fail",
        "iopio.module": "tests/test_parse.py",
        "iopio.outcome": "failed",
        "iopio.source": "executed",
        "iopio.attempt": 1,
        "iopio.duration_s": 0.02,
    }
    assert (failed.status.code, failed.status.message) == (ERROR, "AssertionError: assert 30 == 3")
    skipped = attributes(spans["tests/test_skips.py::test_skip"])
    assert (skipped["iopio.outcome"], skipped["iopio.reason"]) == ("skipped", "needs a network")
    assert attributes(spans["tests/test_cached.py::test_0"])["iopio.source"] == "cached"
    assert attributes(spans["tests/test_net.py"])["iopio.attempts"] == 2
    codes = {name: spans[name].status.code for name in story.MODULES}
    assert codes["tests/test_ok.py"] == codes["tests/test_net.py"] == OK
    assert codes["tests/test_native.py"] == codes["tests/test_broken.py"] == ERROR


def test_metrics_count_outcomes_and_sources(receiver: Receiver, story: ModuleType) -> None:
    observe(story)
    assert receiver.counts("iopio.modules")["passed", "cached"] == 2
    tests = receiver.counts("iopio.tests")
    assert tests["passed", "cached"] == 40
    assert tests["error", "executed"] == 1
    points = receiver.metrics["iopio.test.duration"].histogram.data_points
    assert sum(point.count for point in points) == sum(
        count for (outcome, source), count in tests.items() if source == "executed"
    ) - sum(count for (outcome, _), count in tests.items() if outcome == "not-run")


def test_opentelemetrys_own_variables_count(
    receiver: Receiver, story: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=tools")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    monkeypatch.setenv("TRACEPARENT", PARENT)
    observe(story)
    assert receiver.resource["team"] == "tools"
    assert receiver.resource["service.name"] == "iopio"
    assert receiver.metrics == {}
    run = receiver.spans["iopio run"]
    assert f"00-{run.trace_id.hex()}-{run.parent_span_id.hex()}-01" == PARENT


@pytest.mark.parametrize(
    ("environ", "off"),
    [
        ({}, False),
        ({"OTEL_SDK_DISABLED": "True"}, True),
        ({"OTEL_TRACES_EXPORTER": "none"}, True),
        ({"OTEL_METRICS_EXPORTER": "none"}, False),
    ],
)
def test_what_switches_traces_off(environ: dict[str, str], off: bool) -> None:
    assert telemetry_is_off("traces", environ) is off


def test_no_receiver_is_noticed_at_the_first_module(
    story: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as gone:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", gone.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    observer = OpenTelemetry()
    envelopes = story.tell()
    first = next(at for at, each in enumerate(envelopes) if type(each.event) is ev.ModuleFinished)
    for envelope in envelopes[:first]:
        observer.handle(envelope)
    with pytest.raises(InfrastructureError, match="no spans could be sent"):
        observer.handle(envelopes[first])
