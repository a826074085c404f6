"""``iopio why``: which input changed, in words and as JSON."""

import json
import re
import sys
from pathlib import Path

import pytest
from end_to_end.cached import CACHED, COLOUR, DOUBLE, EXECUTED, FILES, Project, of_all

#: Below, a source file is taken as a whole.
SEES_FUNCTIONS = sys.version_info >= (3, 12)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that was run, for who only looks."""
    project = Project(tmp_path_factory.mktemp("settled"))
    assert of_all(project.sources()) == EXECUTED
    return project


def test_why_of_a_hit(settled: Project) -> None:
    first, passed, holds = settled.why(COLOUR).splitlines()
    assert first == f"{COLOUR}: hit: nothing that it read has changed"
    assert re.fullmatch(r"  passed .+ ago in \d.*", passed)
    assert re.fullmatch(r"  holds for \d+ h .* more, inputs are precise", holds)


def test_why_of_all_and_of_a_folder(settled: Project) -> None:
    for words in ((), ("tests",), (DOUBLE, COLOUR)):
        heads = [line for line in settled.why(*words).splitlines() if not line.startswith(" ")]
        assert sorted(heads) == [
            f"{path}: hit: nothing that it read has changed" for path in (COLOUR, DOUBLE)
        ]


def test_why_as_json(settled: Project) -> None:
    (row,) = map(json.loads, settled.why(COLOUR, "--json").splitlines())
    assert (row["module"], row["hit"], row["level"]) == (COLOUR, True, "precise")
    assert row["executed_at_s"] < row["expires_at_s"]


def test_why_of_what_is_no_module(settled: Project) -> None:
    ended = settled.call("why", "tests/test_none.py")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "no such test module: tests/test_none.py" in ended.stderr


def test_why_changes_nothing(settled: Project) -> None:
    def state() -> dict[str, int]:
        return {
            str(file): file.stat().st_mtime_ns
            for file in (settled.cache / "v1").rglob("*")
            if file.is_file() and file.name not in {"digests", "scopes", "index"}
        }

    before = state()
    settled.why()
    assert state() == before


def test_why_before_any_run(project: Project) -> None:
    assert project.why(COLOUR) == f"{COLOUR}: miss: it has not been run in this way before\n"


CHANGES: dict[str, tuple[str, str, str, str]] = {
    "function": (
        "product.py",
        "def double(number):\n    return number + number\n\n\ndef triple(number):\n    return 3\n",
        DOUBLE,
        r"miss: product\.py: function double changed",
    ),
    "top level": (
        "product.py",
        "CONSTANT = 1\n\n\ndef double(number):\n    return 2 * number\n",
        DOUBLE,
        r"miss: product\.py: its top level changed",
    ),
    "conftest": ("tests/conftest.py", "", COLOUR, r"miss: new file tests/conftest\.py"),
    "root conftest": ("conftest.py", "", COLOUR, r"miss: new file conftest\.py"),
    "own file": (
        COLOUR,
        "def test_colour():\n    pass\n",
        COLOUR,
        r"miss: tests/test_colour\.py(: its top level)? changed",
    ),
    "settings": (
        "pytest.ini",
        f"{FILES['pytest.ini']}markers = x: y\n",
        COLOUR,
        r"miss: pytest\.ini changed",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_why_tells_what_changed(project: Project, name: str) -> None:
    file, text, module, expected = CHANGES[name]
    if not SEES_FUNCTIONS and file == "product.py":
        expected = r"miss: product\.py changed"
    project.run()
    project.write(file, text)
    first, *details = project.why(module).splitlines()
    assert re.fullmatch(f"{re.escape(module)}: {expected}", first)
    assert re.fullmatch(r"  was \w+, is \w+", details[0])
    (row,) = map(json.loads, project.why(module, "--json").splitlines())
    assert row["hit"] is False
    assert first == f"{module}: {row['reason']}"
    assert row["change"]["told"] in first
    assert project.sources()[module] == EXECUTED


@pytest.mark.slow
def test_an_edit_runs_only_what_it_can_reach(project: Project) -> None:
    project.run()
    project.write("product.py", f"{FILES['product.py']}\n# the end\n")
    assert project.sources() == {COLOUR: CACHED, DOUBLE: CACHED if SEES_FUNCTIONS else EXECUTED}
    project.write("product.py", FILES["product.py"].replace("3 * number", "number * 3"))
    assert project.sources() == {COLOUR: CACHED, DOUBLE: CACHED if SEES_FUNCTIONS else EXECUTED}


def test_why_of_an_environment_variable(project: Project) -> None:
    project.run()
    project.env["COLOUR"] = "blue"
    assert "miss: environment variable COLOUR is set now\n" in project.why(COLOUR)
    assert ": hit:" in project.why(DOUBLE)
    assert project.sources() == {COLOUR: EXECUTED, DOUBLE: CACHED}
    project.env["COLOUR"] = "green"
    assert "miss: environment variable COLOUR changed\n" in project.why(COLOUR)
    del project.env["COLOUR"]
    # What was stored without it holds again.
    assert of_all(project.sources()) == CACHED


def test_why_never_tells_a_value_of_the_environment(project: Project) -> None:
    project.env["COLOUR"] = "a-secret-of-mine"
    project.run()
    project.env["COLOUR"] = "another-secret"
    assert "secret" not in project.why(COLOUR) + project.why(COLOUR, "--json")
    kept = b"".join(file.read_bytes() for file in project.cache.rglob("*") if file.is_file())
    assert b"a-secret-of-mine" not in kept


CONNECTS = """\
import socket


def test_connects():
    with socket.socket() as one:
        one.settimeout(0.01)
        try:
            one.connect(("192.0.2.1", 9))
        except OSError:
            pass
"""

MARKED = """\
import pytest

pytestmark = pytest.mark.iopio(cache=False)


def test_marked():
    pass
"""

ONE_MARKED = """\
import pytest


def test_other():
    pass


@pytest.mark.iopio(cache=False)
def test_marked():
    pass
"""

NOT_CACHEABLE = {
    "connects": (CONNECTS, "connects to 192.0.2.1:9 in tests/test_connects.py::test_connects"),
    "marked": (MARKED, "marked cache=False"),
    "one_marked": (ONE_MARKED, "marked cache=False"),
}


@pytest.mark.slow
def test_what_is_not_cacheable_runs_always_and_says_why(project: Project) -> None:
    for name, (text, _) in NOT_CACHEABLE.items():
        project.write(f"tests/test_{name}.py", text)
    project.run()
    sources = project.sources()
    assert (sources[COLOUR], sources[DOUBLE]) == (CACHED, CACHED)
    for name, (_, reason) in NOT_CACHEABLE.items():
        path = f"tests/test_{name}.py"
        assert sources[path] == EXECUTED, name
        said = project.why(path)
        assert said.startswith(f"{path}: not cacheable: "), said
        assert reason in said


@pytest.mark.slow
def test_why_tells_what_could_not_be_followed(project: Project) -> None:
    module = "tests/test_program.py"
    text = "import subprocess\n\n\ndef test_it():\n    subprocess.run(['sed', '--version'])\n"
    project.write(module, text)
    project.run()
    first, *_, last = project.why(module).splitlines()
    assert first == f"{module}: hit: nothing that it read has changed"
    assert re.fullmatch(r"  coarse: .*\bsed\b.*", last)
    project.write("notes.txt", "any file of the project")
    first, *_, last = project.why(module).splitlines()
    assert first == f"{module}: miss: a file of the project changed"
    assert re.fullmatch(r"  coarse: .*\bsed\b.*", last)
    (row,) = map(json.loads, project.why(module, "--json").splitlines())
    assert len(row["coarse"]) == 1
    assert project.sources() == {COLOUR: CACHED, DOUBLE: CACHED, module: EXECUTED}


def test_why_of_what_failed(project: Project) -> None:
    project.write(DOUBLE, FILES[DOUBLE] + "\n\ndef test_fails():\n    raise ValueError\n")
    project.run(code=1)
    words = f"{DOUBLE}: miss: it failed when it was run last, and what fails is run again\n"
    assert project.why(DOUBLE) == words
    (row,) = map(json.loads, project.why(DOUBLE, "--json").splitlines())
    assert row["reason"].startswith("miss: it failed")


def test_a_run_says_why_modules_run_again(project: Project) -> None:
    project.sources()
    source = project.folder / "product.py"
    source.write_text(source.read_text().replace("2 *", "2 * 1 *"))
    reason = "function double changed" if SEES_FUNCTIONS else "changed"
    quiet, detailed = project.call("run", "-k", "x"), project.call("run", "-v")
    assert "run again" not in quiet.stdout
    separator = ": " if SEES_FUNCTIONS else " "
    assert f"\nrun again: {DOUBLE}: product.py{separator}{reason}\n" in detailed.stdout


def test_a_run_of_a_file_and_a_run_of_all_share(project: Project) -> None:
    assert project.sources(DOUBLE) == {DOUBLE: EXECUTED}
    assert project.sources() == {COLOUR: EXECUTED, DOUBLE: CACHED}
    assert project.sources(f"./{COLOUR}") == {COLOUR: CACHED}
    assert project.sources(f"{DOUBLE}::test_more") == {DOUBLE: EXECUTED}
