"""The trace: what Perfetto reads, event by event."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from iopio_async.errors import InfrastructureError
from iopio_async.model.outcome import Outcome
from iopio_async.model.spans import AttemptSpan, RunSpans, TestSpan, fold, lanes, packed
from iopio_async.reporting.chrome_trace import PARTS_PID, RUN_PID, TraceReporter, trace_events


@pytest.fixture
def trace(story: ModuleType, tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "trace.json"
    story.report(TraceReporter(str(file)), story.tell())
    return dict(json.loads(file.read_bytes()))


def events(trace: dict[str, Any], phase: str, category: str = "") -> list[dict[str, Any]]:
    return [
        event
        for event in trace["traceEvents"]
        if event["ph"] == phase and (not category or event.get("cat") == category)
    ]


def test_workers_are_threads(trace: dict[str, Any]) -> None:
    names = {
        event["tid"]: event["args"]["name"]
        for event in events(trace, "M")
        if event["name"] == "thread_name"
    }
    assert {"worker 0", "worker 1", "recalled from the cache"} <= set(names.values())
    assert {event["tid"] for event in events(trace, "X")} <= names.keys()
    assert trace["otherData"]["run_id"] == "r1"


def test_modules_are_complete_events(trace: dict[str, Any]) -> None:
    modules = events(trace, "X", "module")
    # Fourteen were executed, one of them twice.
    assert len(modules) == 15
    (slow,) = (event for event in modules if event["name"] == "tests/test_slow.py")
    assert slow["args"]["status"] == "timed out"
    assert slow["dur"] == pytest.approx(5_940_000)
    assert all(isinstance(event["ts"], int) and event["dur"] >= 0 for event in modules)


def test_tests_are_nested_in_their_modules(trace: dict[str, Any]) -> None:
    modules = events(trace, "X", "module")
    tests = events(trace, "X", "test")
    assert tests
    for test in tests:
        module = test["args"]["id"].partition("::")[0]
        assert any(
            each["name"] == module
            and each["tid"] == test["tid"]
            and each["ts"] <= test["ts"]
            and test["ts"] + test["dur"] <= each["ts"] + each["dur"]
            for each in modules
        )


def test_nothing_overlaps_within_a_thread(trace: dict[str, Any]) -> None:
    ends: dict[tuple[str, int], int] = {}
    ordered = sorted(events(trace, "X"), key=lambda event: int(event["ts"]))
    for event in ordered:
        key = event["cat"], event["tid"]
        assert event["ts"] >= ends.get(key, 0)
        ends[key] = event["ts"] + event["dur"]


def test_counters_and_what_was_recalled(trace: dict[str, Any]) -> None:
    counters = {event["name"] for event in events(trace, "C")}
    assert counters == {"queue", "memory (MiB)"}
    assert len(events(trace, "i", "recalled")) == 2


def attempt(module: str, begin_s: float, end_s: float, **fields: object) -> AttemptSpan:
    return AttemptSpan(module, 1, 0, begin_s, end_s, **fields)


def test_tests_of_parts_have_threads_of_their_own() -> None:
    tests = [TestSpan(f"a::{n}", Outcome.PASSED, 0.0, 1.0) for n in range(3)]
    told = list(trace_events(RunSpans(attempts=[attempt("a", 0.0, 2.0, parts=3, tests=tests)])))
    shown = [event for event in told if event.get("cat") == "test"]
    assert {(event["pid"], event["tid"]) for event in shown} == {(PARTS_PID, n) for n in range(3)}
    assert [event["pid"] for event in told if event.get("cat") == "module"] == [RUN_PID]


def test_what_overlaps_in_a_slot_has_a_lane_of_its_own() -> None:
    spans = RunSpans(attempts=[attempt("split", 0.0, 3.0, parts=2), attempt("b", 1.0, 2.0)])
    assert [(lane.slot, lane.row) for lane in lanes(spans)] == [(0, 0), (0, 1)]


def test_packing_uses_as_few_rows_as_overlap() -> None:
    tests = [TestSpan(str(n), Outcome.PASSED, n, n + 1.5) for n in range(4)]
    assert [[test.id for test in row] for row in packed(tests)] == [["0", "2"], ["1", "3"]]


def test_an_empty_run_is_still_a_trace(tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    TraceReporter(str(file)).close()
    assert json.loads(file.read_bytes())["traceEvents"]
    with pytest.raises(InfrastructureError):
        TraceReporter(str(tmp_path)).close()


def test_names_that_are_not_unicode_are_spelled_out(story: ModuleType, tmp_path: Path) -> None:
    spans = fold(story.tell())
    spans.attempts[0].module = "tests/test_\udcff.py"
    assert any(event["name"] == "tests/test_\udcff.py" for event in trace_events(spans))
