"""A run of hits tells what the executing run told: reports, streams and coverage, source apart."""

import json
from pathlib import Path
from typing import Any

import pytest
from end_to_end.cached import CACHED, COLOUR, DOUBLE, EXECUTED, FILES, Project, of_all
from junitparser import JUnitXml

VARIED = """\
import sys
import warnings

import pytest


def test_tells(record_property):
    record_property("key", "value")
    print("on standard output")
    print("on standard error", file=sys.stderr)
    warnings.warn("careful")


@pytest.mark.parametrize("name", ["a", "\\u20ac", "x" * 70])
def test_names(name):
    assert name


@pytest.mark.xfail(reason="known")
def test_fails_as_expected():
    print("seen")
    assert False


@pytest.mark.skip(reason="later")
def test_skipped():
    pass
"""

UNITTEST = """\
import unittest


class TestParts(unittest.TestCase):
    def test_parts(self):
        for number in range(3):
            with self.subTest(number=number):
                self.assertLess(number, 3)

    @unittest.skip("later")
    def test_later(self):
        pass
"""

FUNCTIONS = """\
async def test_waits():
    pass


def test_asserts():
    assert True
"""

#: Where a report may differ: these are the run's own, or tell where results came from.
OF_THE_RUN = {"started_at", "duration_s", "run_id", "sources", "source", "elapsed_s", "metrics"}


def stripped(value: Any) -> Any:
    """A document less what is the run's own."""
    if isinstance(value, dict):
        return {key: stripped(each) for key, each in value.items() if key not in OF_THE_RUN}
    return [stripped(each) for each in value] if isinstance(value, list) else value


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.write("tests/test_varied.py", VARIED)
    return project


@pytest.mark.slow
def test_reports_are_equal(project: Project, tmp_path: Path) -> None:
    files = [tmp_path / "executed.xml", tmp_path / "recalled.xml"]
    first, second = (project.run(f"--junit-xml={file}") for file in files)
    assert (of_all(first.sources), of_all(second.sources)) == (EXECUTED, CACHED)

    def ordered(report: dict[str, Any]) -> dict[str, Any]:
        told: dict[str, Any] = stripped(report)
        told["modules"].sort(key=lambda module: module["path"])
        # A module's own order is kept; that of modules is the order in which they ended.
        told["tests"].sort(key=lambda test: test["id"].partition("::")[0])
        return told

    assert ordered(first.report) == ordered(second.report)
    assert second.report["summary"]["warnings"] == 1
    rows = {test["id"]: test for test in second.report["tests"]}
    # Durations are those of the execution.
    assert all(row["duration_s"] > 0 for row in rows.values() if row["outcome"] == "passed")
    cases = []
    for file in files:
        suites = JUnitXml.fromfile(str(file))
        cases.append(
            sorted(
                (case.classname, case.name, case.time, case.system_out, case.system_err)
                for suite in suites
                for case in suite
            )
        )
    assert cases[0] == cases[1] != []


@pytest.mark.slow
def test_streams_are_equal(project: Project) -> None:
    streams = []
    for _ in range(2):
        ended = project.call("run", "--json")
        assert ended.returncode == 0
        events = [json.loads(line)["event"] for line in ended.stdout.splitlines()]
        by_module: dict[str, list[Any]] = {}
        for event in events:
            by_module.setdefault(event.get("module", ""), []).append(stripped(event))
        streams.append(by_module)
    first, second = streams
    assert second == first
    (finished,) = (
        row for row in second["tests/test_varied.py"] if row["event"] == "module_finished"
    )
    assert finished["status"] == "passed"


@pytest.mark.slow
def test_verbose_runs_show_the_same_tests(project: Project) -> None:
    first, second = project.call("run", "-vv"), project.call("run", "-vv")
    names = [
        sorted(word for line in each.stdout.splitlines() for word in line.split() if "::" in word)
        for each in (first, second)
    ]
    assert names[0] == names[1] != []


@pytest.mark.slow
def test_a_run_of_hits_has_its_journal(project: Project) -> None:
    first, second = project.run(), project.run()
    runs = project.cache / "v1" / "runs"
    for each in (first, second):
        lines = (runs / f"{each.report['summary']['run_id']}.jsonl").read_text().splitlines()
        assert json.loads(lines[-1])["event"]["exit_code"] == 0


# -- what is cached ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("framework", "text"), [("unittest", UNITTEST), ("functions", FUNCTIONS)], ids=lambda v: v[:9]
)
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_other_frameworks_are_cached_as_well(
    project: Project, framework: str, text: str, method: str
) -> None:
    project.write("tests/test_other.py", text)
    words = ("--framework", framework, "--start-method", method, "tests/test_other.py")
    first, second = project.run(*words), project.run(*words)
    assert (of_all(first.sources), of_all(second.sources)) == (EXECUTED, CACHED)
    assert stripped(first.report) == stripped(second.report)
    assert len(second.outcomes) == 2
    # Under pytest they are something else, whatever that comes to.
    project.call("run", f"--report={project.report}", "tests/test_other.py")
    (row,) = json.loads(project.report.read_bytes())["modules"]
    assert row["source"] == EXECUTED


@pytest.mark.slow
def test_each_selection_has_results_of_its_own(project: Project) -> None:
    for words, expected in (
        ((DOUBLE,), 2),
        ((f"{DOUBLE}::test_more",), 1),
        (("-k", "more", DOUBLE), 1),
        (("-m", "not slow", DOUBLE), 2),
        ((DOUBLE, "--", "--maxfail=7"), 2),
    ):
        first = project.run(*words)
        assert first.sources == {DOUBLE: EXECUTED}, words
        assert len([each for each in first.outcomes.values() if each == "passed"]) == expected
        second = project.run(*words)
        assert second.sources == {DOUBLE: CACHED}, words
        assert second.outcomes == first.outcomes


@pytest.mark.slow
def test_both_start_methods_share_their_results(project: Project) -> None:
    assert of_all(project.sources("--start-method=spawn")) == EXECUTED
    assert of_all(project.sources("--start-method=forkserver")) == CACHED


SET_UP = """\
import pytest


@pytest.fixture
def fails():
    raise ValueError


def test_it(fails):
    pass
"""

FLAKY = """\
import os


def test_it():
    path = os.environ["MARKS"] + "/flaky"
    if not os.path.exists(path):
        open(path, "w").close()
        raise ValueError
"""

STRICT = """\
import pytest


@pytest.mark.xfail(strict=True)
def test_it():
    pass
"""

LEAKS = """\
import subprocess
import sys


def test_it():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
"""

#: What must not be recalled: its source, the options under which it ends so, and the exit code.
NEVER: dict[str, tuple[str, tuple[str, ...], int]] = {
    "failed": ("def test_it():\n    assert 0\n", (), 1),
    "error": ("import none_such\n", (), 1),
    "set_up": (SET_UP, (), 1),
    "flaky": (FLAKY, ("--retries=1",), 0),
    "timed_out": ("import time\ndef test_it():\n    time.sleep(60)\n", ("--timeout=1s",), 1),
    "crashed": ("import os\ndef test_it():\n    os.abort()\n", (), 1),
    "left": ("import os\ndef test_it():\n    os._exit(0)\n", (), 1),
    "strict": (STRICT, (), 1),
    "leaked": (LEAKS, (), 0),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NEVER)
def test_what_did_not_pass_at_once_is_not_stored(
    project: Project, tmp_path: Path, name: str
) -> None:
    text, options, code = NEVER[name]
    module = f"tests/test_{name}.py"
    project.write(module, text)
    marks = tmp_path / "marks"
    marks.mkdir()
    project.env["MARKS"] = str(marks)
    words = ("run", f"--report={project.report}", "--grace=1s", *options)
    codes = []
    for _ in range(2):
        codes.append(project.call(*words).returncode)
        rows = {row["path"]: row for row in json.loads(project.report.read_bytes())["modules"]}
        assert rows[module]["source"] == EXECUTED, rows[module]
        assert name == "flaky" or rows[module]["status"] != "passed"
        (marks / "flaky").unlink(missing_ok=True)
    assert codes == [code, code]
    assert rows[COLOUR]["source"] == CACHED
    about = [json.loads(line) for line in project.why("--json").splitlines()]
    assert {row["module"] for row in about if row["hit"]}.isdisjoint({module})


@pytest.mark.slow
def test_a_failure_does_not_bring_an_older_pass_back(project: Project) -> None:
    """Each verdict is that of its own inputs."""
    project.write("tests/test_data.py", "def test_it():\n    assert open('data').read() == '1'\n")
    project.write("data", "1")
    assert project.run().sources["tests/test_data.py"] == EXECUTED
    project.write("data", "2")
    for _ in range(2):
        ran = project.run(code=1)
        assert ran.sources["tests/test_data.py"] == EXECUTED
    project.write("data", "1")
    assert project.run().sources["tests/test_data.py"] == CACHED


# -- coverage ----------------------------------------------------------------------------------


COVERED = ("--", "-p", "pytest_cov", "--cov=product", "--cov-branch", "--cov-report=json")


def coverage_of(project: Project, *words: str) -> tuple[dict[str, str], dict[str, Any]]:
    """A run with coverage: where the results came from, and what is covered."""
    sources = project.sources(*words, *COVERED)
    file = project.folder / "coverage.json"
    report = json.loads(file.read_bytes())
    file.unlink()
    (project.folder / ".coverage").unlink()
    return sources, {name: report[name] for name in ("files", "totals")}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_coverage_of_hits_equals_that_of_the_execution(project: Project, method: str) -> None:
    pytest.importorskip("pytest_cov")
    project.write("product.py", f"{FILES['product.py']}\n\nBRANCH = 1 if 2 else 3\n")
    word = f"--start-method={method}"
    first, second = coverage_of(project, word), coverage_of(project, word)
    assert (of_all(first[0]), of_all(second[0])) == (EXECUTED, CACHED)
    assert first[1] == second[1]
    assert first[1]["totals"]["covered_lines"] > 0
    # Whatever is executed beside, as this is, changes none of the figures.
    project.write(COLOUR, f"{FILES[COLOUR]}\n\ndef test_new():\n    pass\n")
    sources, figures = coverage_of(project, word)
    assert sources[COLOUR] == EXECUTED
    assert figures == first[1]
    # What is measured is something else than what is not.
    assert of_all(project.sources()) == EXECUTED


@pytest.mark.slow
def test_with_coverage_the_inputs_are_as_well_known_as_without(project: Project) -> None:
    pytest.importorskip("pytest_cov")
    before, _ = coverage_of(project)
    project.write(COLOUR, f"{FILES[COLOUR]}\n\ndef test_new():\n    pass\n")
    assert coverage_of(project)[0] == {**dict.fromkeys(before, CACHED), COLOUR: EXECUTED}


@pytest.mark.slow
def test_lines_that_moved_are_covered_where_they_are_now(project: Project) -> None:
    pytest.importorskip("pytest_cov")
    words = ("--", "-p", "pytest_cov", "--cov=product", "--cov-report=json")
    project.run(*words)
    before = json.loads((project.folder / "coverage.json").read_bytes())
    source = (project.folder / "product.py").read_text()
    project.write("product.py", f"# one line more\n{source}")
    project.run(*words)
    after = json.loads((project.folder / "coverage.json").read_bytes())
    assert after["files"]["product.py"]["executed_lines"] == [
        line + 1 for line in before["files"]["product.py"]["executed_lines"]
    ]


# -- what is no input, and what is -------------------------------------------------------------


@pytest.mark.slow
def test_byte_code_of_tests_is_no_input(project: Project) -> None:
    project.env["PYTHONDONTWRITEBYTECODE"] = ""
    assert of_all(project.sources()) == EXECUTED
    assert list(project.folder.rglob("*.pyc"))
    assert of_all(project.sources()) == CACHED
    for file in project.folder.rglob("*.pyc"):
        file.unlink()
    assert of_all(project.sources()) == CACHED


def test_from_another_directory_it_is_another_command(project: Project) -> None:
    project.run()
    ended = project.call("run", f"--report={project.report}", cwd="tests")
    assert ended.returncode == 0
    rows = json.loads(project.report.read_bytes())["modules"]
    assert {row["source"] for row in rows} == {EXECUTED}
