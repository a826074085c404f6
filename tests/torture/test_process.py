"""Test processes that die, hang or linger: cases 1-9.

A module that is lost names the test in flight, which counts as failed, and the tests behind it are
``not-run``; what had finished before keeps its outcome.
"""

from typing import NamedTuple

import pytest
from torture.harness import START_METHODS, Project
from torture.sources import AFTER, ALL_PASSED, BEFORE, LOST, between


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
        "02_after_the_tests",
        f"import atexit, os\natexit.register(os._exit, 3)\n{BEFORE}def test_it(): pass{AFTER}",
        "error",
        "exit code 3 after its tests",
        ALL_PASSED,
    ),
    Case(
        "02_at_the_end_of_the_session",
        """\
import os, pytest
class AtTheEnd:
    def pytest_sessionfinish(self):
        os._exit(0)
@pytest.fixture
def broken(pytestconfig):
    pytestconfig.pluginmanager.register(AtTheEnd())
def test_before(): pass
def test_it(broken): pass
def test_after(): pass
""",
        "incomplete",
        "exit code 0 before",
        ALL_PASSED,
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


@pytest.fixture(scope="module", params=START_METHODS)
def deaths(request, tmp_path_factory, control):
    project = Project(tmp_path_factory.mktemp("deaths"), control)
    for case in DEATHS:
        project.write(f"test_{case.id}.py", case.source)
    return project.run(f"--start-method={request.param}", code=1, again=True)


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


def test_dies_without_pytest(project):
    cases = [case for case in DEATHS if case.tests == LOST and "pytest" not in case.source]
    for case in cases:
        project.write(f"test_{case.id}.py", case.source)
    files = [f"test_{case.id}.py" for case in cases]
    outcome = project.run("--framework=functions", *files, code=1, control=False)
    for case in cases:
        module = outcome.module(f"test_{case.id}.py")
        assert module.verdict == (case.status, case.tests)
        assert case.message in module.message
        assert module.in_flight.endswith("::test_it")


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


@pytest.fixture(scope="module", params=START_METHODS)
def hangs(request, tmp_path_factory, control):
    project = Project(tmp_path_factory.mktemp("hangs"), control)
    for case in HANGS:
        project.write(f"test_{case.id}.py", case.source)
    # The control module has all the time that it wants: only the others are to be ended.
    project.write(
        "pyproject.toml",
        f'[[tool.iopio.overrides]]\npaths = ["test_0*.py"]\ntimeout = "{HANG_TIMEOUT_S} s"\n',
    )
    return project.run(
        f"--start-method={request.param}",
        f"--workers={len(HANGS)}",
        timeout_s=2 * HANG_TIMEOUT_S,
        code=1,
    )


@pytest.mark.slow
@pytest.mark.parametrize("case", HANGS, ids=[case.id for case in HANGS])
def test_hangs(hangs, case):
    module = hangs.module(f"test_{case.id}.py")
    assert module.status == case.status
    assert case.message in module.message
    assert module.tests == case.tests
    assert module.in_flight.partition("::")[2] == case.in_flight
    # Who is stopped can't tell where it is, and must not go on in order to.
    assert "in test_it" in module.stacks or case.id == "09_stops_itself"
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
