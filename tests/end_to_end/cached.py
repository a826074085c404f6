"""A small project whose results are recalled, and ways to run commands in it and look at them.

Every run is a process of its own, as a person would start it; what it says is read from its report.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from end_to_end import sides

FILES = {
    "pytest.ini": "[pytest]\npythonpath = .\ntestpaths = tests\n",
    "product.py": """\
def double(number):
    return 2 * number


def triple(number):
    return 3 * number
""",
    "tests/test_colour.py": """\
import os


def test_colour():
    assert os.environ.get("COLOUR", "red") != "black"
""",
    "tests/test_double.py": """\
from product import double


def test_double():
    assert double(2) == 4


def test_more():
    assert double(3) == 6
""",
}

COLOUR, DOUBLE = "tests/test_colour.py", "tests/test_double.py"

EXECUTED, CACHED = "executed", "local_cache"


@dataclass(frozen=True)
class Ran:
    """A run that is over; ``sources`` says of each module whether it was executed."""

    code: int
    stdout: str
    stderr: str
    report: dict[str, Any]

    @property
    def sources(self) -> dict[str, str]:
        return {module["path"]: module["source"] for module in self.report["modules"]}

    @property
    def outcomes(self) -> dict[str, str]:
        return {test["id"]: test["outcome"] for test in self.report["tests"]}

    def told(self, text: str) -> int:
        """How many lines of what was said hold this text."""
        return sum(text in line for line in (self.stdout + self.stderr).splitlines())


class Project:
    """A project in a folder of its own, and its environment."""

    def __init__(self, folder: Path, files: Mapping[str, str] = FILES) -> None:
        self.folder = folder / "project"
        self.report = folder / "report.json"
        self.env: dict[str, str] = {}
        self.folder.mkdir()
        for name, text in files.items():
            self.write(name, text)

    @property
    def cache(self) -> Path:
        return self.folder / ".test_cache"

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def call(self, *words: str, cwd: str = "") -> subprocess.CompletedProcess[str]:
        """A command, to its end."""
        with self.start(*words, cwd=cwd) as process:
            stdout, stderr = process.communicate(timeout=sides.GIVEN_UP_S)
        assert "Traceback" not in stderr, stderr
        return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)

    def start(self, *words: str, cwd: str = "", options: tuple[str, ...] = ()) -> Any:
        """Start a command; ``options`` are the interpreter's."""
        return subprocess.Popen(
            [sys.executable, *options, "-P", "-m", "iopio_async", *words],
            cwd=self.folder / cwd,
            env=sides.environment({"COLUMNS": "100", **self.env}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, code: int = 0) -> Ran:
        """``iopio run`` with a report; what it said and came to."""
        self.report.unlink(missing_ok=True)
        split = words.index("--") if "--" in words else len(words)
        reported = (*words[:split], f"--report={self.report}", *words[split:])
        ended = self.call("run", "--workers=2", *reported)
        assert ended.returncode == code, ended.stdout + ended.stderr
        return Ran(
            ended.returncode, ended.stdout, ended.stderr, json.loads(self.report.read_bytes())
        )

    def sources(self, *words: str, code: int = 0) -> dict[str, str]:
        """``iopio run`` with a report; where each module's result came from."""
        return self.run(*words, code=code).sources

    def why(self, *words: str) -> str:
        """What ``iopio why`` prints."""
        ended = self.call("why", *words)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def wait_until(self, moment_s: float) -> None:
        """Have commands run, as time passes, until the clock says that."""
        while time.time() < moment_s:
            assert self.call("cache", "path").returncode == 0

    def stored(self) -> list[str]:
        """The names of all entries and blobs."""
        version = self.cache / "v1"
        files = [*version.glob("ac/*/*"), *version.glob("cas/*/*")]
        return sorted(file.name for file in files if not file.name.startswith("."))


def of_all(sources: Mapping[str, str]) -> str:
    """Where all modules' results came from; several of them joined."""
    return " and ".join(sorted(set(sources.values())))
