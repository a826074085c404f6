"""Regressions as a person meets them: several runs, then one that has become slower."""

import json
from pathlib import Path

import pytest
from end_to_end.cached import Project

from iopio_async.history import machine, series
from iopio_async.model import events as ev
from iopio_async.model.outcome import ModuleStatus, Outcome
from iopio_async.model.stats import ModuleStats, RunStats

MODULE, TEST = "tests/test_slow.py", "tests/test_slow.py::test_slow"

FILES = {
    "pytest.ini": "[pytest]\ntestpaths = tests\n",
    MODULE: "import time\n\n\ndef test_slow():\n    time.sleep(0.1)\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose test took a hundredth of a second, in eight runs."""
    project = Project(tmp_path, FILES)
    test = ev.TestFinished(
        module=MODULE, attempt=1, id=TEST, outcome=Outcome.PASSED, duration_s=0.01
    )
    module = ModuleStats(
        MODULE, tests={(TEST, 1): test}, status=ModuleStatus.PASSED, attempts=1, duration_s=0.02
    )
    here = machine.current(workers=2, traced=True)
    for _ in range(8):
        series.record(str(project.folder), RunStats(modules={MODULE: module}), here)
    return project


def test_a_run_fails_once_it_is_sure(project: Project) -> None:
    words = ("run", "--workers=2", "--refresh", "--fail-on-regression")
    first = project.call(*words)
    assert (first.returncode, "slower" in first.stdout) == (0, False), first.stdout
    codes = [project.call(*words, path).returncode for path in ("tests", "tests")]
    assert codes[-1] == 1
    silenced = project.call(*words, "100")
    assert silenced.returncode == 1, "ten times as slow is more than twice"
    told = [line for line in silenced.stdout.splitlines() if "slower" in line]
    assert any(f"slower: {TEST} takes" in line for line in told)
    assert project.call("run", "--workers=2", "--refresh").returncode == 0

    shown = project.call("trends").stdout
    assert MODULE in shown
    assert "slower" in shown
    rows = [
        json.loads(line) for line in project.call("trends", MODULE, "--json").stdout.splitlines()
    ]
    assert [row["name"] for row in rows] == [MODULE, TEST]
    assert len(rows[1]["durations_s"]) == 13
    assert rows[1]["slower"] is True


def test_what_nothing_is_known_of(project: Project) -> None:
    asked = project.call("trends", "tests/test_other.py")
    assert asked.returncode == 2
    assert "no durations of tests/test_other.py are known" in asked.stderr


def test_a_percentage_must_be_one(project: Project) -> None:
    asked = project.call("run", "--fail-on-regression=much")
    assert asked.returncode == 2
    assert "fail-on-regression" in asked.stderr
