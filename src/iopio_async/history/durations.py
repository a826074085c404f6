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
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Self

import msgspec

from iopio_async import state
from iopio_async.errors import InfrastructureError
from iopio_async.history import sealed, timings
from iopio_async.history.samples import (
    KEPT_SAMPLES,
    ROW_BYTES,
    ModuleRecord,
    Sample,
    seen_day,
    summary,
)
from iopio_async.history.timings import Collected, TestTimings, printable
from iopio_async.model.outcome import ModuleStatus, Outcome, Source
from iopio_async.model.stats import ModuleStats, RunStats
from iopio_async.planning.estimate import ModuleSummary

_FOLDER = "durations"
_TESTS = "tests"
_INDEX = "index"
_MARK = b"iopio durations 1\n"

#: A module that was in no run for so long is forgotten.
FORGOTTEN_AFTER_DAYS = 90

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

    def row(self, number: int) -> bytes:
        return self.rows[number * ROW_BYTES : (number + 1) * ROW_BYTES]

    def day(self, number: int) -> int:
        return seen_day(self.rows, number)


class _News(NamedTuple):
    """What a run has to say of a module; ``None`` where it has nothing clean to say."""

    status: ModuleStatus
    tests: int
    sample: Sample | None
    timings: TestTimings | None
    whole: bool

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
        self, root: str, *, today: int | None = None, deadline_s: float = sealed.LOCK_DEADLINE_S
    ) -> None:
        self._root = root
        self._today = int(time.time() // _SECONDS_A_DAY) if today is None else today
        self._deadline_s = deadline_s
        self._folder = state.path(state.folder_of(root), _FOLDER)
        self._tests_folder = os.path.join(self._folder, _TESTS)
        self._index_file = os.path.join(self._folder, _INDEX)
        self._index = _Index.read(self._index_file)
        self._news: dict[str, _News] = {}
        #: Paths of modules that were in no run for so long that :meth:`store` forgot them.
        self.forgotten: list[str] = []

    @classmethod
    def load(cls, root: str) -> Self:
        """The history of the project at ``root``; empty where there is none."""
        return cls(root)

    # -- what is known -------------------------------------------------------------------------

    def summary(self, path: str) -> ModuleSummary | None:
        """What is known of the module at ``path``."""
        number = self._index.numbers.get(printable(path))
        return None if number is None else summary(self._index.rows, number)

    def summaries(self, paths: Iterable[str]) -> dict[str, ModuleSummary]:
        """What is known of those of the modules of which anything is."""
        found = ((path, self.summary(path)) for path in paths)
        return {path: each for path, each in found if each is not None}

    def timings(self, path: str) -> TestTimings:
        """What is known of the tests of the module at ``path``."""
        return TestTimings.read(self._tests_folder, path)

    def tests(self, path: str) -> dict[str, float]:
        """Seconds of each test of the module, set-up and teardown included, in order; or none."""
        return self.timings(path).durations_s

    def scopes(self, path: str) -> dict[str, int]:
        """A number for each test of the module that must not be separated from those with it."""
        return self.timings(path).scopes

    # -- what is new ---------------------------------------------------------------------------

    def record(
        self,
        stats: RunStats,
        *,
        asked: Mapping[str, Sequence[str]] | None = None,
        filtered: bool = False,
        collected: Mapping[str, Collected] | None = None,
    ) -> None:
        """Take note of a run; nothing is written before :meth:`store`.

        What was replayed is no news. Modules of which only a part was asked for tell of their
        tests, not of themselves: those that ``asked`` narrows to some tests, or all where the run
        was ``filtered`` by ids, a keyword, markers or arguments. ``collected`` is what their
        processes told of their tests; a module that turned out to be whole is remembered as such
        even where nothing else is.
        """
        asked, collected = asked or {}, collected or {}
        for path, module in stats.modules.items():
            if module.status is None or module.status is ModuleStatus.NOT_RUN:
                continue
            if module.source is not Source.EXECUTED:
                continue
            clean = is_clean(module)
            told = collected.get(path, Collected())
            self._news[printable(path)] = _News(
                status=module.status,
                tests=len(module.tests),
                sample=_sample(module) if clean and not (filtered or asked.get(path)) else None,
                timings=_timings(module, told) if clean else None,
                whole=told.whole,
            )

    def store(self) -> None:
        """Write what :meth:`record` noted.

        Raises:
            InfrastructureError: it can't be written, or another run does not stop writing.
        """
        if not self._news:
            return
        state.ensure(state.folder_of(self._root), _FOLDER, _TESTS)
        try:
            for path, news in self._news.items():
                self._store_tests(path, news)
            with state.taken(
                os.path.join(self._folder, "lock"),
                deadline_s=self._deadline_s,
                hint=sealed.HINT_LATE,
            ):
                self._store_index()
        except OSError as error:
            raise InfrastructureError(
                f"{self._folder} can't be written: {error.strerror or error}",
                hint="durations of this run are not remembered",
            ) from error
        self._news.clear()

    def _store_tests(self, path: str, news: _News) -> None:
        if news.timings is None and not news.whole:
            return
        before = TestTimings.read(self._tests_folder, path)
        newer = news.timings or TestTimings(whole=news.whole)
        after = newer if news.sample else before.with_some(newer)
        after.whole |= before.whole
        if not before.holds_for(after):
            after.write(self._tests_folder, path)

    def _store_index(self) -> None:
        index = _Index.read(self._index_file)
        rows = {}
        for path, number in index.numbers.items():
            if path in self._news or self._today - index.day(number) <= FORGOTTEN_AFTER_DAYS:
                rows[path] = index.row(number)
            else:
                self.forgotten.append(path)
                with contextlib.suppress(OSError):
                    timings.remove(self._tests_folder, path)
        for path, news in self._news.items():
            rows[path] = news.added_to(index.record(path), self._today).pack()
        body = _Body(paths=list(rows), rows=b"".join(rows.values()))
        sealed.write(self._index_file, _MARK, msgspec.msgpack.encode(body))
        self._index = _Index(body.paths, body.rows)


def is_clean(module: ModuleStats) -> bool:
    """Say whether the module ran in this run, once, with every planned test having its turn."""
    return (
        module.source is Source.EXECUTED
        and module.attempts == 1
        and module.status in _CLEAN_STATUSES
        and all(test.outcome is not Outcome.NOT_RUN for test in module.tests.values())
    )


def _sample(module: ModuleStats) -> Sample | None:
    sample = Sample(module.duration_s, module.cpu_s, module.peak_rss_bytes)
    return sample if sample.sensible else None


def _timings(module: ModuleStats, told: Collected) -> TestTimings:
    # What ran in several processes did not end in the order of collection.
    durations_s = dict.fromkeys(map(printable, told.tests), 0.0)
    finished_ids = set()
    # Tests of one id can't be told apart by whoever selects them, so they count as one.
    for (test, _), finished in module.tests.items():
        name = printable(test)
        finished_ids.add(name)
        # In this order, what is not a number becomes nothing.
        durations_s[name] = durations_s.get(name, 0.0) + max(0.0, finished.duration_s)
    return TestTimings(
        {name: taken_s for name, taken_s in durations_s.items() if name in finished_ids},
        {printable(test): key for test, key in told.scopes.items()},
        shared_s=told.shared_s,
        whole=told.whole,
    )
