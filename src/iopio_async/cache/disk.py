"""The writing side of a cache on disk: adds results while tests run, where latency hides.

Whatever is written gets a name of its own first and takes its place in one step, so a reader sees
the old file or the new, and a run that is killed at any moment leaves at most a temporary file,
which the collection of garbage removes. Blobs come before the entry that names them. Entries are
merged under a lock, held for milliseconds, with what stands there by then: of runs at the same
time, none takes away another's results.

Nothing is forced onto the disk: after a loss of power, what did not get there fails its checksum.
"""

import contextlib
import errno
import os
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar, TypeVarTuple

import aiofiles
import aiofiles.os
import anyio
import anyio.to_thread

from iopio_async import state
from iopio_async.cache import entries
from iopio_async.cache.index import Index
from iopio_async.cache.ports import Clean
from iopio_async.cache.reader import ACTIONS, BLOBS, LOCK, SHARD_CHARS, DiskReader, Stamp
from iopio_async.errors import InfrastructureError
from iopio_async.model.trace import ActionEntry

T = TypeVar("T")
Args = TypeVarTuple("Args")

#: So long a run waits for others that write entries, before it does without.
LOCK_DEADLINE_S = 5.0
_LOCK_PAUSE_S = 0.005

#: So long it may take to store one result, waiting included.
STORING_DEADLINE_S = 10.0

#: Entry before → entry after; ``None`` where it is right as it is.
_Change = Callable[[ActionEntry | None], ActionEntry | None]


class _GivenUpError(Exception):
    """The cache was switched off meanwhile."""


class DiskStore:
    """Reads by ``reader``, and writes where that reads; what was written goes into ``index`` too.

    ``now_s`` tells seconds since the epoch. One event loop uses it, asyncio's.
    """

    def __init__(
        self,
        reader: DiskReader,
        index: Index | None = None,
        *,
        now_s: Callable[[], float] = time.time,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.reader = reader
        self.index = index
        self._now_s = now_s
        self._clock_s = clock_s
        self._ensured: set[tuple[str, str]] = set()

    def entry(self, key: str) -> ActionEntry | None:
        """The entry of this key, verified; ``None`` where there is none that can be used."""
        return self.reader.entry(key)

    def blob(self, digest: str) -> bytes | None:
        """The bytes of this digest, verified; ``None`` where they are not there."""
        return self.reader.blob(digest)

    async def put_blob(self, data: bytes) -> bool:
        """Keep the bytes; false where they could not be."""
        return await self._keep({entries.digest_of(data): data})

    async def put(self, key: str, clean: Clean, blobs: Iterable[bytes] = ()) -> bool:
        """Add a result, after the blobs that it needs; false where it could not be kept.

        Raises:
            ValueError: the result names a blob that is not given.
        """
        given = entries.blobs_for(clean.result, blobs)

        def add(before: ActionEntry | None) -> ActionEntry:
            return entries.with_result(before, key, clean.module, clean.result, self._now_s())

        return await self._keep(given, key, add)

    async def refuse(self, key: str, module: str, reason: str) -> bool:
        """Note why there is no newer result; false where that could not be kept."""

        def note(before: ActionEntry | None) -> ActionEntry | None:
            if before is not None and before.refusal == reason:
                return None
            return entries.with_refusal(before, key, module, reason, self._now_s())

        return await self._keep({}, key, note)

    async def save_index(self) -> bool:
        """Write the index, if there is one, with what is new; false where it can't be written."""
        if self.index is None:
            return True
        return await anyio.to_thread.run_sync(self.index.save, self._now_s())

    # -- one result ----------------------------------------------------------------------------

    async def _keep(
        self, blobs: Mapping[str, bytes], key: str = "", change: _Change | None = None
    ) -> bool:
        faults = self.reader.faults
        if change is not None and not entries.is_digest(key):
            raise ValueError(f"{key!r} is not a key")
        # What is begun is brought to its end, even if the run is interrupted.
        with anyio.move_on_after(STORING_DEADLINE_S, shield=True) as scope:
            for is_last in (False, True):
                if not faults.writes:
                    return False
                try:
                    return await self._write_all(blobs, key, change)
                except _GivenUpError:
                    return False
                except (OSError, InfrastructureError) as error:
                    self._ensured.clear()
                    if is_last or not _is_gone(error):
                        faults.stop_writing(self._reason(error))
        if scope.cancelled_caught:
            faults.switch_off(f"a result could not be written in {STORING_DEADLINE_S:.0f} s")
        return False

    def _reason(self, error: OSError | InfrastructureError) -> str:
        if isinstance(error, InfrastructureError):
            return error.message
        return f"{self.reader.folder}: {error.strerror or error}"

    async def _write_all(
        self, blobs: Mapping[str, bytes], key: str, change: _Change | None
    ) -> bool:
        for digest, data in blobs.items():
            if len(data) > state.MAX_FILE_BYTES:
                return False
            await self._ensure(BLOBS, digest)
            await self._write_blob(digest, data)
        if change is None:
            return True
        await self._ensure(ACTIONS, key)
        async with self._locked(key):
            return await self._merge(key, change)

    async def _merge(self, key: str, change: _Change) -> bool:
        found = await self._on_disk(self.reader.found, key)
        if found is not None and found[0] is None:
            # Another version's: whoever wrote it may come back.
            return False
        after = change(found[0] if found else None)
        if after is None:
            return True
        data = entries.encode(after)
        if len(data) > state.MAX_FILE_BYTES:
            return False
        stamp = await self._write(self.reader.file(ACTIONS, key), data)
        if self.index is not None:
            self.index.add(key, after, stamp)
        return True

    async def _write_blob(self, digest: str, data: bytes) -> None:
        file = self.reader.file(BLOBS, digest)
        with self._operation():
            there = await self._on_disk(_renew, file, len(data))
        if not there:
            await self._write(file, data)

    # -- the disk ------------------------------------------------------------------------------

    async def _write(self, file: str, data: bytes) -> Stamp:
        """Replace a file as a whole."""
        temporary = state.temporary_beside(file)
        try:
            with self._operation():
                async with aiofiles.open(temporary, "xb", opener=state.create) as stream:
                    await stream.write(data)
            with self._operation():
                stamp = Stamp.of(await aiofiles.os.stat(temporary))
            with self._operation():
                await aiofiles.os.replace(temporary, file)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        return stamp

    async def _ensure(self, area: str, name: str) -> None:
        shard = (area, name[:SHARD_CHARS])
        if shard not in self._ensured:
            with self._operation():
                await self._on_disk(state.ensure, self.reader.folder, *shard)
            self._ensured.add(shard)

    @asynccontextmanager
    async def _locked(self, key: str) -> AsyncIterator[None]:
        """Hold the lock of the key's shard.

        Raises:
            InfrastructureError: somebody else holds it beyond the deadline.
        """
        file = state.path(self.reader.folder, ACTIONS, key[:SHARD_CHARS], LOCK)
        with self._operation():
            descriptor = await self._on_disk(state.open_lock, file)
        try:
            until_s = self._clock_s() + LOCK_DEADLINE_S
            while not state.try_lock(descriptor):
                if self._clock_s() >= until_s:
                    raise InfrastructureError(f"another run holds {file}")
                await anyio.sleep(_LOCK_PAUSE_S)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _operation(self) -> Iterator[None]:
        if self.reader.faults.off:
            raise _GivenUpError
        with self.reader.faults.operation():
            yield

    @staticmethod
    async def _on_disk(call: Callable[[*Args], T], *args: *Args) -> T:
        """Call in a thread; one that never returns is left to itself at the deadline."""
        return await anyio.to_thread.run_sync(call, *args, abandon_on_cancel=True)


def _is_gone(error: OSError | InfrastructureError) -> bool:
    """Say whether somebody removed the folder: once, that is nothing."""
    return isinstance(error, FileNotFoundError) or isinstance(error.__cause__, FileNotFoundError)


def _renew(file: str, size_bytes: int) -> bool:
    """Say whether a blob is there, and make it look newly written: then it is not collected."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.EACCES}:
            return False
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != size_bytes:
            return False
        os.utime(descriptor)
        # In the moment before, it may have been moved away to be collected. Whoever moves it after
        # this sees that it is new, and puts it back.
        return os.path.lexists(file)
    finally:
        os.close(descriptor)
