"""How processes ended is learnt, and what belongs to whom is told."""

import os
import signal
import subprocess
import sys

import anyio
import pytest

from iopio_async.execution import supervise
from iopio_async.model.outcome import ExitStatus

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


def start(source: str, **options: object) -> int:
    """Start a program; its process id. Its status is for the test to take."""
    process = subprocess.Popen([sys.executable, "-S", "-c", source], **options)  # type: ignore[call-overload]
    process.returncode = 0
    return int(process.pid)


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("", ExitStatus(code=0)),
        ("raise SystemExit(7)", ExitStatus(code=7)),
        ("import os; os.kill(os.getpid(), 9)", ExitStatus(signal=9)),
        ("import os; os.kill(os.getpid(), 15)", ExitStatus(signal=15)),
    ],
)
def test_wait(source: str, status: ExitStatus) -> None:
    ended = anyio.run(supervise.wait, start(source))
    assert ended.exit_status == status
    assert ended.peak_rss_bytes > 1024 * 1024


def test_wait_without_pidfds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.pidfd_open", raising=False)
    assert anyio.run(supervise.wait, start("raise SystemExit(3)")).exit_status.code == 3


def test_a_status_that_somebody_else_took_is_unknown() -> None:
    pid = start("")
    os.waitpid(pid, 0)
    ended = anyio.run(supervise.wait, pid)
    assert ended.exit_status == ExitStatus()
    assert not ended.exit_status.ok


def test_groups() -> None:
    pid = start("import time; time.sleep(600)", start_new_session=True)
    assert supervise.group_members(pid)
    supervise.signal_group(pid, signal.SIGKILL)
    assert anyio.run(supervise.wait, pid).exit_status.signal == signal.SIGKILL
    assert not supervise.group_members(pid)
    supervise.signal_group(pid, signal.SIGKILL)


@LINUX
def test_what_belongs_to_an_attempt() -> None:
    cookie = "run.00000001"
    environment = {**os.environ, supervise.ATTEMPT_COOKIE: cookie}
    source = "print(flush=True); import time; time.sleep(600)"
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", source],
        env=environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    pid = process.pid
    try:
        assert supervise.belongs(pid, group=pid, cookie="another")
        assert supervise.belongs(pid, group=1, cookie=cookie)
        assert not supervise.belongs(pid, group=1, cookie="run.0000000")
        assert not supervise.belongs(pid, group=1, cookie="another")
        assert pid in supervise.adopted(frozenset())
        assert pid not in supervise.adopted(frozenset({pid}))
        assert "time.sleep(600)" in supervise.describe(pid)
        assert supervise.describe(pid).startswith(f"{pid} (")
    finally:
        supervise.kill_and_reap(pid)
        process.stdout.close()
        process.returncode = -9
    assert not supervise.belongs(pid, group=pid, cookie=cookie)
    assert supervise.describe(pid) == f"{pid} (gone)"
    supervise.kill_and_reap(pid)


@LINUX
def test_orphans_are_adopted_while_it_lasts() -> None:
    # The middle process ends at once, and leaves its own child behind.
    source = (
        "import os, sys, time\n"
        "if os.fork():\n    os._exit(0)\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(600)\n"
    )
    with supervise.subreaper():
        process = subprocess.Popen([sys.executable, "-S", "-c", source], stdout=subprocess.PIPE)
        assert process.stdout is not None
        orphan = int(process.stdout.readline())
        process.wait()
        assert orphan in supervise.adopted(frozenset())
        supervise.kill_and_reap(orphan)
        assert orphan not in supervise.adopted(frozenset())
        process.stdout.close()


def test_statuses_are_kept_though_they_were_to_be_ignored() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with supervise.child_statuses_kept():
            assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
            pid = start("raise SystemExit(4)")
            assert anyio.run(supervise.wait, pid).exit_status.code == 4
        assert signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGCHLD, before)
