"""Garbage collection: what goes, what stays, and that nobody is hurt."""

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from fakes.results import HOUR_S, NOW_S, clean, file, key, result

from iopio_async import state
from iopio_async.cache import collection
from iopio_async.cache.collection import Collected, collect, is_due
from iopio_async.cache.disk import DiskStore
from iopio_async.cache.entries import digest_of
from iopio_async.cache.maintenance import stats, verify
from iopio_async.cache.reader import ACTIONS, BLOBS, DiskReader
from iopio_async.errors import InfrastructureError

DAY_S = 24 * HOUR_S
BLOB_BYTES = 10_000


class Cache:
    """A cache whose files have the ages that a test says."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.reader = DiskReader(folder, warn=pytest.fail)
        self.store = DiskStore(self.reader, now_s=lambda: NOW_S)

    def put(self, number: int, *, used_s: float, blob: bytes = b"", ends_s: float = 1e9) -> bytes:
        """Store a result that was written and used so long ago; its blob."""
        data = blob or bytes([number]) * BLOB_BYTES
        stored = result(file("a", str(number)), events=data, expires_at_s=NOW_S + ends_s)

        async def main() -> None:
            assert await self.store.put(key(number), clean(stored), [data])

        anyio.run(main)
        self.age(ACTIONS, key(number), used_s)
        self.age(BLOBS, digest_of(data), used_s)
        return data

    def age(self, area: str, name: str, age_s: float) -> None:
        os.utime(self.reader.file(area, name), (NOW_S - age_s, NOW_S - age_s))

    def collect(self, **options: float) -> Collected:
        return collect(self.folder, now_s=NOW_S, **options)  # type: ignore[arg-type]

    @property
    def left(self) -> list[int]:
        return [number for number in range(10) if self.reader.entry(key(number))]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(str(tmp_path / "cache"))


def test_nothing_goes_while_all_fits(cache: Cache) -> None:
    for number in range(3):
        cache.put(number, used_s=2 * HOUR_S)
    before = stats(cache.folder).size_bytes

    assert cache.collect() == Collected(0, 0, 0, 0, before)
    assert cache.left == [0, 1, 2]


def test_the_least_recently_used_goes_first(cache: Cache) -> None:
    for number, used_s in ((0, 4 * HOUR_S), (1, 9 * HOUR_S), (2, 2 * HOUR_S), (3, 5 * HOUR_S)):
        cache.put(number, used_s=used_s)
    found = cache.collect(most_bytes=int(2.5 * BLOB_BYTES))

    assert cache.left == [0, 2]
    assert (found.entries, found.blobs) == (2, 2)
    assert found.left_bytes == stats(cache.folder).size_bytes
    assert found.freed_bytes > 2 * BLOB_BYTES
    assert verify(cache.folder) == (2, 2, (), 0, 0)


def test_a_use_keeps_an_entry(cache: Cache) -> None:
    for number in range(3):
        cache.put(number, used_s=(5 - number) * HOUR_S)
    cache.reader.note_use([key(0)], NOW_S - 2 * HOUR_S)
    cache.collect(most_bytes=int(1.5 * BLOB_BYTES))

    assert cache.left == [0]


def test_what_was_used_within_the_grace_stays(cache: Cache) -> None:
    for number in range(3):
        cache.put(number, used_s=HOUR_S / 2)

    assert cache.collect(most_bytes=0).entries == 0
    assert cache.left == [0, 1, 2]


def test_a_date_in_the_future_is_now(cache: Cache) -> None:
    cache.put(0, used_s=-100 * DAY_S)
    cache.put(1, used_s=2 * HOUR_S)
    collect(cache.folder, most_bytes=0, now_s=NOW_S + 1, grace_s=-1.0)

    assert cache.left == []


def test_blobs_that_nobody_names_are_swept_after_the_grace(cache: Cache) -> None:
    kept = cache.put(0, used_s=2 * HOUR_S)
    for name, age_s in ((b"old", 2 * HOUR_S), (b"young", HOUR_S / 2)):
        anyio.run(cache.store.put_blob, name)
        cache.age(BLOBS, digest_of(name), age_s)
    found = cache.collect()

    assert (found.blobs, found.freed_bytes) == (1, 3)
    assert cache.reader.blob(digest_of(b"old")) is None
    assert cache.reader.blob(digest_of(b"young")) == b"young"
    assert cache.reader.blob(digest_of(kept)) == kept


def test_a_shared_blob_counts_once_and_stays_with_whoever_stays(cache: Cache) -> None:
    shared = b"s" * BLOB_BYTES
    for number in range(3):
        cache.put(number, used_s=(2 + number) * HOUR_S, blob=shared)
    assert cache.collect(most_bytes=2 * BLOB_BYTES).entries == 0
    cache.put(5, used_s=1.5 * HOUR_S)
    cache.collect(most_bytes=BLOB_BYTES + 2000)

    assert cache.left == [5]
    assert cache.reader.blob(digest_of(shared)) is None


def test_entries_of_which_nothing_holds_go_after_a_day(cache: Cache) -> None:
    cache.put(0, used_s=2 * DAY_S, ends_s=1)
    cache.put(1, used_s=2 * DAY_S)
    cache.put(2, used_s=DAY_S / 2, ends_s=1)
    collect(cache.folder, now_s=NOW_S + 10)

    assert cache.left == [1, 2]


def test_remnants_of_killed_writers_go_after_the_grace(cache: Cache) -> None:
    cache.put(0, used_s=2 * HOUR_S)
    places = [
        Path(cache.reader.file(ACTIONS, key(0))).parent,
        Path(cache.reader.file(BLOBS, digest_of(bytes([0]) * BLOB_BYTES))).parent,
        Path(state.path(cache.folder)),
    ]
    for folder in places:
        for name, age_s in (("old", 2 * HOUR_S), ("young", HOUR_S / 2)):
            file = folder / f"{state.TEMPORARY_PREFIX}{name}"
            file.write_bytes(b"half")
            os.utime(file, (NOW_S - age_s, NOW_S - age_s))

    assert cache.collect().remnants == 3
    assert {path.name for path in Path(cache.folder).rglob(".iopio-*")} == {".iopio-young"}
    assert cache.left == [0]


def test_what_lies_beside_for_long_goes(cache: Cache) -> None:
    cache.put(0, used_s=2 * HOUR_S)
    names = [
        Path(state.ensure(cache.folder, "quarantine")) / "damaged",
        Path(state.ensure(cache.folder, "receipts")) / "receipt",
        Path(state.ensure(cache.folder, "receipts")) / "secret",
    ]
    for name in names:
        name.write_bytes(b"x")
    now_s = names[0].stat().st_ctime
    collect(cache.folder, now_s=now_s + 6 * DAY_S, most_bytes=1 << 40)
    assert all(name.exists() for name in names)
    collect(cache.folder, now_s=now_s + 8 * DAY_S, most_bytes=1 << 40)

    assert [name.exists() for name in names] == [False, False, True]


def test_a_blob_that_is_renewed_in_that_moment_is_put_back(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    anyio.run(cache.store.put_blob, b"data")
    cache.age(BLOBS, digest_of(b"data"), 2 * HOUR_S)
    rename = os.rename

    def renewed_first(source: str, target: str) -> None:
        os.utime(source, (NOW_S, NOW_S))
        rename(source, target)

    monkeypatch.setattr(collection.os, "rename", renewed_first)
    assert cache.collect().blobs == 0
    assert cache.reader.blob(digest_of(b"data")) == b"data"


def test_a_writer_that_comes_after_that_moment_writes_anew(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    anyio.run(cache.store.put_blob, b"data")
    file = cache.reader.file(BLOBS, digest_of(b"data"))
    utime = os.utime

    def moved_away(descriptor: int) -> None:
        os.rename(file, f"{file}-aside")
        utime(descriptor)

    monkeypatch.setattr(os, "utime", moved_away)
    anyio.run(cache.store.put_blob, b"data")
    assert cache.reader.blob(digest_of(b"data")) == b"data"


@pytest.mark.parametrize("meanwhile", ["locked", "written", "removed"])
def test_an_entry_that_somebody_is_at_stays(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    cache.put(0, used_s=2 * HOUR_S)
    file = Path(cache.reader.file(ACTIONS, key(0)))
    descriptors: list[int] = []
    open_lock = state.open_lock

    def lock() -> None:
        descriptors.append(open_lock(str(file.with_name(".lock"))))
        assert state.try_lock(descriptors[-1])

    acts: dict[str, Callable[[], object]] = {
        "locked": lock,
        "written": lambda: state.write_atomically(str(file), file.read_bytes()),
        "removed": file.unlink,
    }

    def first(name: str) -> int:
        acts[meanwhile]()
        return open_lock(name)

    monkeypatch.setattr(state, "open_lock", first)
    assert cache.collect(most_bytes=0).entries == 0
    for descriptor in descriptors:
        os.close(descriptor)
    assert file.exists() == (meanwhile != "removed")


def test_it_is_due_once_a_day_where_there_is_a_cache(cache: Cache) -> None:
    assert not is_due(cache.folder, now_s=NOW_S)
    cache.put(0, used_s=0.0)
    assert is_due(cache.folder, now_s=NOW_S)
    collect(cache.folder)
    stamp = Path(state.path(cache.folder, "collected"))
    os.utime(stamp, (NOW_S, NOW_S))

    assert not is_due(cache.folder, now_s=NOW_S + DAY_S - 1)
    assert is_due(cache.folder, now_s=NOW_S + DAY_S)
    # A clock that was ahead does not put it off for ever.
    assert is_due(cache.folder, now_s=NOW_S - 1)


def test_no_cache_is_none(tmp_path: Path) -> None:
    assert collect(str(tmp_path / "cache")) == Collected(0, 0, 0, 0, 0)
    assert list(tmp_path.iterdir()) == []


def test_faults_are_reported(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.put(0, used_s=2 * HOUR_S)

    def broken(file: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(collection.os, "unlink", broken)
    with pytest.raises(InfrastructureError, match="can't be tidied up: Input/output error"):
        cache.collect(most_bytes=0)
    monkeypatch.undo()
    Path(cache.folder, "v1").chmod(0o777)
    assert not is_due(cache.folder)
    with pytest.raises(InfrastructureError, match="others may write"):
        cache.collect()
