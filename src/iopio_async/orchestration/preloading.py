"""Finds out what may be imported ahead for which module, from the sources alone.

The rule is that nothing may differ from a fresh process. When pytest imports a test module, it puts
the module's import root first on ``sys.path``, imports the packages that the module is in, and then
the module, which begins with imports of its own. A warm process may do a first part of exactly
these steps, in this order. What would come in between is looked at: a conftest below the initial
ones has to be inert.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence

import msgspec

from iopio_async.analysis.imports import is_inert, leading_imports
from iopio_async.model.module import Framework, ModuleKind, TestModule
from iopio_async.planning.preload import SHARED_BY, Prefix, plan_preloads
from iopio_async.project.tree import Tree, import_root


def with_preloads(
    tree: Tree, roots: Sequence[str], import_mode: str, modules: Sequence[TestModule]
) -> tuple[TestModule, ...]:
    """The modules, each with the first steps of its import that a warm process may do for it.

    ``roots`` are the positional arguments of the run, by which pytest finds its initial conftests.
    """
    if len(modules) < SHARED_BY:
        return tuple(modules)
    survey = _Survey(tree, roots, import_mode)
    leading = {
        module.path: survey.first_steps(module.path)
        for module in modules
        if module.kind is ModuleKind.FILE and module.framework is Framework.PYTEST
    }
    plans = plan_preloads(leading)
    return tuple(
        msgspec.structs.replace(module, preload=plans.get(module.path, ())) for module in modules
    )


class _Survey:
    """What is known of folders and files, each looked at once."""

    def __init__(self, tree: Tree, roots: Sequence[str], import_mode: str) -> None:
        self._tree = tree
        self._roots = [os.path.normpath(os.path.join(tree.root, root)) for root in roots]
        self._prepends = import_mode == "prepend"
        self._calm: dict[str, bool] = {}

    def first_steps(self, path: str) -> Prefix:
        """The import root (an absolute path), the packages around the module, its own imports.

        Other import modes put nothing first on the path; with them, only a module outside of any
        package is certain to begin with its own imports.
        """
        path = os.path.join(self._tree.root, path)
        folder = os.path.dirname(path)
        if not path.endswith(".py") or not all(map(self._is_calm, self._upwards(folder))):
            return ()
        names = leading_imports(self._tree.read(path))
        own_root = import_root(self._tree, path)
        if not self._prepends:
            return names if own_root == folder else ()
        parts = os.path.relpath(folder, own_root).split(os.sep) if folder != own_root else []
        packages = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
        return (own_root, *dict.fromkeys([*packages, *names]))

    def _upwards(self, folder: str) -> Iterator[str]:
        while (folder + os.sep).startswith(self._tree.root + os.sep):
            yield folder
            folder = os.path.dirname(folder)

    def _is_calm(self, folder: str) -> bool:
        """No conftest of this folder has effects after the session's start."""
        if folder not in self._calm:
            source = b""
            if not self._initial(folder):
                with contextlib.suppress(OSError):
                    source = self._tree.read(os.path.join(folder, "conftest.py"))
            self._calm[folder] = is_inert(source)
        return self._calm[folder]

    def _initial(self, folder: str) -> bool:
        """Pytest loads this folder's conftest at its start."""
        return any(
            (root + os.sep).startswith(folder + os.sep)
            or (os.path.dirname(folder) == root and os.path.basename(folder).startswith("test"))
            for root in self._roots
        )
