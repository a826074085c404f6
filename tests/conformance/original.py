"""Projects that are written as the original's documentation has it, and run as it says.

Every script is a process of its own, in a folder of its own, as a person would start it.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What scripts begin with.
RUN = "from test_optimization import run_tests_with_optimization as run\n"
RUNNER = "from test_optimization import OptimizedTestRunner, TestResultCache\n"
PASSES = "def test_one(): assert 1\ndef test_two(): assert 2\n"

#: What a script ends with, so that what it got can be looked at.
TELL = "\nimport json as _json\nprint('RESULTS ' + _json.dumps(results))\n"


@dataclass(frozen=True)
class Said:
    """What a process said, and its exit code."""

    code: int
    stdout: str
    stderr: str

    @property
    def results(self) -> dict[str, Any]:
        """The results that the script told by its end."""
        line = next(line for line in self.stdout.splitlines() if line.startswith("RESULTS "))
        found = json.loads(line.removeprefix("RESULTS "))
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True)
class Project:
    """A project on disk."""

    root: Path

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def python(self, *arguments: str, **variables: str) -> Said:
        """Run the interpreter in the project."""
        environment = {
            name: value
            for name, value in os.environ.items()
            # With IOPIO_START_METHOD all of these tests can be had under either start method.
            if not name.startswith(("IOPIO_", "PYTEST_", "COV_")) or name == "IOPIO_START_METHOD"
        }
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def script(self, text: str, **variables: str) -> Said:
        """Run a script in the project that has to end well."""
        self.write("script.py", text)
        said = self.python("script.py", **variables)
        assert said.code == 0, said.stderr
        return said

    def results(self, text: str, **variables: str) -> dict[str, Any]:
        """The ``results`` that a script is left with."""
        return self.script(text + TELL, **variables).results

    def command(self, *arguments: str) -> Said:
        """Run the original's command."""
        return self.python("-m", "optimized_test_runner", *arguments)
