"""Two processes on one machine that claim the same, one of which is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Takes what it claims, says so, and keeps it until its input ends. A child that it starts, as a
#: run starts its workers, outlives it.
_PROGRAM = """
import subprocess
import sys

import anyio

from iopio_async.model.module import Claim
from iopio_async.orchestration.machine_guard import MachineGuard
from iopio_async.project.machine_locks import MachineLocks

place, root = sys.argv[1:]


def say(text):
    print(text, flush=True)


async def main():
    guard = MachineGuard(MachineLocks(place, root), root, {}, say, here=root)
    say("asks")
    await guard.acquire("unit", (Claim("db"),))
    subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"],
        stdout=subprocess.DEVNULL,
        close_fds=False,
    )
    say("holds")
    sys.stdin.read()


anyio.run(main)
"""


@contextmanager
def holder(place: Path, root: Path) -> Iterator["subprocess.Popen[str]"]:
    root.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(place), str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def test_who_waits_goes_on_where_the_holder_is_killed(tmp_path: Path) -> None:
    place = tmp_path / "runs"
    with (
        holder(place, tmp_path / "one") as one,
        holder(place, tmp_path / "one") as two,
    ):
        lines = {process.pid: said(process) for process in (one, two)}
        assert set(lines.values()) == {"asks"}
        # Whoever of the two came first; the other one tells of it, and only then it is killed.
        first, second = _by_turn(place, one, two)
        assert said(first) == "holds"
        assert said(second) == f"waits for db, held by pid {first.pid} in this project"
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert said(second) == "holds"


def test_another_project_is_named_as_seen_from_here(tmp_path: Path) -> None:
    place = tmp_path / "runs"
    with holder(place, tmp_path / "one") as one:
        assert [said(one), said(one)] == ["asks", "holds"]
        with holder(place, tmp_path / "two") as two:
            assert said(two) == "asks"
            assert said(two) == f"waits for db, held by pid {one.pid} in ../one"
            assert one.stdin is not None
            one.stdin.close()
            assert said(two) == "holds"
    assert one.returncode == 0


def _by_turn(
    place: Path, one: "subprocess.Popen[str]", two: "subprocess.Popen[str]"
) -> tuple["subprocess.Popen[str]", "subprocess.Popen[str]"]:
    """The process that holds, and the one that waits; both are in the table at last."""
    locks = place / "v1" / "locks"
    while True:
        names = sorted(each for each in os.listdir(locks) if each.endswith(("holds", "waits")))
        held = [each for each in names if each.endswith("holds")]
        if len(names) == 2 and held:
            text = (locks / held[0]).read_text()
            return (one, two) if f"[{one.pid}," in text else (two, one)
        os.sched_yield()
