"""The packed index: an accelerator that is never wrong."""

import os
from pathlib import Path

import anyio
import msgspec
import pytest
from fakes.results import HOUR_S, MODULE, NOW_S, clean, file, key, result, source

from iopio_async import state
from iopio_async.cache import index as index_module
from iopio_async.cache.disk import DiskStore
from iopio_async.cache.index import INDEX, INDEXED_RESULTS, SCOPES, Index, is_damaged
from iopio_async.cache.reader import DiskReader, Stamp
from iopio_async.model.trace import ActionEntry, StoredResult

STAMP = Stamp(1, 2, 3)
A, B = file("a.py"), file("b.py")
PARSED = source("c.py", module="import os", parse="return 1")


@pytest.fixture
def reader(tmp_path: Path) -> DiskReader:
    return DiskReader(str(tmp_path / "cache"), warn=pytest.fail)


def entry(*results: StoredResult, refusal: str = "", number: int = 0) -> ActionEntry:
    return ActionEntry(key=key(number), module=MODULE, results=results, refusal=refusal)


def size_bytes(reader: DiskReader, name: str) -> int:
    return os.stat(state.path(reader.folder, name)).st_size


def test_what_was_added_is_there_at_once_and_after_it_was_saved(reader: DiskReader) -> None:
    index = Index.load(reader)
    index.add(key(), entry(result(A, PARSED, B), refusal="why"), STAMP)
    assert index.save(NOW_S)

    for each in (index, Index.load(reader)):
        row = each.row(key(), STAMP)
        assert row is not None
        assert (row.whole, row.refusal, row.stamp) == (True, "why", STAMP)
        (stored,) = row.results
        inputs = [each.inputs[number] for number in stored.numbers]
        assert inputs == [A, msgspec.structs.replace(PARSED, scopes=()), B]
        assert each.scopes(key(), 0) == {1: PARSED.scopes}
        assert stored.duration_s == 0.5


def test_an_entry_that_was_replaced_is_not_answered_for(reader: DiskReader) -> None:
    index = Index.load(reader)
    index.add(key(), entry(result(A)), STAMP)

    for other in (Stamp(9, 2, 3), Stamp(1, 9, 3), Stamp(1, 2, 9)):
        assert index.row(key(), other) is None
    assert index.row(key(1), STAMP) is None


def test_inputs_are_shared(reader: DiskReader) -> None:
    index = Index.load(reader)
    for number in range(3):
        index.add(key(number), entry(result(A, B, PARSED), number=number), STAMP)
    index.save(NOW_S)
    again = Index.load(reader)
    again.add(key(3), entry(result(B, file("a.py", "other")), number=3), STAMP)

    assert [given.subject for given in again.inputs] == ["a.py", "b.py", "c.py", "a.py"]


def test_only_the_newest_results_are_held_and_it_says_so(reader: DiskReader) -> None:
    index = Index.load(reader)
    results = [result(file("a.py", str(number))) for number in range(INDEXED_RESULTS + 1)]
    index.add(key(), entry(*results), STAMP)
    row = index.row(key(), STAMP)

    assert row is not None
    assert (len(row.results), row.whole) == (INDEXED_RESULTS, False)


def test_nothing_new_is_not_written(reader: DiskReader) -> None:
    index = Index.load(reader)
    assert index.save(NOW_S)
    assert not os.path.exists(reader.folder)
    index.add(key(), entry(result(A)), STAMP)
    index.save(NOW_S)
    before = os.stat(state.path(reader.folder, INDEX)).st_ino

    again = Index.load(reader)
    again.add(key(), entry(result(A)), STAMP)
    again.add(key(1), entry(number=1), STAMP)
    assert again.save(NOW_S)
    assert os.stat(state.path(reader.folder, INDEX)).st_ino == before


def test_what_has_ended_is_left_out(reader: DiskReader) -> None:
    index = Index.load(reader)
    index.add(key(), entry(result(A, expires_at_s=NOW_S)), STAMP)
    index.add(key(1), entry(result(A, expires_at_s=NOW_S + 1), number=1), STAMP)
    index.save(NOW_S)

    again = Index.load(reader)
    assert again.row(key(), STAMP) is None
    assert again.row(key(1), STAMP) is not None


def test_an_entry_that_lost_its_results_is_left_out(reader: DiskReader) -> None:
    index = Index.load(reader)
    index.add(key(), entry(result(A)), STAMP)
    index.add(key(), entry(refusal="why"), STAMP)

    assert index.row(key(), STAMP) is None


@pytest.mark.parametrize(
    "odd",
    [
        entry(result(file("a\udcff.py"))),
        entry(result(A), refusal="\udcff"),
        entry(result(source("a.py", **{"module": "x", "f\udcff": "y"}))),
    ],
)
def test_names_that_are_no_utf_8_are_left_to_the_entry(
    reader: DiskReader, odd: ActionEntry
) -> None:
    index = Index.load(reader)
    index.add(key(), entry(result(A)), STAMP)
    index.add(key(1), entry(result(B), number=1), STAMP)
    index.add(key(), odd, STAMP)
    assert index.save(NOW_S)

    again = Index.load(reader)
    assert again.row(key(), STAMP) is None
    assert again.row(key(1), STAMP) is not None


def test_rows_beyond_the_most_are_those_executed_longest_ago(
    reader: DiskReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "MOST_ROWS", 2)
    index = Index.load(reader)
    for number in (1, 3, 2):
        index.add(key(number), entry(result(A, executed_at_s=NOW_S - number), number=number), STAMP)
    index.save(NOW_S)
    again = Index.load(reader)

    assert [again.row(key(number), STAMP) is not None for number in (1, 2, 3)] == [
        True,
        True,
        False,
    ]


def test_it_does_not_grow_beyond_its_size(
    reader: DiskReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "_MOST_BYTES", 4000)
    monkeypatch.setattr(index_module, "_FEW", 0)
    index = Index.load(reader)
    for number in range(64):
        stored = result(
            source(f"{number}.py", str(number), module=str(number)), executed_at_s=NOW_S - number
        )
        index.add(key(number), entry(stored, number=number), STAMP)
    assert index.save(NOW_S)

    assert max(size_bytes(reader, INDEX), size_bytes(reader, SCOPES)) < 4100
    again = Index.load(reader)
    assert again.row(key(), STAMP) is not None
    assert again.row(key(63), STAMP) is None


def test_the_tables_are_tidied_up(reader: DiskReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "_FEW", 4)
    index = Index.load(reader)
    for number in range(10):
        stored = result(
            source("c.py", str(number), module="x", parse=str(number)), A, executed_at_s=NOW_S
        )
        index.add(key(), entry(stored), STAMP)
        index.add(key(1), entry(result(B, PARSED, stored.trace.inputs[0]), number=1), STAMP)
    index.save(NOW_S)

    for each in (index, Index.load(reader)):
        assert len(each.inputs) == 4
        row = each.row(key(1), STAMP)
        assert row is not None
        assert [each.inputs[number].value for number in row.results[0].numbers] == [
            B.value,
            PARSED.value,
            stored.trace.inputs[0].value,
        ]
        assert each.scopes(key(1), 0) == {1: PARSED.scopes, 2: stored.trace.inputs[0].scopes}
        each.add(key(2), entry(result(A, PARSED), number=2), STAMP)
        assert len(each.inputs) == 4
        assert each.scopes(key(2), 0) == {1: PARSED.scopes}


def test_a_damaged_index_is_none(reader: DiskReader) -> None:
    index = Index.load(reader)
    index.add(key(), entry(result(A, PARSED)), STAMP)
    index.save(NOW_S)
    place = Path(state.path(reader.folder, INDEX))
    whole = place.read_bytes()
    for at in range(len(whole)):
        place.write_bytes(whole[:at])
        assert Index.load(reader).row(key(), STAMP) is None
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        assert index_module._unsealed(bytes(flipped)) is None
    place.write_bytes(whole)
    assert Index.load(reader).row(key(), STAMP) is not None


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x93", msgspec.msgpack.encode([b"", 5, {}])])
def test_a_whole_index_with_nonsense_in_it_is_none(reader: DiskReader, body: bytes) -> None:
    state.ensure(reader.folder)
    state.write_atomically(state.path(reader.folder, INDEX), index_module._sealed(body))

    assert Index.load(reader).row(key(), STAMP) is None


def test_functions_of_another_index_are_not_believed(reader: DiskReader) -> None:
    one, other = Index.load(reader), Index.load(reader)
    one.add(key(), entry(result(PARSED)), STAMP)
    one.save(NOW_S)
    mine = Path(state.path(reader.folder, INDEX)).read_bytes()
    other.add(key(), entry(result(source("c.py", module="y", parse="return 2"))), STAMP)
    other.save(NOW_S)
    Path(state.path(reader.folder, INDEX)).write_bytes(mine)

    index = Index.load(reader)
    assert index.row(key(), STAMP) is not None
    assert index.scopes(key(), 0) is None


def test_functions_that_are_gone_are_not_known(reader: DiskReader) -> None:
    index = Index.load(reader)
    index.add(key(), entry(result(PARSED)), STAMP)
    index.save(NOW_S)
    for content in (b"", b"nonsense", index_module._sealed(b"\xc1")):
        Path(state.path(reader.folder, SCOPES)).write_bytes(content)
        again = Index.load(reader)
        assert again.row(key(), STAMP) is not None
        assert again.scopes(key(), 0) is None


def test_of_two_runs_the_last_one_wins_and_nothing_is_wrong(reader: DiskReader) -> None:
    one, other = Index.load(reader), Index.load(reader)
    one.add(key(1), entry(result(A), number=1), STAMP)
    other.add(key(2), entry(result(B), number=2), STAMP)
    one.save(NOW_S)
    other.save(NOW_S)
    again = Index.load(reader)

    assert again.row(key(1), STAMP) is None
    assert again.row(key(2), STAMP) is not None


def test_an_index_that_can_not_be_written_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    index = Index.load(DiskReader(str(tmp_path / "cache"), warn=told.append))

    def full(file: str, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    index.add(key(), entry(result(A)), STAMP)
    monkeypatch.setattr(state, "write_atomically", full)
    assert not index.save(NOW_S)
    assert not index.save(NOW_S)
    (message,) = told
    assert "No space left on device" in message


def test_damage_is_told_from_other_versions(reader: DiskReader) -> None:
    whole = index_module._sealed(b"body")

    assert not is_damaged(whole)
    assert is_damaged(whole[:-1])
    assert is_damaged(b"")
    assert not is_damaged(b"iopio index 2.7.middle\nwhatever")


def test_a_store_brings_in_what_it_writes(reader: DiskReader) -> None:
    index = Index.load(reader)
    store = DiskStore(reader, index, now_s=lambda: NOW_S)

    async def main() -> None:
        await store.put(key(), clean(result(A)))
        await store.put(key(), clean(result(B, executed_at_s=NOW_S - 2 * HOUR_S)))
        assert await store.save_index()

    anyio.run(main)
    row = Index.load(reader).row(key(), reader.stamps([key()])[key()])
    assert row is not None
    assert len(row.results) == 2
