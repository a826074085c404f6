"""The reading side of a cache on disk, for runs that may find that they have nothing to do.

``ac/ab/KEY`` holds action entries, ``cas/ab/SHA256`` blobs, ``quarantine`` what was found to be
damaged. Every read is verified; whatever is not in order is a miss. This imports none of asyncio,
anyio and aiofiles, and creates nothing, but for a place to put damaged files.

When an entry was last used is kept in its file's time of access, which is set by hand (file systems
set it as they like) and at most once an hour. The time of modification stays: the index knows the
file by it.
"""

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from iopio_async import state
from iopio_async.cache import entries
from iopio_async.cache.faults import Faults
from iopio_async.errors import InfrastructureError
from iopio_async.model.trace import ActionEntry

ACTIONS = "ac"
BLOBS = "cas"
QUARANTINE = "quarantine"

#: Results of single tests, by the pytest plugin.
TESTS = "tests"

#: Digests of files by their status, which an observer remembers between runs.
DIGESTS = "digests"

#: Answers to whole commands, made from results; and the key of their names, which is no answer.
RECEIPTS = "receipts"
SECRET = "secret"

#: In each shard, what writers of its entries lock; the name of no entry.
LOCK = ".lock"

#: Files of a shard begin with the same so many letters, after which its folder is called.
SHARD_CHARS = 2

#: That an entry was used is noted at most so often.
USE_NOTED_EVERY_S = 3600.0

#: What opening a thing fails with that is no file of ours, rather than a file that can't be read.
_NOT_OURS = frozenset({errno.ELOOP, errno.EINVAL, errno.EISDIR, errno.ENXIO, errno.ENODEV})

_NS = 1_000_000_000


class Stamp(NamedTuple):
    """Tells one version of an entry's file from any other: files are replaced, never changed."""

    inode: int
    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        """The stamp of a file with this status."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


class DiskReader:
    """Reads the cache in ``folder`` (``.test_cache``, or whatever the user asked for)."""

    def __init__(
        self,
        folder: str,
        *,
        warn: Callable[[str], None],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.faults = Faults(warn, clock_s)
        self._trusted: set[tuple[str, ...]] = set()

    def file(self, area: str, name: str) -> str:
        """Where an area (``ac`` or ``cas``) keeps the file of this name."""
        return state.path(self.folder, area, name[:SHARD_CHARS], name)

    def entry(self, key: str) -> ActionEntry | None:
        """The entry of this key, verified; ``None`` where there is none that can be used."""
        found = self.stamped_entry(key)
        return found[0] if found else None

    def stamped_entry(self, key: str) -> tuple[ActionEntry, Stamp] | None:
        """Like :meth:`entry`, with the stamp of the file that it was read from."""
        found = self.found(key)
        return None if found is None or found[0] is None else (found[0], found[1])

    def found(self, key: str) -> tuple[ActionEntry | None, Stamp] | None:
        """What stands in the entry's place: no entry where another version wrote the file."""
        found = self._read(ACTIONS, key)
        if found is None:
            return None
        data, status = found
        try:
            entry = entries.decode(data, key)
        except entries.DamagedError as error:
            self._put_aside(self.file(ACTIONS, key), str(error))
            return None
        return entry, Stamp.of(status)

    def blob(self, digest: str) -> bytes | None:
        """The bytes of this digest, verified; ``None`` where they are not there."""
        found = self._read(BLOBS, digest)
        if found is None:
            return None
        data, _ = found
        if entries.digest_of(data) != digest:
            self._put_aside(self.file(BLOBS, digest), "its checksum is wrong")
            return None
        return data

    def stamps(self, keys: Iterable[str]) -> dict[str, Stamp]:
        """The stamps of the entries' files as they are now; of those that are there."""
        found: dict[str, Stamp] = {}
        if self.faults.off or not self._is_trusted():
            return found
        place = state.path(self.folder, ACTIONS)
        for key in keys:
            if self.faults.off or not entries.is_digest(key):
                continue
            try:
                with self.faults.operation():
                    status = os.lstat(f"{place}/{key[:SHARD_CHARS]}/{key}")
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                found[key] = Stamp.of(status)
        return {} if self.faults.off else found

    def read(self, name: str) -> bytes | None:
        """The content of a file right in this version's folder; ``None`` where it can't be read."""
        if self.faults.off or not self._is_trusted():
            return None
        try:
            with self.faults.operation():
                return state.read(state.path(self.folder, name))
        except OSError:
            return None

    def note_use(self, keys: Iterable[str], now_s: float) -> None:
        """Note that these entries were of use: what is not goes first when space is needed."""
        now_ns = int(now_s * _NS)
        for key in keys:
            if self.faults.off or not entries.is_digest(key) or not self._is_trusted():
                return
            try:
                with self.faults.operation():
                    _note_use(self.file(ACTIONS, key), now_ns)
            except OSError:
                # On a read-only file system nothing is removed either.
                continue

    def _read(self, area: str, name: str) -> tuple[bytes, os.stat_result] | None:
        # Whatever is no digest could lead anywhere.
        if self.faults.off or not entries.is_digest(name):
            return None
        file = self.file(area, name)
        try:
            with self.faults.operation():
                if not self._is_trusted(area, name[:SHARD_CHARS]):
                    return None
                return state.read_with_status(file)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in _NOT_OURS:
                self._put_aside(file, "it is not a file of this user")
            else:
                self.faults.unreadable(file, error)
            return None

    def _is_trusted(self, *parts: str) -> bool:
        """Say whether a folder is there and is to be trusted; looked at once, when it is."""
        if parts in self._trusted:
            return True
        try:
            there = state.is_there(self.folder, *parts)
        except InfrastructureError as error:
            self.faults.switch_off(error.message)
            return False
        if there:
            self._trusted.add(parts)
        return there

    def _put_aside(self, file: str, why: str) -> None:
        name = f"{os.path.basename(file)}-{os.urandom(4).hex()}"
        # Where it can't be moved, it stays a miss where it is.
        with contextlib.suppress(OSError, InfrastructureError):
            os.rename(file, os.path.join(state.ensure(self.folder, QUARANTINE), name))
        self.faults.damaged(file, why)


def _note_use(file: str, now_ns: int) -> None:
    # By descriptor, so that the times can't get onto a newer version of the file.
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not 0 <= now_ns - status.st_atime_ns < USE_NOTED_EVERY_S * _NS:
            os.utime(descriptor, ns=(now_ns, status.st_mtime_ns))
    finally:
        os.close(descriptor)
