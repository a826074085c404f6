"""What the conformance suite runs stores on; a new store joins it by a row in :data:`FACTORIES`."""

from collections.abc import Callable
from pathlib import Path

from fakes.results import NOW_S
from fakes.store import MemoryStore

from iopio_async.cache.disk import DiskStore
from iopio_async.cache.index import Index
from iopio_async.cache.ports import ResultStore
from iopio_async.cache.reader import DiskReader


def unexpected(message: str) -> None:
    raise AssertionError(message)


def _memory(folder: Path) -> ResultStore:
    return MemoryStore(lambda: NOW_S)


def _disk(folder: Path) -> ResultStore:
    reader = DiskReader(str(folder / "cache"), warn=unexpected)
    return DiskStore(reader, now_s=lambda: NOW_S)


def _indexed_disk(folder: Path) -> ResultStore:
    reader = DiskReader(str(folder / "cache"), warn=unexpected)
    return DiskStore(reader, Index.load(reader), now_s=lambda: NOW_S)


MakeStore = Callable[[Path], ResultStore]

FACTORIES: dict[str, MakeStore] = {
    "memory": _memory,
    "disk": _disk,
    "indexed disk": _indexed_disk,
}
