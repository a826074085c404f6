"""The command as a person or a script uses it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from end_to_end import sides
from end_to_end.terminal import run_on_terminal, screen_of
from fakes.grammar import check
from junitparser import JUnitXml

from iopio_async.model.events import Envelope


class Project:
    """A copy of a fixture project, and ways to run iopio in it."""

    def __init__(self, folder: Path, name: str, files: Mapping[str, str] | None = None) -> None:
        case = SimpleNamespace(project=name, files=files or {})
        self.folder = sides.lay_out(case, folder)

    def run(
        self, *words: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*sides.script("iopio"), *words],
            cwd=self.folder,
            env=sides.environment({"COLUMNS": "100", **(env or {})}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=sides.GIVEN_UP_S,
            check=False,
        )

    def report(self, *words: str, code: int) -> dict[str, Any]:
        """Run with a report and hold the run to its exit code; the report."""
        file = self.folder / "report.json"
        finished = self.run("run", "--workers=2", f"--report={file}", *words)
        assert finished.returncode == code, finished.stdout + finished.stderr
        document: dict[str, Any] = json.loads(file.read_bytes())
        return document


@pytest.fixture
def small(tmp_path: Path) -> Project:
    return Project(tmp_path / "project", "pytest_small")


@pytest.fixture
def green(tmp_path: Path) -> Project:
    return Project(tmp_path / "project", "pytest_green")


def ids(report: dict[str, Any]) -> set[str]:
    return {test["id"] for test in report["tests"]}


# -- exit codes ------------------------------------------------------------------------------


def test_all_passed_is_0(green: Project) -> None:
    assert green.report(code=0)["summary"]["outcomes"]["passed"] == 4


def test_not_all_passed_is_1(small: Project) -> None:
    assert small.report(code=1)["summary"]["outcomes"]["failed"] == 1


def test_a_wrong_option_is_2_and_starts_nothing(small: Project) -> None:
    finished = small.run("run", "--workers", "none")
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert finished.stderr.startswith("iopio: error: --workers")


def test_a_report_that_cannot_be_written_is_3(green: Project) -> None:
    finished = green.run("run", "--report", "tests/test_one.py/report.json")
    assert finished.returncode == 3
    assert "tests/test_one.py/report.json" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_nothing_to_run_is_5(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    finished = subprocess.run(
        [*sides.script("iopio"), "run"],
        cwd=folder,
        env=sides.environment(),
        capture_output=True,
        check=False,
    )
    assert finished.returncode == 5


def test_nothing_left_to_run_is_5(small: Project) -> None:
    assert small.run("run", "-k", "no_such_test").returncode == 5


# -- what is run -----------------------------------------------------------------------------


def test_list_imports_and_runs_nothing(tmp_path: Path) -> None:
    project = Project(
        tmp_path / "project",
        "pytest_small",
        {"tests/test_bad.py": "raise RuntimeError('imported')\n"},
    )
    finished = project.run("list")
    assert finished.returncode == 0
    assert finished.stdout.split() == [
        "tests/test_bad.py",
        "tests/test_one.py",
        "tests/test_two.py",
    ]
    assert finished.stderr == ""


def test_list_of_nothing_is_5(small: Project) -> None:
    (small.folder / "empty").mkdir()
    assert small.run("list", "empty").returncode == 5


def test_last_failed(small: Project) -> None:
    small.report(code=1)
    again = small.report("--lf", code=1)
    assert ids(again) == {"tests/test_one.py::test_fails"}
    fixed = small.folder / "tests" / "test_one.py"
    fixed.write_text(fixed.read_text().replace("raise AssertionError", "str"))
    assert ids(small.report("--lf", code=0)) == {"tests/test_one.py::test_fails"}
    everything = small.report("--lf", code=0)
    assert len(ids(everything)) == 6
    assert any("all tests run" in each["message"] for each in everything["warnings"])


def test_shards_cover_everything_once(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", "pytest_items")
    whole = ids(project.report(code=1))
    parts = []
    for part in range(1, 4):
        finished = project.run(
            "run", f"--shard={part}/3", f"--report={project.folder / str(part)}.json"
        )
        assert finished.returncode in {0, 1, 5}
        document = json.loads((project.folder / f"{part}.json").read_bytes())
        parts.append(ids(document))
    assert set().union(*parts) == whole
    assert sum(map(len, parts)) == len(whole)


def test_maxfail_stops_the_run(tmp_path: Path) -> None:
    files = {f"tests/test_{name}.py": "def test_x():\n    assert False\n" for name in "abcd"}
    project = Project(tmp_path / "project", "pytest_green", files)
    file = project.folder / "report.json"
    finished = project.run("run", "--workers=1", "--maxfail=2", f"--report={file}")
    assert finished.returncode == 1
    summary = json.loads(file.read_bytes())["summary"]
    assert summary["cancelled"] == "maxfail"
    assert summary["outcomes"]["failed"] == 2
    assert summary["statuses"]["not-run"] > 0


def test_exitfirst_stops_inside_of_a_module(small: Project) -> None:
    report = small.report("-x", "tests/test_one.py", code=1)
    outcomes = {test["id"]: test["outcome"] for test in report["tests"]}
    assert outcomes["tests/test_one.py::test_fails"] == "failed"
    assert outcomes.get("tests/test_one.py::test_passes_too", "not-run") == "not-run"


SHAKY = """
import os
def test_shaky():
    try:
        os.mkdir("was_here")
    except FileExistsError:
        return
    raise AssertionError("the first time")
def test_steady():
    pass
"""


def test_a_pass_on_retry_is_flaky(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", "pytest_green", {"tests/test_shaky.py": SHAKY})
    report = project.report("--retries=2", code=0)
    assert report["summary"]["flaky"] == ["tests/test_shaky.py::test_shaky"]
    (module,) = [each for each in report["modules"] if each["path"] == "tests/test_shaky.py"]
    assert module["status"] == "flaky"
    assert module["attempts"] == 2
    attempts = {
        test["id"]: test["attempt"] for test in report["tests"] if "shaky" in test["module"]
    }
    assert attempts == {"tests/test_shaky.py::test_shaky": 2, "tests/test_shaky.py::test_steady": 1}


NAMED = """\
import unittest


class TestNamed(unittest.TestCase):
    def test_one(self):
        pass

    def test_two(self):
        pass


class TestOther(unittest.TestCase):
    def test_three(self):
        pass
"""


@pytest.mark.parametrize(
    ("name", "ran"),
    [
        ("TestNamed", {"TestNamed::test_one", "TestNamed::test_two"}),
        ("TestNamed::test_two", {"TestNamed::test_two"}),
    ],
)
@pytest.mark.parametrize("framework", ["unittest", "pytest"])
def test_tests_by_name(tmp_path: Path, framework: str, name: str, ran: set[str]) -> None:
    files = {"test_named.py": NAMED, "test_besides.py": NAMED}
    project = Project(tmp_path / "project", "pytest_green", files)
    words = (f"--framework={framework}", f"test_named.py::{name}")
    report = project.report(*words, code=0)
    assert {test["id"] for test in report["tests"]} == {f"test_named.py::{each}" for each in ran}


def test_words_for_pytest(small: Project) -> None:
    finished = small.run("run", "tests/test_one.py", "--", "-k", "fails", "-p", "no:randomly")
    assert finished.returncode == 1
    assert "1 failed" in finished.stdout
    assert "passed" not in finished.stdout


# -- what is told ----------------------------------------------------------------------------


def test_stream_of_events(small: Project) -> None:
    finished = small.run("run", "--json", "--workers=2")
    assert finished.returncode == 1
    assert finished.stderr == ""
    decoder = msgspec.json.Decoder(Envelope)
    envelopes = [decoder.decode(line) for line in finished.stdout.splitlines()]
    check(envelopes)
    ends = [json.loads(line)["event"] for line in finished.stdout.splitlines()]
    assert ends[-1]["event"] == "run_finished"
    assert ends[-1]["exit_code"] == 1


def test_report_on_stdout(green: Project) -> None:
    finished = green.run("run", "--report", "-")
    assert finished.returncode == 0
    assert json.loads(finished.stdout)["schema_version"] == 1
    assert "4 passed" in finished.stderr


def test_junit_xml(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", "pytest_telling")
    file = project.folder / "junit.xml"
    assert project.run("run", f"--junit-xml={file}").returncode == 1
    suites = JUnitXml.fromfile(str(file))
    assert suites.tests == 11
    assert suites.failures == 6
    names = {case.name for suite in suites for case in suite}
    assert "test_escapes" in names


def test_rerun_command_of_the_summary_works(small: Project) -> None:
    out = small.run("run").stdout
    (line,) = [line for line in out.splitlines() if "by name: iopio" in line]
    command = line.partition("iopio ")[2].split()
    finished = small.run(*command)
    assert finished.returncode == 1
    assert "1 failed" in finished.stdout


@pytest.mark.parametrize("word", [["-q"], [], ["-v"], ["-vv"]], ids=["-q", "default", "-v", "-vv"])
def test_plain_output_has_no_escape_codes(small: Project, word: list[str]) -> None:
    finished = small.run("run", *word, env={"CI": "true"})
    assert finished.returncode == 1
    assert "\x1b" not in finished.stdout
    assert "\r" not in finished.stdout
    assert finished.stderr == ""
    assert "1 failed" in finished.stdout.splitlines()[-1] or "1 failed" in finished.stdout
    assert ("tests/test_two.py::test_passes" in finished.stdout) == (word == ["-vv"])


def test_color_can_be_asked_for(small: Project) -> None:
    assert "\x1b[" in small.run("run", "--color=always").stdout
    assert "\x1b[" not in small.run("run", "--color=never").stdout


def test_completion_script(small: Project) -> None:
    finished = small.run("run", env={"_IOPIO_COMPLETE": "source_bash"})
    assert finished.returncode == 0
    assert "_IOPIO_COMPLETE=complete_bash" in finished.stdout


# -- on a terminal ---------------------------------------------------------------------------


def on_terminal(project: Project, *words: str) -> tuple[int, str]:
    command = [*sides.script("iopio"), "run", *words]
    return run_on_terminal(command, project.folder, sides.environment({"LANG": "C.UTF-8"}))


def test_terminal_shows_a_bar_and_leaves_a_clean_screen(small: Project) -> None:
    code, written = on_terminal(small)
    assert code == 1
    assert "\x1b[" in written
    # The cursor is hidden for the bar and comes back.
    assert written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l") >= 0
    screen = screen_of(written)
    text = "\n".join(screen)
    assert text.count("FAIL tests/test_one.py::test_fails") >= 1
    assert "1 failed" in text
    assert not [line for line in screen if "0/2" in line or "1/2" in line], screen
    assert screen[-1] == ""
    assert "by name: iopio run tests/test_one.py::test_fails" in text


def test_terminal_in_ci_gets_plain_lines(small: Project) -> None:
    command = [*sides.script("iopio"), "run", "--color=never"]
    env = sides.environment({"CI": "true", "LANG": "C.UTF-8"})
    code, written = run_on_terminal(command, small.folder, env)
    assert code == 1
    assert "\x1b" not in written
    assert "[2/2]" in written


def test_no_color_on_a_terminal(small: Project) -> None:
    command = [*sides.script("iopio"), "run"]
    env = sides.environment({"NO_COLOR": "1", "LANG": "C.UTF-8"})
    code, written = run_on_terminal(command, small.folder, env)
    assert code == 1
    assert "\x1b[3" not in written


# -- interrupts ------------------------------------------------------------------------------

WAITS = """
import os, threading
def test_before():
    pass
def test_waits():
    try:
        open(os.environ["READY"], "w").close()
        threading.Event().wait()
    finally:
        print("torn down")
"""


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
def test_interrupts(tmp_path: Path, number: signal.Signals, code: int) -> None:
    project = Project(tmp_path / "project", "pytest_green", {"tests/test_waits.py": WAITS})
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    report = tmp_path / "report.json"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "iopio_async", "run", "--json", "--workers=2"),
            f"--report={report}",
        ],
        cwd=project.folder,
        env=sides.environment({"READY": str(ready)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Some parents have it ignored, and that would be inherited.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    try:
        # Opens when the test has come to where it waits.
        with open(ready, "rb"):
            process.send_signal(number)
        out, err = process.communicate(timeout=sides.GIVEN_UP_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert process.returncode == code, err.decode()
    assert err == b""
    events = [json.loads(line)["event"] for line in out.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds.count("cancellation_started") == 1
    assert events[-1] == {**events[-1], "event": "run_finished", "exit_code": code}
    document = json.loads(report.read_bytes())
    outcomes = {test["id"]: test["outcome"] for test in document["tests"]}
    assert outcomes["tests/test_waits.py::test_before"] == "passed"
    assert outcomes["tests/test_waits.py::test_waits"] == "not-run"
    assert document["summary"]["exit_code"] == code
