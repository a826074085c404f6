"""What a worker arranges around the tests, each in a process that may be spoilt."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from iopio_async.wire.contract import STACKS_FILE
from iopio_async.worker import surroundings


def run(source: str, *words: str, code: int = 0, **options: object) -> str:
    """Run a program; what it wrote to its standard output."""
    finished = subprocess.run(
        [sys.executable, "-P", "-c", source, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert finished.returncode == code, finished.stderr
    return str(finished.stdout)


def test_private_descriptors_are_out_of_the_way() -> None:
    reading, writing = os.pipe()
    private = surroundings.make_private(reading)
    try:
        assert private >= surroundings.LOWEST_DESCRIPTOR
        assert not os.get_inheritable(private)
        with pytest.raises(OSError, match="Bad file descriptor"):
            fcntl.fcntl(reading, fcntl.F_GETFD)
        os.write(writing, b"through")
        assert os.read(private, 10) == b"through"
    finally:
        os.close(private)
        os.close(writing)


HOLDS = """
import os, subprocess, sys, threading
from iopio_async.worker import surroundings
surroundings.hold_lifeline(int(sys.argv[1]))
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
threading.Event().wait()
"""


@pytest.mark.skipif(not hasattr(fcntl, "F_SETSIG"), reason="the kernel can't do it here")
def test_the_whole_group_ends_with_the_lifeline() -> None:
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(reading)],
        stdout=subprocess.PIPE,
        pass_fds=(reading,),
        start_new_session=True,
    )
    os.close(reading)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    os.close(writing)
    assert process.wait(30) == -signal.SIGKILL
    # Its end of the pipe is closed by its end, too.
    assert process.stdout.read() == b""
    process.stdout.close()
    assert not Path(f"/proc/{child}/exe").exists()


@pytest.mark.skipif(not hasattr(fcntl, "F_SETSIG"), reason="the kernel can't do it here")
def test_a_lifeline_that_has_ended_before() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    try:
        run(HOLDS, str(reading), code=1, pass_fds=(reading,), start_new_session=True)
    finally:
        os.close(reading)


ARRANGES = """
import json, sys
before = list(sys.path)
from iopio_async.model.action import Action
from iopio_async.model.module import Framework
from iopio_async.worker import surroundings
framework, cwd_on_path = sys.argv[1:]
surroundings.arrange(Action(
    path="t.py", root="/root", invocation_dir="/here", framework=Framework(framework),
    arguments=("-x", "t.py"), cwd_on_path=cwd_on_path == "yes",
))
import faulthandler, os
added = sys.path[: len(sys.path) - len(before)]
assert sys.path[len(added):] == before
scripts = os.path.dirname(sys.executable)
print(json.dumps([
    [entry.replace(scripts, "SCRIPTS") for entry in added],
    [word.replace(scripts, "SCRIPTS") for word in sys.argv],
    faulthandler.is_enabled(),
]))
"""


@pytest.mark.parametrize(
    ("framework", "cwd_on_path", "path", "faults"),
    [
        ("pytest", "no", '["SCRIPTS"]', "false"),
        ("pytest", "yes", '["/here"]', "false"),
        ("unittest", "no", "[]", "true"),
        ("functions", "yes", '["/here"]', "true"),
    ],
)
def test_path_and_arguments_of_a_plain_run(
    framework: str, cwd_on_path: str, path: str, faults: str
) -> None:
    expected = f'[{path}, ["SCRIPTS/{framework}", "-x", "t.py"], {faults}]\n'
    assert run(ARRANGES, framework, cwd_on_path) == expected


def test_stacks_are_written_on_the_signal(tmp_path: Path) -> None:
    source = """
import os, sys
from iopio_async.model.action import Action
from iopio_async.wire.contract import STACKS_SIGNAL
from iopio_async.worker import surroundings
surroundings.keep_stacks(Action(
    path="t.py", root="/", invocation_dir="/", private_dir=sys.argv[1],
))
def stands_here():
    os.kill(os.getpid(), STACKS_SIGNAL)
stands_here()
"""
    run(source, str(tmp_path))
    file = tmp_path / STACKS_FILE
    assert "in stands_here" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("value", "code", "said"),
    [(None, 0, ""), (0, 0, ""), (3, 3, ""), (256 + 7, 7, ""), (-1, 255, ""), ("why", 1, "why\n")],
)
def test_exit_code_is_the_interpreters(
    capsys: pytest.CaptureFixture[str], value: object, code: int, said: str
) -> None:
    assert surroundings.exit_code(SystemExit(value)) == code
    assert capsys.readouterr().err == said


LEAVES = """
import atexit, sys, threading
from iopio_async.worker import surroundings
def last_words(event=threading.Event()):
    event.wait(0.05)
    print("thread")
threading.Thread(target=last_words).start()
atexit.register(print, "exit handler")
sys.stdout.write("unflushed\\n")
{more}
surroundings.leave(5)
"""


def test_leaving_waits_for_threads_and_runs_exit_handlers() -> None:
    assert run(LEAVES.format(more=""), code=5) == "unflushed\nthread\nexit handler\n"


@pytest.mark.parametrize(
    "more",
    [
        "sys.stdout.flush(); sys.stdout.close()",
        "sys.stdout.flush(); sys.stdout = None; sys.stderr = None",
        "atexit.register(lambda: 1 / 0)",
        "import os; os.closerange(0, 3)",
    ],
)
def test_leaving_gets_out_of_any_state(more: str) -> None:
    run(LEAVES.format(more=more).replace('print("thread")', "pass"), code=5)


FREEZES = """
import gc
from iopio_async.worker import surroundings
frozen = gc.get_freeze_count
surroundings.reveal_heap()
before = [object]
gc.freeze()
many = frozen()
assert many > 1000
{look}
# A full collection freezes what is immortal, in some versions.
print(frozen() < many / 2)
"""


@pytest.mark.parametrize(
    ("look", "thaws"),
    [
        ("", False),
        ("gc.collect()", True),
        ("gc.collect(generation=0)", True),
        ("assert any(each is before for each in gc.get_objects())", True),
        ("inner = [before]; assert any(each is inner for each in gc.get_referrers(before))", True),
        ("assert gc.get_freeze_count() < many / 2", True),
        # pytest's own rounds at the end of a session are no look.
        ('exec("gc.collect()", {"__name__": "_pytest.unraisableexception", "gc": gc})', False),
    ],
)
def test_a_frozen_heap_is_there_for_who_looks(look: str, thaws: bool) -> None:
    assert run(FREEZES.format(look=look)) == f"{thaws}\n"
