"""A module of plain functions → a plan: its ``test_*`` functions, and its classes' methods.

Tests are taken in the order in which the module names them, whether defined there or imported.
They are called without arguments: what can't be called so is planned all the same, and says why.
"""

import functools
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from iopio_async.model.action import Action
from iopio_async.worker.frameworks.loading import Selection, line_of
from iopio_async.worker.frameworks.session import Planned

if TYPE_CHECKING:
    from iopio_async.worker.frameworks.unittest_plan import Found

FUNCTION_PREFIX = "test_"
CLASS_PREFIX = "Test"

#: Why a generator is no test.
YIELD_TESTS = "yield tests are not supported"

#: The kinds of parameters that a caller has to give, if they have no default.
NEEDED = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


@dataclass(slots=True, frozen=True)
class FunctionTest:
    """A function, or the method ``name`` of an instance of its group's class.

    ``problem`` says why it can't be run, ``skipped`` why it is not to be; ``None`` if nothing does.
    """

    planned: Planned
    name: str
    function: Any
    problem: str | None = None
    skipped: str | None = None


@dataclass(slots=True)
class Group:
    """Tests that stand together: functions of the module, methods of a class, or a test case's.

    For a test case, a class of unittest's, ``suite`` runs them and ``found`` maps their places in
    the plan; for others ``tests`` does.
    """

    owner: type | None = None
    tests: dict[int, FunctionTest] = field(default_factory=dict)
    suite: Any = None
    found: "dict[int, Found]" = field(default_factory=dict)

    @property
    def planned(self) -> dict[int, Planned]:
        """The group's places in the plan."""
        tests: dict[int, Any] = self.found or self.tests
        return {index: test.planned for index, test in tests.items()}


class Collection:
    """What a module holds. ``groups`` are in order; the plan is theirs, one after the other."""

    def __init__(self, module: ModuleType, action: Action) -> None:
        self.groups: list[Group] = []
        self.deselected = 0
        self._module = module
        self._action = action
        self._selection = Selection(action)
        self._count = 0
        for name, thing in list(vars(module).items()):
            if getattr(thing, "__test__", True) is False:
                continue
            if isinstance(thing, type):
                self._take_class(name, thing)
            elif name.startswith(FUNCTION_PREFIX) and _is_function(thing):
                self._take([(name, thing)], None, "")

    def plan(self) -> list[Planned]:
        """All tests in order."""
        return [planned for group in self.groups for planned in group.planned.values()]

    def _take_class(self, path: str, owner: type) -> None:
        """Take a class and the classes in it; ``path`` is its dotted name in the module."""
        if _is_test_case(owner):
            self._take_test_case(owner)
            return
        if not path.rpartition(".")[2].startswith(CLASS_PREFIX) or inspect.isabstract(owner):
            return
        members = dict(_members(owner))
        methods = [
            (name, member)
            for name, member in members.items()
            if name.startswith(FUNCTION_PREFIX) and _is_function(member)
        ]
        self._take(methods, owner, f"{path}.")
        for name, member in members.items():
            if isinstance(member, type) and getattr(member, "__test__", True) is not False:
                self._take_class(f"{path}.{name}", member)

    def _take(self, functions: list[tuple[str, Any]], owner: type | None, path: str) -> None:
        group = self.groups[-1] if self.groups and owner is None else None
        if group is None or group.owner is not None:
            group = Group(owner)
        for name, function in functions:
            dotted = f"{path}{name}"
            test_id = f"{self._action.path}::{dotted.replace('.', '::')}"
            if not self._wanted(test_id, dotted):
                continue
            line = line_of(function, getattr(self._module, "__file__", None))
            group.tests[self._count] = FunctionTest(
                Planned(test_id, line),
                name,
                function,
                _problem(name, function, owner),
                _skipped(function) or _skipped(owner),
            )
            self._count += 1
        if group.tests and (not self.groups or group is not self.groups[-1]):
            self.groups.append(group)

    def _take_test_case(self, owner: type) -> None:
        from iopio_async.worker.frameworks import unittest as adapter

        found, suite, deselected = adapter.load_class(owner, self._module, self._action)
        self.deselected += deselected
        if found:
            places = dict(enumerate(found, self._count))
            self._count += len(found)
            self.groups.append(Group(owner, suite=suite, found=places))

    def _wanted(self, test_id: str, dotted: str) -> bool:
        if not self._selection.selected(test_id):
            return False
        if self._selection.matches(test_id, f"{self._module.__name__}.{dotted}"):
            return True
        self.deselected += 1
        return False


def _is_function(thing: Any) -> bool:
    return inspect.isroutine(thing) or isinstance(thing, functools.partial)


def _is_test_case(owner: type) -> bool:
    """Whoever derives from unittest's class has imported it already."""
    module = sys.modules.get("unittest")
    return module is not None and issubclass(owner, module.TestCase)


def _members(owner: type) -> Iterator[tuple[str, Any]]:
    """Attributes of a class with those of its bases first, as they were defined."""
    seen: set[str] = set()
    for base in reversed(owner.__mro__[:-1]):
        for name in vars(base):
            if name in seen:
                continue
            seen.add(name)
            if isinstance(inspect.getattr_static(owner, name), property):
                continue
            yield name, getattr(owner, name, None)


def required_parameters(function: Any) -> list[str]:
    """Names of the parameters that a caller has to give."""
    try:
        # The signature of a decorated function is what its decorator made of it.
        signature = inspect.signature(function, follow_wrapped=False)
    except (ValueError, TypeError):
        return []
    return [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.default is parameter.empty and parameter.kind in NEEDED
    ]


def _problem(name: str, function: Any, owner: type | None) -> str | None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return f"{YIELD_TESTS}: {name} is a generator"
    needed = required_parameters(function)
    if owner is not None:
        if isinstance(inspect.getattr_static(owner, name), staticmethod | classmethod):
            pass
        elif needed:
            # The first is the instance.
            del needed[0]
        if not needed and required_parameters(owner):
            names = _quoted(required_parameters(owner))
            return f"{owner.__name__} can't be made without arguments: it needs {names}"
    if needed:
        return (
            f"{name} needs {_quoted(needed)}, but plain functions are called without arguments "
            "(fixtures and parametrisation are pytest's: --framework pytest)"
        )
    return None


def _quoted(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _skipped(thing: Any) -> str | None:
    """The reason that ``unittest.skip`` has left on a function or class."""
    if getattr(thing, "__unittest_skip__", False) is not True:
        return None
    return str(getattr(thing, "__unittest_skip_why__", ""))
