"""Finds and imports the module that an action names, and tells which of its tests are asked for."""

import importlib.util
import inspect
import os
import sys
from fnmatch import fnmatchcase
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from iopio_async.model.action import Action
from iopio_async.worker.recorder import told_id


def load_module(action: Action) -> ModuleType:
    """Import the action's module by its dotted name below the import root.

    Where the name can't be imported, or means another file, the file itself is loaded: relative
    imports then work as far as its packages do. Whatever the module raises passes through.
    """
    file = os.path.normpath(os.path.join(action.root, action.path))
    root = action.import_root or _first_folder_outside_packages(file)
    if root not in sys.path:
        sys.path.insert(0, root)
    parts = name_parts(file, root)
    name = ".".join(parts)
    if not any("." in part for part in parts) and _leads_to(_find(name), file):
        return importlib.import_module(name)
    return _load_file(".".join(part.replace(".", "_") for part in parts), file)


def name_parts(file: str, root: str) -> list[str]:
    """The parts of the module's dotted name; a package's ``__init__`` stands for the package.

    Folders above ``root`` show as ``..``, and a folder's own name may hold a dot as well: such a
    name can't be imported.
    """
    parts = os.path.splitext(os.path.relpath(file, root))[0].split(os.sep)
    if len(parts) > 1 and parts[-1] == "__init__":
        del parts[-1]
    return parts


def _first_folder_outside_packages(file: str) -> str:
    folder = os.path.dirname(file)
    while os.path.exists(os.path.join(folder, "__init__.py")):
        parent = os.path.dirname(folder)
        if parent == folder:
            break
        folder = parent
    return folder


def _find(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        # A package of the same name elsewhere hides ours; anything else is the tests' own error.
        if error.name and f"{name}.".startswith(f"{error.name}."):
            return None
        raise
    except ValueError:
        return None


def _leads_to(spec: ModuleSpec | None, file: str) -> bool:
    if spec is None or not spec.origin:
        return False
    try:
        return os.path.samefile(spec.origin, file)
    except OSError:
        return False


def _load_file(name: str, file: str) -> ModuleType:
    while name in sys.modules:
        name += "_"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python module", path=file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return sys.modules.get(name, module)


class Selection:
    """Which tests an action asks for: those of its selectors that its keyword does not exclude."""

    def __init__(self, action: Action) -> None:
        self._selectors = frozenset(action.selectors)
        self._limits = action.limits
        keyword = action.keyword
        self._pattern = keyword if not keyword or "*" in keyword else f"*{keyword}*"

    def selected(self, test_id: str) -> bool:
        """True where the test, or the class that it is in, is among the selectors."""
        if not self._selectors:
            return True
        test_id = told_id(test_id, self._limits)
        while test_id not in self._selectors:
            test_id, separator, _ = test_id.rpartition("::")
            if not separator:
                return False
        return True

    def matches(self, test_id: str, dotted: str) -> bool:
        """True where the keyword occurs in one of the test's names, or matches it as a glob."""
        pattern = self._pattern
        return not pattern or fnmatchcase(dotted, pattern) or fnmatchcase(test_id, pattern)


def line_of(function: Any, file: str | None) -> int:
    """The line of ``file`` that a function begins on, or 0 where it is none of that file's."""
    try:
        code = getattr(inspect.unwrap(function), "__code__", None)
    except ValueError:
        return 0
    return int(code.co_firstlineno) if code is not None and code.co_filename == file else 0
