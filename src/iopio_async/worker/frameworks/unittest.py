"""unittest's callbacks → the recorder's messages.

The module's suite is built by unittest's own loader and run by its own suites, so that
``load_tests``, class and module fixtures, sub-tests, cleanups and asynchronous cases behave as
ever. :class:`Result` hears of the tests; :class:`Suite` adds the one thing that results never hear
of: whose turn it is when the fixtures of a class or module are set up. With it a crash there has a
name, and tests that never run because of a failed fixture get that failure.

Where a project brings suites of its own, such tests are found at the end.
"""
# unittest calls these methods, by names of its own.
# ruff: noqa: N802

import re
import sys
import unittest
from collections import defaultdict, deque
from collections.abc import Callable
from functools import partial
from types import ModuleType, TracebackType
from typing import Any

from iopio_async.model.action import Action
from iopio_async.model.outcome import Failure, Outcome
from iopio_async.worker.frameworks.failures import Caught
from iopio_async.worker.frameworks.session import Record, Session, conduct
from iopio_async.worker.frameworks.unittest_plan import Found, Names, class_name, dotted_id, select
from iopio_async.worker.recorder import Recorder

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

#: Fixtures whose failure keeps the tests that they were to serve from running.
SET_UP = ("setUpClass", "setUpModule")

#: How unittest names a shared fixture that failed: what it is, and of which class or module.
FIXTURE = re.compile(r"(\w+) \((.*)\)", re.DOTALL)

#: Why a test was skipped that a project's own suite chose not to run.
LEFT_OUT = "left out by the module's own test suite"


def run(action: Action, recorder: Recorder) -> int:
    """Run the action's module by unittest; return an exit code in pytest's vocabulary."""
    return conduct(action, recorder, _run_module)


def _run_module(session: Session, module: ModuleType) -> None:
    loader = unittest.TestLoader()
    loader.suiteClass = Suite
    suite = loader.loadTestsFromModule(module)
    names = Names(session.action.path, module)
    found, deselected = select(suite, names, session.action)
    session.plan([test.planned for test in found], deselected=deselected)
    run_suite(suite, session, names, dict(enumerate(found)))


def load_class(
    owner: type[unittest.TestCase], module: ModuleType, action: Action
) -> tuple[list[Found], unittest.TestSuite, int]:
    """A class's tests, the suite that runs them, and how many were deselected.

    The suite leaves the module's own fixtures alone.
    """
    loader = unittest.TestLoader()
    loader.suiteClass = ClassSuite
    suite = loader.loadTestsFromTestCase(owner)
    found, deselected = select(suite, Names(action.path, module), action)
    return found, suite, deselected


def run_suite(
    suite: Callable[[unittest.TestResult], Any],
    session: Session,
    names: Names,
    tests: dict[int, Found],
) -> None:
    """Run a suite whose tests have these places in the plan."""
    result = Result(session, names, tests)
    suite(result)
    result.finish()


class Result(unittest.TestResult):
    """Hears of the tests as they run. ``tests`` maps places in the plan to tests."""

    def __init__(self, session: Session, names: Names, tests: dict[int, Found]) -> None:
        super().__init__()
        self._session = session
        self._names = names
        self._tests = tests
        #: The places that tests of one id have yet to take, in order: ids need not be unique.
        self._places: defaultdict[str, deque[int]] = defaultdict(deque)
        for index, test in tests.items():
            self._places[test.planned.id].append(index)
        self._test: Any = None
        self._record: Record | None = None
        #: Why the tests of a class or module did not run: failures, or the reason of a skip.
        self._failed_fixtures: defaultdict[str, list[Caught]] = defaultdict(list)
        self._skipped_fixtures: dict[str, str] = {}

    def announce(self, test: Any) -> None:
        """It is the test's turn; fixtures that it shares with others may come first."""
        index = self._place(test)
        if index is not None:
            self._session.open(index)

    def fixtures_done(self, test: Any) -> None:
        """End the test here if it will not run, since a fixture of its class or module failed."""
        index = self._place(test)
        # unittest itself looks at these two before it runs a test.
        kept_back = getattr(self, "_moduleSetUpFailed", False)
        kept_back = kept_back or getattr(test, "_classSetupFailed", False)
        if index is not None and kept_back:
            self._end_without_running(index)

    def startTest(self, test: Any) -> None:
        """A test begins, with its own ``setUp``."""
        super().startTest(test)
        self._begin(test)

    def stopTest(self, test: Any) -> None:
        """A test is over, all of its cleanups included."""
        super().stopTest(test)
        if isinstance(sys.exc_info()[1], KeyboardInterrupt):
            self._record = self._test = None
            self._session.abandon()
        else:
            self._end()

    def addSuccess(self, test: Any) -> None:
        """A test passed."""
        super().addSuccess(test)
        self._ended(test, Outcome.PASSED)

    def addError(self, test: Any, err: ExceptionInfo) -> None:
        """A test, or a fixture of a class or module, raised something other than a failure."""
        fixture = _fixture(test)
        if fixture is None:
            self._went_wrong(test, Outcome.ERROR, err)
        elif err[1] is not None:
            kind, owner = fixture
            if kind in SET_UP:
                self._failed_fixtures[owner].append(self._session.caught(err[1], "setup"))
            else:
                self._session.blame_last(self._session.caught(err[1], "teardown"))
                self._stop_where_due()
        super().addError(test, err)

    def addFailure(self, test: Any, err: ExceptionInfo) -> None:
        """A test failed."""
        self._went_wrong(test, Outcome.FAILED, err)
        super().addFailure(test, err)

    def addSkip(self, test: Any, reason: str) -> None:
        """A test, sub-test, or a fixture of a class or module asked to be skipped."""
        super().addSkip(test, reason)
        fixture = _fixture(test)
        if fixture is not None:
            self._skipped_fixtures[fixture[1]] = str(reason)
        elif _is_subtest(test):
            record = self._record_of(test.test_case)
            if record is not None:
                record.subtest(_description(test), Outcome.SKIPPED)
        else:
            self._ended(test, Outcome.SKIPPED, str(reason))

    def addExpectedFailure(self, test: Any, err: ExceptionInfo) -> None:
        """A test failed, as it was to."""
        caught = self._session.caught(err[1]) if err[1] is not None else None
        self._ended(test, Outcome.XFAILED, caught.message if caught else "")
        super().addExpectedFailure(test, err)

    def addUnexpectedSuccess(self, test: Any) -> None:
        """A test passed that was to fail."""
        super().addUnexpectedSuccess(test)
        record = self._record_of(test)
        if record is not None:
            record.refused(Outcome.FAILED, Failure("unexpected success"))

    def addSubTest(self, test: Any, subtest: Any, err: ExceptionInfo | None) -> None:
        """A sub-test is over; without ``err`` it passed."""
        record = self._record_of(test)
        if record is not None:
            if err is None:
                record.subtest(_description(subtest), Outcome.PASSED)
            elif err[1] is not None:
                failed = isinstance(err[1], test.failureException)
                outcome = Outcome.FAILED if failed else Outcome.ERROR
                caught = self._session.caught(err[1])
                record.went_wrong(outcome, caught, subtest=_description(subtest))
        super().addSubTest(test, subtest, err)

    def finish(self) -> None:
        """The suite is through: give the tests that never ran their outcome."""
        self._end()
        stopped = self.shouldStop
        for index in sorted(index for places in self._places.values() for index in places):
            if self._session.stopping:
                break
            if any(self._kept_back(owner) for owner in self._tests[index].owners):
                self._end_without_running(index)
            elif not stopped:
                record = self._session.open(index)
                record.ended(Outcome.SKIPPED, LEFT_OUT)
                self._close(record)

    def _place(self, test: Any) -> int | None:
        places = self._places.get(self._names.id(test))
        return places[0] if places else None

    def _begin(self, test: Any) -> None:
        self._end()
        self._test = test
        index = self._place(test)
        if index is None:
            test_id = self._names.id(test)
            self._session.note(Failure(f"{test_id} ran, but had not been there before the run"))
            return
        self._record = self._session.open(index)
        self._session.begin(self._record)

    def _record_of(self, test: Any) -> Record | None:
        """The record of a running test, or of one that is told of without having been started."""
        if test is not self._test:
            self._begin(test)
        return self._record

    def _ended(self, test: Any, outcome: Outcome, reason: str = "") -> None:
        record = self._record_of(test)
        if record is not None:
            record.ended(outcome, reason)

    def _went_wrong(self, test: Any, outcome: Outcome, err: ExceptionInfo) -> None:
        record = self._record_of(test)
        if record is not None and err[1] is not None:
            record.went_wrong(outcome, self._session.caught(err[1]))

    def _end(self) -> None:
        record, self._record, self._test = self._record, None, None
        if record is None:
            return
        if record.outcome is None and record.subtests:
            # A test is no success of its own where one of its sub-tests was skipped.
            record.ended(Outcome.PASSED)
        self._close(record)

    def _close(self, record: Record) -> None:
        self._places[record.planned.id].popleft()
        self._session.close(record)
        self._stop_where_due()

    def _stop_where_due(self) -> None:
        if self._session.stopping:
            self.stop()

    def _kept_back(self, owner: str) -> bool:
        return owner in self._failed_fixtures or owner in self._skipped_fixtures

    def _end_without_running(self, index: int) -> None:
        record = self._session.open(index)
        for owner in self._tests[index].owners:
            for caught in self._failed_fixtures.get(owner, ()):
                record.went_wrong(Outcome.ERROR, caught)
            if owner in self._skipped_fixtures:
                record.ended(Outcome.SKIPPED, self._skipped_fixtures[owner])
        self._close(record)


class Suite(unittest.TestSuite):
    """A suite that tells whose turn it is before it sets up the fixtures of a class or module.

    What unittest lets through from such a fixture, as a ``SystemExit``, becomes its failure.
    """

    def _handleModuleFixture(self, test: Any, result: Any) -> None:
        if isinstance(result, Result):
            result.announce(test)
        step = partial(super()._handleModuleFixture, test, result)  # type: ignore[misc]
        if not self._contained(step, result, "setUpModule", type(test).__module__):
            result._moduleSetUpFailed = True

    def _handleClassSetUp(self, test: Any, result: Any) -> None:
        step = partial(super()._handleClassSetUp, test, result)  # type: ignore[misc]
        if not self._contained(step, result, "setUpClass", class_name(type(test))):
            type(test)._classSetupFailed = True
        if isinstance(result, Result):
            result.fixtures_done(test)

    def _tearDownPreviousClass(self, test: Any, result: Any) -> None:
        step = partial(super()._tearDownPreviousClass, test, result)  # type: ignore[misc]
        self._contained(step, result, "tearDownClass", "")

    def _handleModuleTearDown(self, result: Any) -> None:
        step = partial(super()._handleModuleTearDown, result)  # type: ignore[misc]
        self._contained(step, result, "tearDownModule", "")

    def _contained(self, step: Callable[[], None], result: Any, kind: str, owner: str) -> bool:
        try:
            step()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            holder: Any = self
            holder._createClassOrModuleLevelException(result, error, kind, owner)
            return False
        return True


class ClassSuite(Suite):
    """The tests of one class, in a module whose own fixtures somebody else takes care of."""

    def _handleModuleFixture(self, test: Any, result: Any) -> None:
        if isinstance(result, Result):
            result.announce(test)

    def _handleModuleTearDown(self, result: Any) -> None:
        pass


def _fixture(test: Any) -> tuple[str, str] | None:
    """Kind and owner of the fixture that a stand-in stands for; ``None`` for real tests."""
    if type(test).__name__ != "_ErrorHolder":
        return None
    match = FIXTURE.fullmatch(dotted_id(test))
    return (match[1], match[2]) if match else ("", "")


def _is_subtest(test: Any) -> bool:
    return hasattr(test, "test_case") and hasattr(test, "_subDescription")


def _description(subtest: Any) -> str:
    try:
        return str(subtest._subDescription())
    except Exception as error:
        return f"(its parameters can't be shown: {type(error).__name__})"
