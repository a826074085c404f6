"""Reads a log of `strace -f -y -e trace=%file,clone,clone3,fork,vfork`: who touched which path.

Pure: lines in, values out. A path is absolute and lexically normal; a relative one is joined to the
folder that strace names for its descriptor, or to the process's own, as far as `chdir` and the
other calls have told it.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_LINE = re.compile(r"(\d+) +(.*)", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_CALL = re.compile(r"(\w+)\((.*)", re.DOTALL)
_STRING = re.compile(r'(?:(AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"')
_RESULT = re.compile(r".*\) += (-?\d+|\?)", re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|x[0-9a-f]{2}|.)")

_SIMPLE = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}

#: Calls that begin a process; with CLONE_THREAD, a thread.
BEGINNINGS = ("clone", "clone3", "fork", "vfork")

#: Calls with strings that are no paths of theirs, beside the first so many.
PATHS_IN = {
    "execve": 1, "readlink": 1, "readlinkat": 1, "symlink": 2, "symlinkat": 2, "rename": 2,
    "renameat": 2, "renameat2": 2, "link": 2, "linkat": 2, "mount": 2,
}  # fmt: skip

#: Calls after which a file's content can be read.
OPENINGS = ("open", "openat", "openat2", "creat")

#: Calls that tell a folder and look at nothing.
SILENT = ("getcwd",)


@dataclass(frozen=True)
class Touch:
    """A path that a call named; ``line`` is where in the log, counted from 1."""

    path: str
    call: str
    line: int
    by_python: bool
    #: Whether it was opened, and is no directory as far as the call says.
    opened: bool = False


@dataclass
class Process:
    """One process; a thread's calls are its process's."""

    pid: int
    parent: int = 0
    #: Line of the log at which it was forked; 0 for the first.
    forked_at: int = 0
    #: Whether it has executed another program since.
    executed: bool = False
    is_python: bool = True
    cwd: str = ""
    touches: list[Touch] = field(default_factory=list)


def unescape(text: str) -> str:
    """A string as strace wrote it, as a path."""

    def one(match: re.Match[bytes]) -> bytes:
        body = match[1]
        if body[:1] in b"01234567":
            return bytes([int(body, 8) & 0xFF])
        if body[:1] == b"x" and len(body) == 3:
            return bytes([int(body[1:], 16)])
        return _SIMPLE.get(body, body)

    return os.fsdecode(_ESCAPE.sub(one, os.fsencode(text)))


class _Log:
    """The state of reading: processes, threads and calls that have not come back."""

    def __init__(self, cwd: str) -> None:
        self.cwd = cwd
        self.processes: dict[int, Process] = {}
        self.leaders: dict[int, int] = {}
        self.open_calls: dict[int, tuple[str, int]] = {}

    def process(self, tid: int) -> Process:
        """The process of a thread."""
        pid = self.leaders.get(tid, tid)
        if pid not in self.processes:
            self.processes[pid] = Process(pid, cwd=self.cwd)
        return self.processes[pid]

    def begin(self, text: str, tid: int, line: int) -> None:
        """A call that begins a process or a thread, complete with its result."""
        result = _RESULT.match(text)
        if result is None or result[1] == "?" or int(result[1]) <= 0:
            return
        child, parent = int(result[1]), self.process(tid)
        if "CLONE_THREAD" in text:
            self.leaders[child] = parent.pid
            # What it said before the call came back was taken for a process's.
            if child in self.processes and child != parent.pid:
                parent.touches += self.processes.pop(child).touches
            return
        process = self.process(child)
        process.parent, process.forked_at = parent.pid, line
        if not process.executed:
            process.is_python, process.cwd = parent.is_python, process.cwd or parent.cwd

    def call(self, text: str, tid: int, line: int) -> None:
        """Any other call, complete with its result."""
        match = _CALL.match(text)
        if match is None or match[1] in SILENT:
            return
        name, rest = match[1], match[2]
        process = self.process(tid)
        result = _RESULT.match(text)
        succeeded = result is not None and result[1] == "0"
        opened = name in OPENINGS and result is not None and result[1].isdigit()
        opened = opened and "O_DIRECTORY" not in rest and "O_PATH" not in rest
        first = ""
        for found in list(_STRING.finditer(rest))[: PATHS_IN.get(name, 2)]:
            holder, folder, words = found.groups()
            if holder == "AT_FDCWD":
                process.cwd = unescape(folder)
            path = unescape(words)
            if not path:
                continue
            base = unescape(folder) if folder else process.cwd
            path = os.path.normpath(os.path.join(base, path))
            first = first or path
            process.touches.append(Touch(path, name, line, process.is_python, opened))
        if name == "chdir" and succeeded:
            process.cwd = first
        if name == "execve" and succeeded:
            process.executed = True
            process.is_python = "python" in os.path.basename(first)

    def take(self, text: str, tid: int, line: int) -> None:
        """A line without its number."""
        resumed = _RESUMED.match(text)
        if resumed is not None:
            head, began = self.open_calls.pop(tid, (resumed[1] + "(", line))
            text, line = head + resumed[2], began
        elif text.rstrip().endswith("<unfinished ...>"):
            self.open_calls[tid] = (text.rstrip().removesuffix("<unfinished ...>"), line)
            # The child of a fork may speak before its parent's call has come back.
            return
        name = text.partition("(")[0]
        if name in BEGINNINGS:
            self.begin(text, tid, line)
        else:
            self.call(text, tid, line)


def read_log(lines: Iterable[str], cwd: str) -> dict[int, Process]:
    """The processes of a log, by their ids; ``cwd`` is the folder of the first."""
    log = _Log(cwd)
    for number, line in enumerate(lines, 1):
        match = _LINE.match(line)
        if match is not None:
            log.take(match[2], int(match[1]), number)
    for tid, (text, number) in log.open_calls.items():
        log.call(text, tid, number)
    return log.processes
