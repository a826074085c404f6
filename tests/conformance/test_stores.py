"""What the orchestration relies on, of every store."""

from pathlib import Path

import anyio
import pytest
from conformance.stores import FACTORIES
from fakes.results import EVENTS, HOUR_S, MODULE, NOW_S, clean, file, key, result

from iopio_async.cache.entries import KEPT_RESULTS, digest_of
from iopio_async.cache.ports import ResultStore
from iopio_async.model.trace import ActionEntry


@pytest.fixture(params=FACTORIES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ResultStore:
    return FACTORIES[request.param](tmp_path)


def test_nothing_is_known_at_first(store: ResultStore) -> None:
    assert store.entry(key()) is None
    assert store.blob(digest_of(b"")) is None


def test_what_was_put_is_there_with_its_blobs(store: ResultStore) -> None:
    stored = result(file("a.py"), events=EVENTS)

    async def main() -> None:
        assert await store.put(key(), clean(stored), [EVENTS, b"more"])

    anyio.run(main)
    assert store.entry(key()) == ActionEntry(key=key(), module=MODULE, results=(stored,))
    assert store.blob(stored.events) == EVENTS
    assert store.blob(digest_of(b"more")) == b"more"
    assert store.entry(key(1)) is None


def test_a_blob_on_its_own(store: ResultStore) -> None:
    async def main() -> None:
        assert await store.put_blob(b"")
        assert await store.put_blob(b"data")
        assert await store.put_blob(b"data")

    anyio.run(main)
    assert store.blob(digest_of(b"data")) == b"data"
    assert store.blob(digest_of(b"")) == b""


def test_a_result_does_not_come_without_its_blobs(store: ResultStore) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="blobs that are not given"):
            await store.put(key(), clean(result(events=EVENTS)), [b"another"])

    anyio.run(main)
    assert store.entry(key()) is None


def test_results_with_other_inputs_stand_side_by_side_the_newest_first(store: ResultStore) -> None:
    older = result(file("a.py", "old"), executed_at_s=NOW_S - 2 * HOUR_S)
    newer = result(file("a.py", "new"), executed_at_s=NOW_S - HOUR_S)

    async def main() -> None:
        await store.put(key(), clean(newer))
        await store.put(key(), clean(older))

    anyio.run(main)
    entry = store.entry(key())
    assert entry is not None
    assert entry.results == (newer, older)


def test_a_result_with_the_same_inputs_takes_the_place_of_the_earlier_one(
    store: ResultStore,
) -> None:
    earlier = result(file("a.py"), executed_at_s=NOW_S - 2 * HOUR_S)
    later = result(file("a.py"), executed_at_s=NOW_S)

    async def main() -> None:
        await store.put(key(), clean(earlier))
        await store.put(key(), clean(later))

    anyio.run(main)
    entry = store.entry(key())
    assert entry is not None
    assert entry.results == (later,)


def test_only_so_many_results_are_kept(store: ResultStore) -> None:
    async def main() -> None:
        for number in range(KEPT_RESULTS + 3):
            stored = result(file("a.py", str(number)), executed_at_s=NOW_S - HOUR_S + number)
            await store.put(key(), clean(stored))

    anyio.run(main)
    entry = store.entry(key())
    assert entry is not None
    assert len(entry.results) == KEPT_RESULTS
    assert entry.results[0].trace.inputs == (file("a.py", str(KEPT_RESULTS + 2)),)


def test_what_has_ended_gives_way(store: ResultStore) -> None:
    ended = result(file("a.py", "old"), expires_at_s=NOW_S)
    future = result(file("a.py", "odd"), executed_at_s=NOW_S + 1)
    living = result(file("a.py", "new"))

    async def main() -> None:
        for each in (ended, future, living):
            await store.put(key(), clean(each))

    anyio.run(main)
    entry = store.entry(key())
    assert entry is not None
    assert entry.results == (living,)


def test_a_refusal_leaves_earlier_results_and_is_taken_back_by_the_next(
    store: ResultStore,
) -> None:
    stored = result(file("a.py"))
    seen: list[ActionEntry | None] = []

    async def main() -> None:
        assert await store.refuse(key(1), MODULE, "connects to a host")
        seen.append(store.entry(key(1)))
        await store.put(key(), clean(stored))
        for _ in range(2):
            assert await store.refuse(key(), MODULE, "connects to a host")
        seen.append(store.entry(key()))
        await store.put(key(), clean(stored))
        seen.append(store.entry(key()))

    anyio.run(main)
    assert seen == [
        ActionEntry(key=key(1), module=MODULE, refusal="connects to a host"),
        ActionEntry(key=key(), module=MODULE, results=(stored,), refusal="connects to a host"),
        ActionEntry(key=key(), module=MODULE, results=(stored,)),
    ]


@pytest.mark.parametrize("name", ["", "../../x", "A" * 64, "0" * 63, "0" * 63 + "/"])
def test_only_digests_are_names(store: ResultStore, name: str) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="is not a key"):
            await store.put(name, clean(result()))
        with pytest.raises(ValueError, match="is not a key"):
            await store.refuse(name, MODULE, "reason")

    anyio.run(main)
    assert store.entry(name) is None
    assert store.blob(name) is None


def test_names_that_are_no_utf_8_survive(store: ResultStore) -> None:
    stored = result(file("data/\udcff"), file("ü"))

    async def main() -> None:
        assert await store.put(key(), clean(stored, module="tests/test_\udcff.py"))

    anyio.run(main)
    entry = store.entry(key())
    assert entry is not None
    assert (entry.module, entry.results) == ("tests/test_\udcff.py", (stored,))


def test_many_at_the_same_time_lose_nothing(store: ResultStore) -> None:
    stored = [result(file("a.py", str(number))) for number in range(12)]

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for each in stored:
                tasks.start_soon(store.put, key(), clean(each))

    anyio.run(main)
    entry = store.entry(key())
    assert entry is not None
    assert {each.trace.inputs for each in entry.results} == {each.trace.inputs for each in stored}
