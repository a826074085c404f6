"""A store without a disk: what a session needs of one, and nothing survives it."""

from collections.abc import Callable, Iterable

from iopio_async.cache import entries
from iopio_async.cache.ports import Clean
from iopio_async.model.trace import ActionEntry


class MemoryStore:
    """Entries and blobs in dictionaries; ``now_s`` tells seconds since the epoch."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._entries: dict[str, ActionEntry] = {}
        self._blobs: dict[str, bytes] = {}

    def entry(self, key: str) -> ActionEntry | None:
        return self._entries.get(key)

    def blob(self, digest: str) -> bytes | None:
        return self._blobs.get(digest)

    async def put_blob(self, data: bytes) -> bool:
        self._blobs[entries.digest_of(data)] = data
        return True

    async def put(self, key: str, clean: Clean, blobs: Iterable[bytes] = ()) -> bool:
        self._blobs.update(entries.blobs_for(clean.result, blobs))
        before = self._known(key)
        self._entries[key] = entries.with_result(
            before, key, clean.module, clean.result, self._now_s()
        )
        return True

    async def refuse(self, key: str, module: str, reason: str) -> bool:
        before = self._known(key)
        if before is None or before.refusal != reason:
            self._entries[key] = entries.with_refusal(before, key, module, reason, self._now_s())
        return True

    def _known(self, key: str) -> ActionEntry | None:
        if not entries.is_digest(key):
            raise ValueError(f"{key!r} is not a key")
        return self._entries.get(key)
