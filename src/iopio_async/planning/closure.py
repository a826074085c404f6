"""Import graph → the first-party files that a test module may depend on, without running it.

It is an estimate, for modules that have never run: a dynamic import is not followed (the file is
told as opaque), a conditional one is. Names are resolved against the project's own files alone;
what is found nowhere there belongs to somebody else. Paths are relative to the root.
"""

from collections.abc import Callable, Iterable

import msgspec

from iopio_async.analysis.dependencies import Dependencies

_INIT = "__init__.py"

#: Directories that hold packages without being part of their names.
_SOURCE_FOLDERS = ("src", "lib", "python")


class Closure(msgspec.Struct, frozen=True):
    """Files in the order in which they are reached, and those that import by computed names."""

    paths: tuple[str, ...]
    opaque: tuple[str, ...] = ()


class ModuleIndex:
    """The modules among a project's files, by every name that they may be imported by."""

    def __init__(self, paths: Iterable[str]) -> None:
        sources = [path for path in paths if path.endswith(".py")]
        self._packages = {
            path.rpartition("/")[0] for path in sources if path.rpartition("/")[2] == _INIT
        }
        self._paths: dict[str, dict[str, None]] = {}
        self._names: dict[str, str] = {}
        for path in sources:
            folders, _, name = path.rpartition("/")
            parts = folders.split("/") if folders else []
            if name != _INIT:
                parts = [*parts, name.removesuffix(".py")]
            own_root = self._import_root(folders)
            own_depth = own_root.count("/") + 1 if own_root else 0
            self._names[path] = ".".join(parts[own_depth:])
            depths = {0, own_depth}
            depths.update(1 for folder in _SOURCE_FOLDERS if parts[:1] == [folder])
            for depth in depths:
                if parts[depth:]:
                    self._paths.setdefault(".".join(parts[depth:]), {})[path] = None

    def find(self, name: str) -> tuple[str, ...]:
        """The files that importing a dotted name executes, packages around it first."""
        parts = name.split(".")
        names = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
        return tuple(path for each in names for path in self._paths.get(each, ()))

    def absolute(self, name: str, importer: str) -> str:
        """A name as written in a source, without its leading dots; empty if it leads nowhere."""
        level = len(name) - len(name.lstrip("."))
        if not level:
            return name
        package = self._names.get(importer, "").split(".")
        if not importer.endswith(f"/{_INIT}") and importer != _INIT:
            package = package[:-1]
        kept = package[: len(package) - (level - 1)]
        if level - 1 > len(package):
            return ""
        return ".".join([*filter(None, kept), *filter(None, [name[level:]])])

    def _import_root(self, folder: str) -> str:
        while folder in self._packages:
            folder = folder.rpartition("/")[0]
            if not folder:
                break
        return folder


def first_party_closure(
    starts: Iterable[str], index: ModuleIndex, dependencies_of: Callable[[str], Dependencies]
) -> Closure:
    """All files that can be reached from some, these first, nearest first."""
    reached = dict.fromkeys(starts)
    opaque = []
    waiting = list(reached)
    for path in waiting:
        found = dependencies_of(path)
        if found.opaque:
            opaque.append(path)
        for name in found.names:
            for other in index.find(index.absolute(name, path)):
                if other not in reached:
                    reached[other] = None
                    waiting.append(other)
    return Closure(tuple(reached), tuple(opaque))
