"""Entries as bytes: what is read is what was written, or nothing."""

import json

import msgspec
import pytest
from fakes.results import EVENTS, MODULE, clean, file, key, result, source

from iopio_async.cache import entries
from iopio_async.model.trace import TRACE_VERSION, ActionEntry, Level

ENTRY = ActionEntry(
    key=key(),
    module=MODULE,
    results=(
        result(file("a.py"), source("b.py", module="x = 1", parse="return 2"), events=EVENTS),
        result(level=Level.COARSE, reasons=["an extension module may read files unseen"]),
    ),
    refusal="why not",
)


def of_version(entry: ActionEntry, *, format_version: int, trace_version: int) -> bytes:
    """A whole entry of another version, whatever that would hold."""
    body = b'{"other":"words"}'
    return entries._header(format_version, trace_version, body) + body


def test_what_is_read_is_what_was_written() -> None:
    assert entries.decode(entries.encode(ENTRY), key()) == ENTRY


def test_both_lines_are_json() -> None:
    first, second = entries.encode(ENTRY).splitlines()

    assert json.loads(first)["iopio"] == "action"
    assert json.loads(first)["bytes"] == len(second)
    assert json.loads(second)["key"] == key()


def test_surrogates_survive() -> None:
    entry = msgspec.structs.replace(ENTRY, module="tests/\udcff\ud83d.py", refusal="\\udcff ü")

    assert entries.decode(entries.encode(entry), key()) == entry


def test_it_belongs_to_its_key() -> None:
    with pytest.raises(entries.DamagedError, match="another key"):
        entries.decode(entries.encode(ENTRY), key(1))


@pytest.mark.parametrize(
    ("format_version", "trace_version"),
    [
        (entries.FORMAT_VERSION + 1, TRACE_VERSION),
        (entries.FORMAT_VERSION - 1, TRACE_VERSION),
        (entries.FORMAT_VERSION, TRACE_VERSION + 1),
        (entries.FORMAT_VERSION, TRACE_VERSION - 1),
    ],
)
def test_another_version_is_not_ours(format_version: int, trace_version: int) -> None:
    data = of_version(ENTRY, format_version=format_version, trace_version=trace_version)

    assert entries.decode(data, key()) is None
    with pytest.raises(entries.DamagedError, match="length or checksum"):
        entries.decode(data[:-1], key())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b'{"key":1}',
        b'{"key":"\\udcff"}',
        b"[" * 100_000,
        b'{"key":"' + key().encode() + b'","module":"m","results":[{"trace":5}]}',
    ],
)
def test_a_whole_file_with_nonsense_in_it_is_not_believed(body: bytes) -> None:
    header = entries._header(entries.FORMAT_VERSION, TRACE_VERSION, body)

    with pytest.raises(entries.DamagedError, match="not an entry"):
        entries.decode(header + body, key())


@pytest.mark.parametrize("data", [b"", b"\n", b"{}\n", b"\xff\n{}", b"[" * 100_000 + b"\n"])
def test_what_has_no_heading_is_damaged(data: bytes) -> None:
    with pytest.raises(entries.DamagedError):
        entries.decode(data, key())


def test_the_blobs_of_an_entry() -> None:
    first = result(events=EVENTS)
    both = msgspec.structs.replace(result(), events="e" * 64, coverage="c" * 64)
    entry = ActionEntry(key=key(), module=MODULE, results=(first, both))

    assert entries.blobs_of(entry) == {first.events, "e" * 64, "c" * 64}
    assert entries.blobs_for(clean(first).result, [EVENTS]) == {first.events: EVENTS}
