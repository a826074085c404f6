"""Plain functions → the recorder's messages: test suites that need no framework at all.

A test passes if it returns, whatever it returns; a coroutine is awaited. Fixtures are functions and
methods with the names that unittest and nose made known (:data:`FIXTURES`); a method's instance is
made anew for each test. unittest's own test cases run as unittest runs them, in the same plan.
"""

import importlib
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from iopio_async.model.action import Action
from iopio_async.model.outcome import Failure, Outcome
from iopio_async.worker.frameworks.failures import said
from iopio_async.worker.frameworks.functions_plan import (
    YIELD_TESTS,
    Collection,
    FunctionTest,
    Group,
)
from iopio_async.worker.frameworks.session import Record, Session, conduct
from iopio_async.worker.frameworks.skips import spared
from iopio_async.worker.recorder import Recorder

#: What the fixtures serve → names of those that set up, and of those that tear down, in order.
FIXTURES = {
    "module": (("setUpModule", "setup_module"), ("teardown_module", "tearDownModule")),
    "class": (("setUpClass", "setup_class"), ("teardown_class", "tearDownClass")),
    "method": (("setUp", "setup_method"), ("teardown_method", "tearDown")),
    "function": (("setup_function",), ("teardown_function",)),
}

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def run(action: Action, recorder: Recorder) -> int:
    """Run the action's module; return an exit code in pytest's vocabulary."""
    return conduct(action, recorder, _run_module)


def _run_module(session: Session, module: ModuleType) -> None:
    collection = Collection(module, session.action)
    session.plan(collection.plan(), deselected=collection.deselected)
    shared = Shared("module", module)
    for group in collection.groups:
        if session.stopping:
            break
        if group.suite is None:
            _run_group(session, group, module, shared)
        else:
            _run_test_case(session, group, module, shared)
    shared.tear_down(session)
    _run_module_cleanups(session)


def _run_module_cleanups(session: Session) -> None:
    """Run what fixtures left to unittest to be cleaned up."""
    unittest = sys.modules.get("unittest")
    if unittest is None:
        return
    try:
        unittest.doModuleCleanups()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        Ending(session, error, "teardown").blame_last(session)


def _run_group(session: Session, group: Group, module: ModuleType, shared: "Shared") -> None:
    """Run functions of the module, or the methods of one class."""
    scopes = [shared]
    if group.owner is not None:
        scopes.append(Shared("class", group.owner))
    for index, test in group.tests.items():
        if session.stopping:
            break
        record = session.open(index)
        if test.problem is not None:
            file = str(getattr(module, "__file__", "") or "")
            failure = Failure(test.problem, "", "collect", file, test.planned.line)
            record.refused(Outcome.ERROR, failure)
        elif test.skipped is not None:
            record.ended(Outcome.SKIPPED, test.skipped)
        elif all(scope.set_up(session, record) for scope in scopes):
            session.begin(record)
            _run_test(session, record, test, group.owner, module)
        session.close(record)
    if group.owner is not None:
        scopes[-1].tear_down(session)


def _run_test_case(session: Session, group: Group, module: ModuleType, shared: "Shared") -> None:
    """Run one of unittest's classes."""
    from iopio_async.worker.frameworks import unittest as adapter
    from iopio_async.worker.frameworks.unittest_plan import Names

    for index in group.found:
        if session.stopping or shared.set_up(session, session.open(index)):
            break
        session.close(session.open(index))
    else:
        return
    adapter.run_suite(group.suite, session, Names(session.action.path, module), group.found)


def _run_test(
    session: Session, record: Record, test: FunctionTest, owner: type | None, module: ModuleType
) -> None:
    """Run one test with the fixtures that are its own."""
    loop = Loop()
    steps = Steps(session, record, loop)
    function, holder, scope = test.function, module, "function"
    if owner is not None:
        made = steps.take("setup", owner)
        if not made:
            return
        holder, scope = made[0], "method"
        function = getattr(holder, test.name)
    set_up, tear_down = (fixtures(holder, names) for names in FIXTURES[scope])
    if all(steps.take("setup", fixture, function) for fixture in set_up):
        if steps.take("call", function):
            record.ended(Outcome.PASSED)
        for fixture in tear_down:
            steps.take("teardown", fixture, function)
    steps.take("teardown", loop.close)


class Steps:
    """Takes the steps of one test, and notes in its record what becomes of them."""

    def __init__(self, session: Session, record: Record, loop: "Loop") -> None:
        self._session = session
        self._record = record
        self._loop = loop

    def take(self, phase: str, function: Callable[..., Any], *arguments: Any) -> tuple[Any] | None:
        """Call a function; what it returned, in a tuple, or ``None`` where it raised."""
        try:
            return (self._loop.result(call(function, *arguments)),)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            Ending(self._session, error, phase).tell(self._record)
        return None


class Ending:
    """What an exception means for the tests that it hits."""

    def __init__(self, session: Session, error: BaseException, phase: str) -> None:
        self._spared = spared(error)
        self._reason = said(error)
        self._phase = phase
        self._unrunnable = isinstance(error, UnrunnableError)
        self._caught = session.caught(error, phase)

    def tell(self, record: Record) -> None:
        """Note it in a test's record. Once a test was called it is too late to be spared."""
        if self._spared is not None:
            if self._phase != "teardown":
                record.ended(self._spared, self._reason)
        elif self._unrunnable:
            record.refused(Outcome.ERROR, Failure(self._reason, "", self._phase))
        else:
            failed = self._phase == "call"
            record.went_wrong(Outcome.FAILED if failed else Outcome.ERROR, self._caught)

    def blame_last(self, session: Session) -> None:
        """Note it as what came after the last test."""
        if self._spared is None:
            session.blame_last(self._caught)


class Shared:
    """The fixtures of a module or class: set up before its first test that runs, once."""

    def __init__(self, scope: str, holder: Any) -> None:
        self._holder = holder
        self._set_up, self._tear_down = FIXTURES[scope]
        self._tried = False
        self._ending: Ending | None = None

    def set_up(self, session: Session, record: Record) -> bool:
        """Set up, unless that was tried; False where it failed, as the record is told."""
        if not self._tried:
            self._tried = True
            self._ending = self._run(session, self._set_up, "setup")
        if self._ending is not None:
            self._ending.tell(record)
        return self._ending is None

    def tear_down(self, session: Session) -> None:
        """Tear down what was set up; what goes wrong is the last test's."""
        if not self._tried or self._ending is not None:
            return
        ending = self._run(session, self._tear_down, "teardown")
        if ending is not None:
            ending.blame_last(session)

    def _run(self, session: Session, names: tuple[str, ...], phase: str) -> Ending | None:
        loop = Loop()
        try:
            for fixture in fixtures(self._holder, names):
                loop.result(call(fixture, self._holder))
            loop.close()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return Ending(session, error, phase)
        return None


class UnrunnableError(Exception):
    """A test that can't be run as one."""


class Loop:
    """An event loop of a test's own, there only once something has to be awaited."""

    def __init__(self) -> None:
        self._runner: Any = None

    def result(self, value: Any) -> Any:
        """``value``, or what it comes to where it is a coroutine.

        Raises:
            UnrunnableError: ``value`` is a generator, whose body has not run.
        """
        if inspect.iscoroutine(value):
            if self._runner is None:
                # By its name, so that the worker itself does not come to need asyncio.
                self._runner = importlib.import_module("asyncio").Runner()
            return self._runner.run(value)
        if inspect.isgenerator(value) or inspect.isasyncgen(value):
            raise UnrunnableError(YIELD_TESTS)
        return value

    def close(self) -> None:
        """End what still runs in the loop."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()


def fixtures(holder: Any, names: tuple[str, ...]) -> list[Callable[..., Any]]:
    """Those of the named functions that ``holder`` has, each once."""
    found: list[Callable[..., Any]] = []
    for name in names:
        fixture = getattr(holder, name, None)
        if callable(fixture) and fixture not in found:
            found.append(fixture)
    return found


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function with as many of the arguments as it has parameters for."""
    if arguments:
        try:
            parameters = inspect.signature(function, follow_wrapped=False).parameters.values()
        except (ValueError, TypeError):
            parameters = {}.values()
        taken = sum(parameter.kind in POSITIONAL for parameter in parameters)
        arguments = arguments[:taken]
    return function(*arguments)
