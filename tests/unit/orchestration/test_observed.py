"""Folding a trace: what counts of what was told, and in which order."""

from collections.abc import Sequence

import pytest

from iopio_async.orchestration.observed import IncompleteError, Observed
from iopio_async.wire import observations as wire
from iopio_async.wire.observations import encode

Record = tuple[bytes, ...]

BEGIN: Record = (wire.BEGIN, b"1", b"1")


def data(*records: Record) -> bytes:
    return b"".join(encode(*record) for record in records)


def nothing(path: bytes, length_bytes: int) -> Observed:
    raise IncompleteError(path)


def fold(*records: Record) -> Observed:
    observed = Observed()
    observed.fold(data(BEGIN, *records), nothing)
    return observed


def based_on(base: Observed, *records: Record) -> Observed:
    observed = Observed()
    observed.fold(
        data(BEGIN, (wire.INCLUDE, b"/server", b"10"), *records), lambda path, length: base
    )
    return observed


READ, LIST, TYPE, STAT, WRITE = wire.READ, wire.LIST, wire.TYPE, wire.STAT, wire.WRITE
CREATE = (WRITE, b"/f", b"", b"")
EMPTY = (WRITE, b"/f", b"1", b"")
KEEP = (WRITE, b"/f", b"1", b"1")

#: What is done to a file, in order, and the sets that it is in at last.
ORDERS: list[tuple[Sequence[Record], set[str]]] = [
    ([(READ, b"/f")], {"read"}),
    ([CREATE], {"created"}),
    ([CREATE, (READ, b"/f"), (STAT, b"/f"), (LIST, b"/f"), KEEP, EMPTY], {"created"}),
    ([(TYPE, b"/f"), CREATE], {"type", "created"}),
    ([(READ, b"/f"), CREATE], {"read", "created"}),
    ([EMPTY], {"emptied"}),
    ([EMPTY, (READ, b"/f"), KEEP], {"emptied"}),
    ([(TYPE, b"/f"), EMPTY], {"type", "emptied"}),
    ([(READ, b"/f"), EMPTY], {"read", "rewritten"}),
    ([(STAT, b"/f"), KEEP], {"rewritten"}),
    ([(wire.SOURCE, b"/f"), EMPTY], {"source", "rewritten"}),
    ([KEEP], {"appended"}),
    ([KEEP, (TYPE, b"/f")], {"type", "appended"}),
    ([KEEP, (READ, b"/f")], {"read", "rewritten"}),
    ([(READ, b"/f"), KEEP, KEEP], {"read", "rewritten"}),
]


@pytest.mark.parametrize(("records", "expected"), ORDERS)
def test_what_is_written_and_what_is_read(records: Sequence[Record], expected: set[str]) -> None:
    observed = fold(*records)
    sets = {
        "read": observed.asked[READ],
        "type": observed.asked[TYPE],
        "source": observed.sources,
        "created": observed.created,
        "emptied": observed.emptied,
        "appended": observed.appended,
        "rewritten": observed.rewritten,
    }

    assert {name for name, paths in sets.items() if b"/f" in paths} == expected


@pytest.mark.parametrize(
    ("records", "only_added_to"),
    [
        ([CREATE], False),
        ([EMPTY, KEEP], False),
        ([KEEP, EMPTY], False),
        ([(WRITE, b"/", b"", b"2"), (WRITE, b"/f", b"", b"1")], True),
        ([KEEP, KEEP], True),
        ([(WRITE, b"/f", b"1", b"2")], None),
        ([(WRITE, b"/f", b"1", b"2"), EMPTY], False),
    ],
)
def test_who_writes_is_told_whoever_made_it(
    records: Sequence[Record], only_added_to: bool | None
) -> None:
    assert fold(*records).wrote.get(b"/f") is only_added_to


def test_ports_and_databases() -> None:
    observed = fold((wire.BIND, b"80"), (wire.CONNECT, b"81"), (wire.DATABASE, b"/f"))
    assert (list(observed.bound), list(observed.connected)) == ([b"80"], [b"81"])
    assert list(observed.databases) == [b"/f"]


def test_the_same_holds_for_what_a_warm_process_did() -> None:
    assert b"/f" in based_on(fold((READ, b"/f")), EMPTY).rewritten
    assert not based_on(fold(CREATE), (READ, b"/f")).asked[READ]
    assert not based_on(fold(CREATE), KEEP).appended


def test_what_is_below_a_directory_that_was_made_was_made_as_well() -> None:
    observed = fold(
        CREATE, (READ, b"/f/a/b"), (wire.SOURCE, b"/f/c.py"), (WRITE, b"/f/x", b"", b"")
    )

    assert not observed.asked[READ]
    assert not observed.sources
    assert set(observed.created) == {b"/f"}
    assert fold(CREATE, (READ, b"/fa")).asked[READ]


def test_searches_are_known_by_number_also_in_forks() -> None:
    base = fold((wire.SEARCH, b"7.0", b"/a", b"/b"), (wire.FIND, b"7.0", b"x"))
    observed = based_on(base, (wire.FIND, b"7.0", b"y.z"))

    assert list(base.finds) == [((b"/a", b"/b"), b"x")]
    assert list(observed.finds) == [((b"/a", b"/b"), b"y.z")]
    assert list(base.search_paths) == [(b"/a", b"/b")]
    assert not observed.search_paths


def test_the_rest_is_noted() -> None:
    observed = fold(
        (wire.CODE, b"/f", "ä".encode(), b"3"),
        (wire.VARIABLE, b"HOME"),
        (wire.VARIABLES,),
        (wire.PACKAGE, b""),
        (wire.PACKAGE, b"pytest"),
        (wire.PROCESS, b"/bin/ls"),
        (wire.OPAQUE, b"o"),
        (wire.IMPURE, b"i"),
    )

    assert observed.codes == {b"/f": {("ä", 3)}}
    assert observed.all_variables
    assert list(observed.packages) == [b"", b"pytest"]
    assert [*observed.variables, *observed.processes] == [b"HOME", b"/bin/ls"]
    assert [*observed.opaque, *observed.impure] == [b"o", b"i"]
    assert not observed.without_functions


def test_one_process_that_does_not_tell_functions_is_enough() -> None:
    assert fold((wire.BEGIN, b"2", b"")).without_functions


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        data((READ, b"/f")),
        data(BEGIN)[:-1],
        data(BEGIN, (READ, b"/f"))[:-1],
        data(BEGIN) + b"\0\0\0\0",
        data(BEGIN, (b"?", b"x")),
        data(BEGIN, (READ,)),
        data(BEGIN, (WRITE, b"/f")),
        data(BEGIN, (wire.CODE, b"/f", b"x", b"three")),
        data(BEGIN, (wire.FIND, b"1", b"x")),
        data(BEGIN, (wire.INCLUDE, b"/f", b"many")),
        data(BEGIN, (wire.INCLUDE, b"/f", b"1")),
        data((wire.BEGIN, b"1")),
    ],
)
def test_a_trace_that_does_not_tell_everything_is_refused(broken: bytes) -> None:
    with pytest.raises(IncompleteError):
        Observed().fold(broken, nothing)
