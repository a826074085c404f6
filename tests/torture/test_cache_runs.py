"""Whole runs over one cache: what changes under them, and many at once (cases 24, 46, 47)."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torture.harness import CONTROL, START_METHODS, Live, Project
from torture.outcome import Outcome
from torture.processes import Gate

pytestmark = pytest.mark.slow

VICTIM = "test_victim.py"

#: What the victim's folder holds from the start.
CONFTEST = """\
def pytest_pycollect_makemodule(module_path):
    if module_path.name == "test_victim.py":
        {ahead}
"""

SOURCE = """\
from helper import VALUE


def test_it():
    {during}
    assert VALUE in (1, 2)
"""

HELPER = "VALUE = 1\n"

Gates = Callable[[str], Gate]


@pytest.fixture(params=START_METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def source_of(outcome: Outcome, path: str) -> str:
    """Where a module's result came from."""
    (event,) = outcome.of("module_finished", module=path)
    return str(event.get("source", "executed"))


def command(project: Project, *words: str) -> Outcome:
    """Another command than ``run``."""
    with Live(project, words, program=("-m", "iopio_async")) as live:
        return live.rest()


def check_cache(project: Project) -> None:
    """Nothing in the cache is damaged."""
    verified = command(project, "cache", "verify")
    assert verified.code == 0, verified.stdout
    assert b"all in order" in verified.stdout


def why(project: Project, path: str) -> str:
    """What is said of a module."""
    return command(project, "why", path).stdout.decode()


# 24


def test_a_module_that_deletes_its_source(project: Project, method: str) -> None:
    source = "import os\ndef test_it():\n    os.unlink(__file__)\ndef test_other():\n    pass\n"
    for _ in range(2):
        project.write("alone/test_deletes.py", source)
        outcome = project.run("--start-method", method, code=0)
        assert outcome.module("alone/test_deletes.py").tests == {
            "test_it": "passed",
            "test_other": "passed",
        }
        assert source_of(outcome, "alone/test_deletes.py") == "executed"
    assert source_of(outcome, CONTROL) == "local_cache"
    project.write("alone/test_deletes.py", source)
    assert "alone/test_deletes.py: not cacheable: " in why(project, "alone/test_deletes.py")
    check_cache(project)


# 46


def rewrite(path: Path, text: str) -> None:
    """New content of the same size, and all the same times that can be set."""
    before = path.stat()
    assert len(text) == before.st_size
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def edit(project: Project) -> None:
    (project.root / "helper.py").write_text("VALUE = 2  # edited\n")


def edit_unseen(project: Project) -> None:
    rewrite(project.root / "helper.py", "VALUE = 2\n")


def edit_and_revert(project: Project) -> None:
    edit_unseen(project)
    rewrite(project.root / "helper.py", HELPER)


def replace_and_revert(project: Project) -> None:
    helper, aside = project.root / "helper.py", project.root / "aside"
    helper.rename(aside)
    helper.write_text("VALUE = 2\n")
    helper.unlink()
    aside.rename(helper)


def edit_own_file(project: Project) -> None:
    victim = project.root / VICTIM
    victim.write_text(f"{victim.read_text()}\n# edited\n")


def add_conftest_beside(project: Project) -> None:
    conftest = project.root / "conftest.py"
    conftest.write_text(f"{conftest.read_text()}\n# edited\n")


EDITS = (edit, edit_unseen, edit_and_revert, replace_and_revert, edit_own_file, add_conftest_beside)


def play(
    project: Project, gates: Gates, method: str, moment: str, change: Callable[[Project], None]
) -> Outcome:
    """A run in which ``change`` happens ahead of the victim's import, or during its test."""
    # Where tests wait is told to be no input of theirs.
    project.write("pyproject.toml", "[tool.iopio.cache]\nignore = ['gates']\n")
    project.root.joinpath("gates").mkdir()
    gate = gates("project/gates/gate")
    project.write("conftest.py", CONFTEST.format(ahead=gate.wait if moment == "ahead" else "pass"))
    project.write(VICTIM, SOURCE.format(during=gate.wait if moment == "during" else "pass"))
    project.write("helper.py", HELPER)
    with project.start("--start-method", method, "--", "-o", "pythonpath=.") as live:
        live.until("attempt_started" if moment == "ahead" else "test_started", module=VICTIM)
        change(project)
        gate.open()
        outcome = live.rest()
    project.check(outcome, code=0)
    gate.open()
    return outcome


@pytest.mark.parametrize("change", EDITS)
@pytest.mark.parametrize("moment", ["ahead", "during"])
def test_an_edit_while_it_runs_is_not_kept(
    project: Project, gates: Gates, method: str, moment: str, change: Callable[[Project], None]
) -> None:
    outcome = play(project, gates, method, moment, change)
    assert source_of(outcome, VICTIM) == "executed"
    assert [each for each in outcome.warnings if "changed while tests ran" in each], (
        outcome.warnings
    )
    said = why(project, VICTIM)
    assert "not cacheable: " in said
    assert "changed while tests ran" in said
    again = project.run("--start-method", method, "--", "-o", "pythonpath=.", code=0)
    assert source_of(again, VICTIM) == "executed", "stale"
    check_cache(project)


@pytest.mark.parametrize("moment", ["ahead", "during"])
def test_without_an_edit_it_is_kept(
    project: Project, gates: Gates, method: str, moment: str
) -> None:
    outcome = play(project, gates, method, moment, lambda _: None)
    assert not outcome.warnings
    again = project.run("--start-method", method, "--", "-o", "pythonpath=.", code=0)
    assert source_of(again, VICTIM) == "local_cache"


# 47


def test_eight_runs_over_one_cache(project: Project, method: str) -> None:
    for number in range(4):
        project.write(f"test_{number}.py", f"def test_it():\n    assert {number} < 4\n")
    with contextlib.ExitStack() as stack:
        live: list[Any] = [
            stack.enter_context(project.start("--start-method", method)) for _ in range(8)
        ]
        outcomes = [each.rest() for each in live]
    for outcome in outcomes:
        project.check(outcome, code=0, timeout_s=60.0)
        assert outcome.warnings == []
        assert outcome.verdicts == outcomes[0].verdicts
    check_cache(project)
    last = project.run("--start-method", method, code=0)
    assert {source_of(last, path) for path in last.verdicts} == {"local_cache"}
    assert last.verdicts == outcomes[0].verdicts
