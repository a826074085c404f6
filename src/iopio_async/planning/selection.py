"""From a file listing to test modules: pytest's rules of what is a test file, without any I/O.

Patterns follow pytest: one without a slash is matched against the name, one with a slash against
the whole path, at any depth unless it is absolute. Which framework runs the modules, and which
part of them a shard gets, is decided here too.
"""

import fnmatch
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from iopio_async.analysis.conftest import IgnoreList
from iopio_async.analysis.outline import Outline
from iopio_async.errors import UsageError
from iopio_async.model.config import FrameworkChoice
from iopio_async.model.module import Framework, TestModule

#: What unittest looks for where nothing is configured.
UNITTEST_FILES = ("test*.py",)

#: So many modules are read at most to see which framework a project uses.
OUTLINES_READ = 300


class Patterns:
    """Patterns for files or directories, compiled once for many names."""

    def __init__(self, patterns: Iterable[str]) -> None:
        names: list[str] = []
        paths: list[str] = []
        for pattern in patterns:
            if "/" not in pattern:
                names.append(pattern)
            else:
                paths.append(pattern if pattern.startswith("/") else f"*/{pattern}")
        self._name = _compile(names)
        self._path = _compile(paths)

    def match(self, name: str, path: str) -> bool:
        """True where one pattern matches; ``path`` is absolute and ends in ``name``."""
        if self._name is not None and self._name.match(name):
            return True
        return self._path is not None and self._path.match(path) is not None


def _compile(patterns: Sequence[str]) -> re.Pattern[str] | None:
    if not patterns:
        return None
    return re.compile("|".join(map(fnmatch.translate, patterns)))


class IgnoreRules:
    """Paths and globs that are left out in one directory, all of them absolute.

    ``options`` come from the command line and hold everywhere. Of the two lists in conftests,
    each counts as in the nearest conftest that has it.
    """

    __slots__ = ("_globs", "_lists", "_options", "_paths", "active")

    def __init__(
        self,
        options: tuple[tuple[str, ...], tuple[str, ...]] = ((), ()),
        lists: tuple[tuple[str, ...], tuple[str, ...]] = ((), ()),
    ) -> None:
        self._options = options
        self._lists = lists
        self._paths = frozenset(options[0] + lists[0])
        self._globs = _compile(options[1] + lists[1])
        self.active = bool(self._paths) or self._globs is not None

    def under(self, directory: str, ignore: IgnoreList, ignore_glob: IgnoreList) -> "IgnoreRules":
        """The rules below a directory whose conftest has these lists."""
        if not (ignore.defined or ignore_glob.defined):
            return self
        lists = (
            _below(directory, ignore.values) if ignore.defined else self._lists[0],
            _below(directory, ignore_glob.values) if ignore_glob.defined else self._lists[1],
        )
        return IgnoreRules(self._options, lists)

    def match(self, path: str) -> bool:
        """True for a path that is left out."""
        if path in self._paths:
            return True
        return self._globs is not None and self._globs.match(path) is not None


def _below(directory: str, values: Iterable[str]) -> tuple[str, ...]:
    return tuple(join(directory, value) for value in values)


def join(directory: str, path: str) -> str:
    """A path seen from a directory, with ``.`` and ``..`` taken out of it, as text alone."""
    whole = path if path.startswith("/") else f"{directory}/{path}"
    parts: list[str] = []
    for part in whole.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)


class NodeAddress(NamedTuple):
    """A path on the command line with the names behind it: ``path::Class::test[parameters]``."""

    path: str
    names: tuple[str, ...] = ()
    parameters: str = ""


def split_node_id(argument: str) -> NodeAddress:
    """Take a node id apart; within brackets, ``::`` and slashes are parameters' business."""
    base, bracket, rest = argument.partition("[")
    path, *names = base.split("::")
    if not names:
        # A bracket without a test's name before it belongs to the file's own name.
        return NodeAddress(argument)
    return NodeAddress(path, tuple(names), bracket + rest)


def names_asked_for(path: str, addresses: Sequence[NodeAddress]) -> tuple[str, ...]:
    """The ids of a module's tests that are asked for by name; none where all of it is.

    ``path`` and those of the addresses are absolute.
    """
    found: dict[str, None] = {}
    for address in addresses:
        if address.path == path and address.names:
            found["::".join(address.names) + address.parameters] = None
        elif path == address.path or path.startswith(f"{address.path.rstrip('/')}/"):
            return ()
    return tuple(found)


def shard(modules: Sequence[TestModule], index: int, count: int) -> tuple[TestModule, ...]:
    """Part ``index`` (from 1) of ``count``, in the order given.

    Modules are dealt out by path, so every module is in exactly one part, no part has two more
    than another, and all machines agree without talking, whatever order they list files in.

    Raises:
        UsageError: there is no such part.
    """
    if not 1 <= index <= count:
        raise UsageError(f"there is no shard {index} of {count}")
    by_path = sorted(range(len(modules)), key=lambda position: modules[position].path)
    return tuple(modules[position] for position in sorted(by_path[index - 1 :: count]))


def choose_framework(
    choice: FrameworkChoice,
    *,
    pytest_installed: bool,
    pytest_configured: bool,
    has_conftest: bool,
    outlines: Iterable[Outline],
) -> Framework:
    """The framework of a run. ``outlines`` is only consumed as far as needed.

    Where pytest is installed it is the choice, since it runs unittest's classes too; the one
    exception is a project that shows no sign of pytest and builds suites by ``load_tests``,
    which pytest does not know.
    """
    if choice != "auto":
        return Framework(choice)
    if pytest_installed and (pytest_configured or has_conftest):
        return Framework.PYTEST
    holds_unittest = load_tests = False
    for outline in islice(outlines, OUTLINES_READ):
        if pytest_installed and outline.beyond_unittest:
            return Framework.PYTEST
        framework = framework_without_pytest(outline)
        if not pytest_installed and outline.tests and framework is Framework.FUNCTIONS:
            return framework
        holds_unittest |= framework is Framework.UNITTEST
        load_tests |= outline.load_tests
    if pytest_installed:
        return Framework.UNITTEST if load_tests else Framework.PYTEST
    return Framework.UNITTEST if holds_unittest else Framework.FUNCTIONS


def framework_without_pytest(outline: Outline) -> Framework:
    """The framework for one module where pytest is not installed.

    The one for plain functions runs unittest's classes too, so it is the one for both. Functions
    that take arguments speak for it only where there is nothing else: beside unittest's classes
    they are there to help.
    """
    if outline.load_tests:
        return Framework.UNITTEST
    if outline.unittest_classes and not outline.bare_functions and not outline.plain_classes:
        return Framework.UNITTEST
    return Framework.FUNCTIONS
