"""Cuts the trace of a session into segments, by pytest's hooks; notes what becomes of the tests."""

import warnings
from collections.abc import Generator
from typing import Any

import pytest

from iopio_async.pytest_plugin import reports
from iopio_async.pytest_plugin.attribution import BASE
from iopio_async.pytest_plugin.importing import Importing
from iopio_async.pytest_plugin.memos import Memos
from iopio_async.pytest_plugin.session import Executed, Session, is_above
from iopio_async.worker.tracing import segments


class Observing:
    """The hooks."""

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
        if (
            not is_inside
            or isinstance(collector, pytest.Package)
            or self._attribution.active != BASE
        ):
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
            if is_above(conftest, path):
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
        self._running.reports.append(reports.packed(self._session.config, report))

    def pytest_warning_recorded(
        self,
        warning_message: warnings.WarningMessage,
        when: str,
        location: tuple[str, int, str] | None,
    ) -> None:
        """Note a warning of the test that runs."""
        if self._running is not None and when == "runtest":
            packed = reports.packed_warning(warning_message, location)
            self._running.warnings.append(packed)

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
