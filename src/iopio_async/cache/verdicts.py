"""Keys → hits and misses: the index asked first, then the entries that it does not answer for.

First all inputs that the newest results have between them are looked at, once each, however many
results they are part of; then a result holds unless one of its inputs is among those that differ.
Only for those that do, the functions that were executed are looked up.
"""

from collections.abc import Iterable, Mapping

from iopio_async.cache.index import Index, IndexedResult, Row
from iopio_async.cache.lifetime import DEFAULT_TTL_S, holds, lifetime_s
from iopio_async.cache.reader import DiskReader
from iopio_async.cache.validate import Change, Hit, Judge, Miss, newest_valid
from iopio_async.model.trace import Input, InputKind, StoredResult


def verdicts(
    reader: DiskReader,
    index: Index,
    keys: Iterable[str],
    judge: Judge,
    *,
    now_s: float,
    ttl_s: float = DEFAULT_TTL_S,
) -> dict[str, Hit | Miss]:
    """What the cache knows of each key, by the inputs as ``judge`` sees them.

    Entries that had to be read are brought into the index, which is not written here.
    """
    asked = list(dict.fromkeys(keys))
    longest_s = {key: lifetime_s(key, ttl_s) for key in asked}
    try:
        answers = _indexed(reader, index, judge, longest_s, now_s)
    except (ValueError, LookupError):
        # It is whole, and yet not what was written: it can't be, but then the entries will do.
        answers = {}
    for key in asked:
        if key not in answers:
            answers[key] = _read(reader, index, judge, key, longest_s[key], now_s)
    return answers


def _read(
    reader: DiskReader, index: Index, judge: Judge, key: str, longest_s: float, now_s: float
) -> Hit | Miss:
    found = reader.stamped_entry(key)
    if found is None:
        return Miss()
    entry, stamp = found

    def is_living(result: StoredResult) -> bool:
        return holds(result.executed_at_s, result.expires_at_s, now_s=now_s, longest_s=longest_s)

    if any(map(is_living, entry.results)):
        index.add(key, entry, stamp)
    answer = newest_valid(entry.results, judge, is_living)
    return answer if isinstance(answer, Hit) else answer._replace(refusal=entry.refusal)


def _indexed(
    reader: DiskReader, index: Index, judge: Judge, longest_s: Mapping[str, float], now_s: float
) -> dict[str, Hit | Miss]:
    """What the index can tell of the keys."""
    rows = {
        key: row
        for key, stamp in reader.stamps(longest_s).items()
        if (row := index.row(key, stamp)) is not None
    }
    living = {
        key: [
            (place, result)
            for place, result in enumerate(row.results)
            if holds(
                result.executed_at_s,
                result.expires_at_s,
                now_s=now_s,
                longest_s=longest_s[key],
            )
        ]
        for key, row in rows.items()
    }
    differing = _Differing(index, judge)
    differing.look_at(results[0][1] for results in living.values() if results)
    answers = {}
    for key, row in rows.items():
        answer = _row_verdict(index, judge, differing, key, row, living[key])
        if answer is not None:
            answers[key] = answer
    return answers


class _Differing:
    """The numbers of inputs that differ, as far as inputs were looked at."""

    def __init__(self, index: Index, judge: Judge) -> None:
        self._inputs = index.inputs
        self._judge = judge
        self._seen: set[int] = set()
        self._found: set[int] = set()

    def look_at(self, results: Iterable[IndexedResult]) -> None:
        """Look at the inputs of these results that were not looked at yet."""
        inputs, value = self._inputs, self._judge.value
        unseen = set[int]().union(*(each.numbers for each in results)) - self._seen
        # In the order in which they were read once: about that of the places on the disk.
        for number in sorted(unseen):
            given = inputs[number]
            if value(given) != given.value:
                self._found.add(number)
        self._seen |= unseen

    def among(self, result: IndexedResult) -> list[tuple[int, Input]]:
        """Those that are inputs of this result, with their places in it."""
        if not self._found or self._found.isdisjoint(numbers := result.numbers):
            return []
        found = self._found
        return [
            (place, self._inputs[number]) for place, number in enumerate(numbers) if number in found
        ]


def _row_verdict(
    index: Index,
    judge: Judge,
    differing: _Differing,
    key: str,
    row: Row,
    living: list[tuple[int, IndexedResult]],
) -> Hit | Miss | None:
    """What a row says; ``None`` where the entry has to be asked."""
    first: Change | None = None
    for place, result in living:
        if first is not None:
            differing.look_at([result])
        changed = differing.among(result)
        scopes = None
        if any(given.kind is InputKind.SOURCE for _, given in changed):
            scopes = index.scopes(key, place)
            if scopes is None:
                return None
        change = judge.first_change(
            Input(given.kind, given.subject, given.value, scopes.get(at, ()) if scopes else ())
            for at, given in changed
        )
        if change is None:
            return Hit(
                result.events,
                result.coverage,
                result.executed_at_s,
                result.expires_at_s,
                result.duration_s,
                result.level,
            )
        first = first or change
    if not row.whole:
        return None
    return Miss(change=first, expired=not living, refusal=row.refusal)
