"""Statistics, verification and clearing."""

import os
from pathlib import Path

import anyio
import pytest
from fakes.results import EVENTS, HOUR_S, MODULE, NOW_S, clean, file, key, result

from iopio_async import state
from iopio_async.cache import maintenance
from iopio_async.cache.disk import DiskStore
from iopio_async.cache.entries import FORMAT_VERSION, _header, digest_of
from iopio_async.cache.index import INDEX, SCOPES, Index
from iopio_async.cache.maintenance import Stats, clear, stats, verify
from iopio_async.cache.reader import ACTIONS, BLOBS, DiskReader
from iopio_async.errors import InfrastructureError

OTHER = b"other events"


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A cache of two modules, one of them with two results, and a third that was refused."""
    folder = str(tmp_path / "cache")
    reader = DiskReader(folder, warn=lambda message: None)
    store = DiskStore(reader, Index.load(reader), now_s=lambda: NOW_S - 2)

    async def main() -> None:
        older = result(executed_at_s=NOW_S - 2 * HOUR_S, expires_at_s=NOW_S - 1)
        await store.put(key(0), clean(older))
        await store.put(key(0), clean(result(file("a"), events=EVENTS)), [EVENTS])
        await store.put(key(1), clean(result(events=OTHER), "sub/test_b.py"), [OTHER])
        await store.refuse(key(2), "sub/deep/test_c.py", "connects to a host")
        await store.save_index()

    anyio.run(main)
    return folder


def place(folder: str, area: str, name: str) -> Path:
    return Path(state.path(folder, area, name[:2], name))


def content(folder: str) -> set[str]:
    return {
        path.name
        for path in Path(folder).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_no_cache_is_an_empty_one(tmp_path: Path) -> None:
    folder = str(tmp_path / "cache")

    assert stats(folder) == Stats()
    assert verify(folder) == (0, 0, (), 0, 0)
    assert clear(folder) == 0
    assert not os.path.exists(folder)


def test_figures(folder: str) -> None:
    found = stats(folder, now_s=NOW_S)

    assert found == Stats(
        entries=3,
        modules=3,
        results=3,
        ended=1,
        refused=1,
        blobs=2,
        size_bytes=sum(
            path.stat().st_size
            for path in Path(folder).rglob("*")
            if path.is_file() and path.name != ".gitignore"
        ),
        aside=0,
        oldest_s=NOW_S - 2 * HOUR_S,
        newest_s=NOW_S - HOUR_S,
    )


def test_damaged_entries_count_as_what_was_put_aside(folder: str) -> None:
    place(folder, ACTIONS, key(0)).write_bytes(b"nonsense")
    assert stats(folder).entries == 3
    DiskReader(folder, warn=lambda message: None).entry(key(0))

    assert (stats(folder).entries, stats(folder).aside) == (2, 1)


def test_a_cache_in_order(folder: str) -> None:
    assert verify(folder) == (3, 2, (), 0, 0)


def test_what_is_bad_is_named_and_left(folder: str) -> None:
    entry, blob = place(folder, ACTIONS, key(0)), place(folder, BLOBS, digest_of(OTHER))
    for path in (entry, blob, Path(state.path(folder, INDEX))):
        path.write_bytes(path.read_bytes()[:-1])
    place(folder, ACTIONS, key(1)).rename(place(folder, ACTIONS, key(1)).with_name(key(5)))
    (place(folder, BLOBS, digest_of(EVENTS)).parent / "link").symlink_to("nowhere")
    before = content(folder)
    found = verify(folder)

    assert {Path(bad.file).name: bad.why for bad in found.bad} == {
        key(0): "its length or checksum is wrong",
        key(5): (
            "it belongs to another key"
            if key(5)[:2] == key(1)[:2]
            else "it is not a file that iopio wrote"
        ),
        digest_of(OTHER): "its checksum is wrong",
        "link": "it is not a file that iopio wrote",
        INDEX: "its checksum is wrong",
    }
    assert content(folder) == before


def test_misses_in_order_are_not_bad(folder: str) -> None:
    place(folder, BLOBS, digest_of(OTHER)).unlink()
    other = _header(FORMAT_VERSION + 1, 1, b"words") + b"words"
    place(folder, ACTIONS, key(2)).write_bytes(other)

    assert verify(folder) == (3, 1, (), 1, 1)


def test_everything_is_cleared_but_history(folder: str) -> None:
    history = Path(state.ensure(folder, "runs")) / "run.jsonl"
    receipts = Path(state.ensure(folder, maintenance.RECEIPTS))
    quarantined = Path(state.ensure(folder, "quarantine")) / "damaged"
    for path in (history, quarantined, receipts / "receipt", receipts / "secret"):
        path.write_bytes(b"x")
    for name in maintenance.DERIVED:
        Path(state.path(folder, name)).write_bytes(b"x")

    assert clear(folder) == 3
    assert content(folder) == {"run.jsonl", "secret"}
    assert stats(folder) == Stats()


@pytest.mark.parametrize(
    ("globs", "left"),
    [
        (("sub/*",), {key(0), key(2)}),
        (("sub",), {key(0)}),
        (("**/test_*.py",), set()),
        ((MODULE, "sub/deep/*"), {key(1)}),
        (("nothing",), {key(0), key(1), key(2)}),
    ],
)
def test_modules_are_cleared_by_globs(folder: str, globs: tuple[str, ...], left: set[str]) -> None:
    receipt = Path(state.ensure(folder, maintenance.RECEIPTS)) / "receipt"
    receipt.write_bytes(b"x")

    assert clear(folder, globs) == 3 - len(left)
    assert {path.name for path in Path(folder).rglob("ac/*/*") if path.name != ".lock"} == left
    # Whatever answered for all of them does not any more.
    assert content(folder).isdisjoint({"receipt", INDEX, SCOPES})
    assert verify(folder).bad == ()


def test_clearing_waits_for_writers_but_not_for_long(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "LOCK_DEADLINE_S", 0.0)
    descriptor = state.open_lock(str(place(folder, ACTIONS, key(0)).with_name(".lock")))
    assert state.try_lock(descriptor)
    try:
        with pytest.raises(InfrastructureError, match="another run holds"):
            clear(folder)
    finally:
        os.close(descriptor)
    assert clear(folder) >= 1


def test_a_folder_that_can_not_be_trusted_is_reported(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")

    for command in (stats, verify, clear):
        with pytest.raises(InfrastructureError, match="is not a directory of this user"):
            command(str(tmp_path / "cache"))


def test_what_can_not_be_removed_is_reported(folder: str) -> None:
    victim = place(folder, ACTIONS, key(0))
    victim.unlink()
    victim.mkdir()

    with pytest.raises(InfrastructureError, match="can't be cleared"):
        clear(folder)
