"""A tiny process that outlives the orchestrator just long enough to tidy up after it.

Started as ``python -I -S guard.py LIFELINE RUN_ID DIRECTORY``, in a session of its own. It waits
for the end of the lifeline pipe, which comes when the orchestrator ends in whatever way, SIGKILL
included. Then it kills every process that carries the run's id in its environment, and removes the
run's private directory. It imports nothing but what the interpreter has loaded anyway.
"""

import contextlib
import os
import signal
import sys
import time

#: How long to go on looking for processes that are being forked while others are killed.
PATIENCE_S = 1.0


def strays(cookie: bytes) -> list[int]:
    """Processes, other than this one, whose environment holds ``cookie`` as an entry."""
    found: list[int] = []
    try:
        entries = os.listdir("/proc")
    except OSError:
        return found
    own = os.getpid()
    for entry in entries:
        if not entry.isdigit() or int(entry) == own:
            continue
        with contextlib.suppress(OSError), open(f"/proc/{entry}/environ", "rb") as file:
            if cookie in file.read().split(b"\0"):
                found.append(int(entry))
    return found


def kill_strays(cookie: bytes) -> None:
    """Kill until nothing is found any more, or patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    while found := strays(cookie):
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return
        time.sleep(0.01)


def remove(path: str) -> None:
    """Remove a directory tree, opening up what was closed to its owner."""
    try:
        entries = list(os.scandir(path))
    except NotADirectoryError:
        entries = []
    except OSError:
        with contextlib.suppress(OSError):
            os.chmod(path, 0o700)
        try:
            entries = list(os.scandir(path))
        except OSError:
            return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            remove(entry.path)
            continue
        try:
            os.unlink(entry.path)
        except PermissionError:
            with contextlib.suppress(OSError):
                os.chmod(path, 0o700)
                os.unlink(entry.path)
        except OSError:
            continue
    with contextlib.suppress(OSError):
        os.rmdir(path)


def main(arguments: list[str]) -> None:
    """Wait for the orchestrator's end, then tidy up."""
    lifeline, run_id, directory = arguments
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(int(lifeline), 64):
        continue
    kill_strays(f"IOPIO_RUN_ID={run_id}".encode())
    remove(directory)


if __name__ == "__main__":
    main(sys.argv[1:])
