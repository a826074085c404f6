"""The whole comparison on a small tree: a real pytest, and a stand-in for iopio."""

import json
import sys
from pathlib import Path

import parity
import pytest
from commands import Target
from outcomes import Node
from suites import SuiteError

TESTS = {
    "test_a.py": "import sys\ndef test_first():\n    sys.leftover = 1\ndef test_second(): pass\n",
    # Passes after test_a only: isolation itself changes the outcome.
    "test_b.py": "import sys\ndef test_leans_on_a():\n    assert sys.leftover\n",
    "test_broken.py": "import nowhere_to_be_found\n",
    "test_whole.py": "import pytest\npytest.skip('all of it', allow_module_level=True)\n",
}
HONEST = {
    "test_a.py::test_first": "passed",
    "test_a.py::test_second": "passed",
    "test_b.py::test_leans_on_a": "failed",
    "test_broken.py": "error",
    "test_whole.py": "skipped",
}

STAND_IN = """#!{python}
import json, pathlib, sys
arguments = sys.argv[1:]
pathlib.Path({arguments!r}).write_text(json.dumps(arguments))
if {document!r} is not None:
    report = arguments[arguments.index("--report") + 1]
    pathlib.Path(report).write_text({document!r})
sys.exit({status})
"""


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    for name, text in TESTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def environment(tmp_path):
    """A folder of commands: an interpreter with pytest, and an iopio to be defined by the test."""
    folder = tmp_path / "environment"
    folder.mkdir()
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    return folder


def stand_in(environment: Path, outcomes: dict[str, str] | None, status: int = 1) -> Path:
    document = None
    if outcomes is not None:
        tests = [{"id": node_id, "outcome": word} for node_id, word in outcomes.items()]
        document = json.dumps({"schema_version": 1, "tests": tests, "modules": []})
    command = environment / "iopio"
    log = environment / "arguments.json"
    text = STAND_IN.format(
        python=sys.executable, arguments=str(log), document=document, status=status
    )
    command.write_text(text, encoding="utf-8")
    command.chmod(0o755)
    return log


def run(tree: Path, environment: Path, *more: str) -> int:
    where = ["--tree", str(tree), "--python", str(environment / "python")]
    return parity.main([*where, "--workers", "2", "--repeat", "1", *more])


@pytest.mark.slow
def test_a_difference_by_isolation_alone_is_named_and_proven(tree, environment, capsys):
    log = stand_in(environment, HONEST)
    assert run(tree, environment, "--start-method", "spawn", "--args=-rN") == 0
    shown = capsys.readouterr().out
    assert "5 nodes, 4 equal, 1 isolation, 0 unstable, 0 DIFFERS" in shown
    assert "isolation: proven by `pytest test_b.py` for 1 nodes" in shown
    assert "test_b.py::test_leans_on_a: pytest passed, iopio failed" in shown
    arguments = json.loads(log.read_text(encoding="utf-8"))
    assert arguments[:5] == ["run", "--workers", "2", "--start-method", "spawn"]
    assert arguments[-2:] == ["--", "-rN"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"test_a.py::test_first": "failed"}, "test_a.py::test_first: pytest passed, iopio failed"),
        ({"test_a.py::test_new": "passed"}, "test_a.py::test_new: pytest absent, iopio passed"),
        ({"test_broken.py": None}, "test_broken.py: pytest error, iopio absent"),
    ],
)
def test_any_other_difference_fails_the_comparison(tree, environment, capsys, changes, line):
    outcomes = {k: v for k, v in {**HONEST, **changes}.items() if v}
    stand_in(environment, outcomes)
    assert run(tree, environment) == 1
    assert f"DIFFERS: {line}\n" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ((None, 3), "no report from iopio, exit status 3"),
        ((HONEST, 3), "iopio ended with exit status 3"),
        ((HONEST, 0), "exit status 0 contradicts its own report"),
    ],
)
def test_a_broken_run_fails_the_comparison(tree, environment, capsys, broken, line):
    stand_in(environment, *broken)
    assert run(tree, environment) == 1
    assert line in capsys.readouterr().out


@pytest.mark.slow
def test_kept_reports_lie_in_the_folder(tree, environment, tmp_path, capsys):
    stand_in(environment, HONEST)
    assert run(tree, environment, "--keep", str(tmp_path / "kept")) == 0
    names = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert names == ["tree-2.json", "tree-2.log"]
    assert "4 equal" in capsys.readouterr().out


def test_an_environment_without_iopio_is_a_wrong_request(tree, environment, capsys):
    assert run(tree, environment) == 2
    assert "no iopio in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a suite"),
        (["clock"], "unknown suite 'clock'"),
        (["click", "--tree", "."], "--tree stands alone"),
        (["--tree", "/no/such/folder"], "no such folder"),
        (["click", "--workers", "two"], "invalid literal"),
    ],
)
def test_wrong_requests_exit_2(tmp_path, capsys, arguments, message):
    assert parity.main([*arguments, "--into", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_a_tree_that_pytest_cannot_run_is_an_error(tmp_path, environment):
    (tmp_path / "empty").mkdir()
    broken = environment / "python"
    broken.write_text("#!/bin/sh\nexit 7\n", encoding="utf-8")
    plain = parity.Plain(Target("empty", tmp_path / "empty", broken, ()), 60.0)
    with pytest.raises(SuiteError, match="left no record"):
        plain.run_twice()


def test_the_table_has_a_line_a_run():
    row = parity.Row("a", 2, 1, 10, 9, (), ("x",), (), 1.0, 0.5, "0/0")
    lines = parity.table([row, row]).splitlines()
    assert len(lines) == 3
    assert lines[1].split() == ["a", "2", "1", "10", "9", "0", "1", "0", "1.0", "0.5"]
    assert Node("passed").times == 1
