"""Coverage that is measured in many processes: the same figures as pytest-cov's in one."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from end_to_end import sides

import iopio_async

pytest.importorskip("pytest_cov")

METHODS = ("spawn", "forkserver")

FILES = {
    "pyproject.toml": """\
[tool.pytest.ini_options]
pythonpath = ["."]
[tool.coverage.run]
branch = true
parallel = true
patch = ["subprocess"]
""",
    "product/__init__.py": "from product.early import ready\n",
    "product/early.py": "def ready():\n    return True\ndef never():\n    return False\n",
    "product/sign.py": """\
def sign(number):
    if number > 0:
        return "+"
    elif number < 0:
        return "-"
    return "0"
""",
    "product/unused.py": "def unused():\n    return 1\n",
    "product/program.py": "import sys\nif len(sys.argv) > 1:\n    print(1)\nelse:\n    print(0)\n",
    "tests/conftest.py": """\
import os
assert "COVERAGE_FILE" not in os.environ
import product.early
""",
    "tests/test_plus.py": """\
from product.sign import sign
def test_plus():
    assert sign(1) == "+"
""",
    "tests/test_minus.py": """\
import os
from product.sign import sign
def test_minus():
    assert "COVERAGE_FILE" not in os.environ
    assert sign(-1) == "-"
""",
    "tests/test_imports_nothing.py": "def test_nothing():\n    pass\n",
    "tests/test_program.py": """\
import subprocess, sys
def test_program():
    subprocess.run([sys.executable, "-m", "product.program"], check=True)
""",
}


class Project:
    """A project, and both ways to measure it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        home = str(Path(iopio_async.__file__).parents[1])
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.folder,
            env=sides.environment(
                {
                    "COLUMNS": "100",
                    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                    "PYTHONPATH": home,
                }
            ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=sides.GIVEN_UP_S,
            check=False,
        )

    def pytest(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self._run("pytest", "-p", "pytest_cov", *options)

    def iopio(self, method: str, *options: str) -> subprocess.CompletedProcess[str]:
        return self._run(
            "iopio_async",
            "run",
            "--json",
            "--workers=2",
            f"--start-method={method}",
            "--",
            "-p",
            "pytest_cov",
            *options,
        )

    def figures(self) -> dict[str, Any]:
        """What the JSON report says, its date and versions apart."""
        file = self.folder / "coverage.json"
        report: dict[str, Any] = json.loads(file.read_bytes())
        file.unlink()
        return {name: report[name] for name in ("files", "totals")}

    def data_files(self) -> list[str]:
        return sorted(name for name in os.listdir(self.folder) if name.startswith(".coverage"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def _reports(stdout: str) -> str:
    """What a run says beside its events: the text of its coverage reports."""
    events = [json.loads(line)["event"] for line in stdout.splitlines()]
    return "".join(event["message"] for event in events if event.get("category") == "iopio-report")


def _warnings(stdout: str) -> list[str]:
    events = [json.loads(line)["event"] for line in stdout.splitlines()]
    return [event["message"] for event in events if event["event"] == "warning_issued"]


def _table(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(("product/", "TOTAL", "Name"))]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_figures_equal_those_of_one_process(project: Project, method: str) -> None:
    options = ("--cov=product", "--cov-report=json", "--cov-report=term-missing")
    plain = project.pytest(*options)
    assert plain.returncode == 0, plain.stdout
    expected, files = project.figures(), project.data_files()
    # What an earlier run has covered does not count.
    project.write("tests/test_plus.py", "def test_plus():\n    pass\n")
    project.pytest(*options)
    assert project.figures() != expected
    project.write("tests/test_plus.py", FILES["tests/test_plus.py"])

    ours = project.iopio(method, *options)
    assert ours.returncode == 0, ours.stdout + ours.stderr
    assert project.figures() == expected
    assert project.data_files() == files == [".coverage"]
    assert _table(_reports(ours.stdout)) == _table(plain.stdout) != []
    # No process complains of what others cover.
    assert [text for text in _warnings(ours.stdout) if "never imported" in text] == []


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_too_little_coverage_fails_the_run(project: Project, method: str) -> None:
    options = ("--cov=product", "--cov-report=")
    enough = project.iopio(method, *options, "--cov-fail-under=10")
    assert enough.returncode == 0
    assert "required coverage of 10 % reached" in _reports(enough.stdout)
    project.write("strict.ini", "[run]\nbranch = true\n[report]\nfail_under = 99\n")
    too_little = project.iopio(method, *options, "--cov-config=strict.ini")
    assert too_little.returncode == 1
    assert "required coverage of 99" in _reports(too_little.stdout)
    assert "not reached" in _reports(too_little.stdout)
    last = json.loads(too_little.stdout.splitlines()[-1])["event"]
    assert (last["event"], last["exit_code"]) == ("run_finished", 1)


@pytest.mark.slow
def test_what_was_asked_not_to_be_reported_is_not(project: Project) -> None:
    project.write("tests/test_fails.py", "def test_fails():\n    assert False\n")
    words = ("--cov=product", "--cov-report=json")
    quiet = project.iopio("forkserver", *words, "--no-cov-on-fail", "--cov-fail-under=99")
    assert quiet.returncode == 1
    assert _reports(quiet.stdout) == ""
    assert not (project.folder / "coverage.json").exists()
    off = project.iopio("forkserver", *words, "--no-cov")
    assert _reports(off.stdout) == ""
    told = project.iopio("forkserver", *words)
    assert "coverage.json" in _reports(told.stdout)


@pytest.mark.slow
def test_appends_to_earlier_data_and_keeps_contexts(project: Project) -> None:
    words = ("--cov=product", "--cov-report=json", "--cov-context=test")
    project.pytest(*words)
    expected = project.figures()
    assert project.iopio("spawn", *words, "tests/test_plus.py").returncode == 0
    assert project.figures() != expected
    others = [name for name in FILES if "/test_" in name and "plus" not in name]
    assert project.iopio("forkserver", "--cov-append", *words, *others).returncode == 0
    assert project.figures() == expected
    with sqlite3.connect(project.folder / ".coverage") as data:
        contexts = {row[0] for row in data.execute("select context from context")}
    data.close()
    assert {"tests/test_plus.py::test_plus|run", "tests/test_minus.py::test_minus|run"} <= contexts


@pytest.mark.slow
def test_lost_figures_are_told(project: Project) -> None:
    project.write("tests/test_dies.py", "import os\ndef test_dies():\n    os._exit(0)\n")
    run = project.iopio("forkserver", "--cov=product", "--cov-report=json")
    assert run.returncode == 1
    expected = "coverage is too low: tests/test_dies.py ended before telling theirs"
    assert expected in _warnings(run.stdout)
    assert project.figures()["totals"]["covered_lines"] > 0
    project.write("tests/test_dies.py", "def test_lives():\n    pass\n")
    for number in range(3):
        # Of the servers that take the place of a killed one, all know that coverage is measured.
        project.write(
            f"tests/test_kills_{number}.py",
            "import os, signal\n"
            "def test_kills():\n"
            "    parent = os.getppid()\n"
            "    if b'--serve' in open(f'/proc/{parent}/cmdline', 'rb').read().split(b'\\0'):\n"
            "        os.kill(parent, signal.SIGKILL)\n",
        )
    broken = project.iopio("forkserver", "--cov=product", "--cov-report=json:/dev/null/none")
    assert broken.returncode == 0
    assert [text for text in _warnings(broken.stdout) if "can't be put together" in text]
