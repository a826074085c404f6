"""Remembers which tests of which modules failed when they last ran."""

import json
import os
from collections.abc import Mapping

import msgspec

from iopio_async import state
from iopio_async.errors import InfrastructureError
from iopio_async.model.outcome import BAD_OUTCOMES, BAD_STATUSES, ModuleStatus, Outcome
from iopio_async.model.stats import RunStats

_FILE = "last_failed.json"

#: Module path → ids of its tests that failed; none where the module failed as a whole.
Record = dict[str, tuple[str, ...]]


def load(root: str) -> Record:
    """What failed when last run; empty where nothing is known."""
    try:
        data = state.read(state.path(state.folder_of(root), _FILE))
        return msgspec.convert(json.loads(data), Record)
    except (OSError, ValueError, RecursionError, msgspec.ValidationError):
        return {}


def merge(
    record: Record,
    stats: RunStats,
    *,
    asked: Mapping[str, tuple[str, ...]] | None = None,
    filtered: bool = False,
) -> Record:
    """``record`` brought up to date.

    A module that ran whole is known anew. Where it was cut short, ``asked`` narrowed it to some
    tests, or the run was ``filtered`` by ids, a keyword, markers or arguments, the tests that had
    no turn stay as they were.
    """
    merged = dict(record)
    for path, module in stats.modules.items():
        cut_short = module.status is ModuleStatus.NOT_RUN
        told = [
            (key[0], test.outcome)
            for key, test in module.tests.items()
            if not (cut_short and test.outcome is Outcome.NOT_RUN)
        ]
        before = record.get(path)
        if module.status is None or (cut_short and (not told or before == ())):
            continue
        merged.pop(path, None)
        failed = [test for test, outcome in told if outcome in BAD_OUTCOMES]
        if not failed and not cut_short and module.status in BAD_STATUSES:
            merged[path] = ()
            continue
        had_turn = {test for test, _ in told}
        if not (cut_short or filtered):
            # Whoever was asked for by name and did not turn up is gone.
            had_turn.update((asked or {}).get(path) or before or ())
        bad = dict.fromkeys([*(test for test in before or () if test not in had_turn), *failed])
        if bad:
            merged[path] = tuple(bad)
    return merged


def store(
    root: str,
    stats: RunStats,
    *,
    asked: Mapping[str, tuple[str, ...]] | None = None,
    filtered: bool = False,
) -> None:
    """Bring the record of the project up to date, as :func:`merge` does.

    Raises:
        InfrastructureError: it can't be written.
    """
    before = load(root)
    after = merge(before, stats, asked=asked, filtered=filtered)
    if after == before:
        return
    file = os.path.join(state.ensure(state.folder_of(root)), _FILE)
    try:
        # File names may hold lone surrogates, which stricter encoders refuse.
        state.write_atomically(file, json.dumps(after).encode())
    except OSError as error:
        raise InfrastructureError(f"{file} can't be written: {error.strerror or error}") from error
