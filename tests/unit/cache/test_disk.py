"""The writing side: what stands in the way of it, and that nobody else's work is lost."""

import os
from pathlib import Path

import anyio
import pytest
from fakes.results import EVENTS, HOUR_S, MODULE, NOW_S, clean, file, key, result

from iopio_async import state
from iopio_async.cache import disk, entries
from iopio_async.cache.disk import DiskStore
from iopio_async.cache.entries import digest_of
from iopio_async.cache.reader import ACTIONS, BLOBS, DiskReader

STORED = result(file("a.py"), events=EVENTS)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, told: list[str]) -> DiskStore:
    reader = DiskReader(str(tmp_path / "cache"), warn=told.append)
    return DiskStore(reader, now_s=lambda: NOW_S)


def put(store: DiskStore) -> bool:
    return anyio.run(store.put, key(), clean(STORED), [EVENTS])


def names(store: DiskStore) -> set[str]:
    return {path.name for path in Path(store.reader.folder).rglob("*") if path.is_file()}


def test_nothing_is_left_but_what_was_stored(store: DiskStore) -> None:
    assert put(store)
    assert names(store) == {".gitignore", ".lock", key(), STORED.events}


def test_a_blob_that_is_there_is_not_written_again_but_renewed(store: DiskStore) -> None:
    put(store)
    blob = Path(store.reader.file(BLOBS, STORED.events))
    before = blob.stat().st_ino
    os.utime(blob, (5, 5))
    put(store)

    assert blob.stat().st_ino == before
    assert blob.stat().st_mtime > 5


@pytest.mark.parametrize("damage", ["cut", "link", "pipe"])
def test_a_blob_that_can_not_be_right_is_written_again(store: DiskStore, damage: str) -> None:
    put(store)
    blob = Path(store.reader.file(BLOBS, STORED.events))
    blob.unlink()
    if damage == "cut":
        blob.write_bytes(EVENTS[:-1])
    elif damage == "link":
        blob.symlink_to(blob.with_name("elsewhere"))
    else:
        os.mkfifo(blob)
    assert put(store)

    assert store.blob(STORED.events) == EVENTS


def test_what_stands_there_by_then_is_merged_with(store: DiskStore, tmp_path: Path) -> None:
    other = DiskStore(DiskReader(str(tmp_path / "cache"), warn=pytest.fail), now_s=lambda: NOW_S)

    async def main() -> None:
        await store.put(key(), clean(STORED), [EVENTS])
        await other.put(key(), clean(result(file("b.py"), executed_at_s=NOW_S)))
        await store.put(key(), clean(result(file("c.py"), executed_at_s=NOW_S - 2 * HOUR_S)))

    anyio.run(main)
    entry = store.entry(key())
    assert entry is not None
    assert [each.trace.inputs[0].subject for each in entry.results] == ["b.py", "a.py", "c.py"]


def test_another_version_s_entry_is_not_replaced(store: DiskStore, told: list[str]) -> None:
    put(store)
    data = entries._header(entries.FORMAT_VERSION + 1, 1, b"words") + b"words"
    place = Path(store.reader.file(ACTIONS, key()))
    place.write_bytes(data)

    assert not put(store)
    assert place.read_bytes() == data
    assert told == []


def test_a_damaged_entry_is_replaced(store: DiskStore, told: list[str]) -> None:
    put(store)
    Path(store.reader.file(ACTIONS, key())).write_bytes(b"nonsense")

    assert put(store)
    assert store.entry(key()) is not None
    assert len(told) == 1


def test_what_is_too_large_is_not_kept_and_that_is_all(
    store: DiskStore, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "MAX_FILE_BYTES", len(EVENTS))
    assert not put(store)
    assert not anyio.run(store.put_blob, EVENTS + b" ")
    assert anyio.run(store.put_blob, EVENTS)
    assert told == []


def test_a_lock_is_waited_for(store: DiskStore, tmp_path: Path, told: list[str]) -> None:
    put(store)
    descriptor = state.open_lock(state.path(store.reader.folder, ACTIONS, key()[:2], ".lock"))
    assert state.try_lock(descriptor)
    done: list[bool] = []

    async def other_result() -> None:
        done.append(await store.put(key(), clean(result(file("b.py")))))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other_result)
            await anyio.wait_all_tasks_blocked()
            assert done == []
            os.close(descriptor)

    anyio.run(main)
    assert done == [True]
    assert told == []


def test_a_lock_that_is_never_given_back_is_not_waited_for_long(
    store: DiskStore, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store)
    monkeypatch.setattr(disk, "LOCK_DEADLINE_S", 0.0)
    descriptor = state.open_lock(state.path(store.reader.folder, ACTIONS, key()[:2], ".lock"))
    assert state.try_lock(descriptor)
    try:
        assert not put(store)
        assert not put(store)
    finally:
        os.close(descriptor)
    (message,) = told
    assert "another run holds" in message
    assert store.entry(key()) is not None


def test_a_disk_that_never_answers_is_given_up(
    store: DiskStore, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "STORING_DEADLINE_S", 0.0)

    assert not put(store)
    assert told == [
        "the cache is not used any more in this run: a result could not be written in 0 s"
    ]
    assert store.entry(key()) is None


def test_what_is_begun_is_brought_to_its_end(store: DiskStore) -> None:
    async def main() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await store.put(key(), clean(STORED), [EVENTS])

    anyio.run(main)
    assert names(store) == {".gitignore", ".lock", key(), STORED.events}


def test_a_refusal_that_is_known_is_not_written_again(store: DiskStore) -> None:
    async def refuse() -> int:
        await store.refuse(key(), MODULE, "asks the time")
        return os.stat(store.reader.file(ACTIONS, key())).st_ino

    assert anyio.run(refuse) == anyio.run(refuse)


def test_without_an_index_none_is_written(store: DiskStore) -> None:
    put(store)

    assert anyio.run(store.save_index)
    assert "index" not in names(store)


def test_a_digest_is_a_name(store: DiskStore) -> None:
    assert anyio.run(store.put_blob, b"data")
    assert digest_of(b"data") in names(store)
