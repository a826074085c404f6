"""pytest's hooks → the recorder's messages.

pytest is called with the arguments that a plain run would get, so that root directory,
configuration file and initial conftests are found by pytest itself, in its own way. Only then is
the collection narrowed to the one module (``pytest_narrowing``). What plain pytest would not have
collected is thus not collected here either, whatever the static discovery believed.
"""

import gc
import resource
import sys
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

import msgspec
import pytest

from iopio_async.model.action import Action
from iopio_async.model.outcome import Failure
from iopio_async.worker.frameworks.pytest_coverage import (
    Measurement,
    is_asked_for,
    load_ahead,
)
from iopio_async.worker.frameworks.pytest_idle import retire
from iopio_async.worker.frameworks.pytest_marks import Marks
from iopio_async.worker.frameworks.pytest_narrowing import Narrowing
from iopio_async.worker.frameworks.pytest_paths import PathsWatch
from iopio_async.worker.frameworks.pytest_reports import Phases, failure_of
from iopio_async.worker.frameworks.pytest_scopes import SharedFixtures
from iopio_async.worker.recorder import Recorder

#: Plugins whose ``pytest_collect_file`` only finds what the discovery knows about.
KNOWN_COLLECTORS = frozenset({"python", "doctest", "unittest", "main"})

# Bound before any test can patch it.
_getrusage = resource.getrusage
_clock = time.perf_counter

#: Waits for the point up to which a session may be shared; returns what is to be run from there.
#: Called with the reason where it is called at an earlier point than it was to be.
Born = Callable[..., tuple[Action, Recorder]]


def run(action: Action, recorder: Recorder) -> int:
    """Run the action's module by pytest; return pytest's exit code."""
    session = _Session(action)
    session.telling.begin(action, recorder)
    return session.run(lambda _early="": (action, recorder))


def run_from(template: Action, level: str, born: Born) -> int:
    """Start a session like the template's, and go on with what ``born`` returns.

    At level ``session`` it is called when the initial conftests are loaded and the session is
    started, just before anything is collected; at ``plugins`` when the plugins are loaded, before
    the first conftest is.
    """
    return _Session(template).run(born, level)


class _Session:
    """One call of pytest, with the plugins that confine it and tell of it."""

    def __init__(self, template: Action) -> None:
        self._template = template
        self.measurement = Measurement()
        self.narrowing = Narrowing(template)
        self.shared = SharedFixtures()
        self.telling = Telling(self.narrowing, self.shared)

    def run(self, born: Born, level: str = "session") -> int:
        self._born = born
        self._level = level
        # The collector goes on resting, but the tests' side finds it enabled, and may disable it.
        gc.set_threshold(0)
        gc.enable()
        plugins = [self, self.measurement, self.narrowing, self.shared, self.telling, Marks()]
        if self._template.trace:
            plugins.insert(0, PathsWatch(lambda: self.narrowing.chain))
        code = int(pytest.main(list(self._template.arguments), plugins=plugins))
        self.telling.end(code)
        return code

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_load_initial_conftests(
        self, early_config: pytest.Config
    ) -> Generator[None, Any, Any]:
        """Wait here for what is to be run, if conftests are not to be shared."""
        early = "coverage is measured in each process apart" if is_asked_for(early_config) else ""
        if early:
            load_ahead()
        if self._level == "plugins" or early:
            action, recorder = self._born(early)
            self.telling.begin(action, recorder)
            self.measurement.begin(early_config, action)
            self._born = lambda: (action, recorder)
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Wait here for what is to be collected."""
        action, recorder = self._born()
        self.narrowing.focus(session.config, action)
        self.telling.begin(action, recorder)
        return (yield)


class Telling:
    """Tells the recorder what the session does."""

    def __init__(self, narrowing: Narrowing, shared: SharedFixtures) -> None:
        self._narrowing = narrowing
        self._shared = shared
        self._action: Action
        self._recorder: Recorder
        self._begun = False
        self._begun_s = 0.0
        #: Warnings of the time before there was anybody to tell.
        self._early: list[tuple[Any, str]] = []
        self._session: pytest.Session | None = None
        #: Collectors that failed or were skipped as a whole: they count as tests of their own.
        self._collected: list[Phases] = []
        self._deselected = 0
        self._planned = False
        #: The plan's indices of each item, by the item's identity: ids need not be unique, and
        #: plugins put the same item into the session several times.
        self._indices: dict[int, list[int]] = {}
        self._by_id: dict[str, list[int]] = {}
        #: The number of each planned test's module, where there are several modules.
        self._owners: list[int] = []
        self._owner = 0
        #: Indices of the tests that have had their turn.
        self._taken: set[int] = set()
        #: Tests that a plugin runs in a way of its own, by their ids.
        self._open: dict[str, Phases] = {}
        self._current: Phases | None = None
        self._gc_threshold = gc.get_threshold()

    def begin(self, action: Action, recorder: Recorder) -> None:
        """From now on there is somebody to tell."""
        if self._begun:
            return
        self._begun = True
        self._begun_s = _clock()
        self._action = action
        self._recorder = recorder
        recorder.hello({"pytest": pytest.__version__, "python": sys.version.split()[0]})
        for warning_message, node_id in self._early:
            self._warn(warning_message, node_id)
        self._early.clear()

    def end(self, exit_code: int) -> None:
        """Pytest has ended."""
        if self._begun:
            if self._shared.setups_s or self._shared.hidden:
                setups_s = list(self._shared.setups_s.items())
                self._recorder.shared(setups_s, hidden=self._shared.hidden)
            self._recorder.end(exit_code, stopped_early=self.stopped_early)

    @property
    def stopped_early(self) -> bool:
        """The session stopped because it had as many failures as it was told to stop at."""
        return self._session is not None and bool(self._session.shouldfail)

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Silence pytest's own terminal output: plugins may use it, nobody reads it."""
        reporter = config.pluginmanager.getplugin("terminalreporter")
        writer = getattr(reporter, "_tw", None)
        if writer is not None:
            writer._file = _Nowhere()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Let the garbage collector run again, unless a conftest has settings of its own."""
        self._session = session
        # pytest collects garbage twice at its end: what was loaded before need not be walked over.
        gc.freeze()
        if gc.get_threshold()[0] == 0:
            gc.set_threshold(*self._gc_threshold)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember what could not be collected, or skipped itself as a whole."""
        if report.outcome == "passed":
            return
        phases = Phases(str(report.nodeid) or self._action.path, 0, None)
        phases.add_collection(report, color=self._action.color)
        self._collected.append(phases)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count what was deselected."""
        self._deselected += len(items)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Announce the plan just before the first test; hold nothing back after the last."""
        items = list(session.items)
        elsewhere = self._narrowing.elsewhere(items)
        if any(elsewhere):
            session.items[:] = [
                item for item, left in zip(items, elsewhere, strict=True) if not left
            ]
            session.testscollected = len(session.items)
        self._plan(session, items, elsewhere)
        try:
            return (yield)
        finally:
            self._recorder.flush()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Enclose all that happens for one item, however a plugin runs it.

        Where an exit request passes through, the test has no outcome: it was in flight.
        """
        index = self._next_index(self._indices.get(id(item), ()))
        if index is None:
            return (yield)
        phases = self._current = Phases(item.nodeid, index, item.location[1])
        self._started(index)
        try:
            result = yield
        finally:
            self._current = None
        phases.tell(self._recorder)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the phases of the current item, or of another one that a plugin reports."""
        node_id, phases = report.nodeid, self._current
        if phases is not None and (phases.id == node_id or node_id not in self._by_id):
            phases.add(report, color=self._action.color)
            return
        phases = self._open.get(node_id)
        if phases is None:
            index = self._next_index(self._by_id.get(node_id, ()))
            if index is None:
                self._note_surplus(report)
                return
            phases = self._open[node_id] = Phases(node_id, index, report.location[1])
            self._started(index)
        phases.add(report, color=self._action.color)
        if report.when == "teardown":
            self._open.pop(node_id).tell(self._recorder)

    def _started(self, index: int) -> None:
        if self._owners and self._owners[index] != self._owner:
            self._owner = self._owners[index]
            own, children = map(_getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
            times_s = (own.ru_utime, own.ru_stime, children.ru_utime, children.ru_stime)
            self._recorder.used(
                _clock() - self._begun_s,
                sum(times_s),
                max(own.ru_maxrss, children.ru_maxrss) * 1024,
            )
        self._recorder.started(index)

    def _next_index(self, indices: Sequence[int]) -> int | None:
        """The first of these that has not had its turn; it has it now."""
        for index in indices:
            if index not in self._taken:
                self._taken.add(index)
                return index
        return None

    def _note_surplus(self, report: pytest.TestReport) -> None:
        """A plugin ran a test once more than was planned: only a failure must not be lost."""
        if report.outcome == "failed":
            failure = failure_of(report, "session", color=self._action.color)
            message = f"{report.nodeid} failed when it was run once more: {failure.message}"
            self._recorder.note(msgspec.structs.replace(failure, message=message))

    def pytest_warning_recorded(self, warning_message: Any, nodeid: str) -> None:
        """Pass a warning on, or keep it until there is somebody to tell."""
        if self._begun:
            self._warn(warning_message, str(nodeid))
        else:
            self._early.append((warning_message, str(nodeid)))

    def _warn(self, warning_message: Any, node_id: str) -> None:
        self._recorder.warned(
            str(warning_message.message),
            warning_message.category.__name__,
            test=node_id,
            path=str(warning_message.filename),
            line=int(warning_message.lineno),
        )

    def pytest_internalerror(self, excrepr: Any) -> None:
        """The session is lost: say why."""
        if not self._begun:
            return
        text = str(excrepr)
        last = text.rstrip().rpartition("\n")[2]
        self._recorder.note(Failure(f"internal error of pytest: {last}", text, "session"))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """A test or a hook ended the session, other than by a failure limit."""
        if not self._begun:
            return
        reason = f"the session was ended by {excinfo.typename}: {excinfo.value}"
        self._recorder.note(Failure(reason, str(excinfo.getrepr(style="short")), "session"))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Plan late if collection was cut short; finish what plugins ran in their own way."""
        if self._collected:
            self._plan(session, (), ())
        for phases in self._open.values():
            phases.tell(self._recorder)
        self._open.clear()
        retire(session.config.pluginmanager)

    def _plan(
        self, session: pytest.Session, items: Sequence[pytest.Item], elsewhere: Sequence[bool]
    ) -> None:
        if self._planned:
            return
        self._planned = True
        ids = [phases.id for phases in self._collected]
        left: list[int] = []
        for item, is_left in zip(items, elsewhere, strict=True):
            if is_left:
                left.append(len(ids))
            else:
                self._indices.setdefault(id(item), []).append(len(ids))
                self._by_id.setdefault(item.nodeid, []).append(len(ids))
            ids.append(str(item.nodeid))
        numbers = self._shared.numbers(items)
        if self._action.batch:
            self._owners = [self._narrowing.owner(phases.id) for phases in self._collected]
            self._owners += [self._narrowing.owner(item.nodeid, str(item.path)) for item in items]
        collectors = len(self._collected)
        self._recorder.plan(
            ids,
            deselected=self._deselected,
            foreign_collectors=_foreign_collectors(session.config),
            scopes=[*[0] * collectors, *numbers] if any(numbers) else (),
            collectors=collectors,
            elsewhere=_spans(left),
            owners=self._owners,
        )
        for index, phases in enumerate(self._collected):
            phases.index = index
            phases.tell(self._recorder)


class _Nowhere:
    """A stream that takes everything and keeps nothing."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


def _spans(indices: Sequence[int]) -> list[tuple[int, int]]:
    """Half-open spans that hold just these indices, which come in order."""
    spans: list[tuple[int, int]] = []
    for index in indices:
        if spans and spans[-1][1] == index:
            spans[-1] = (spans[-1][0], index + 1)
        else:
            spans.append((index, index + 1))
    return spans


def _foreign_collectors(config: pytest.Config) -> bool:
    """Do plugins or conftests collect from files that are no test modules by name?"""
    return any(
        implementation.plugin_name not in KNOWN_COLLECTORS
        for implementation in config.hook.pytest_collect_file.get_hookimpls()
    )
