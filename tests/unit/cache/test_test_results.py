"""Stored results of single tests."""

from pathlib import Path

import pytest

from iopio_async.cache.test_results import (
    KEPT_RESULTS,
    Fresh,
    RecordedWarning,
    Story,
    TestFile,
    TestStore,
    decode,
    encode,
    merged,
)
from iopio_async.model.trace import Input, InputKind

KEY = "ab" * 32
TTL_S = 1000.0
WARNING = RecordedWarning("builtins", "UserWarning", "hm", "a.py", 3, None)


def given(name: str, value: str = "1") -> Input:
    return Input(InputKind.FILE, name, value)


def fresh(*names: str, value: str = "1") -> Fresh:
    story = Story([{"nodeid": "x", "value": value}], [WARNING])
    return Fresh(tuple(given(name, value) for name in names), story)


def stored(before: TestFile | None = None, at_s: float = 100.0, **tests: Fresh) -> TestFile:
    return merged(before, KEY, "test_a.py", tests, executed_at_s=at_s, ttl_s=TTL_S)


def test_inputs_stand_once() -> None:
    found = stored(one=fresh("a", "b"), two=fresh("b", "c"))
    assert [each.subject for each in found.inputs] == ["a", "b", "c"]
    assert decode(encode(found)) is not None
    assert found.ends_s > 100 + TTL_S / 2


def test_results_of_other_inputs_are_kept_and_of_the_same_replaced() -> None:
    found = stored(one=fresh("a"))
    found = stored(found, 101.0, one=fresh("a", value="2"), two=fresh("b"))
    found = stored(found, 102.0, one=fresh("a"))
    assert [each.executed_at_s for each in found.tests["one"]] == [102.0, 101.0]
    assert [each.executed_at_s for each in found.tests["two"]] == [101.0]


def test_old_and_many_results_go() -> None:
    found = stored(one=fresh("a"), two=fresh("a"))
    for number in range(KEPT_RESULTS + 2):
        found = stored(found, 101.0 + number, one=fresh("a", value=str(number)))
    assert len(found.tests["one"]) == KEPT_RESULTS
    found = stored(found, 101.0 + 2 * TTL_S, one=fresh("z"))
    assert list(found.tests) == ["one"]
    assert [each.subject for each in found.inputs] == ["z"]


@pytest.mark.parametrize("at", [0, 5, 40, 90, -1])
def test_any_damage_is_seen(at: int) -> None:
    data = bytearray(encode(stored(one=fresh("a"))))
    data[at] ^= 1
    assert decode(bytes(data)) is None


def test_a_store_gives_back_what_holds(tmp_path: Path) -> None:
    warned: list[str] = []
    store = TestStore(str(tmp_path / "cache"), warned.append, TTL_S)
    assert store.load(KEY) is None
    store.save(KEY, "test_a.py", {"one": fresh("a", "b"), "two": fresh("c")}, 100.0)
    found = store.load(KEY)
    assert found is not None
    assert store.holding(found, "one", {}, 101.0) == Story(
        [{"nodeid": "x", "value": "1"}], [WARNING]
    )
    assert store.holding(found, "one", {1: 0}, 101.0) == 1
    assert isinstance(store.holding(found, "two", {1: 0}, 101.0), Story)
    assert store.holding(found, "three", {}, 101.0) is None
    assert store.holding(found, "one", {}, 100.0 + TTL_S) is None
    assert store.holding(found, "one", {}, 99.0) is None
    assert warned == []


def test_what_cannot_be_stored_costs_nothing_else(tmp_path: Path) -> None:
    warned: list[str] = []
    store = TestStore(str(tmp_path / "cache"), warned.append, TTL_S)
    store.save(KEY, "test_a.py", {"one": Fresh((), Story([{"x": object()}]))}, 100.0)
    assert store.load(KEY) is None
    (tmp_path / "file").write_text("")
    store = TestStore(str(tmp_path / "file"), warned.append, TTL_S)
    for _ in range(2):
        store.save(KEY, "test_a.py", {"one": fresh("a")}, 100.0)
    (message,) = warned
    assert message.startswith("results of tests are not kept: ")
