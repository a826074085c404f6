"""A run's figures as a person meets them: in the report, under ``-v``, and from the journal."""

import json
from pathlib import Path

import pytest
from end_to_end.cached import COLOUR, DOUBLE, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_the_figures_of_a_run_and_of_one_that_recalls_it(project: Project) -> None:
    executed, recalled = project.run("-v"), project.run()

    first = executed.report["metrics"]
    assert first["completed_tests"] == 3
    assert first["max_workers"] == 2
    assert 0 < first["utilisation"] <= 1
    assert sum(share["tests"] for share in first["workers"]) == 3
    assert first["queue"]["peak"] == 2
    assert first["bottleneck"]["name"] in {COLOUR, DOUBLE}
    assert first["peak_rss_bytes"] > 1 << 20
    assert (first["cache"]["hits"], first["cache"]["misses"]) == (0, 2)
    assert executed.told("times as fast as one after another") == 1

    second = recalled.report["metrics"]["cache"]
    assert (second["hits"], second["misses"], second["hit_ratio"]) == (2, 0, 1.0)
    assert second["size_bytes"] > 0
    assert second["ttl_s"] == 24 * 3600
    assert 17 * 3600 < second["expires_in_s"] <= 24 * 3600
    assert second["retrieval_s"] == pytest.approx(second["lookup_s"] / 2, abs=1e-5)
    assert recalled.report["metrics"]["serial_estimate_s"] > 0
    assert recalled.told("times as fast") == 0

    without = project.run("--no-cache").report["metrics"]["cache"]
    assert (without["enabled"], without["hit_ratio"]) == (False, None)

    listed = project.call("report", "--list").stdout.splitlines()
    assert len(listed) == 4
    latest, earliest = listed[1].split()[0], listed[-1].split()[0]
    told = project.call("report", earliest).stdout
    assert f"run {earliest}" in told
    assert "critical path" in told
    assert json.loads(project.call("report", "--json").stdout)["completed_tests"] == 3
    assert project.call("report").stdout.startswith(f"run {latest}")


def test_who_asks_for_a_run_that_is_not_there_is_told_so(project: Project) -> None:
    asked = project.call("report")
    assert asked.returncode == 2
    assert "is remembered" in asked.stderr


def test_a_trace_and_a_timeline_of_a_run_and_from_its_journal(project: Project) -> None:
    ran = project.call("run", "--trace", "out/trace.json", "--timeline=out/timeline.html")
    assert ran.returncode == 0, ran.stderr
    out = project.folder / "out"
    told = json.loads((out / "trace.json").read_bytes())["traceEvents"]
    assert {event["name"] for event in told if event.get("cat") == "module"} == {COLOUR, DOUBLE}
    assert len([event for event in told if event.get("cat") == "test"]) == 3
    page = (out / "timeline.html").read_text()
    assert COLOUR in page

    again = project.call("report", "--trace=again.json", "--timeline=again.html")
    assert again.returncode == 0, again.stderr
    assert (project.folder / "again.html").read_text() == page
    later = json.loads((project.folder / "again.json").read_bytes())["traceEvents"]
    assert later == told


@pytest.mark.parametrize("option", ["--trace", "--timeline"])
def test_they_go_to_files_alone(project: Project, option: str) -> None:
    ran = project.call("run", f"{option}=-")
    assert ran.returncode == 2
    assert "not to the standard output" in ran.stderr
