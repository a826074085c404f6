"""unittest's suites → a plan: what tests there are, what they are called, which are asked for."""

import unittest
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, NamedTuple

from iopio_async.model.action import Action
from iopio_async.worker.frameworks.loading import Selection, line_of
from iopio_async.worker.frameworks.session import Planned


class Found(NamedTuple):
    """A test of the plan; ``owners`` are the class and module whose fixtures it needs."""

    planned: Planned
    owners: tuple[str, str]


class Names:
    """Gives the tests of a module their ids: ``path::Class::method``, as pytest names them."""

    def __init__(self, path: str, module: ModuleType) -> None:
        self._path = path
        self._module = f"{module.__name__}."
        self._file = getattr(module, "__file__", None)

    def id(self, test: Any) -> str:
        """The id of a test, whatever it is."""
        dotted = dotted_id(test)
        kind = type(test)
        if kind.__module__ == "unittest.loader" and f"{dotted}.".endswith(f".{self._module}"):
            # The loader's stand-in for the whole module, where its ``load_tests`` failed.
            return self._path
        prefix = f"{class_name(kind)}."
        if not dotted.startswith(prefix):
            return f"{self._path}::{dotted.removeprefix(self._module)}"
        local = "<locals>" in kind.__qualname__
        owner = kind.__name__ if local else kind.__qualname__.replace(".", "::")
        return f"{self._path}::{owner}::{dotted[len(prefix) :]}"

    def planned(self, test: Any, test_id: str) -> Planned:
        """The test as it is announced."""
        method = getattr(type(test), getattr(test, "_testMethodName", ""), None)
        return Planned(test_id, line_of(method, self._file))


def dotted_id(test: Any) -> str:
    """What a test calls itself."""
    try:
        return str(test.id())
    except Exception:
        return type(test).__name__


def select(suite: Iterable[Any], names: Names, action: Action) -> tuple[list[Found], int]:
    """Reduce a suite to what the action asks for; what is left, and how many were deselected."""
    selection = Selection(action)
    found: list[Found] = []
    deselected = 0

    def wanted(test: Any) -> bool:
        nonlocal deselected
        test_id = names.id(test)
        # The stand-in for the whole module is beyond any choice.
        if test_id != action.path:
            if not selection.selected(test_id):
                return False
            if not selection.matches(test_id, dotted_id(test)):
                deselected += 1
                return False
        kind = type(test)
        owners = (class_name(kind), kind.__module__)
        found.append(Found(names.planned(test, test_id), owners))
        return True

    _filter(suite, wanted)
    return found, deselected


def _filter(suite: Iterable[Any], wanted: Callable[[Any], bool]) -> None:
    """Ask ``wanted`` of every test, in order; drop those that are not, where the suite lets us."""
    tests = list(suite)
    kept = []
    for test in tests:
        if _is_suite(test):
            _filter(test, wanted)
            kept.append(test)
        elif wanted(test):
            kept.append(test)
    if len(kept) < len(tests) and isinstance(suite, unittest.BaseTestSuite):
        suite._tests = kept


def _is_suite(test: Any) -> bool:
    try:
        iter(test)
    except TypeError:
        return False
    return True


def class_name(kind: type) -> str:
    """The name under which unittest speaks of a class."""
    return f"{kind.__module__}.{kind.__qualname__}"
