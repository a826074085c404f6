"""Remembers which tests of which modules failed when they last ran."""

import os

import msgspec
import orjson

from iopio_async.errors import InfrastructureError
from iopio_async.history import state
from iopio_async.model.outcome import BAD_OUTCOMES, BAD_STATUSES, ModuleStatus
from iopio_async.model.stats import RunStats

_FILE = "last_failed.json"

#: Module path → ids of its tests that failed; none where the module failed as a whole.
Record = dict[str, tuple[str, ...]]


def load(root: str) -> Record:
    """What failed when last run; empty where nothing is known."""
    try:
        with open(os.path.join(state.path(root), _FILE), "rb") as file:
            return msgspec.convert(orjson.loads(file.read()), Record)
    except (OSError, orjson.JSONDecodeError, msgspec.ValidationError):
        return {}


def merge(record: Record, stats: RunStats) -> Record:
    """``record`` brought up to date: only modules that ran to a verdict change."""
    merged = dict(record)
    for path, module in stats.modules.items():
        if module.status is None or module.status is ModuleStatus.NOT_RUN:
            continue
        merged.pop(path, None)
        if module.status in BAD_STATUSES:
            bad = (key[0] for key, test in module.tests.items() if test.outcome in BAD_OUTCOMES)
            merged[path] = tuple(dict.fromkeys(bad))
    return merged


def store(root: str, stats: RunStats) -> None:
    """Bring the record of the project up to date.

    Raises:
        InfrastructureError: it can't be written.
    """
    before = load(root)
    after = merge(before, stats)
    if after == before:
        return
    file = os.path.join(state.ensure(root), _FILE)
    try:
        state.write_atomically(file, orjson.dumps(after))
    except OSError as error:
        raise InfrastructureError(f"{file} can't be written: {error.strerror}") from error
