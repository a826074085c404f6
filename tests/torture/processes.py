"""Which processes there are, how to wait for them, and how they wait for each other.

Nothing here sleeps: whoever waits does so at a process or at a pipe.
"""

import contextlib
import os
import select
from pathlib import Path

#: Where a wait is given up.
GIVEN_UP_S = 40.0


def survivors(run_id: str) -> list[int]:
    """Living processes of a run, and orphans; those that have ended are reaped on the way."""
    cookie = f"IOPIO_RUN_ID={run_id}".encode()
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with contextlib.suppress(OSError):
            if cookie in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    for pid in orphans():
        if is_zombie(pid):
            os.waitpid(pid, 0)
        elif pid not in found:
            found.append(pid)
    return [pid for pid in found if not is_zombie(pid)]


def orphans() -> list[int]:
    """Children of this process, which has started none but those that were waited for."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found.extend(map(int, (task / "children").read_text().split()))
    return found


def is_zombie(pid: int) -> bool:
    """True for a process that has ended, be it waited for or not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in {"Z", "X"}


def wait_for_end(pid: int, seconds: float) -> bool:
    """Wait for the end of any process; False where it has not come in time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def describe(pid: int) -> str:
    """A process in a few words."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        words = b"gone"
    return f"{pid} {words[:200].decode('utf-8', 'replace')}"


def peak_rss_bytes(pid: int) -> int:
    """The most memory that a living process has had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


class Gate:
    """A FIFO that tests wait at until they are let through; ``wait`` is what a test executes."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        # Opened for both directions, so that nobody ever waits for the other side.
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.wait = f"open({str(path)!r}, 'rb', 0).read(1)"

    def open(self, waiters: int = 1) -> None:
        """Let so many through, whether they have come yet or not."""
        os.write(self._descriptor, b"." * waiters)

    def close(self) -> None:
        os.close(self._descriptor)


class Meeting:
    """A pipe in the file system on which tests say that they have come so far."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._heard = b""
        self._path = path

    def say(self, word: str) -> str:
        """The statement by which a test says a word."""
        # All in one call, so that an interrupt finds nothing half-done.
        return f"__import__('pathlib').Path({str(self._path)!r}).write_text('<{word}>')"

    def hear(self, word: str) -> None:
        """Wait until the word was said."""
        while f"<{word}>".encode() not in self._heard:
            ready, _, _ = select.select([self._descriptor], [], [], GIVEN_UP_S)
            assert ready, f"nobody said {word}"
            self._heard += os.read(self._descriptor, 4096)

    def close(self) -> None:
        os.close(self._descriptor)
