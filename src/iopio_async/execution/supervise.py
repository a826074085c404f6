"""Ends processes, all of them, and learns how they ended.

A process is *gone* when it has been waited for. Waiting goes through a pidfd where there is one, so
that no thread is needed and resource usage comes with the status. Descendants that left the process
group are adopted by the orchestrator (it is a sub-reaper while it runs) and found among its
children by the attempt's cookie in their environment.
"""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from typing import Self

import anyio
import anyio.to_thread
import msgspec

from iopio_async.model.outcome import ExitStatus

#: Set in the environment of everything that an attempt starts.
ATTEMPT_COOKIE = "IOPIO_ATTEMPT_ID"

_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37


class Ended(msgspec.Struct, frozen=True):
    """How a process ended, and what it used; the status is empty where somebody else took it."""

    exit_status: ExitStatus = ExitStatus()
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0

    @classmethod
    def told(cls, status: int, cpu_s: float, peak_rss_bytes: int) -> Self:
        """From a wait status."""
        if os.WIFSIGNALED(status):
            exit_status = ExitStatus(signal=os.WTERMSIG(status))
        else:
            exit_status = ExitStatus(code=os.waitstatus_to_exitcode(status))
        return cls(exit_status, cpu_s, peak_rss_bytes)


async def wait(pid: int) -> Ended:
    """Wait for a child, without a thread where the platform has pidfds."""
    open_pidfd = getattr(os, "pidfd_open", None)
    if open_pidfd is not None:
        try:
            descriptor = open_pidfd(pid)
        except ProcessLookupError:
            return _reap(pid)
        except OSError:
            return await _wait_in_thread(pid)
        try:
            await anyio.wait_readable(descriptor)
        finally:
            os.close(descriptor)
        return _reap(pid)
    return await _wait_in_thread(pid)


async def _wait_in_thread(pid: int) -> Ended:
    return await anyio.to_thread.run_sync(_reap, pid, abandon_on_cancel=True)


def _reap(pid: int) -> Ended:
    try:
        _, status, usage = os.wait4(pid, 0)
    except ChildProcessError:
        return Ended()
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return Ended.told(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit_bytes)


def signal_group(group: int, number: int) -> None:
    """Send a signal to all of a process group that is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def group_members(group: int) -> bool:
    """True while the process group has any member, zombies that are not reaped included."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def is_stopped(pid: int) -> bool:
    """True for a process that a signal has stopped, where the system tells."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name before the state may hold anything, brackets included.
            state = file.read().rpartition(b")")[2].split()[:1]
    except OSError:
        return False
    return state == [b"T"]


def has_descriptors(pid: int) -> bool:
    """True for a process that is not on its way out, where the system tells.

    Ending processes give back all their descriptors together, before they can be waited for.
    """
    try:
        return bool(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def adopted(known: frozenset[int]) -> list[int]:
    """Children of this process that are not in ``known``: orphans that it adopted."""
    found: list[int] = []
    for path in _children_files():
        with contextlib.suppress(OSError), open(path, "rb") as file:
            found.extend(int(word) for word in file.read().split())
    return [pid for pid in found if pid not in known]


def _children_files() -> Iterator[str]:
    try:
        tasks = os.listdir("/proc/self/task")
    except OSError:
        return
    for task in tasks:
        yield f"/proc/self/task/{task}/children"


def belongs(pid: int, group: int, cookie: str) -> bool:
    """True where a process is of the group, or carries this attempt's cookie."""
    try:
        if os.getpgid(pid) == group:
            return True
        with open(f"/proc/{pid}/environ", "rb") as file:
            entries = file.read().split(b"\0")
    except OSError:
        return False
    return f"{ATTEMPT_COOKIE}={cookie}".encode() in entries


def reap_group(group: int) -> None:
    """Take the status of every ended child that belongs to the group."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG)[0]:
            continue


def describe(pid: int) -> str:
    """A process in a few words: its id and the head of its command line."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(400).replace(b"\0", b" ").strip()
    except OSError:
        words = b""
    return f"{pid} ({words.decode('utf-8', 'backslashreplace')[:120] or 'gone'})"


def kill_and_reap(pid: int) -> None:
    """Kill an adopted child and take its status, so that no zombie stays."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


class _Subreaping:
    """How many runs of this process need it to adopt orphans, and what it was before the first."""

    users = 0
    before = 0


@contextlib.contextmanager
def subreaper() -> Iterator[None]:
    """Adopt orphaned descendants while the context lasts (Linux; elsewhere nothing happens).

    Contexts may overlap: the last to end restores what was before the first.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if not _Subreaping.users:
        before = ctypes.c_int()
        libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        _Subreaping.before = before.value
    _Subreaping.users += 1
    try:
        yield
    finally:
        _Subreaping.users -= 1
        if not _Subreaping.users:
            libc.prctl(_PR_SET_CHILD_SUBREAPER, _Subreaping.before, 0, 0, 0)


@contextlib.contextmanager
def child_statuses_kept() -> Iterator[None]:
    """Undo an inherited ``SIG_IGN`` for SIGCHLD: with it the kernel throws exit statuses away."""
    try:
        ignored = signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
        if ignored:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    except ValueError:
        # Not in the main thread: the statuses will then be reported as unknown, never as passes.
        ignored = False
    try:
        yield
    finally:
        if ignored:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
