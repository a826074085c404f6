"""What a fork server has loaded changes, or the server is killed: case 50 and its kin."""

import os
import signal
from pathlib import Path

import pytest
from torture.harness import START_METHODS
from torture.processes import survivors, wait_for_end
from torture.sources import ALL_PASSED, between

#: Tells which process a module was forked from; empty where it was not forked.
TELLS_ORIGIN = """
def test_origin(record_property):
    forked = b"--serve" in open("/proc/self/cmdline", "rb").read().split(b"\\0")
    record_property("server", str(os.getppid()) if forked else "")
"""


def server_of(outcome, path):
    """The server that a module was forked from, by its process id as text."""
    ((_, server),) = outcome.module(path).test("test_origin")["properties"]
    return server


def servers(run_id):
    """The processes of a run that fork others, each with its parent."""
    found = []
    for pid in survivors(run_id):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        if b"--serve" in words and os.getpgid(pid) == pid:
            found.append((parent, pid))
    return found


def test_50_a_killed_server_is_started_again(project, gates):
    waiting = {name: gates(name) for name in ("first", "second")}
    for name, gate in waiting.items():
        project.write(f"test_{name}.py", between(gate.wait) + TELLS_ORIGIN)
    later = ["test_third.py", "test_zfourth.py"]
    for name in later:
        project.write(name, between("pass") + TELLS_ORIGIN)
    files = [*(f"test_{name}.py" for name in waiting), *later]
    with project.start("--start-method=forkserver", *files) as live:
        run_id = live.until("run_started")["run_id"]
        for name in waiting:
            live.until("test_started", id=f"test_{name}.py::test_it")
        (killed,) = [pid for parent, pid in servers(run_id) if parent == live.pid]
        os.kill(killed, signal.SIGKILL)
        assert wait_for_end(killed, 5.0)
        waiting["second"].open()
        live.until("module_finished", module=later[0])
        waiting["first"].open()
        outcome = live.rest()
    # What runs is not the server's, but the orchestrator's: it loses nothing, its status included.
    project.check(outcome, control=False, code=0)
    for name in files:
        module = outcome.module(name)
        assert module.status == "passed"
        assert module.tests == ALL_PASSED | {"test_origin": "passed"}
        assert module.attempt["exit_status"] == {"code": 0}
        assert module.attempt["cpu_s"] > 0
    after = {server_of(outcome, name) for name in later}
    assert len(after) == 1
    assert after.isdisjoint({"", str(killed), str(live.pid)})


def test_50_modules_that_kill_their_server_run_all_the_same(project):
    deed = "os.kill(os.getppid(), signal.SIGKILL) if forked else None"
    head = (
        "import os, signal\n"
        "forked = b'--serve' in open('/proc/self/cmdline', 'rb').read().split(b'\\0')"
    )
    names = [f"test_{number}.py" for number in range(7)]
    for name in names:
        project.write(name, between(deed, head))
    outcome = project.run("--start-method=forkserver", "--workers=1", code=0)
    for name in names:
        assert outcome.module(name).verdict == ("passed", ALL_PASSED)


@pytest.mark.parametrize("method", START_METHODS)
def test_what_changes_during_the_run_is_loaded_anew(project, gates, method):
    gate = gates("gate")
    project.write("conftest.py", "import shared\nVALUE = 1\n")
    project.write("shared.py", "VALUE = 1\n")
    project.write("leading.py", "VALUE = 1\n")
    source = """\
import leading
import conftest, shared
def test_it(record_property):
    {wait}
    record_property("values", f"{{conftest.VALUE}} {{shared.VALUE}} {{leading.VALUE}}")
"""
    names = [f"test_{number}.py" for number in range(6)]
    for name in names:
        project.write(name, source.format(wait=gate.wait))
    edits = ("conftest.py", "shared.py", "leading.py", "conftest.py")
    with project.start(f"--start-method={method}", "--workers=1", *names) as live:
        for name, edited in zip(names, (*edits, "", ""), strict=True):
            live.until("test_started", id=f"{name}::test_it")
            if edited:
                file = project.root / edited
                file.write_text(file.read_text().replace("VALUE = ", "VALUE = 1"))
            gate.open()
        outcome = live.rest()
    project.check(outcome, control=False, code=0)
    told = [outcome.module(name).test("test_it")["properties"][0][1] for name in names]
    assert told == ["1 1 1", "11 1 1", "11 11 1", "11 11 11", "111 11 11", "111 11 11"]


def test_a_file_that_changes_all_the_time_does_not_hold_up_the_run(project):
    project.write("conftest.py", "import changing\n")
    names = [f"test_{number:02}.py" for number in range(14)]
    for name in names:
        # Longer each time: Python believes the bytecode of a source as long, and as old in seconds.
        project.write(
            name,
            """\
import changing, pathlib
def test_it():
    file = pathlib.Path(changing.__file__)
    assert file.read_text() == f"VALUE = {changing.VALUE}"
    file.write_text(f"VALUE = {changing.VALUE}1")
""",
        )
    project.write("changing.py", "VALUE = 1")
    project.run("--start-method=forkserver", "--workers=1", *names, code=0, control=False)
    assert (project.root / "changing.py").read_text() == f"VALUE = {'1' * (len(names) + 1)}"
