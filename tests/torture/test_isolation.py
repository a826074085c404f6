"""Tests that leave something behind, or change their surroundings: cases 16-18, 20, 22, 23."""

import pytest
from torture.harness import NOISE_S, START_METHODS, Live, Project
from torture.sources import ALL_PASSED, between

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
def leftovers(request, tmp_path_factory, control):
    project = Project(tmp_path_factory.mktemp("leftovers"), control)
    for name, body in LEFTOVERS.items():
        project.write(f"test_{name}.py", between(body, HEAD))
    method = f"--start-method={request.param}"
    return project.run(method, "--workers=1", "--", "-s", code=0, again=request.param != "spawn")


@pytest.mark.parametrize("name", LEFTOVERS)
def test_what_is_left_behind_is_ended(leftovers, name):
    module = leftovers.module(f"test_{name}.py")
    assert module.tests == ALL_PASSED
    assert module.status == "leaked"
    assert "left behind" in module.message
    started = leftovers.of("attempt_started", module=module.path)[0]
    ended_s = started["at_s"] + module.attempt["duration_s"]
    assert module.attempt["at_s"] - ended_s <= 0.5 + NOISE_S / 10


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


def test_23_a_full_temporary_directory_stays_with_its_module(project):
    with Live(project, ["-c", ""], preparation=SMALL_TEMPORARY, program=()) as probe:
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
