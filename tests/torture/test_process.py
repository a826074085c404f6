"""Test processes that die, hang, linger, or leave something behind: cases 1-9, 16-18 and 20-23.

A module that is lost names the test in flight, which counts as failed, and the tests behind it are
``not-run``; what had finished before keeps its outcome.
"""

import textwrap
from typing import NamedTuple

import pytest

BEFORE, AFTER = "def test_before(): pass\n", "\ndef test_after(): pass\n"

#: The outcomes of a module that was lost in its second test of three.
LOST = {"test_before": "passed", "test_it": "failed", "test_after": "not-run"}
ALL_PASSED = {"test_before": "passed", "test_it": "passed", "test_after": "passed"}


def between(body: str, head: str = "import os, signal, sys, threading") -> str:
    """A module of three tests, the second of which does this."""
    return f"{head}\n{BEFORE}def test_it():\n{textwrap.indent(body, '    ')}{AFTER}"


class Case(NamedTuple):
    """A module, and how it must end."""

    id: str
    source: str
    status: str
    message: str
    tests: dict[str, str]
    in_flight: str = ""


def lost(case_id: str, body: str, status: str, message: str) -> Case:
    return Case(case_id, between(body), status, message, LOST, "test_it")


#: Cases 1 to 4: each module is lost, or at least must not pass.
DEATHS = (
    lost("01_segv", "import ctypes; ctypes.string_at(0)", "crashed", "ended by SIGSEGV"),
    lost("01_abort", "os.abort()", "crashed", "ended by SIGABRT"),
    lost("02_in_a_test", "os._exit(0)", "incomplete", "exit code 0 before all its tests"),
    lost(
        "02_in_a_thread",
        "threading.Thread(target=os._exit, args=(0,)).start(); threading.Event().wait()",
        "incomplete",
        "exit code 0 before all its tests",
    ),
    Case(
        "02_in_a_fixture",
        "import os, pytest\n"
        "@pytest.fixture\ndef broken():\n    os._exit(0)\n"
        f"{BEFORE}def test_it(broken): pass{AFTER}",
        "incomplete",
        "exit code 0 before all its tests",
        LOST,
        "test_it",
    ),
    Case(
        "02_in_a_teardown",
        "import os, pytest\n"
        "@pytest.fixture\ndef broken():\n    yield\n    os._exit(0)\n"
        f"{BEFORE}def test_it(broken): pass{AFTER}",
        "incomplete",
        "exit code 0 before all its tests",
        LOST,
        "test_it",
    ),
    Case(
        "02_at_import",
        f"import os; os._exit(0)\n{BEFORE}",
        "incomplete",
        "exit code 0 before its tests were collected",
        {},
    ),
    Case("03_exit_at_import", f"import sys; sys.exit(0)\n{BEFORE}", "error", "SystemExit", {}),
    Case(
        "03_pytest_exit",
        between("pytest.exit('enough', returncode=0)", "import pytest"),
        "error",
        "Exit: enough",
        LOST,
        "test_it",
    ),
    Case(
        "03_exit_in_a_test",
        between("sys.exit(0)"),
        "failed",
        "",
        {"test_before": "passed", "test_it": "failed", "test_after": "passed"},
    ),
    lost("04_kill", "os.kill(os.getpid(), signal.SIGKILL)", "crashed", "ended by SIGKILL"),
)


@pytest.fixture(scope="module")
def deaths(tmp_path_factory, control, harness):
    project = harness.Project(tmp_path_factory.mktemp("deaths"), control)
    for case in DEATHS:
        project.write(f"test_{case.id}.py", case.source)
    return project.run(code=1, again=True)


@pytest.mark.parametrize("case", DEATHS, ids=[case.id for case in DEATHS])
def test_dies(deaths, case):
    module = deaths.module(f"test_{case.id}.py")
    assert module.status == case.status
    assert case.message in module.message
    assert module.tests == case.tests
    assert module.in_flight.partition("::")[2] == case.in_flight


def test_crash_keeps_the_stack(deaths):
    module = deaths.module("test_01_segv.py")
    assert "Segmentation fault" in module.stderr
    assert "in test_it" in module.stderr


#: Cases 5 to 9: every one has to be ended from outside.
HANGS = (
    Case(
        "05_holds_the_lock",
        between(
            "collections.deque(itertools.repeat(None), maxlen=0)", "import collections, itertools"
        ),
        "timed out",
        "its time was up",
        LOST,
        "test_it",
    ),
    Case(
        "05_holds_the_lock_and_ignores",
        between(
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "collections.deque(itertools.repeat(None), maxlen=0)",
            "import collections, itertools, signal",
        ),
        "timed out",
        "its time was up",
        LOST,
        "test_it",
    ),
    Case(
        "06_deadlock",
        """\
import threading
first, second = threading.Lock(), threading.Lock()
both = threading.Barrier(2)
def other_way():
    with second:
        both.wait()
        first.acquire()
def test_before(): pass
def test_it():
    threading.Thread(target=other_way).start()
    with first:
        both.wait()
        second.acquire()
def test_after(): pass
""",
        "timed out",
        "its time was up",
        LOST,
        "test_it",
    ),
    Case(
        "08_traps_and_exits",
        between(
            "signal.signal(signal.SIGTERM, lambda *_: os._exit(0))\nthreading.Event().wait()",
        ),
        "timed out",
        "its time was up",
        LOST,
        "test_it",
    ),
    Case(
        "09_stops_itself",
        between("os.kill(os.getpid(), signal.SIGSTOP)"),
        "timed out",
        "its time was up",
        LOST,
        "test_it",
    ),
)

HANG_TIMEOUT_S = 3.0


@pytest.fixture(scope="module")
def hangs(tmp_path_factory, control, harness):
    project = harness.Project(tmp_path_factory.mktemp("hangs"), control)
    for case in HANGS:
        project.write(f"test_{case.id}.py", case.source)
    # The control module has all the time that it wants: only the others are to be ended.
    project.write(
        "pyproject.toml",
        f'[[tool.iopio.overrides]]\npaths = ["test_0*.py"]\ntimeout = "{HANG_TIMEOUT_S} s"\n',
    )
    return project.run(f"--workers={len(HANGS)}", timeout_s=2 * HANG_TIMEOUT_S, code=1)


@pytest.mark.slow
@pytest.mark.parametrize("case", HANGS, ids=[case.id for case in HANGS])
def test_hangs(deaths, hangs, case):
    module = hangs.module(f"test_{case.id}.py")
    assert module.status == case.status
    assert case.message in module.message
    assert module.tests == case.tests
    assert module.in_flight.partition("::")[2] == case.in_flight
    assert "in test_it" in module.stacks
    assert module.attempt["duration_s"] >= HANG_TIMEOUT_S


@pytest.mark.slow
def test_06_all_stacks_of_a_deadlock_are_shown(hangs):
    stacks = hangs.module("test_06_deadlock.py").stacks
    assert "in other_way" in stacks
    assert "in test_it" in stacks


@pytest.mark.slow
def test_07_a_thread_that_outlives_the_tests_is_an_error(project):
    project.write("test_it.py", between("threading.Thread(target=threading.Event().wait).start()"))
    module = project.run(code=1).module("test_it.py")
    assert module.tests == ALL_PASSED
    assert module.status == "error"
    assert "a thread of theirs goes on" in module.message
    assert "in wait" in module.stacks


#: Cases 16 and 17: what is left behind when all tests have passed.
SLEEPER = "[sys.executable, '-I', '-S', '-c', 'import signal; signal.pause()']"
HEAD = "import os, signal, subprocess, sys"
LEFTOVERS = {
    # Standard output and error are inherited, and held open.
    "16_holds_the_pipe": f"subprocess.Popen({SLEEPER})",
    "16_holds_the_pipe_elsewhere": f"subprocess.Popen({SLEEPER}, start_new_session=True)",
    "16_silent": f"subprocess.Popen({SLEEPER}, stdout=subprocess.DEVNULL, stderr=-3)",
    "17_daemon": """\
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 1024)
        signal.pause()
    os._exit(0)
os.wait()""",
    # Hidden: another session, another parent, and no word of where it comes from.
    "17_hides_its_origin": f"""\
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 1024)
        command = {SLEEPER}
        os.execve(command[0], command, {{}})
    os._exit(0)
os.wait()""",
    # Only when its parent is killed does this one become an orphan.
    "17_below_another": f"""\
if os.fork() == 0:
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.write(writer, b".")
        command = {SLEEPER}
        os.execve(command[0], command, {{}})
    os.read(reader, 1)
    signal.pause()""",
}


@pytest.mark.parametrize("name", LEFTOVERS)
def test_what_is_left_behind_is_ended(project, harness, name):
    project.write("test_it.py", between(LEFTOVERS[name], HEAD))
    outcome = project.run("--workers=1", "--", "-s", code=0, again=True)
    module = outcome.module("test_it.py")
    assert module.tests == ALL_PASSED
    assert module.status == "leaked"
    assert "left behind" in module.message
    started = outcome.of("attempt_started", module="test_it.py")[0]
    ended_s = started["at_s"] + module.attempt["duration_s"]
    assert module.attempt["at_s"] - ended_s <= 0.5 + harness.NOISE_S / 10


def test_17_a_hidden_process_is_blamed_on_nobody_else(project, gate, meeting):
    hide = LEFTOVERS["17_hides_its_origin"]
    project.write("test_hides.py", between(f"{gate.wait}\n{hide}", HEAD))
    project.write("test_other.py", f"def test_it():\n    {gate.wait}\n")
    with project.start("test_hides.py", "test_other.py") as live:
        live.until("test_started", id="test_hides.py::test_it")
        live.until("test_started", id="test_other.py::test_it")
        gate.open()
        first = live.until("module_finished")["module"]
        gate.open()
        outcome = live.rest()
    project.check(outcome, control=False, code=0)
    assert outcome.module("test_other.py").status == "passed"
    assert first in {"test_hides.py", "test_other.py"}
