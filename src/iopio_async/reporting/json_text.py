"""JSON as the reports write it: any text of a run, and as many rows as there are."""

from collections.abc import Iterable, Iterator

import orjson

from iopio_async.reporting.escape import encodable

#: Rows that make one piece, since each piece is a call on the file, and there may be a million.
_BATCH = 1000


def dumps(value: object) -> bytes:
    """The value in JSON; text that is not UTF-8, as a file's name may be, with that spelled out.

    Raises:
        TypeError: JSON has no such values.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(encodable(value))


def lines(rows: Iterable[object]) -> Iterator[bytes]:
    """The inside of an array in pieces, each row on a line of its own."""
    batch: list[bytes] = []
    separator = b"\n"
    for row in rows:
        batch.append(dumps(row))
        if len(batch) == _BATCH:
            yield separator + b",\n".join(batch)
            separator = b",\n"
            batch.clear()
    if batch:
        yield separator + b",\n".join(batch)
