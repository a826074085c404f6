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


#: Each of these is another way into a process, and out of it.
START_METHODS = ("spawn", "forkserver")


@pytest.fixture(scope="module", params=START_METHODS)
def deaths(request, tmp_path_factory, control, harness):
    project = harness.Project(tmp_path_factory.mktemp("deaths"), control)
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
def hangs(request, tmp_path_factory, control, harness):
    project = harness.Project(tmp_path_factory.mktemp("hangs"), control)
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


@pytest.fixture(scope="module", params=START_METHODS)
def leftovers(request, tmp_path_factory, control, harness):
    project = harness.Project(tmp_path_factory.mktemp("leftovers"), control)
    for name, body in LEFTOVERS.items():
        project.write(f"test_{name}.py", between(body, HEAD))
    method = f"--start-method={request.param}"
    return project.run(method, "--workers=1", "--", "-s", code=0, again=True)


@pytest.mark.parametrize("name", LEFTOVERS)
def test_what_is_left_behind_is_ended(leftovers, harness, name):
    module = leftovers.module(f"test_{name}.py")
    assert module.tests == ALL_PASSED
    assert module.status == "leaked"
    assert "left behind" in module.message
    started = leftovers.of("attempt_started", module=module.path)[0]
    ended_s = started["at_s"] + module.attempt["duration_s"]
    assert module.attempt["at_s"] - ended_s <= 0.5 + harness.NOISE_S / 10


def test_17_a_hidden_process_is_blamed_on_nobody_else(project, gates):
    hide = LEFTOVERS["17_hides_its_origin"]
    first, second = gates("first"), gates("second")
    project.write("test_hides.py", between(f"{first.wait}\n{hide}", HEAD))
    project.write("test_other.py", between(second.wait))
    with project.start("test_hides.py", "test_other.py", "--", "-s") as live:
        live.until("test_started", id="test_hides.py::test_it")
        live.until("test_started", id="test_other.py::test_it")
        first.open()
        live.until("module_finished", module="test_hides.py")
        second.open()
        outcome = live.rest()
    project.check(outcome, control=False, code=0)
    assert outcome.module("test_other.py").verdict == ("passed", ALL_PASSED)
    assert outcome.module("test_hides.py").tests == ALL_PASSED


def test_18_a_forked_child_that_runs_on_is_not_heard(project):
    project.write(
        "test_it.py",
        """\
import os
parent, children = os.getpid(), []
def test_before(): pass
def test_it():
    pid = os.fork()
    if pid:
        children.append(pid)
def test_after():
    assert os.getpid() == parent
def test_last():
    for child in children:
        os.waitpid(child, 0)
""",
    )
    module = project.run(code=0, again=True).module("test_it.py")
    assert module.status == "passed"
    assert [event["outcome"] for event in module.finished] == ["passed"] * 4


#: Case 20: looks at its process, and then does to it what a test can do.
LOOKS_AND_CHANGES = """\
import locale, os, resource, signal, sys
def test_looks(record_property):
    mask = os.umask(0)
    os.umask(mask)
    # Whatever is another one for each module by design.
    own = {"TMPDIR", "IOPIO_RUN_ID", "IOPIO_SLOT", "IOPIO_ATTEMPT_ID", "PYTEST_CURRENT_TEST"}
    record_property("state", repr((
        os.getcwd(), mask, os.nice(0), sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        [str(signal.getsignal(number)) for number in signal.valid_signals()],
        locale.setlocale(locale.LC_ALL),
        sorted(item for item in os.environ.items() if item[0] not in own),
        [resource.getrlimit(number) for number in range(16)], sys.path, sys.getrecursionlimit(),
    )))
def test_changes(tmp_path):
    os.chdir(tmp_path)
    os.umask(0o777)
    os.nice(3)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM, signal.SIGINT})
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    locale.setlocale(locale.LC_ALL, "C")
    os.environ.clear()
    os.environ["CHANGED"] = "1"
    resource.setrlimit(resource.RLIMIT_NOFILE, (99, 99))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    sys.path[:] = []
    sys.setrecursionlimit(150)
"""


@pytest.mark.parametrize("method", START_METHODS)
def test_20_the_next_module_is_pristine(project, method):
    names = [f"test_{number}.py" for number in range(3)]
    for name in names:
        project.write(name, LOOKS_AND_CHANGES)
    outcome = project.run(f"--start-method={method}", "--workers=1", code=0)
    states = [outcome.module(name).test("test_looks")["properties"] for name in names]
    assert states[0] == states[1] == states[2]


def test_22_the_report_arrives_though_descriptors_are_exhausted(project):
    project.write(
        "test_it.py",
        between(
            """\
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
with pytest.raises(OSError, match="Too many open files"):
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))""",
            "import os, pytest, resource\nheld = []",
        )
        + "def test_fails():\n    assert not held\n",
    )
    module = project.run(code=1, again=True).module("test_it.py")
    assert module.status == "failed"
    assert module.tests == ALL_PASSED | {"test_fails": "failed"}
    assert "assert not [" in module.test("test_fails")["failures"][0]["text"]


#: Gives the command a temporary directory of one megabyte, which nobody else sees.
SMALL_TEMPORARY = """\
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def checked(result):
    if result:
        sys.exit(77)
checked(libc.unshare(0x20000))
checked(libc.mount(b"none", b"/", None, 0x44000, None))
checked(libc.mount(b"none", os.environb[b"TMPDIR"], b"tmpfs", 0, b"size=1m"))
"""


def test_23_a_full_temporary_directory_stays_with_its_module(project, harness):
    with harness.Live(project, ["-c", ""], preparation=SMALL_TEMPORARY, program=()) as probe:
        if probe.rest().code == 77:
            pytest.skip("this user may not mount a file system")
    fills = between(
        """\
with pytest.raises(OSError, match="No space left"):
    with open(os.path.join(tempfile.gettempdir(), "all"), "wb", 0) as file:
        while file.write(bytes(4096)):
            pass""",
        "import os, pytest, tempfile",
    )
    needs_room = "(tmp_path):\n    (tmp_path / 'file').write_bytes(bytes(8192))\n"
    names = [f"test_{number}.py" for number in range(3)]
    for name in names:
        project.write(name, f"def test_has_room{needs_room}{fills}def test_has_none{needs_room}")
    outcome = project.run("--workers=1", code=1, preparation=SMALL_TEMPORARY)
    for name in names:
        module = outcome.module(name)
        assert module.status == "failed"
        assert module.tests.items() >= (ALL_PASSED | {"test_has_room": "passed"}).items()
        assert module.tests["test_has_none"] in {"failed", "error"}
