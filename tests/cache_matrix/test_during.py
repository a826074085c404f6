"""An edit while a module runs: its result must not be stored, whatever the module has read of it.

Each module waits at a gate: a pipe with a name in its private temporary folder, which nobody takes
for an input. The edit happens while it waits, so before it ends and after it began.
"""

import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
from cache_matrix.mutations import Delete, Link, Mutation, Rename, Rewrite, Swap, Write
from cache_matrix.row import Row
from cache_matrix.world import (
    CACHED,
    EXECUTED,
    START_METHODS,
    Outcomes,
    Ran,
    World,
    by_module,
    read_report,
)

#: Ahead of each test: ``wait`` comes back when the gate is opened from outside.
GATE = """\
import tempfile
def wait():
    if "NO_GATES" in os.environ:
        return
    gate = os.path.join(tempfile.gettempdir(), "gate-ROW")
    os.mkfifo(gate + "~")
    os.rename(gate + "~", gate)
    with open(gate) as opened:
        opened.read()
"""


#: A test that does not come to its gate in this time has failed.
GATE_S = 5.0


@dataclass(frozen=True)
class Case:
    """What a test does ahead of the gate and behind it, and what happens while it waits there."""

    ahead: str
    edits: tuple[Mutation, ...]
    behind: str = "pass"
    #: What happens after the run: without it, the edit's own result is what counts.
    later: tuple[Mutation, ...] = ()


READS = "assert DATA.read_text() in ('one', 'two')"

CASES = {
    "content": Case("assert DATA.read_text() == 'one'", (Write("data.txt", "two"),)),
    "same_size_same_mtime": Case("assert DATA.read_text() == 'one'", (Rewrite("data.txt", "two"),)),
    "swapped": Case("assert DATA.read_text() == 'one'", (Swap("data.txt", "two"),)),
    "deleted": Case("assert DATA.read_text() == 'one'", (Delete("data.txt"),)),
    "read_after_the_edit": Case(
        "pass",
        (Write("data.txt", "two"),),
        "assert DATA.read_text() == 'two'",
        (Write("data.txt", "one"),),
    ),
    # What was read is not what lies there at the end, which is what lay there at the start.
    "read_between_two_edits": Case(
        "assert DATA.read_text() in ('one', 'two')",
        (Write("data.txt", "two"), Rewrite("data.txt", "one")),
        READS,
        (Write("data.txt", "six"),),
    ),
    "created": Case("assert not (HERE / 'new.txt').exists()", (Write("new.txt", ""),)),
    "listed": Case("assert len(os.listdir(HERE / 'folder')) == 1", (Write("folder/b", ""),)),
    "module": Case(
        "import helper_ROW\n        assert helper_ROW.VALUE == 1",
        (Write("helper_ROW.py", "VALUE = 2\n"),),
    ),
    "function": Case(
        "import helper_ROW\n        assert helper_ROW.look() == 1",
        (Write("helper_ROW.py", "VALUE = 1\ndef look():\n    return 2\n"),),
    ),
    "missing_module": Case(
        "import importlib.util\n        assert importlib.util.find_spec('absent_ROW') is None",
        (Write("absent_ROW.py", ""),),
    ),
    "link": Case("assert open(HERE / 'link').read() == 'one'", (Link("link", "two.txt"),)),
    "folder_exchanged": Case(
        "assert (HERE / 'folder' / 'a').read_text() == ''",
        (Rename("folder", "old"), Rename("other", "folder")),
    ),
    "folder_link": Case(
        "assert open(HERE / 'way' / 'a').read() == ''",
        (Link("way", "other"),),
    ),
    "conftest": Case("pass", (Write("conftest.py", "raise RuntimeError\n"),)),
    "own_file": Case("pass", (Write("test_ROW.py", "def test_other():\n    assert 0\n"),)),
}

FILES = {
    "data.txt": "one",
    "two.txt": "two",
    "folder/a": "",
    "other/a": "x",
    "helper_ROW.py": "VALUE = 1\ndef look():\n    return 1\n",
}


def _row(name: str, case: Case) -> Row:
    return Row(
        name=name,
        test=(
            f"{GATE}def test_it():\n    try:\n        {case.ahead}\n"
            f"    finally:\n        wait()\n    {case.behind}\n"
        ),
        files=FILES,
        before=(Link("link", "data.txt"), Link("way", "folder")),
    )


ROWS = {name: _row(name, case) for name, case in CASES.items()}


def _run(world: World, edits: Mapping[str, Sequence[Mutation]]) -> Ran:
    """Run, and open the gate of each module that comes to it, after its edits."""
    report = world.folder / "report.json"
    with world.start("--json", "--report", str(report)) as process:
        for line in process.stdout:
            event = json.loads(line)["event"]
            if event["event"] != "test_started" or not event["id"].endswith("::test_it"):
                continue
            row = ROWS[event["module"].partition("/")[0]]
            gate, given_up_s = None, time.monotonic() + GATE_S
            while gate is None and time.monotonic() < given_up_s:
                # Folders of modules that have ended vanish while they are looked through.
                with contextlib.suppress(FileNotFoundError):
                    gate = next(world.temporary.glob(f"**/gate-{row.name}"), None)
            if gate is None:
                continue  # Its test failed ahead of it, which its outcome tells.
            # Opening it waits until the test has opened its own end.
            with gate.open("w"):
                for edit in edits.get(row.name, ()):
                    edit.apply(world.place(row))
            gate.unlink()
        process.wait()
    return read_report(json.loads(report.read_bytes()), process.returncode)


@dataclass(frozen=True)
class Course:
    """Two runs, the first with edits while it went on, and what plain pytest says in the end."""

    first: Ran
    again: Ran
    expected: dict[str, Outcomes]
    modules: dict[str, str]


@pytest.fixture(scope="module", params=START_METHODS)
def course(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Course:
    world = World(tmp_path_factory.mktemp("during"), request.param)
    for row in ROWS.values():
        world.lay_out(row)
    first = _run(world, {name: case.edits for name, case in CASES.items()})
    for name, case in CASES.items():
        for edit in case.later:
            edit.apply(world.place(ROWS[name]))
    again = _run(world, {})
    world.variables["NO_GATES"] = "1"
    expected = by_module(world.run_plainly("--continue-on-collection-errors"))
    return Course(first, again, expected, {name: world.module(row) for name, row in ROWS.items()})


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_edit_while_it_runs(course: Course, name: str) -> None:
    module = course.modules[name]
    assert course.first.statuses[module] == "passed", course.first.outcomes
    assert course.again.sources[module] == EXECUTED, "stale: it was stored in spite of the edit"
    assert course.again.outcomes.get(module, {}) == course.expected.get(module, {})


@pytest.mark.slow
def test_a_run_that_only_waited_is_replayed(world: World) -> None:
    row = ROWS["content"]
    world.lay_out(row)
    module = world.module(row)
    assert _run(world, {}).sources[module] == EXECUTED
    assert _run(world, {}).sources[module] == CACHED
