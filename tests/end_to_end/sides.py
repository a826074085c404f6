"""Runs a case twice: by plain ``pytest`` and by ``iopio run``, each in a copy of its project.

Both sides come down to the same values (:class:`Side`): the outcome of each node id, in the words
of iopio's report, as often as it was told, and the exit code. Plain pytest is watched by the small
plugin in ``recording/``, whose rows :func:`fold` turns into outcomes by rules of its own: the
adapter in iopio is what is being tested.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROJECTS = Path(__file__).resolve().parents[1] / "fixture_projects"
RECORDING = Path(__file__).resolve().with_name("recording")

#: No run of these takes longer, on however busy a machine.
GIVEN_UP_S = 120.0

#: (phase, outcome, has an expected failure to do with it) → what a report says of its test.
MEANINGS = {
    ("collect", "failed", False): "error",
    ("collect", "skipped", False): "skipped",
    ("setup", "failed", False): "error",
    ("setup", "skipped", False): "skipped",
    ("setup", "skipped", True): "xfailed",
    ("call", "passed", False): "passed",
    ("call", "passed", True): "xpassed",
    ("call", "failed", False): "failed",
    ("call", "failed", True): "failed",
    ("call", "skipped", False): "skipped",
    ("call", "skipped", True): "xfailed",
    ("teardown", "failed", False): "error",
    ("teardown", "skipped", False): "skipped",
    ("subtest", "failed", False): "failed",
}

#: What a test comes to that its reports say several things of: the first of these.
PRECEDENCE = ("failed", "error", "skipped", "xfailed", "xpassed", "passed")


@dataclass(frozen=True, kw_only=True)
class Side:
    """What one side came to. ``outcomes`` holds a list an id, since ids need not be unique."""

    code: int
    outcomes: dict[str, list[str]]
    output: str = ""
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def flat(self) -> dict[str, str]:
        """The outcomes, those of the same id joined."""
        return {node: " ".join(found) for node, found in self.outcomes.items()}

    def test(self, node: str) -> dict[str, Any]:
        """The report's row of a test (iopio's side only)."""
        found: dict[str, Any] = next(row for row in self.report["tests"] if row["id"] == node)
        return found

    def module(self, path: str) -> dict[str, Any]:
        """The report's row of a module (iopio's side only)."""
        found: dict[str, Any] = next(row for row in self.report["modules"] if row["path"] == path)
        return found


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would change what runs."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("IOPIO", "PYTEST", "_IOPIO", "COV_", "COVERAGE"))
        and name not in {"CI", "GITHUB_ACTIONS", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "PYTHONPATH"}
    }
    # Which plugins happen to be installed beside pytest must not matter.
    kept["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    kept["PYTHONHASHSEED"] = "0"
    kept["PYTHONDONTWRITEBYTECODE"] = "1"
    return kept | dict(extra or {})


def lay_out(case: Any, folder: Path) -> Path:
    """Copy a case's project to ``folder``, with the case's own files over it."""
    shutil.copytree(PROJECTS / case.project, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def script(name: str) -> list[str]:
    """The command as it is installed beside this interpreter, or what comes closest to it."""
    installed = Path(sys.executable).with_name(name)
    if installed.exists():
        return [str(installed)]
    return [sys.executable, "-P", "-m", {"iopio": "iopio_async"}.get(name, name)]


def run_plain(case: Any, folder: Path) -> Side:
    """Run plain pytest over a case's project, which is laid out in ``folder``."""
    record = folder.with_name(f"{folder.name}.record")
    finished = subprocess.run(
        [*script("pytest"), "-p", "plain_recorder", *case.options, *case.paths],
        cwd=folder / case.cwd,
        env=environment({**case.env, "PYTHONPATH": str(RECORDING), "PLAIN_RECORD": str(record)}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=GIVEN_UP_S,
        check=False,
    )
    rows = json.loads(record.read_bytes()) if record.exists() else []
    output = (finished.stdout + finished.stderr).decode("utf-8", "replace")
    return Side(code=finished.returncode, outcomes=fold(rows), output=output)


def run_iopio(case: Any, folder: Path, *more: str) -> Side:
    """Run iopio over a case's project, which is laid out in ``folder``."""
    report = folder.with_name(f"{folder.name}.report")
    if case.own is not None:
        options, for_pytest = case.own, ()
    else:
        options, for_pytest = (), ("--", *case.options) if case.options else ()
    finished = subprocess.run(
        [
            *script("iopio"),
            "run",
            "--workers=2",
            f"--report={report}",
            *more,
            *options,
            *case.paths,
            *for_pytest,
        ],
        cwd=folder / case.cwd,
        env=environment(case.env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=GIVEN_UP_S,
        check=False,
    )
    output = (finished.stdout + finished.stderr).decode("utf-8", "replace")
    document = json.loads(report.read_bytes()) if report.exists() else {"tests": [], "modules": []}
    outcomes: dict[str, list[str]] = {}
    for row in document["tests"]:
        outcomes.setdefault(row["id"], []).append(row["outcome"])
    return Side(code=finished.returncode, outcomes=outcomes, output=output, report=document)


def fold(rows: Iterable[list[Any]]) -> dict[str, list[str]]:
    """The recorder's rows (id, phase, outcome, is expected) as outcomes.

    A test begins anew with each set-up; where a plugin announces that it runs a test again, what
    was said of it before is forgotten.
    """
    outcomes: dict[str, list[str]] = {}
    for node, series in _series(rows):
        said = [meaning for row in series if (meaning := MEANINGS.get(tuple(row))) is not None]
        found = next((word for word in PRECEDENCE if word in said), None)
        if found is not None:
            outcomes.setdefault(node, []).append(found)
    return outcomes


def _series(rows: Iterable[list[Any]]) -> Iterator[tuple[str, list[list[Any]]]]:
    """The rows of each run of a test, in the order in which they ended."""
    open_series: dict[str, list[list[Any]]] = {}
    for node, *row in rows:
        phase, outcome, _ = row
        if phase == "collect":
            yield node, [row]
            continue
        series = open_series.setdefault(node, [])
        if outcome == "rerun":
            series.clear()
            series.append(row)
        elif phase == "setup" and series and series[-1][1] == "rerun":
            series[:] = [row]
        else:
            series.append(row)
        if phase == "teardown" and not any(row[1] == "rerun" for row in series):
            yield node, open_series.pop(node)
    yield from open_series.items()
