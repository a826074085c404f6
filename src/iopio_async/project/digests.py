"""Digests of files, remembered by their status.

A digest is taken from memory where the file has the very status that it had when it was read, and
that status was old enough then for any later change to show (see ``file_systems``).
"""

import errno
import os
from collections.abc import Callable
from hashlib import file_digest, sha256
from time import time_ns

import msgspec

from iopio_async.project.file_systems import FileSystems

#: Device, inode, size, modified, changed (both in nanoseconds), mode.
Status = tuple[int, int, int, int, int, int]

ABSENT = "absent"

#: Counted up whenever memories of one version can't be read by another.
FORMAT = 1

#: A memory that has grown beyond this forgets what the run did not ask for.
MOST_REMEMBERED = 200_000

#: Files up to this size are read in one piece.
_AT_ONCE_BYTES = 1 << 20

_Memory = tuple[int, dict[str, tuple[Status, str]]]
_decoder: msgspec.msgpack.Decoder[_Memory] = msgspec.msgpack.Decoder(_Memory)


def look(path: str, *, follow: bool = True) -> Status | str:
    """The status of a path; ``absent``, or in a word why it can't be told."""
    try:
        st = os.stat(path, follow_symlinks=follow)
    except OSError as error:
        return failure(error)
    except ValueError:
        return ABSENT
    return (st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_mode)


def failure(error: OSError) -> str:
    """What stands for a value that could not be read."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return ABSENT
    return f"unreadable: {errno.errorcode.get(error.errno or 0, 'unknown')}"


class Digests:
    """The memory of digests, by absolute path."""

    def __init__(
        self,
        remembered: bytes = b"",
        *,
        file_systems: FileSystems | None = None,
        now_ns: Callable[[], int] = time_ns,
    ) -> None:
        self.file_systems = file_systems or FileSystems()
        self._now_ns = now_ns
        self._remembered = _decode(remembered)
        self._used: set[str] = set()
        #: How many files had to be read.
        self.read_count = 0

    def of(self, path: str, status: Status) -> str:
        """The SHA-256 of a regular file that has just been seen to have this status, in hex."""
        known = self._remembered.get(path)
        if known is not None and known[0] == status and not self.file_systems.is_remote(status[0]):
            self._used.add(path)
            return known[1]
        self.read_count += 1
        seen_ns = self._now_ns()
        try:
            # Whatever has taken the regular file's place: it is not waited for.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb", buffering=0) as file:
                # A change from here on is later than this status, and so seen next time.
                st = os.fstat(descriptor)
                opened = (st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns)
                if status[2] <= _AT_ONCE_BYTES:
                    digest = sha256(file.read()).hexdigest()
                else:
                    digest = file_digest(file, "sha256").hexdigest()
        except OSError as error:
            return failure(error)
        if opened == status[:4] and not self.is_fresh(status, seen_ns):
            self._remembered[path] = (status, digest)
            self._used.add(path)
        return digest

    def is_fresh(self, status: Status, seen_ns: int) -> bool:
        """True where something with this status may have changed unseen at ``seen_ns`` or later."""
        slack_ns = self.file_systems.slack_ns(status[0])
        return changed_ns(status, seen_ns) + slack_ns > seen_ns

    def save(self) -> bytes:
        """The memory as bytes, to be given to the next one."""
        entries = self._remembered
        if len(entries) > MOST_REMEMBERED:
            entries = {path: entries[path] for path in self._used}
        entries = {path: entry for path, entry in entries.items() if _is_text(path)}
        return msgspec.msgpack.encode((FORMAT, entries))


def changed_ns(status: Status, seen_ns: int) -> int:
    """When something last changed. A time of modification in the future was set by somebody."""
    modified_ns, status_changed_ns = status[3], status[4]
    if modified_ns > seen_ns:
        return status_changed_ns
    return max(modified_ns, status_changed_ns)


def _decode(data: bytes) -> dict[str, tuple[Status, str]]:
    try:
        version, entries = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return entries if version == FORMAT else {}


def _is_text(path: str) -> bool:
    """False for names that are no UTF-8, which MessagePack can't carry."""
    return path.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in path)
