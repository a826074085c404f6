"""Runs a command on a pseudo-terminal, and shows what its screen holds in the end."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

COLUMNS, LINES = 80, 24

#: Where a command that hangs is given up.
GIVEN_UP_S = 60.0

_SEQUENCE = re.compile(
    r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b\]8;[^\x1b\x07]*(?:\x1b\\|\x07)|\x1b([()].|[=>78])"
)


def run_on_terminal(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> tuple[int, str]:
    """The exit code of a command, and all that it wrote to its terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**env, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    written = bytearray()
    deadline_s = time.monotonic() + GIVEN_UP_S
    try:
        while True:
            ready, _, _ = select.select([ours], [], [], max(deadline_s - time.monotonic(), 0))
            assert ready, f"the command hangs: {written[-500:]!r}"
            try:
                data = os.read(ours, 65536)
            except OSError:
                # The last one who had the other end open has gone.
                break
            if not data:
                break
            written += data
        return process.wait(GIVEN_UP_S), written.decode("utf-8", "replace")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)


def screen_of(written: str) -> list[str]:
    """The lines that are to be read at the end, those that have scrolled away included."""
    rows = [""]
    row = column = 0
    position = 0
    while position < len(written):
        match = _SEQUENCE.match(written, position)
        if match:
            position = match.end()
            arguments, final = match[1] or "", match[2]
            count = int(arguments) if arguments.isdigit() else 1
            if final == "A":
                row = max(row - count, 0)
            elif final == "B":
                row += count
            elif final == "C":
                column += count
            elif final == "G":
                column = count - 1
            elif final == "K":
                rows[row] = "" if arguments == "2" else rows[row][:column]
            elif final == "J":
                rows[row] = rows[row][:column]
                del rows[row + 1 :]
            continue
        character = written[position]
        position += 1
        if character == "\n":
            row += 1
        elif character == "\r":
            column = 0
        elif character >= " ":
            while len(rows) <= row:
                rows.append("")
            line = rows[row].ljust(column)
            rows[row] = line[:column] + character + line[column + 1 :]
            column += 1
        while len(rows) <= row:
            rows.append("")
    return [line.rstrip() for line in rows]
