"""The JSON report: the schema that its module documents, from the story."""

import io
import json
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
import pytest

from iopio_async.errors import InfrastructureError
from iopio_async.model import events as ev
from iopio_async.model.module import Framework
from iopio_async.model.outcome import Captured, ModuleStatus
from iopio_async.model.stats import RunStats
from iopio_async.reporting import json_report
from iopio_async.reporting.json_report import JsonReporter


@pytest.fixture
def report(story: ModuleType, tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "report.json"
    story.report(JsonReporter(str(path)), story.tell())
    return dict(orjson.loads(path.read_bytes()))


def row(rows: list[dict[str, Any]], **wanted: str) -> dict[str, Any]:
    (found,) = (row for row in rows if wanted.items() <= row.items())
    return found


def test_the_summary(report: dict[str, Any], story: ModuleType) -> None:
    assert report["schema_version"] == 1
    summary = report["summary"]
    assert summary.pop("serial_estimate_s") == pytest.approx(13.79)
    assert summary.pop("cpu_s") == pytest.approx(8.632)
    assert summary == {
        "exit_code": 1,
        "cancelled": None,
        "started_at": "2026-01-02T03:04:05+00:00",
        "duration_s": 12.25,
        "run_id": "r1",
        "root": story.ROOT,
        "python": "3.12.1",
        "iopio": "0.1.0",
        "workers": 2,
        "tests": 95,
        "outcomes": {
            "passed": 81,
            "failed": 3,
            "error": 1,
            "skipped": 1,
            "xfailed": 1,
            "xpassed": 1,
            "not-run": 7,
        },
        "modules": 16,
        "statuses": {
            "passed": 5,
            "failed": 4,
            "flaky": 1,
            "empty": 1,
            "error": 1,
            "timed out": 1,
            "crashed": 1,
            "incomplete": 1,
            "leaked": 1,
            "not-run": 0,
        },
        "sources": {"executed": 14, "local_cache": 2, "remote_cache": 0},
        "flaky": ["tests/test_net.py::test_retry"],
        "deselected": 0,
        "warnings": 2,
        "peak_rss_bytes": 45 << 20,
    }


def test_a_plain_test_is_a_short_row(report: dict[str, Any]) -> None:
    assert row(report["tests"], id="tests/test_ok.py::test_one") == {
        "id": "tests/test_ok.py::test_one",
        "outcome": "passed",
        "duration_s": 0.1,
        "module": "tests/test_ok.py",
        "source": "executed",
        "attempt": 1,
    }


def test_a_failed_test_tells_everything(report: dict[str, Any]) -> None:
    failed = row(report["tests"], id="tests/test_parse.py::test_roundtrip[3]")
    assert failed["outcome"] == "failed"
    assert failed["line"] == 9
    (failure,) = failed["failures"]
    assert failure["message"] == "AssertionError: assert 30 == 3"
    assert failure["phase"] == "call"
    assert (failure["path"], failure["line"]) == ("tests/test_parse.py", 12)
    # Colours are taken out.
    assert "\nE       AssertionError: assert 30 == 3\n" in failure["text"]
    assert failed["sections"] == [{"title": "Captured stdout call", "text": "parsing 3e1\n"}]


def test_other_outcomes_tell_why(report: dict[str, Any]) -> None:
    tests = report["tests"]
    assert row(tests, outcome="skipped")["reason"] == "needs a network"
    assert row(tests, id="tests/test_net.py::test_retry")["flaky"] is True
    assert row(tests, id="tests/test_net.py::test_retry")["attempt"] == 2
    assert row(tests, id="tests/test_sub.py::TestNumbers::test_even")["subtests"] == [
        {"description": "number=0", "outcome": "passed"},
        {
            "description": "number=1",
            "outcome": "failed",
            "failure": {"message": "1 != 0", "phase": "call", "text": "AssertionError: 1 != 0"},
        },
    ]
    assert row(tests, id="tests/test_ok.py::test_three[1-2]")["properties"] == [["key", "value"]]
    assert row(tests, id="tests/test_cached.py::test_3")["source"] == "local_cache"


def test_modules_tell_how_they_ended(report: dict[str, Any]) -> None:
    modules = report["modules"]
    assert row(modules, path="tests/test_ok.py") == {
        "path": "tests/test_ok.py",
        "status": "passed",
        "source": "executed",
        "attempts": 1,
        "tests": 3,
        "duration_s": 0.52,
        "cpu_s": 0.416,
        "peak_rss_bytes": 45 << 20,
    }
    crashed = row(modules, status="crashed")
    assert crashed["signal"] == 11
    assert crashed["in_flight"] == "tests/test_native.py::test_segv"
    assert "line 7 in test_segv" in crashed["stacks"]
    assert "4970 of 5000 bytes left out" in crashed["stderr"]
    assert row(modules, status="error")["failure"]["line"] == 3
    assert row(modules, path="tests/test_cached.py")["duration_s"] == 1.5
    flaky = row(modules, status="flaky")
    assert (flaky["attempts"], flaky["flaky"]) == (2, ["tests/test_net.py::test_retry"])
    assert flaky["duration_s"] == pytest.approx(0.61)


def test_warnings_tell_where(report: dict[str, Any]) -> None:
    assert row(report["warnings"], category="DeprecationWarning") == {
        "message": "use\x1b[2J y",
        "category": "DeprecationWarning",
        "module": "tests/test_ok.py",
        "test": "tests/test_ok.py::test_three",
        "path": "tests/test_ok.py",
        "line": 20,
    }


def test_every_key_is_documented(report: dict[str, Any]) -> None:
    documented = set(re.findall(r"``([a-z_]+)\??``", json_report.__doc__ or ""))
    used = set(report) | set(report["summary"])
    for rows in (report["modules"], report["tests"], report["warnings"]):
        used |= {key for row in rows for key in row}
    for test in report["tests"]:
        for nested in ("failures", "sections", "subtests"):
            used |= {key for row in test.get(nested, ()) for key in row}
    assert used <= documented


def test_rows_stand_on_lines_of_their_own(story: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    story.report(JsonReporter(str(path)), story.tell())
    lines = path.read_text().splitlines()
    assert sum(line.startswith('{"id":') for line in lines) == 95
    assert sum(line.startswith('{"path":') for line in lines) == 16


def test_strict_readers_can_read_what_is_not_utf8(report: dict[str, Any]) -> None:
    hostile = row(report["tests"], module="tests/test_hostile.py")
    assert r"\ud800" in hostile["failures"][0]["message"]


def test_a_dash_is_standard_output(story: ModuleType) -> None:
    stream = io.StringIO()
    story.report(JsonReporter("-", stream=stream), story.tell())
    assert json.loads(stream.getvalue())["summary"]["exit_code"] == 1


def test_a_reader_that_has_gone_is_no_error(story: ModuleType) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        reporter = JsonReporter("-", stream=stream)
        story.report(reporter, story.tell())
    assert reporter.broken


def test_a_run_that_was_torn_down_is_a_report_too(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    JsonReporter(str(path)).close()
    report = orjson.loads(path.read_bytes())
    assert report["summary"]["exit_code"] is None
    assert report["tests"] == report["modules"] == report["warnings"] == []


@pytest.mark.parametrize(
    ("status", "kept"), [(ModuleStatus.PASSED, 1000), (ModuleStatus.CRASHED, 5000)]
)
def test_output_is_kept_whole_where_it_may_explain_something(
    status: ModuleStatus, kept: int, tmp_path: Path
) -> None:
    path = tmp_path / "report.json"
    reporter = JsonReporter(str(path))
    stats = RunStats()
    for number, event in enumerate(
        [
            ev.ModulePlanned(module="m.py", framework=Framework.PYTEST),
            ev.AttemptStarted(module="m.py", attempt=1, slot=0),
            ev.OutputCaptured(
                module="m.py", attempt=1, stream="stdout", captured=Captured("x" * 5000)
            ),
            ev.ModuleFinished(module="m.py", status=status),
        ]
    ):
        stats.apply(event)
        reporter.handle(ev.Envelope(number, 0.0, event), stats)
    reporter.close()
    (module,) = orjson.loads(path.read_bytes())["modules"]
    assert len(module["stdout"]) == kept


def test_a_path_that_cannot_be_written_is_an_error_with_a_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureError, match="could not write"):
        JsonReporter(str(tmp_path / "file" / "report.json")).close()
