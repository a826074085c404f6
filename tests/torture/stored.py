"""A store of results in a folder, as the torture tests put it to the proof."""

from collections.abc import Callable
from pathlib import Path

import anyio
from fakes.results import EVENTS, HOUR_S, NOW_S, clean, file, key, result, source

from iopio_async.cache.disk import DiskStore
from iopio_async.cache.index import Index
from iopio_async.cache.maintenance import verify
from iopio_async.cache.reader import ACTIONS, BLOBS, DiskReader

STORED = result(file("a.py"), source("b.py", module="x", parse="y"), events=EVENTS)
OLDER = result(file("a.py", "old"), executed_at_s=NOW_S - 2 * HOUR_S)


class Store:
    """A store in a folder, and what it warned of."""

    def __init__(self, folder: Path, clock_s: Callable[[], float] = lambda: 0.0) -> None:
        folder.mkdir(exist_ok=True)
        self.told: list[str] = []
        self.folder = str(folder / "cache")
        self.reader = DiskReader(self.folder, warn=self.told.append, clock_s=clock_s)
        self.index = Index.load(self.reader)
        self.store = DiskStore(self.reader, self.index, now_s=lambda: NOW_S)

    def put(self) -> bool:
        return anyio.run(self.store.put, key(), clean(STORED), [EVENTS])

    @property
    def entry_file(self) -> Path:
        return Path(self.reader.file(ACTIONS, key()))

    @property
    def blob_file(self) -> Path:
        return Path(self.reader.file(BLOBS, STORED.events))

    def is_intact(self) -> bool:
        """Say whether all that can be read is right; a miss is."""
        reader = DiskReader(self.folder, warn=lambda message: None)
        entry = reader.entry(key())
        assert entry is None or set(entry.results) <= {STORED, OLDER}
        assert reader.blob(STORED.events) in {None, EVENTS}
        return not [bad for bad in verify(self.folder).bad if Path(bad.file).exists()]
