"""Tests that turn against the machine or the runner: cases 19, 34, 35, 44."""

import contextlib
import os
import pty
import select
import signal
import sys
import time
from pathlib import Path

import pytest
from torture.harness import NOISE_S, START_METHODS, Live
from torture.processes import GIVEN_UP_S, survivors
from torture.sources import ALL_PASSED, LOST, between

#: Everyone who gets a ticket forks, and so do all the children; without tickets it would never end.
FORK_BOMB = """\
import os, signal
TICKETS = 150
def explode(step_aside):
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.write(writer, b"." * TICKETS)
    parent = os.getpid()
    while True:
        try:
            ticket = os.read(reader, 1)
        except BlockingIOError:
            break
        if os.fork() == 0 and step_aside:
            os.setsid()
    if os.getpid() != parent:
        signal.pause()
def test_before(): pass
"""

BOMBS = {
    # All of them stay in the group; or each has a session of its own.
    "19_in_the_group": "def test_it():\n    explode(False)\n    signal.pause()\n",
    "19_in_sessions": "def test_it():\n    explode(True)\n    signal.pause()\n",
}
LEFT_BEHIND = "def test_it():\n    explode(True)\n"


@pytest.mark.parametrize("method", START_METHODS)
def test_19_a_fork_bomb_is_ended(project, method):
    for name, body in BOMBS.items():
        project.write(f"test_{name}.py", f"{FORK_BOMB}{body}def test_after(): pass\n")
    project.write("test_19_left.py", f"{FORK_BOMB}{LEFT_BEHIND}def test_after(): pass\n")
    project.write(
        "pyproject.toml", '[[tool.iopio.overrides]]\npaths = ["test_19_in*.py"]\ntimeout = "2 s"\n'
    )
    # The check that no process is left, and that the others pass, is what all this is about.
    outcome = project.run(f"--start-method={method}", "--grace=0.1s", timeout_s=2 * 2.0, code=1)
    for name in BOMBS:
        module = outcome.module(f"test_{name}.py")
        assert module.verdict == ("timed out", LOST)
        started = outcome.of("attempt_started", module=module.path)[0]
        dead_s = module.attempt["at_s"] - started["at_s"] - 2.0
        assert dead_s <= 2.0 + NOISE_S / 5
    left = outcome.module("test_19_left.py")
    assert left.verdict == ("leaked", ALL_PASSED)


#: Sources of the same length, so that only their text tells them apart.
OLD, NEW = "VALUE = 'old'\n", "VALUE = 'new'\n"

STALE_BYTECODE = """\
import compileall, os, py_compile, sys
mode = py_compile.PycInvalidationMode[sys.argv[1]]
file = sys.argv[2]
py_compile.compile(file, invalidation_mode=mode, doraise=True)
before = os.stat(file)
with open(file) as source:
    text = source.read()
with open(file, "w") as source:
    source.write(text.replace("old", "new"))
os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
"""


@pytest.mark.parametrize("method", START_METHODS)
@pytest.mark.parametrize("mode", ["TIMESTAMP", "UNCHECKED_HASH"])
def test_34_stale_bytecode_is_not_executed(project, method, mode):
    for name in ("product.py", "conftest.py"):
        project.write(name, OLD)
        with Live(project, ["-c", STALE_BYTECODE, mode, name], program=()) as compiling:
            assert compiling.rest().code == 0
        assert (project.root / name).read_text() == NEW
    project.write(
        "test_it.py",
        "import conftest, product\ndef test_it():\n"
        "    assert (product.VALUE, conftest.VALUE) == ('new', 'new')\n",
    )
    project.run(f"--start-method={method}", "test_it.py", code=0, control=False)


#: Does to a terminal what would stop, in the background, everyone who uses it.
TAKES_THE_TERMINAL = """\
import contextlib, os, signal, termios
def test_before(): pass
def test_it():
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    for name in ("/dev/tty", {terminal!r}):
        for flags in (os.O_RDWR, os.O_RDWR | os.O_NOCTTY):
            with contextlib.suppress(OSError):
                terminal = os.open(name, flags)
                with contextlib.suppress(OSError):
                    os.tcsetpgrp(terminal, os.getpgrp())
def test_after(): pass
"""


@pytest.mark.parametrize("method", START_METHODS)
def test_35_the_terminals_foreground_stays_with_the_runner(project, method):
    pid, ours = pty.fork()
    if pid == 0:
        # A shell that would start the command in the foreground of its terminal.
        with contextlib.suppress(BaseException):
            project.write("test_it.py", TAKES_THE_TERMINAL.format(terminal=os.ttyname(0)).encode())
            os.chdir(project.root)
            words = ["-m", "iopio_async", "run", f"--start-method={method}", "test_it.py"]
            os.execve(sys.executable, [sys.executable, *words], project.environment)
        os._exit(99)
    written = bytearray()
    deadline_s = time.monotonic() + GIVEN_UP_S
    try:
        while True:
            left_s = max(deadline_s - time.monotonic(), 0)
            assert select.select([ours], [], [], left_s)[0], f"it hangs: {written[-500:]!r}"
            with contextlib.suppress(OSError):
                if data := os.read(ours, 4096):
                    written += data
                    continue
            break
        _, status = os.waitpid(pid, os.WUNTRACED)
        pid = 0
    finally:
        os.close(ours)
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    assert os.WIFEXITED(status), f"the command was stopped or killed: {status}"
    assert os.WEXITSTATUS(status) == 0, written.decode("utf-8", "replace")
    journal = project.journal()
    finished = {event["id"]: event["outcome"] for event in journal if "outcome" in event}
    assert finished == {f"test_it.py::{name}": outcome for name, outcome in ALL_PASSED.items()}
    assert survivors(journal[0]["run_id"]) == []


#: Embeds a run in a process whose own handler takes the status of every child that ends.
STEALS = """\
import anyio, contextlib, os, signal, sys
from iopio_async.orchestration.embedding import load_config, open_run
stolen = []
def steal(*_):
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            stolen.append(ended)
async def main():
    config = load_config(".", start_method=sys.argv[1], workers=1)
    async with open_run(config) as run:
        async for envelope in run:
            print(run.run_id, flush=True) if envelope.seq == 0 else None
    assert stolen
    return run.stats.exit_code
signal.signal(signal.SIGCHLD, steal)
sys.exit(anyio.run(main))
"""


def test_44_a_stolen_exit_status_is_no_pass(project):
    project.write("test_it.py", between("pass"))
    with Live(project, ["-c", STEALS, "spawn"], program=()) as live:
        ended = live.rest()
    assert ended.code == 1, ended.stderr
    for event in project.journal():
        if event["event"] == "module_finished":
            assert event["status"] == "error"
            assert "exit status" in event["failure"]["message"]


def test_44_a_fork_server_keeps_the_statuses_to_itself(project):
    project.write("test_it.py", between("pass"))
    with Live(project, ["-c", STEALS, "forkserver"], program=()) as live:
        ended = live.rest()
    assert ended.code == 0, ended.stderr
    statuses = {
        event["module"]: (event["status"], event["exit_status"])
        for event in project.journal()
        if event["event"] == "attempt_finished"
    }
    assert statuses["test_it.py"] == ("passed", {"code": 0})
    assert survivors(Path(ended.stdout.decode().strip()).name) == []
