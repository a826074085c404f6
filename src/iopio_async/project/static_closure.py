"""What a test module may depend on, by its source alone: for modules that have never run."""

from iopio_async.analysis.dependencies import Dependencies, read_dependencies
from iopio_async.planning.closure import Closure, ModuleIndex, first_party_closure
from iopio_async.project.observer import Observer


class StaticClosures:
    """The closures of a project's modules; every file is read once."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._files = frozenset(observer.files())
        self._index = ModuleIndex(sorted(self._files))
        self._known: dict[str, Dependencies] = {}

    def of(self, module: str) -> Closure:
        """The files that a module, by its path below the root, and its conftests may reach."""
        folders = module.split("/")[:-1]
        on_the_way = (
            "".join(f"{folder}/" for folder in folders[:depth]) + name
            for depth in range(len(folders) + 1)
            for name in ("__init__.py", "conftest.py")
        )
        starts = [module, *(path for path in on_the_way if path in self._files)]
        return first_party_closure(starts, self._index, self._dependencies)

    def _dependencies(self, path: str) -> Dependencies:
        known = self._known.get(path)
        if known is None:
            try:
                with open(self._observer.path(path), "rb") as file:
                    known = read_dependencies(file.read())
            except (OSError, ValueError):
                known = Dependencies()
            self._known[path] = known
        return known
