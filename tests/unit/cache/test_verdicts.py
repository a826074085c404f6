"""Keys → verdicts: the index says what the entries say, and alone where it can."""

from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest
from fakes.results import (
    EVENTS,
    HOUR_S,
    MODULE,
    NOW_S,
    World,
    clean,
    digest,
    file,
    key,
    result,
    source,
)

from iopio_async import state
from iopio_async.cache.disk import DiskStore
from iopio_async.cache.index import INDEX, SCOPES, Index
from iopio_async.cache.reader import ACTIONS, DiskReader
from iopio_async.cache.validate import Change, Hit, Judge, Miss
from iopio_async.cache.verdicts import verdicts
from iopio_async.model.trace import InputKind, StoredResult

A, B = file("a.py"), file("b.py")
PARSED = source("c.py", module="import os", parse="return 1")
SAME = World({"a.py": "content", "b.py": "content", "c.py": "content"})


class CountingReader(DiskReader):
    """Tells which entries were read."""

    read_keys: list[str]

    def found(self, key: str):  # type: ignore[no-untyped-def]
        self.read_keys.append(key)
        return super().found(key)


@pytest.fixture
def reader(tmp_path: Path) -> CountingReader:
    reader = CountingReader(str(tmp_path / "cache"), warn=pytest.fail)
    reader.read_keys = []
    return reader


def fill(reader: DiskReader, stored: Mapping[int, list[StoredResult]]) -> None:
    """Store results, each list from the oldest to the newest, and write the index."""
    store = DiskStore(reader, Index.load(reader), now_s=lambda: NOW_S)

    async def main() -> None:
        for number, results in stored.items():
            for each in results:
                await store.put(key(number), clean(each), [EVENTS])
        await store.save_index()

    anyio.run(main)


def ask(
    reader: CountingReader, *numbers: int, world: World = SAME, ttl_s: float = 1e9
) -> list[Hit | Miss]:
    """What is said with the index, which must be what is said without it."""
    judge = Judge(world.current, world.scopes_of)
    keys = [key(number) for number in numbers]
    bare = verdicts(reader, Index(reader), keys, judge, now_s=NOW_S, ttl_s=ttl_s)
    reader.read_keys.clear()
    found = verdicts(reader, Index.load(reader), keys, judge, now_s=NOW_S, ttl_s=ttl_s)
    assert found == bare
    return [found[each] for each in keys]


def test_the_index_alone_answers(reader: CountingReader) -> None:
    fill(reader, {1: [result(A, B, events=EVENTS)], 2: [result(B)]})
    one, two = ask(reader, 1, 2)

    assert one == Hit.of(result(A, B, events=EVENTS))
    assert two == Hit.of(result(B))
    assert reader.read_keys == []


def test_the_index_alone_says_what_changed(reader: CountingReader) -> None:
    fill(reader, {1: [result(A, B)], 2: [result(A)]})
    one, two = ask(reader, 1, 2, world=World({"a.py": "content", "b.py": "other"}))

    assert one == Miss(Change(InputKind.FILE, "b.py", digest("content"), digest("other")))
    assert isinstance(two, Hit)
    assert reader.read_keys == []


def test_the_index_alone_judges_functions(reader: CountingReader) -> None:
    other = source("c.py", module="import os", show="return 2")
    fill(reader, {1: [result(A, PARSED)], 2: [result(other)]})
    scopes = {"<module>": "import os", "parse": "return 1", "show": "return 5"}
    one, two = ask(
        reader, 1, 2, world=World({"a.py": "content", "c.py": "changed"}, {"c.py": scopes})
    )

    assert isinstance(one, Hit)
    assert two == Miss(
        Change(InputKind.SOURCE, "c.py", digest("return 2"), digest("return 5"), "show")
    )
    assert reader.read_keys == []


def test_an_older_result_is_found_by_the_index(reader: CountingReader) -> None:
    older = result(A, executed_at_s=NOW_S - 2 * HOUR_S)
    newer = result(file("a.py", "new"), executed_at_s=NOW_S - HOUR_S)
    fill(reader, {1: [older, newer]})

    assert ask(reader, 1) == [Hit.of(older)]
    assert reader.read_keys == []


def test_results_beyond_the_index_are_found_in_the_entry(reader: CountingReader) -> None:
    results = [result(A, executed_at_s=NOW_S - HOUR_S)]
    results += [
        result(file("a.py", str(number)), executed_at_s=NOW_S - number) for number in range(6)
    ]
    fill(reader, {1: results})

    assert ask(reader, 1) == [Hit.of(results[0])]
    assert reader.read_keys == [key(1)]


def test_what_is_not_there_is_a_miss(reader: CountingReader) -> None:
    assert ask(reader, 1) == [Miss()]
    fill(reader, {2: [result(A)]})
    assert ask(reader, 1) == [Miss()]


def test_the_setting_shortens_what_is_stored(reader: CountingReader) -> None:
    fill(reader, {1: [result(A, executed_at_s=NOW_S - HOUR_S)]})

    assert ask(reader, 1, ttl_s=HOUR_S) == [Miss(expired=True)]
    assert isinstance(ask(reader, 1, ttl_s=2 * HOUR_S)[0], Hit)


def test_a_refusal_is_told_beside_what_changed(reader: CountingReader) -> None:
    fill(reader, {1: [result(A)]})
    store = DiskStore(reader, Index.load(reader), now_s=lambda: NOW_S)

    async def main() -> None:
        await store.refuse(key(1), MODULE, "connects to a host")
        await store.refuse(key(2), MODULE, "asks the time")
        await store.save_index()

    anyio.run(main)
    one, two = ask(reader, 1, 2, world=World())
    assert one == Miss(
        Change(InputKind.FILE, "a.py", digest("content"), "absent"), refusal="connects to a host"
    )
    assert two == Miss(refusal="asks the time")


def test_a_replaced_entry_is_read(reader: CountingReader) -> None:
    fill(reader, {1: [result(A)]})
    index = Path(state.path(reader.folder, INDEX)).read_bytes()
    fill(reader, {1: [result(B, executed_at_s=NOW_S)]})
    Path(state.path(reader.folder, INDEX)).write_bytes(index)

    (verdict,) = ask(reader, 1, world=World({"b.py": "content"}))
    assert isinstance(verdict, Hit)
    assert reader.read_keys == [key(1)]


def test_a_removed_entry_is_a_miss_whatever_the_index_says(reader: CountingReader) -> None:
    fill(reader, {1: [result(A)]})
    Path(reader.file(ACTIONS, key(1))).unlink()

    assert ask(reader, 1) == [Miss()]


def test_entries_are_read_where_functions_are_not_in_the_index(reader: CountingReader) -> None:
    fill(reader, {1: [result(PARSED)]})
    Path(state.path(reader.folder, SCOPES)).unlink()
    world = World({"c.py": "changed"}, {"c.py": {"<module>": "import os", "parse": "return 1"}})

    assert ask(reader, 1, world=world) == [Hit.of(result(PARSED))]
    assert reader.read_keys == [key(1)]


def test_entries_that_were_read_are_brought_in(reader: CountingReader) -> None:
    fill(reader, {1: [result(A)], 2: [result(A, expires_at_s=NOW_S + 1)]})
    Path(state.path(reader.folder, INDEX)).unlink()
    index = Index.load(reader)
    judge = Judge(SAME.current)
    verdicts(reader, index, [key(1), key(2)], judge, now_s=NOW_S + 1, ttl_s=1e9)
    assert index.save(NOW_S + 1)

    reader.read_keys.clear()
    verdicts(reader, Index.load(reader), [key(1)], judge, now_s=NOW_S + 1, ttl_s=1e9)
    assert reader.read_keys == []


def test_each_input_is_looked_at_once_for_all(reader: CountingReader) -> None:
    fill(reader, {number: [result(A, B)] for number in range(4)})
    world = World({"a.py": "content", "b.py": "content"})
    judge = Judge(world.current)
    verdicts(reader, Index.load(reader), [key(number) for number in range(4)], judge, now_s=NOW_S)

    assert sorted(world.asked) == ["a.py", "b.py"]


def test_a_row_that_is_nonsense_sends_all_to_the_entries(
    reader: CountingReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(reader, {1: [result(A)], 2: [result(B)]})
    index = Index.load(reader)
    index.inputs.clear()
    judge = Judge(SAME.current)
    found = verdicts(reader, index, [key(1), key(2)], judge, now_s=NOW_S, ttl_s=1e9)

    assert found == {key(1): Hit.of(result(A)), key(2): Hit.of(result(B))}
