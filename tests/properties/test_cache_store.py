"""Results of any kind: what is stored comes back, and every way to ask gives the same answer."""

import tempfile

import pytest
from fakes.results import MODULE, NOW_S, digest, key
from hypothesis import given
from hypothesis import strategies as st

from iopio_async import state
from iopio_async.cache import entries
from iopio_async.cache.index import Index
from iopio_async.cache.lifetime import DEFAULT_TTL_S, lifetime_s
from iopio_async.cache.reader import ACTIONS, SHARD_CHARS, DiskReader
from iopio_async.cache.validate import Hit, Judge, newest_valid
from iopio_async.cache.verdicts import verdicts
from iopio_async.model.trace import ActionEntry, Input, InputKind, Level, StoredResult, Trace

# Names of files may hold bytes that are no UTF-8, which stand as lone surrogates.
texts = st.text(st.characters(codec=None, categories=None, max_codepoint=0x10FFFF), max_size=12)
values = st.sampled_from(["one", "two", "absent"]).map(digest)
functions = st.sampled_from(["<module>", "parse", "show#2"])
subjects = st.sampled_from(["a.py", "b.py", "c.py", "d\udcff.py"])


@st.composite
def inputs(draw: st.DrawFn) -> Input:
    kind = draw(st.sampled_from([InputKind.FILE, InputKind.SOURCE]))
    names = draw(st.lists(functions, unique=True)) if kind is InputKind.SOURCE else []
    scopes = tuple((name, draw(values)) for name in names)
    return Input(kind, draw(subjects), draw(values), scopes)


results = st.builds(
    StoredResult,
    trace=st.builds(
        Trace,
        level=st.sampled_from(Level),
        inputs=st.lists(inputs(), max_size=4).map(tuple),
        reasons=st.lists(texts, max_size=2).map(tuple),
    ),
    events=st.just("") | values,
    executed_at_s=st.floats(NOW_S - 90_000, NOW_S + 10),
    expires_at_s=st.floats(NOW_S - 10, NOW_S + 90_000),
    duration_s=st.floats(0, 1000),
)


@given(
    st.builds(
        ActionEntry,
        key=st.just(key()),
        module=texts,
        results=st.lists(results, max_size=3).map(tuple),
        refusal=texts,
    )
)
def test_an_entry_comes_back_as_it_was(entry: ActionEntry) -> None:
    assert entries.decode(entries.encode(entry), key()) == entry


@given(st.binary(max_size=300))
def test_any_bytes_are_an_entry_or_damaged(data: bytes) -> None:
    with pytest.raises(entries.DamagedError):
        entries.decode(data, key())


@given(st.lists(results, max_size=24))
def test_entries_hold_the_newest_of_what_holds(stored: list[StoredResult]) -> None:
    entry: ActionEntry | None = None
    for each in stored:
        entry = entries.with_result(entry, key(), MODULE, each, NOW_S)
    kept = entry.results if entry else ()

    assert len(kept) <= entries.KEPT_RESULTS
    assert [each.executed_at_s for each in kept] == sorted(
        (each.executed_at_s for each in kept), reverse=True
    )
    assert len({each.trace.inputs for each in kept}) == len(kept)
    assert all(each in stored for each in kept)
    assert all(each.executed_at_s <= NOW_S < each.expires_at_s for each in kept)
    if stored and stored[-1].executed_at_s <= NOW_S < stored[-1].expires_at_s:
        older = [each for each in kept if each.executed_at_s < stored[-1].executed_at_s]
        assert stored[-1] in kept or not older


@given(texts, st.floats(0, 1e9))
def test_lifetimes_are_between_three_quarters_and_all(name: str, ttl_s: float) -> None:
    assert 0.75 * ttl_s <= lifetime_s(digest(repr(name)), ttl_s) <= ttl_s


@given(
    stored=st.lists(st.lists(results, max_size=6), min_size=1, max_size=4),
    world=st.fixed_dictionaries(dict.fromkeys(("a.py", "b.py", "c.py", "d\udcff.py"), values)),
    scopes=st.dictionaries(subjects, st.none() | st.dictionaries(functions, values)),
    indexed=st.integers(0, 4),
)
def test_the_index_and_the_entries_agree(
    stored: list[list[StoredResult]],
    world: dict[str, str],
    scopes: dict[str, dict[str, str] | None],
    indexed: int,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        reader = DiskReader(folder, warn=pytest.fail)
        known = [
            ActionEntry(key=key(number), module=MODULE, results=tuple(each))
            for number, each in enumerate(stored)
        ]
        for entry in known:
            state.ensure(folder, ACTIONS, entry.key[:SHARD_CHARS])
            state.write_atomically(reader.file(ACTIONS, entry.key), entries.encode(entry))
        index = Index.load(reader)
        for entry in known[:indexed]:
            index.add(entry.key, entry, reader.stamps([entry.key])[entry.key])
        index.save(NOW_S)

        def judge() -> Judge:
            return Judge(lambda given: world[given.subject], scopes.get)

        asked = [key(number) for number in range(5)]
        found = verdicts(reader, Index.load(reader), asked, judge(), now_s=NOW_S)
        for entry in known:
            longest_s = lifetime_s(entry.key, DEFAULT_TTL_S)
            expected = newest_valid(
                entry.results,
                judge(),
                lambda each: (
                    each.executed_at_s
                    <= NOW_S
                    < min(each.expires_at_s, each.executed_at_s + longest_s)  # noqa: B023
                ),
            )
            assert found[entry.key] == expected
            if isinstance(expected, Hit):
                assert _holds(entry.results, world, scopes)
        assert all(not isinstance(found[each], Hit) for each in asked[len(known) :])


def _holds(
    stored: tuple[StoredResult, ...],
    world: dict[str, str],
    scopes: dict[str, dict[str, str] | None],
) -> bool:
    """The definition: some result has all of its inputs, or else all that was executed of them."""

    def same(given: Input) -> bool:
        if world[given.subject] == given.value:
            return True
        executed, now = dict(given.scopes), scopes.get(given.subject)
        return "<module>" in executed and now is not None and executed.items() <= now.items()

    return any(all(map(same, each.trace.inputs)) for each in stored)


@given(st.data())
def test_no_bit_of_an_entry_is_spare(data: st.DataObject) -> None:
    entry = ActionEntry(key=key(), module=data.draw(texts), results=(data.draw(results),))
    whole = bytearray(entries.encode(entry))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8

    with pytest.raises(entries.DamagedError):
        entries.decode(bytes(whole), key())
