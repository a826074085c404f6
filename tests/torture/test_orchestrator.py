"""The command is interrupted, killed, stopped, nested, starved: cases 36-39, 43, 45, 48, 49."""

import ast
import errno
import json
import os
import random
import select
import signal
import time
from pathlib import Path

import anyio
import pytest
from torture.harness import CONTROL, NOISE_S, START_METHODS

import iopio_async
from iopio_async.errors import InfrastructureError
from iopio_async.execution import executor as executors
from iopio_async.execution.ports import Placement
from iopio_async.execution.subprocess import SpawnExecutor
from iopio_async.model.action import Action

#: Runs until it is told to end; then its fixture is torn down.
WAITS = """\
import pathlib, pytest, signal
@pytest.fixture
def tidied():
    yield
    pathlib.Path("tidied").touch()
def test_it(tidied):
    {say}
    while True:
        signal.pause()
"""

#: Can't be talked into ending.
STUBBORN = """\
import signal
def test_it():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    {say}
    while True:
        signal.pause()
"""

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def interrupted(project, meeting, running, *arguments):
    """A run with a module that is done, one that is in its test, and one that never starts."""
    project.write("test_running.py", running.format(say=meeting.say("running")))
    project.write("test_never.py", "def test_it(): pass\n")
    files = (CONTROL, "test_running.py", "test_never.py")
    live = project.start("--workers=1", *arguments, *files)
    meeting.hear("running")
    return live


@pytest.mark.parametrize("number", SIGNALS)
def test_36_37_the_first_signal_lets_tests_tear_down(project, meeting, number):
    with interrupted(project, meeting, WAITS, "--grace=30s") as live:
        live.send(number)
        outcome = live.rest()
    project.check(outcome, code=SIGNALS[number])
    assert (project.root / "tidied").exists()
    assert outcome.module("test_running.py").status == "not-run"
    assert outcome.module("test_never.py").verdict == ("not-run", {})
    assert not outcome.of("attempt_started", module="test_never.py")
    report = json.loads((project.root / "report.json").read_bytes())
    assert report["summary"]["exit_code"] == SIGNALS[number]


def test_36_who_does_not_listen_has_the_grace_period(project, meeting):
    with interrupted(project, meeting, STUBBORN, "--grace=300ms") as live:
        live.send(signal.SIGINT)
        outcome = live.rest()
    project.check(outcome, code=130)
    assert outcome.module("test_running.py").status == "not-run"


@pytest.mark.parametrize("times", [2, 3])
def test_36_the_second_signal_kills(project, meeting, times):
    with interrupted(project, meeting, STUBBORN, "--grace=60s") as live:
        live.send(signal.SIGINT)
        live.until("cancellation_started")
        for _ in range(times - 1):
            live.send(signal.SIGINT)
        outcome = live.rest()
    project.check(outcome, code=130)
    assert outcome.module("test_running.py").status == "not-run"


def test_37_a_hangup_that_the_caller_ignores_is_ignored(project, gates):
    gate = gates("gate")
    project.write("test_it.py", f"def test_it():\n    {gate.wait}\n")
    preparation = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    with project.start(preparation=preparation) as live:
        live.until("test_started", module="test_it.py")
        live.send(signal.SIGHUP)
        gate.open()
        outcome = live.rest()
    project.check(outcome, code=0)


#: Has a child, and a grandchild in a session of its own, while it runs.
FAMILY = """\
import os, signal, subprocess, sys
SLEEPER = [sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"]
children = []
def test_starts_children():
    children.append(subprocess.Popen(SLEEPER))
    children.append(subprocess.Popen(SLEEPER, start_new_session=True))
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.pause()
        os._exit(0)
    os.wait()
def test_ends_children():
    for child in children:
        child.kill()
        child.wait()
"""


@pytest.mark.parametrize("method", START_METHODS)
@pytest.mark.parametrize("seed", range(4))
def test_38_killed_at_any_moment_nothing_survives(project, seed, method):
    for number in range(3):
        project.write(f"test_{number}.py", FAMILY)
    # A whole run has some forty events: those of three modules, and of the control module.
    seen = random.Random(seed).randrange(1, 36)
    with project.start(f"--start-method={method}") as live:
        for _ in range(seen):
            live.until_any()
        live.process.kill()
        live.process.wait()
        killed_s = time.monotonic()
        run_id = live.events[0]["run_id"]
        project.check_gone(run_id, within_s=1.0 + NOISE_S / 2)
        gone_s = time.monotonic() - killed_s
        outcome = live.rest()
    print(f"killed after event {seen}: nothing left after {gone_s:.2f} s")
    assert outcome.code == -signal.SIGKILL
    assert sorted(os.listdir(project.temporary)) == []
    journal = project.journal(run_id)
    told = [event for event in outcome.events if event["event"] != "test_started"]
    assert journal[: len(told)] == told


@pytest.mark.slow
@pytest.mark.parametrize("method", START_METHODS)
def test_39_who_is_stopped_is_not_timed_out(project, gates, method):
    timeout_s, stopped_s = 4.0, 5.0
    gate = gates("gate")
    project.write("test_it.py", f"def test_it():\n    {gate.wait}\n")
    arguments = (f"--start-method={method}", f"--timeout={timeout_s}s", "test_it.py")
    with project.start(*arguments) as live:
        pid = live.until("attempt_started")["pid"]
        live.until("test_started")
        live.send(signal.SIGTSTP)
        live.wait_stopped()
        # Long enough for the time limit to pass, had it gone on.
        said, _, _ = select.select([live.process.stdout], [], [], stopped_s)
        assert not said
        stat = Path(f"/proc/{pid}/stat").read_text()
        assert stat.rpartition(")")[2].split()[0] == "T"
        live.send(signal.SIGCONT)
        gate.open()
        outcome = live.rest()
    project.check(outcome, timeout_s=timeout_s + stopped_s, code=0, control=False)
    assert outcome.module("test_it.py").status == "passed"


@pytest.mark.parametrize("method", START_METHODS)
def test_43_a_caller_that_ignores_the_end_of_children(project, method):
    project.write("test_aborts.py", "import os\ndef test_it():\n    os.abort()\n")
    project.write("test_exits.py", "import os\ndef test_it():\n    os._exit(0)\n")
    project.write(
        "test_looks.py",
        "import subprocess, sys\n"
        "def test_it():\n"
        "    done = subprocess.run([sys.executable, '-c', 'raise SystemExit(3)'])\n"
        "    assert done.returncode == 3\n",
    )
    outcome = project.run(
        f"--start-method={method}",
        code=1,
        preparation="signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    )
    assert outcome.module("test_aborts.py").status == "crashed"
    assert "SIGABRT" in outcome.module("test_aborts.py").message
    assert outcome.module("test_exits.py").status == "incomplete"
    assert outcome.module("test_looks.py").status == "passed"


#: Case 45: the files or folders that read the clock on the wall, and what for.
WALL_CLOCK_READERS = {
    "orchestration/records.py": "the run's id, and when it began, for people",
    "orchestration/": "since when nothing may change that tests read",
    "history/": "the age of what is on record",
    "cache/": "the age of what is stored",
    "project/": "since when a file has not changed",
    "cli/begin.py": "since when nothing may change that the plan depends on",
    "cli/receipt.py": "the age of a receipt",
    "cli/why.py": "the age of a result, for people",
    "cli/cache.py": "the age of what is stored, for people",
    "cli/reporters.py": "until when results hold, for people",
    "dropin/": "the age of what is stored, and since when nothing may change that tests read",
    "pytest_plugin/": "the age of what is stored, and since when nothing may change",
    "worker/server.py": "what changed while it was being loaded",
}
WALL_CLOCKS = {"time", "time_ns", "localtime", "gmtime", "now", "utcnow", "today", "strftime"}


def wall_clock_calls(source: str) -> set[str]:
    """Names of the functions called that read the clock on the wall."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id="time" | "datetime" | "date"), attr=name):
                found.add(name)
            case ast.ImportFrom(module="time"):
                found.update(alias.name for alias in node.names)
    return found & WALL_CLOCKS


def test_45_deadlines_are_read_off_clocks_that_nobody_sets():
    package = Path(iopio_async.__file__).parent
    readers = {
        path.relative_to(package).as_posix(): wall_clock_calls(path.read_text())
        for path in package.rglob("*.py")
    }
    found = [path for path, calls in readers.items() if calls]
    assert [path for path in found if not path.startswith(tuple(WALL_CLOCK_READERS))] == []
    assert wall_clock_calls("import time\ntime.time()") == {"time"}
    assert wall_clock_calls("from datetime import datetime\ndatetime.now()") == {"now"}


@pytest.mark.slow
def test_45_a_clock_that_a_test_sets_back_changes_no_deadline(project):
    project.write(
        "test_it.py",
        "import time\n"
        "real = time.time\n"
        "def test_steps():\n"
        "    time.time = lambda: real() - 86400\n"
        "def test_hangs():\n"
        "    time.time = lambda: real() + 86400\n"
        "    import signal\n"
        "    signal.pause()\n",
    )
    timeout_s = 3.0
    outcome = project.run(
        "test_it.py", f"--timeout={timeout_s}s", timeout_s=timeout_s, code=1, control=False
    )
    module = outcome.module("test_it.py")
    assert module.verdict == ("timed out", {"test_steps": "passed", "test_hangs": "failed"})
    assert 0 <= module.test("test_steps")["duration_s"] < timeout_s


INNER = """\
import json, os, pathlib, subprocess, sys
def test_it():
    os.mkdir("inner")
    pathlib.Path("inner/test_inner.py").write_text({source!r})
    done = subprocess.run(
        [sys.executable, "-m", "iopio_async", "run", "--json", "--grace=1s"],
        cwd="inner", capture_output=True, text=True,
    )
    lines = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert done.returncode == {code}, done.stderr
    assert not [line for line in lines if line["event"] == "warning_issued"], lines
    assert lines[-1]["event"] == "run_finished"
"""


@pytest.mark.parametrize("method", START_METHODS)
def test_48_a_run_inside_of_a_run(project, method):
    inner = "def test_passes(tmp_path): pass\ndef test_fails(): assert False\n"
    project.write("test_outer.py", INNER.format(source=inner, code=1))
    outcome = project.run(f"--start-method={method}", "--", "--ignore=inner", code=0)
    assert outcome.module("test_outer.py").verdict == ("passed", {"test_it": "passed"})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_48_what_ends_the_outer_run_ends_the_inner_one(project, meeting, number):
    inner = FAMILY + f"def test_hangs():\n    {meeting.say('inner')}\n    signal.pause()\n"
    project.write("test_outer.py", INNER.format(source=inner, code=0))
    with project.start("test_outer.py", "--", "--ignore=inner") as live:
        meeting.hear("inner")
        live.send(number)
        run_id = live.until("run_started")["run_id"]
        live.rest()
    project.check_gone(run_id, within_s=1.0 + NOISE_S / 2)
    assert sorted(os.listdir(project.temporary)) == []


@pytest.mark.slow
@pytest.mark.parametrize("method", START_METHODS)
@pytest.mark.parametrize("descriptors", [10, 14, 18, 24])
def test_49_too_few_descriptors(project, method, descriptors):
    preparation = f"resource.setrlimit(resource.RLIMIT_NOFILE, ({descriptors}, {descriptors}))"
    with project.start(f"--start-method={method}", preparation=preparation) as live:
        outcome = live.rest()
    assert outcome.code in {0, 1, 3}
    assert "Traceback" not in outcome.stderr
    # The delays between the attempts to start a process come to four seconds.
    assert outcome.wall_s < 8 + NOISE_S
    if outcome.code == 3:
        assert outcome.stderr.startswith("iopio: error: ")
        assert "internal error" not in outcome.stderr
    else:
        project.check(outcome, timeout_s=8, control=outcome.code == 0)
        status = outcome.module(CONTROL).status
        assert status in ({"passed"} if outcome.code == 0 else {"error", "incomplete", "failed"})


class Refusing(SpawnExecutor):
    """An executor whose system refuses to start a process, so many times."""

    refusals = 0
    number = errno.EAGAIN
    tries = 0

    async def _launch(self, attempt, action, placement):
        self.tries += 1
        if self.tries <= self.refusals:
            raise OSError(self.number, os.strerror(self.number))
        await super()._launch(attempt, action, placement)


#: A run's guard kills whatever carries its id: two sessions of these tests must not share one.
RUN_ID = f"torture-{os.getpid()}"


def launch(tmp_path, number, refusals):
    """Run one empty module by an executor that refuses at first; how often it tried."""
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n")
    action = Action(path="test_it.py", root=str(tmp_path), invocation_dir=str(tmp_path))
    settings = executors.ExecutorSettings(environment=dict(os.environ))
    executor = Refusing(RUN_ID, settings)
    executor.number, executor.refusals = number, refusals

    async def run():
        async with executor:
            placement = Placement(run_id=RUN_ID, slot=0, attempt=1)
            async with executor.start(action, placement) as attempt:
                async for _ in attempt.messages():
                    pass
                return attempt.gone

    return executor, run


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EMFILE, errno.ENOMEM, errno.ENOSPC])
def test_49_what_may_pass_is_tried_again(tmp_path, monkeypatch, number):
    monkeypatch.setattr(executors, "LAUNCH_DELAYS_S", (0.0,) * 5)
    executor, run = launch(tmp_path, number, refusals=3)
    gone = anyio.run(run)
    assert gone.exit_status.ok
    assert executor.tries == 4


@pytest.mark.parametrize(
    ("number", "tries"), [(errno.EAGAIN, 6), (errno.ENOMEM, 6), (errno.EPERM, 1)]
)
def test_49_but_not_for_ever(tmp_path, monkeypatch, number, tries):
    monkeypatch.setattr(executors, "LAUNCH_DELAYS_S", (0.0,) * 5)
    executor, run = launch(tmp_path, number, refusals=100)
    with pytest.raises(InfrastructureError, match=r"no process could be started for test_it\.py"):
        anyio.run(run)
    assert executor.tries == tries
