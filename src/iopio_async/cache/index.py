"""The packed index: what hundreds of entries say, in one file, so that asking all of them is cheap.

Each distinct input stands once in a table; a result is a list of numbers into it. Rows are unpacked
when they are asked for. Which functions were executed is needed only where a source changed, and
stands in a second file, read when that is so; a number that both files hold, another one each time
they are written, says that they belong together.

The index can't be wrong, only of no use: a row counts for an entry as long as the entry's file is
the one that the row was made from (its inode, size and time of modification), a damaged index reads
as none, and whatever is not answered here is answered by the entry. So it is written without a
lock, and the last of several runs wins. Rows of ended results are left out when it is written; the
tables are made anew when half of what they hold is used by nobody.
"""

import contextlib
import os
import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping
from typing import Self

import msgspec

from iopio_async import state
from iopio_async.cache.reader import DiskReader, Stamp
from iopio_async.errors import InfrastructureError
from iopio_async.model.trace import TRACE_VERSION, ActionEntry, Input, Level, StoredResult

INDEX = "index"
SCOPES = "index-scopes"

#: Results of an entry that the index holds; there may be more in the entry.
INDEXED_RESULTS = 4

#: Rows that are kept, those of the latest executions first.
MOST_ROWS = 20_000

_MARK = b"iopio index 1.%d.%s\n" % (TRACE_VERSION, sys.byteorder.encode())
_ANY_MARK = b"iopio index "
_CHECKSUM_BYTES = 4

#: Numbers of inputs, packed.
_NUMBERS = "I"

#: Neither file becomes larger.
_MOST_BYTES = state.MAX_FILE_BYTES // 2

#: Tables of fewer rows than this are never worth tidying up.
_FEW = 1000


class IndexedResult(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A result; its inputs are ``Index.inputs[number]``."""

    packed_numbers: bytes
    events: str
    coverage: str
    executed_at_s: float
    expires_at_s: float
    duration_s: float
    level: Level

    @property
    def numbers(self) -> "array[int]":
        """The numbers of its inputs, in order."""
        return array(_NUMBERS, self.packed_numbers)


class Row(msgspec.Struct, frozen=True, array_like=True):
    """One entry, the newest result first. ``whole`` where the entry holds no further ones."""

    stamp: tuple[int, int, int]
    results: list[IndexedResult]
    whole: bool
    refusal: str = ""


class _Body(msgspec.Struct, array_like=True):
    """The first file; each row is packed on its own."""

    number: bytes
    inputs: list[Input]
    rows: dict[str, bytes]


class _Scopes(msgspec.Struct, array_like=True):
    """The second file: functions with their digests, and for each row's results who executed them.

    A row is a list with, for each result, numbers of functions by the input's place among the
    result's inputs.
    """

    number: bytes
    functions: list[tuple[str, str]]
    rows: dict[str, bytes]


_ScopesRow = list[dict[int, list[int]]]

_encode = msgspec.msgpack.Encoder().encode
_body_decoder = msgspec.msgpack.Decoder(_Body)
_scopes_decoder = msgspec.msgpack.Decoder(_Scopes)
_row_decoder = msgspec.msgpack.Decoder(Row)
_scopes_row_decoder: msgspec.msgpack.Decoder[_ScopesRow] = msgspec.msgpack.Decoder(_ScopesRow)


class Index:
    """The index of the cache that ``reader`` reads, as it was when this was loaded.

    :meth:`add` brings entries in; :meth:`save` writes it, if there is anything new.
    """

    def __init__(self, reader: DiskReader) -> None:
        self._reader = reader
        self._body = _Body(b"", [], {})
        self._scopes: _Scopes | None = None
        self._input_numbers: dict[tuple[str, str, str], int] | None = None
        self._function_numbers: dict[tuple[str, str], int] = {}
        self._is_new = False

    @classmethod
    def load(cls, reader: DiskReader) -> Self:
        """The index as it is on disk; an empty one where there is none that can be used."""
        index = cls(reader)
        body = _unsealed(reader.read(INDEX))
        if body is not None:
            with contextlib.suppress(ValueError, RecursionError):
                index._body = _body_decoder.decode(body)
        return index

    @property
    def inputs(self) -> list[Input]:
        """All distinct inputs, by number; they are without scopes here."""
        return self._body.inputs

    def row(self, key: str, stamp: Stamp) -> Row | None:
        """What is known of the entry whose file has this stamp.

        Raises:
            ValueError: the row does not hold what was written.
        """
        packed = self._body.rows.get(key)
        if packed is None:
            return None
        row = _row_decoder.decode(packed)
        return row if row.stamp == stamp else None

    def inputs_of(self, key: str, events: str) -> list[Input] | None:
        """The inputs of the result with these events; ``None`` where it is not known here.

        Raises:
            ValueError: the row does not hold what was written.
            IndexError: likewise.
        """
        packed = self._body.rows.get(key)
        results = _row_decoder.decode(packed).results if packed is not None else []
        for result in results:
            if result.events == events:
                return [self._body.inputs[number] for number in result.numbers]
        return None

    def scopes(self, key: str, result_number: int) -> dict[int, tuple[tuple[str, str], ...]] | None:
        """The functions that a result executed, by the places of its inputs.

        ``None`` where they are not known here.

        Raises:
            ValueError: the row does not hold what was written.
            IndexError: likewise.
        """
        scopes = self._loaded_scopes()
        packed = scopes.rows.get(key)
        if packed is None:
            return None
        places = _scopes_row_decoder.decode(packed)[result_number]
        return {
            place: tuple(scopes.functions[number] for number in numbers)
            for place, numbers in places.items()
        }

    # -- what is new ---------------------------------------------------------------------------

    def add(self, key: str, entry: ActionEntry, stamp: Stamp) -> None:
        """Bring in an entry that was read or written just now."""
        rows, scopes = self._body.rows, self._loaded_scopes()
        before = rows.pop(key, b""), scopes.rows.pop(key, b"")
        after = self._packed_rows(entry, stamp)
        if after[0]:
            rows[key], scopes.rows[key] = after
        self._is_new = self._is_new or after != before

    def save(self, now_s: float) -> bool:
        """Write the index, if there is anything new; false where it can't be written."""
        if not self._is_new:
            return True
        if not self._reader.faults.writes:
            return False
        try:
            folder = state.ensure(self._reader.folder)
            self._write(folder, self._living(now_s))
            self._is_new = False
        except InfrastructureError as error:
            self._reader.faults.stop_writing(error.message)
        except OSError as error:
            self._reader.faults.stop_writing(f"the index: {error.strerror or error}")
        return not self._is_new

    # -- tables --------------------------------------------------------------------------------

    def _packed_rows(self, entry: ActionEntry, stamp: Stamp) -> tuple[bytes, bytes]:
        """The two rows of an entry; empty where it has no result that the index can hold."""
        if not entry.results:
            return b"", b""
        indexed = entry.results[:INDEXED_RESULTS]
        try:
            results = [self._packed(each) for each in indexed]
            places = [self._packed_scopes(each) for each in indexed]
            row = Row(stamp, results, len(indexed) == len(entry.results), entry.refusal)
            return _encode(row), _encode(places)
        except UnicodeEncodeError:
            # Names that are no UTF-8 are for the entry alone.
            return b"", b""

    def _packed(self, result: StoredResult) -> IndexedResult:
        inputs = self._body.inputs
        if self._input_numbers is None:
            self._input_numbers = {_identity(each): at for at, each in enumerate(inputs)}
        known = self._input_numbers
        numbers = array(_NUMBERS)
        for each in result.trace.inputs:
            identity = _identity(each)
            number = known.get(identity)
            if number is None:
                _encode(identity)
                number = known[identity] = len(inputs)
                inputs.append(Input(each.kind, each.subject, each.value))
            numbers.append(number)
        return IndexedResult(
            numbers.tobytes(),
            result.events,
            result.coverage,
            result.executed_at_s,
            result.expires_at_s,
            result.duration_s,
            result.trace.level,
        )

    def _packed_scopes(self, result: StoredResult) -> dict[int, list[int]]:
        functions, known = self._loaded_scopes().functions, self._function_numbers
        places: dict[int, list[int]] = {}
        for place, each in enumerate(result.trace.inputs):
            if not each.scopes:
                continue
            numbers: list[int] = []
            places[place] = numbers
            for pair in each.scopes:
                number = known.get(pair)
                if number is None:
                    _encode(pair)
                    number = known[pair] = len(functions)
                    functions.append(pair)
                numbers.append(number)
        return places

    def _loaded_scopes(self) -> _Scopes:
        if self._scopes is None:
            self._scopes = self._read_scopes()
            functions = self._scopes.functions
            self._function_numbers = {pair: at for at, pair in enumerate(functions)}
        return self._scopes

    def _read_scopes(self) -> _Scopes:
        body = _unsealed(self._reader.read(SCOPES)) if self._body.number else None
        if body is not None:
            try:
                scopes = _scopes_decoder.decode(body)
            except (ValueError, RecursionError):
                pass
            else:
                if scopes.number == self._body.number:
                    return scopes
        return _Scopes(b"", [], {})

    # -- writing -------------------------------------------------------------------------------

    def _living(self, now_s: float) -> dict[str, Row]:
        """The rows of which something holds still, the latest executions first."""
        rows = {}
        for key, packed in self._body.rows.items():
            row = _row_decoder.decode(packed)
            if any(each.expires_at_s > now_s for each in row.results):
                rows[key] = row
        latest = sorted(rows, key=lambda key: _executed_at_s(rows[key]), reverse=True)
        return {key: rows[key] for key in latest[:MOST_ROWS]}

    def _write(self, folder: str, rows: Mapping[str, Row]) -> None:
        scopes = self._loaded_scopes()
        self._body.rows = {key: self._body.rows[key] for key in rows}
        scopes.rows = {key: scopes.rows[key] for key in rows if key in scopes.rows}
        used = set[int]().union(*(each.numbers for row in rows.values() for each in row.results))
        if len(self._body.inputs) > max(_FEW, 2 * len(used)):
            self._tidy(rows, used)
        self._body.number = scopes.number = os.urandom(8)
        files = {SCOPES: _encode(scopes), INDEX: _encode(self._body)}
        if max(map(len, files.values())) > _MOST_BYTES and rows:
            # Too large to be quick: the older half is left to the entries.
            self._write(folder, dict(list(rows.items())[: len(rows) // 2]))
            return
        for name, body in files.items():
            state.write_atomically(os.path.join(folder, name), _sealed(body))

    def _tidy(self, rows: Mapping[str, Row], used: Iterable[int]) -> None:
        """Make the tables anew, of what is used."""
        body, scopes = self._body, self._loaded_scopes()
        kept = sorted(used)
        now = {before: after for after, before in enumerate(kept)}
        body.inputs = [body.inputs[number] for number in kept]
        for key, row in rows.items():
            results = [
                msgspec.structs.replace(
                    each,
                    packed_numbers=array(_NUMBERS, map(now.__getitem__, each.numbers)).tobytes(),
                )
                for each in row.results
            ]
            body.rows[key] = _encode(msgspec.structs.replace(row, results=results))
        places = {key: _scopes_row_decoder.decode(packed) for key, packed in scopes.rows.items()}
        executed = (numbers for row in places.values() for each in row for numbers in each.values())
        kept = sorted(set[int]().union(*executed))
        now = {before: after for after, before in enumerate(kept)}
        scopes.functions = [scopes.functions[number] for number in kept]
        for key, scopes_row in places.items():
            scopes.rows[key] = _encode(
                [
                    {place: [now[number] for number in numbers] for place, numbers in each.items()}
                    for each in scopes_row
                ]
            )
        self._input_numbers = None
        self._function_numbers = {pair: at for at, pair in enumerate(scopes.functions)}


def is_damaged(data: bytes) -> bool:
    """Say whether this is not what was written to the index's file, by this or another version."""
    if data.startswith(_MARK):
        return _unsealed(data) is None
    return not data.startswith(_ANY_MARK)


def _identity(given: Input) -> tuple[str, str, str]:
    return given.subject, given.value, given.kind.value


def _executed_at_s(row: Row) -> float:
    return max((each.executed_at_s for each in row.results), default=0.0)


def _sealed(body: bytes) -> bytes:
    return _MARK + zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "big") + body


def _unsealed(data: bytes | None) -> bytes | None:
    """The body, or ``None`` where this is not a whole index of this version."""
    start = len(_MARK) + _CHECKSUM_BYTES
    if data is None or not data.startswith(_MARK) or len(data) < start:
        return None
    body = data[start:]
    return body if data == _sealed(body) else None
