"""``--cache-tests``: tests of which nothing has changed are reported, not executed.

All files are collected as ever. A test whose stored result holds gets the reports and warnings of
the time when it was executed; all others run in a segment of the trace each. What passes, or skips,
is stored at the end of the session, when nothing of what it read can change any more unseen.

Under pytest-xdist each worker does so for the tests that it is given, and tells how many they were.
"""

import contextlib
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from iopio_async import state
from iopio_async.cache import collection
from iopio_async.cache.test_results import Fresh, RecordedWarning, Story, TestFile, TestStore
from iopio_async.cache.validate import Change
from iopio_async.errors import ConfigurationError, InfrastructureError, UsageError
from iopio_async.model.trace import InputKind, Level
from iopio_async.orchestration.reasons import of_change
from iopio_async.project.settings import load_config
from iopio_async.pytest_plugin.attribution import BASE, UNTOLD, Attribution
from iopio_async.pytest_plugin.importing import Importing
from iopio_async.pytest_plugin.memos import Memos
from iopio_async.pytest_plugin.performance import REPLAYED
from iopio_async.pytest_plugin.selection import effective_options, hindrance, unreplayable
from iopio_async.pytest_plugin.world import World
from iopio_async.worker.frameworks.pytest_paths import PathsWatch
from iopio_async.worker.tracing import bytecode, functions, segments
from iopio_async.worker.tracing.territory import absolute, territory

#: Outcomes of reports of tests that are stored.
CLEAN = frozenset({"passed", "skipped"})

#: A test has exactly one report of each of these.
ONCE = ("setup", "teardown")

#: Under this name workers of pytest-xdist tell of their tests.
TOLD = "iopio_tests"

#: A reason why results are not kept that is longer is cut.
_REASON_CHARS = 200

#: So many things that changed are told.
_MOST_CHANGES = 10


def begin(config: pytest.Config) -> None:
    """Trace this process from here on, unless others do the work or nothing can be replayed."""
    if _distributes(config):
        config.pluginmanager.register(Telling(config), "iopio-telling")
        return
    telling = Telling(config)
    config.pluginmanager.register(telling, "iopio-telling")
    telling.hindrance = hindrance(config)
    if telling.hindrance:
        return
    root = str(config.rootpath)
    try:
        settings = load_config(invocation_dir=Path(root), flags={}, environ=os.environ)
    except (ConfigurationError, UsageError) as error:
        raise pytest.UsageError(str(error)) from error
    given = config.known_args_namespace.cache_dir
    folder = os.path.abspath(given) if given else state.folder_of(root)
    try:
        if given:
            os.makedirs(os.path.dirname(folder), exist_ok=True)
        world = World(
            settings, root, folder, [*map(str, config.invocation_params.args)], telling.warn
        )
    except (InfrastructureError, OSError) as error:
        telling.warn(f"no test is replayed: {error}")
        return
    traces = Traces(root)
    attribution = Attribution(traces)
    importing = Importing(attribution)
    importing.start()
    config.pluginmanager.register(PathsWatch(frozenset), "iopio-paths")
    store = TestStore(folder, telling.warn, settings.cache_ttl_s)
    session = Session(config, world, store, traces, attribution, telling)
    config.pluginmanager.register(Observing(session, importing), "iopio-observing")
    config.pluginmanager.register(Replaying(session), "iopio-replaying")


def _distributes(config: pytest.Config) -> bool:
    """True in the process of pytest-xdist that only hands tests out."""
    given = config.known_args_namespace
    if hasattr(config, "workerinput") or os.environ.get("PYTEST_XDIST_WORKER"):
        return False
    return bool(getattr(given, "numprocesses", None) or getattr(given, "tx", None))


class Traces:
    """The files of the segments, in a folder that goes with the session."""

    def __init__(self, root: str) -> None:
        self.folder = tempfile.mkdtemp(prefix="iopio-tests-")
        self._segments = {0: segments.Segment(self.file(0))}
        bytecode.install(root)
        segments.install(self._segments[0], root, self.folder)

    def file(self, number: int) -> str:
        """The trace of a segment."""
        return os.path.join(self.folder, str(number))

    def go_on(self, number: int) -> None:
        """Tell the rest into the segment of this number."""
        if number not in self._segments:
            self._segments[number] = segments.Segment(self.file(number))
        segments.go_on(self._segments[number])

    def rest(self) -> None:
        """Tell nothing until the next segment."""
        segments.rest()

    def forget(self, number: int) -> None:
        """A segment is over for good."""
        self._segments.pop(number, None)

    def finish(self) -> None:
        """Trace nothing any more."""
        segments.finish(self._segments[0])

    def remove(self) -> None:
        """Remove the files."""
        shutil.rmtree(self.folder, ignore_errors=True)


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
        telling: "Telling",
    ) -> None:
        self.config = config
        self.world = world
        self.store = store
        self.traces = traces
        self.attribution = attribution
        self.telling = telling
        self.folder = store.folder
        self.began_s = time.time()
        self.executed: dict[str, Executed] = {}
        self.stories: dict[str, Story] = {}
        self.replayed = 0
        #: Those that were read before anything was collected.
        self.initial_conftests: list[str] = []
        self._keys: dict[str, str] = {}

    def key(self, file: str) -> str:
        """What the results of a file's tests are stored under."""
        if file not in self._keys:
            options = effective_options(self.config)
            # Those above it are an input of each of its tests.
            path = os.path.join(self.config.rootpath, file)
            beside = [name for name in self.initial_conftests if not _is_above(name, path)]
            self._keys[file] = self.world.key(file, (*options, *sorted(beside)))
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
            if collection.is_due(self.folder):
                collection.collect(self.folder)


def _is_standard(module: str) -> bool:
    """True for modules of the interpreter's own, which are no input."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return type(file) is str and territory.drops(absolute(file))


def _is_above(conftest: str, path: str) -> bool:
    return path.startswith(f"{os.path.dirname(conftest).rstrip('/')}/")


class Observing:
    """Cuts the trace into segments, and notes what becomes of the tests."""

    def __init__(self, session: Session, importing: Importing) -> None:
        self._session = session
        self._importing = importing
        self._attribution = session.attribution
        self._files: dict[str, int] = {}
        #: The segments in which conftests were read.
        self._conftests: dict[str, int] = {}
        self._seen: set[str] = set()
        #: Fixtures of wider scope, each with the segment in which it was set up last.
        self._fixtures: dict[int, tuple[Any, int]] = {}
        self._running: Executed | None = None
        self._memos = Memos(self._attribution.need)

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Whatever the tests do in their temporary directories is no input of theirs."""
        factory = getattr(config, "_tmp_path_factory", None)
        if factory is not None:
            self._session.traces.rest()
            segments.leave_out(str(factory.getbasetemp()))
            self._session.traces.go_on(BASE)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Note what was read whatever is collected."""
        self._note_conftests(BASE)
        self._session.initial_conftests = list(self._conftests)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector: Any) -> Generator[None, Any, Any]:
        """Collect each file in a segment of its own."""
        path = str(getattr(collector, "path", ""))
        is_inside = isinstance(collector, pytest.File | pytest.Class)
        if not is_inside or isinstance(collector, pytest.Package) or self._attribution.active != 0:
            return (yield)
        self._note_conftests(BASE)
        with self._attribution.within(self._files.get(path)) as number:
            self._files[path] = number
            result = yield
        self._note_conftests(number)
        return result

    def _note_conftests(self, segment: int) -> None:
        for name, _ in self._session.config.pluginmanager.list_name_plugin():
            if name not in self._seen and name.endswith("conftest.py"):
                self._seen.add(name)
                self._conftests[name] = segment

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Look up what need not run, once all is collected."""
        self._attribution.rest()
        segments.collect(begins=False)
        self._memos.find([BASE, *self._files.values()])
        self._attribution.left = self._memos.left
        self._session.look_up(session.items)
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Run a test in a segment of its own."""
        __tracebackhide__ = True
        if item.nodeid in self._session.stories or self._attribution.active is not None:
            return (yield)
        with self._attribution.within() as number:
            executed = self._session.executed[item.nodeid] = Executed(item, number)
            self._running = executed
            try:
                result = yield
            finally:
                self._running = None
        path = str(item.path)
        for conftest, segment in self._conftests.items():
            if _is_above(conftest, path):
                self._attribution.need(number, segment)
        if path in self._files:
            self._attribution.need(number, self._files[path])
        else:
            executed.refusal = "it was not collected from a file"
        self._session.traces.forget(number)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Note which fixtures of wider scope the test has used."""
        __tracebackhide__ = True
        running = self._running
        request = getattr(item, "_request", None)
        if running is not None and request:
            used = getattr(request, "_fixture_defs", None)
            if used is None:
                running.refusal = "its fixtures can't be told"
            else:
                self._need_fixtures(running.segment, used)
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, Any, Any]:
        """Set fixtures of wider scope up in segments of their own."""
        __tracebackhide__ = True
        if fixturedef.scope == "function" or self._attribution.active is None:
            return (yield)
        with self._attribution.within() as number:
            self._fixtures[id(fixturedef)] = (fixturedef, number)
            try:
                return (yield)
            finally:
                self._need_fixtures(number, getattr(request, "_fixture_defs", {}))

    def _need_fixtures(self, segment: int, used: dict[str, Any]) -> None:
        for definition in list(used.values()):
            _, number = self._fixtures.get(id(definition), (None, segment))
            if number != segment:
                self._attribution.need(segment, number)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a report of the test that runs."""
        if self._running is None:
            return
        self._running.outcomes.append((str(report.when), report.outcome))
        config = self._session.config
        data = config.hook.pytest_report_to_serializable(config=config, report=report)
        self._running.reports.append(data)

    def pytest_warning_recorded(
        self,
        warning_message: warnings.WarningMessage,
        when: str,
        location: tuple[str, int, str] | None,
    ) -> None:
        """Note a warning of the test that runs."""
        if self._running is not None and when == "runtest":
            category = warning_message.category
            self._running.warnings.append(
                RecordedWarning(
                    category.__module__,
                    category.__qualname__,
                    str(warning_message.message),
                    warning_message.filename,
                    warning_message.lineno,
                    location,
                )
            )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Store what can be stored."""
        session = self._session
        self._attribution.rest()
        self._importing.stop()
        session.traces.finish()
        # Whatever goes wrong here concerns later sessions only.
        try:
            session.keep()
        except Exception as error:
            session.telling.warn(f"results are not kept: {type(error).__name__}: {error}")
        refused = {test: each.refusal for test, each in session.executed.items() if each.refusal}
        session.telling.note(session.replayed, len(session.executed), refused)

    def pytest_unconfigure(self) -> None:
        """Leave nothing behind."""
        self._session.traces.remove()


class Replaying:
    """Reports the tests that need not run."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: Any, nextitem: Any) -> bool | None:
        """Tell again what was told when the test was executed."""
        story = self._session.stories.get(item.nodeid)
        if story is None:
            return None
        self._session.replayed += 1
        hook, config = item.ihook, item.config
        hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for warning in story.warnings:
            config.hook.pytest_warning_recorded.call_historic(
                kwargs={
                    "warning_message": _message(warning),
                    "when": "runtest",
                    "nodeid": item.nodeid,
                    "location": warning.location,
                }
            )
        reports = [_report(config, item, data) for data in story.reports]
        # What was set up for tests that did run, and that the next one does not need.
        call = pytest.CallInfo.from_call(
            lambda: item.session._setupstate.teardown_exact(nextitem),
            when="teardown",
            reraise=(KeyboardInterrupt, pytest.exit.Exception),
        )
        if call.excinfo is not None:
            reports = [each for each in reports if each.when != "teardown"]
            reports.append(hook.pytest_runtest_makereport(item=item, call=call))
        for report in reports:
            hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True


def _report(config: pytest.Config, item: pytest.Item, data: dict[str, Any]) -> Any:
    report: Any = config.hook.pytest_report_from_serializable(config=config, data=dict(data))
    # The test may have moved in its file.
    moved = (item.location[1] or 0) - int(report.location[1] or 0)
    if isinstance(report.longrepr, list):
        path, line, reason = report.longrepr
        report.longrepr = (path, line + moved, reason)
    report.location = item.location
    setattr(report, REPLAYED, True)
    for name in ("sections", "user_properties"):
        setattr(report, name, [tuple(each) for each in getattr(report, name)])
    return report


def _message(recorded: RecordedWarning) -> warnings.WarningMessage:
    category: Any = sys.modules.get(recorded.module)
    for name in recorded.category.split("."):
        category = getattr(category, name, None)
    if not (isinstance(category, type) and issubclass(category, Warning)):
        category = UserWarning
    try:
        message = category(recorded.text)
    except TypeError:
        message = UserWarning(recorded.text)
    return warnings.WarningMessage(message, category, recorded.file, recorded.line)


class Telling:
    """What is told to the user: one line at the end, and warnings."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._warnings: dict[str, None] = {}
        self._replayed = self._executed = 0
        self._refused: dict[str, str] = {}
        #: What changed, and for how many tests.
        self._changes: Counter[str] = Counter()
        self.hindrance = ""

    def warn(self, message: str) -> None:
        """Tell of something at the end."""
        self._warnings[message] = None

    def note_change(self, change: str) -> None:
        """A test runs again because of this."""
        self._changes[change] += 1

    def note(self, replayed: int, executed: int, refused: dict[str, str]) -> None:
        """Tests of this process, or of a worker, are over."""
        self._replayed += replayed
        self._executed += executed
        self._refused.update(refused)
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[TOLD] = {
                "replayed": self._replayed,
                "executed": self._executed,
                "refused": self._refused,
                "changes": dict(self._changes),
                "warnings": list(self._warnings),
            }

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Note what a worker of pytest-xdist tells."""
        told = getattr(node, "workeroutput", {}).get(TOLD)
        if told is not None:
            self.note(told["replayed"], told["executed"], told["refused"])
            self._warnings.update(dict.fromkeys(told["warnings"]))
            # Each worker looks at all tests.
            self._changes |= Counter(told["changes"])

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what was replayed, and with ``-v`` why results are not kept."""
        if self.hindrance:
            terminalreporter.write_line(f"iopio: no test is replayed: {self.hindrance}")
            return
        total = self._replayed + self._executed
        terminalreporter.write_line(f"iopio: {self._replayed} of {total} tests replayed")
        for message in self._warnings:
            terminalreporter.write_line(f"iopio: warning: {message}")
        if self._config.option.verbose > 0:
            for change, count in self._changes.most_common(_MOST_CHANGES):
                tests = "1 test" if count == 1 else f"{count} tests"
                terminalreporter.write_line(f"iopio: run again: {tests}: {change}")
            for test, reason in self._refused.items():
                terminalreporter.write_line(f"iopio: not kept: {test}: {reason[:_REASON_CHARS]}")


def file_of(nodeid: str) -> str:
    """The file that a test was collected from, relative to the root directory."""
    return nodeid.partition("::")[0]
