"""The tests of one process: which are replayed, and what becomes of the results of the others.

Looking up comes first, with all inputs as they are before any test runs; storing comes last, when
nothing of what the tests read can change any more unseen.
"""

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from iopio_async.cache import collection
from iopio_async.cache.test_results import Fresh, RecordedWarning, Story, TestFile, TestStore
from iopio_async.cache.validate import Change
from iopio_async.errors import InfrastructureError
from iopio_async.model.trace import InputKind, Level
from iopio_async.orchestration.reasons import of_change
from iopio_async.pytest_plugin.attribution import UNTOLD, Attribution
from iopio_async.pytest_plugin.selection import effective_options, unreplayable
from iopio_async.pytest_plugin.telling import Telling
from iopio_async.pytest_plugin.traces import Traces
from iopio_async.pytest_plugin.world import World
from iopio_async.worker.tracing import functions
from iopio_async.worker.tracing.territory import absolute, territory

#: Outcomes of reports of tests that are stored.
CLEAN = frozenset({"passed", "skipped"})

#: A test has exactly one report of each of these.
ONCE = ("setup", "teardown")


class Executed:
    """What is known of a test that was executed."""

    def __init__(self, item: pytest.Item, segment: int) -> None:
        self.file = file_of(item.nodeid)
        self.segment = segment
        self.reports: list[dict[str, Any]] = []
        self.warnings: list[RecordedWarning] = []
        self.outcomes: list[tuple[str, str]] = []
        self.refusal = unreplayable(item)

    @property
    def is_clean(self) -> bool:
        """It ran through, and nothing went wrong."""
        phases = Counter(when for when, _ in self.outcomes)
        return all(outcome in CLEAN for _, outcome in self.outcomes) and all(
            phases[when] == 1 for when in ONCE
        )


class Session:
    """The tests of one process: which are replayed, and what is known of the others."""

    def __init__(
        self,
        config: pytest.Config,
        world: World,
        store: TestStore,
        traces: Traces,
        attribution: Attribution,
        telling: Telling,
    ) -> None:
        self.config = config
        self.world = world
        self.store = store
        self.traces = traces
        self.attribution = attribution
        self.telling = telling
        self.began_s = time.time()
        self.executed: dict[str, Executed] = {}
        self.stories: dict[str, Story] = {}
        self.replayed = 0
        #: Those that were read before anything was collected.
        self.initial_conftests: list[str] = []
        self._keys: dict[str, str] = {}
        self._options: tuple[str, ...] = ()

    def key(self, file: str) -> str:
        """What the results of a file's tests are stored under."""
        if file not in self._keys:
            self._options = self._options or effective_options(self.config)
            # Those above it are an input of each of its tests.
            path = os.path.join(self.config.rootpath, file)
            beside = [name for name in self.initial_conftests if not is_above(name, path)]
            self._keys[file] = self.world.key(file, (*self._options, *sorted(beside)))
        return self._keys[file]

    def look_up(self, items: Iterable[pytest.Item]) -> None:
        """Find out which of the collected tests need not run."""
        ids = Counter(item.nodeid for item in items)
        files: dict[str, tuple[TestFile, Mapping[int, Change]] | None] = {}
        for item in items:
            file = file_of(item.nodeid)
            if file not in files:
                stored = self.store.load(self.key(file))
                files[file] = (stored, self.world.changes(stored.inputs)) if stored else None
            found = files[file]
            if found is None or ids[item.nodeid] > 1 or unreplayable(item):
                continue
            stored, changes = found
            answer = self.store.holding(stored, item.nodeid, changes.keys(), self.began_s)
            if isinstance(answer, Story):
                self.stories[item.nodeid] = answer
            elif answer is not None:
                self.telling.note_change(of_change(changes[answer]))

    def keep(self) -> None:
        """Store the results of what was executed."""
        self.attribution.forgive(_is_standard)
        readings: dict[str, Fresh] = {}
        written: dict[str, set[str]] = {}
        traced = functions.available()
        for test, executed in self.executed.items():
            numbers = self.attribution.closure(executed.segment)
            if UNTOLD in numbers:
                executed.refusal = "it imports what was imported between tests"
                continue
            try:
                reading = self.world.read(
                    executed.file, [self.traces.file(each) for each in numbers], functions=traced
                )
            except OSError:
                executed.refusal = "its trace is incomplete"
                continue
            for subject in reading.written:
                written.setdefault(subject, set()).add(test)
            if reading.trace.level is Level.UNCACHEABLE and not executed.refusal:
                executed.refusal = "; ".join(reading.trace.reasons)
            elif executed.is_clean and not executed.refusal:
                story = Story(executed.reports, executed.warnings)
                readings[test] = Fresh(reading.trace.inputs, story)
        fresh: dict[str, dict[str, Fresh]] = {}
        for test, reading_of in readings.items():
            others = (
                each.subject
                for each in reading_of.inputs
                if each.kind is not InputKind.TYPE and written.get(each.subject, {test}) != {test}
            )
            if crossed := next(others, ""):
                self.executed[test].refusal = f"it reads {crossed}, which another test writes"
            elif changed := self.world.disturbed(reading_of.inputs):
                self.executed[test].refusal = f"{changed} changed while tests ran"
            else:
                fresh.setdefault(self.executed[test].file, {})[test] = reading_of
        for file, tests in fresh.items():
            self.store.save(self.key(file), file, tests, self.began_s)
        with contextlib.suppress(OSError, InfrastructureError):
            self.world.save()
            if collection.is_due(self.store.folder):
                collection.collect(self.store.folder)


def _is_standard(module: str) -> bool:
    """True for modules of the interpreter's own, which are no input."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return type(file) is str and territory.drops(absolute(file))


def is_above(conftest: str, path: str) -> bool:
    """True where a conftest is on the way to a path: in a folder above it."""
    return path.startswith(f"{os.path.dirname(conftest).rstrip('/')}/")


def file_of(nodeid: str) -> str:
    """The file that a test was collected from, relative to the root directory."""
    return nodeid.partition("::")[0]
