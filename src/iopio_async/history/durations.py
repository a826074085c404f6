"""How long modules and tests took, in all runs so far: the memory that plans are made from.

One index has a small row for each module, and is read at once when a run is planned: the paths, and
the rows one after another, so that nothing is unpacked before it is asked for. What single tests
took stands in a file for each module, which is read only where it is needed, and written only where
it has changed by so much that a plan could change.

Only clean figures count: of a module that ran once, as a whole, to its end. Runs at the same time
share the history: files are replaced as wholes, and rows are brought into the index as it is by
then, under a lock for which nobody waits long. Whatever is damaged reads as if it were not there.
"""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple, Self

import msgspec

from iopio_async.errors import InfrastructureError
from iopio_async.history import sealed, state, timings
from iopio_async.history.samples import (
    KEPT_SAMPLES,
    ROW_BYTES,
    ModuleRecord,
    Sample,
    summary,
)
from iopio_async.history.timings import TestTimings, printable, quantised
from iopio_async.model.outcome import ModuleStatus, Outcome, Source
from iopio_async.model.stats import ModuleStats, RunStats
from iopio_async.planning.estimate import ModuleSummary

_FOLDER = "durations"
_MARK = b"iopio durations 1\n"

#: So long a run waits for another one that is writing, before it goes without.
LOCK_DEADLINE_S = 0.5
_LOCK_PAUSE_S = 0.01

#: A module that was in no run for so long is forgotten.
FORGOTTEN_AFTER_DAYS = 90

#: Tests are written anew where their sum is off by more than this share and this time.
_TESTS_SHARE = 0.1
_TESTS_MARGIN_S = 0.02

#: How modules end whose figures are typical of them.
_CLEAN_STATUSES = frozenset(
    {ModuleStatus.PASSED, ModuleStatus.FAILED, ModuleStatus.EMPTY, ModuleStatus.LEAKED}
)

_SECONDS_A_DAY = 86_400


class _Body(msgspec.Struct, frozen=True, array_like=True):
    """The index on disk: row ``n`` of ``rows`` is of ``paths[n]``."""

    paths: list[str]
    rows: bytes


class _Index:
    """The rows of all modules, unpacked when asked for."""

    def __init__(self, paths: list[str], rows: bytes) -> None:
        self.rows = rows
        self.numbers = {path: number for number, path in enumerate(paths)}

    @classmethod
    def read(cls, file: str) -> Self:
        body = sealed.read(file, _MARK)
        if body is not None:
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                found = msgspec.msgpack.decode(body, type=_Body)
                if len(found.rows) == len(found.paths) * ROW_BYTES:
                    return cls(found.paths, found.rows)
        return cls([], b"")

    def record(self, path: str) -> ModuleRecord:
        number = self.numbers.get(path)
        return ModuleRecord() if number is None else ModuleRecord.unpack(self.rows, number)

    def row(self, path: str) -> bytes:
        start = self.numbers[path] * ROW_BYTES
        return self.rows[start : start + ROW_BYTES]


class _News(NamedTuple):
    """What a run has to say of a module; ``None`` where it has nothing clean to say."""

    status: ModuleStatus
    tests: int
    sample: Sample | None
    timings: TestTimings | None

    def added_to(self, record: ModuleRecord, day: int) -> ModuleRecord:
        record = record._replace(status=self.status, seen_day=day)
        if self.sample is None:
            return record
        samples = (self.sample, *record.samples)[:KEPT_SAMPLES]
        return record._replace(tests=self.tests, samples=samples)


class History:
    """The history of the project at ``root``, as it was when this was loaded.

    ``today`` counts days from 1970.
    """

    def __init__(
        self, root: str, *, today: int | None = None, deadline_s: float = LOCK_DEADLINE_S
    ) -> None:
        self._root = root
        self._today = int(time.time() // _SECONDS_A_DAY) if today is None else today
        self._deadline_s = deadline_s
        self._folder = os.path.join(state.path(root), _FOLDER)
        self._index = _Index.read(self._index_file)
        self._news: dict[str, _News] = {}

    @classmethod
    def load(cls, root: str) -> Self:
        """The history of the project at ``root``; empty where there is none."""
        return cls(root)

    # -- what is known -------------------------------------------------------------------------

    def summary(self, path: str) -> ModuleSummary | None:
        """What is known of the module at ``path``."""
        number = self._index.numbers.get(printable(path))
        return None if number is None else summary(self._index.rows, number)

    def tests(self, path: str) -> dict[str, float]:
        """Seconds of each test of the module, set-up and teardown included, in order; or none."""
        return TestTimings.read(self._tests_folder, path).durations_s

    def scopes(self, path: str) -> dict[str, int]:
        """A number for each test of the module that must not be separated from those with it."""
        return TestTimings.read(self._tests_folder, path).scopes

    # -- what is new ---------------------------------------------------------------------------

    def record(
        self,
        stats: RunStats,
        *,
        narrowed: Collection[str] = frozenset(),
        scopes: Mapping[str, Mapping[str, int]] | None = None,
    ) -> None:
        """Take note of a run; nothing is written before :meth:`store`.

        ``narrowed`` are the paths of modules of which only a part was asked for: those tell of
        their tests, and not of themselves. ``scopes`` are as :meth:`scopes` will give them.
        """
        for path, module in stats.modules.items():
            if module.status is None or module.status is ModuleStatus.NOT_RUN:
                continue
            whole = path not in narrowed
            clean = _is_clean(module)
            self._news[path] = _News(
                status=module.status,
                tests=len(module.tests),
                sample=_sample(module) if clean and whole else None,
                timings=_timings(module, (scopes or {}).get(path)) if clean else None,
            )

    def store(self) -> None:
        """Write what :meth:`record` noted.

        Raises:
            InfrastructureError: it can't be written, or another run does not stop writing.
        """
        ...
