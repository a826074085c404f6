"""Which module was asked for by whom: ``import`` statements, those that find it imported as well.

Nothing else tells of the latter. What the project's own files import for the first time gets a
segment of its own, so that others who ask for it depend on that alone.
"""

import builtins
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from iopio_async.pytest_plugin.attribution import Attribution
from iopio_async.worker.tracing import segments
from iopio_async.worker.tracing.territory import absolute, territory


class Importing:
    """Stands in for ``__import__`` and ``importlib.import_module`` between start and stop."""

    def __init__(self, attribution: Attribution) -> None:
        self._attribution = attribution
        self._true_import: Callable[..., Any] = builtins.__import__
        self._true_import_module = importlib.import_module
        self._inside: dict[str, bool] = {}

    def start(self) -> None:
        """Begin to watch."""
        segments.listen(self._attribution.searched)
        attribution, true_import = self._attribution, self._true_import
        true_import_module, modules = self._true_import_module, sys.modules

        def import_(
            name: str,
            globals: Mapping[str, Any] | None = None,  # noqa: A002 - as the true one
            locals: Mapping[str, Any] | None = None,  # noqa: A002
            fromlist: Sequence[str] | None = (),
            level: int = 0,
        ) -> Any:
            __tracebackhide__ = True
            if attribution.active is None:
                return true_import(name, globals, locals, fromlist, level)
            full = _resolved(name, globals, level) if level else name
            attribution.asked(full, fromlist or ())
            if full in modules or not self._is_inside(globals):
                return true_import(name, globals, locals, fromlist, level)
            for above in _parents(full):
                if above not in modules:
                    with attribution.within():
                        true_import(above)
            with attribution.within():
                return true_import(name, globals, locals, fromlist, level)

        def import_module(name: str, package: str | None = None) -> Any:
            __tracebackhide__ = True
            if attribution.active is not None and type(name) is str:
                level = len(name) - len(name.lstrip("."))
                above = {"__package__": package or ""}
                attribution.asked(_resolved(name[level:], above, level) if level else name)
            return true_import_module(name, package)

        import_.__name__ = "__import__"
        builtins.__import__ = import_
        importlib.import_module = import_module

    def stop(self) -> None:
        """Put back what was there, unless somebody else stands in by now."""
        for owner, name, true in (
            (builtins, "__import__", self._true_import),
            (importlib, "import_module", self._true_import_module),
        ):
            if getattr(getattr(owner, name), "__module__", None) == __name__:
                setattr(owner, name, true)

    def _is_inside(self, importer: Mapping[str, Any] | None) -> bool:
        """True where the importing module is one of the project's own files."""
        file = importer.get("__file__") if importer else None
        if type(file) is not str:
            return False
        inside = self._inside.get(file)
        if inside is None:
            path = absolute(file)
            inside = self._inside[file] = bool(path) and territory.inside_project(path)
        return inside


def _parents(module: str) -> list[str]:
    """The packages that are imported before a module, the outermost first."""
    parts = module.split(".")[:-1]
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _resolved(name: str, importer: Mapping[str, Any] | None, level: int) -> str:
    """The full name of what is imported relative to a module."""
    importer = importer or {}
    package = importer.get("__package__")
    if package is None:
        package = importer.get("__name__") or ""
        if "__path__" not in importer:
            package = package.rpartition(".")[0]
    base = str(package).rsplit(".", level - 1)[0]
    return f"{base}.{name}" if name else base
