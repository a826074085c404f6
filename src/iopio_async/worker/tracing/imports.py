"""What is looked for along search paths: modules, and distributions.

A failed search raises no audit event, so ``PathFinder.find_spec`` is wrapped; it is where the
import system, ``importlib.util`` and pytest's own finder all pass. ``sys.meta_path`` stays as it
is. Finders that are not known may lead anywhere: they are looked for at each import.
"""

import os
import sys

from iopio_async.wire.observations import FIND, OPAQUE, PACKAGE, READ, SEARCH
from iopio_async.worker.tracing import databases, extensions, files
from iopio_async.worker.tracing.callers import caller, enumerates_plugins
from iopio_async.worker.tracing.record import record
from iopio_async.worker.tracing.territory import absolute, territory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

_fsencode, _getpid = os.fsencode, os.getpid

#: Finders, by their names, that only find what is told in another way, or nothing in files: the
#: interpreter's own, pytest's, and those of libraries that carry renamed copies of others.
KNOWN_FINDERS = frozenset(
    {
        "AssertionRewritingHook",
        "BuiltinImporter",
        "DistutilsMetaFinder",
        "FrozenImporter",
        "MetadataPathFinder",
        "PathFinder",
        "VendorImporter",
        "_EditableFinder",
        "_EditableNamespaceFinder",
        "_Finder",
        "_SixMetaPathImporter",
    }
)

#: Hooks that make finders of the entries of a search path.
KNOWN_HOOKS = frozenset({"zipimporter", "path_hook_for_FileFinder", "_path_hook"})

#: They compile functions, or send them elsewhere, without their being begun here.
TAKERS_OF_CODE = frozenset({"cloudpickle", "dill", "numba", "torch"})

#: What is done to a module of the standard library once it is imported.
AFTERWARDS: "dict[str, Callable[[Any], None]]" = {
    "readline": extensions.watch_history,
    "sqlite3.dbapi2": databases.watch_attaching,
    "ssl": extensions.watch_certificates,
}


class _Searches:
    """Search paths that were told, and the finders that were looked at."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[object, ...], bytes] = {}
        self.count = 0
        self.found: set[tuple[bytes, str]] = set()
        self.finders: list[object] = []
        self.hooks: list[object] = []


_searches = _Searches()

#: Called with the name of each module that is looked for.
listeners: "list[Callable[[str], None]]" = []


def install() -> None:
    """Tell what was imported before; wrap ``PathFinder``'s two functions."""
    finder: Any = next(
        (one for one in sys.meta_path if getattr(one, "__name__", "") == "PathFinder"), None
    )
    if finder is None:
        record.tell_reason(OPAQUE, "sys.meta_path has no PathFinder")
        return
    _tell_imported()
    true_find, true_distributions = finder.find_spec, finder.find_distributions

    def find_spec(
        cls: type, fullname: str, path: "Sequence[str] | None" = None, target: "Any" = None
    ) -> "Any":
        searched(fullname, sys.path if path is None else path)
        if sys.meta_path != _searches.finders:
            _look_at_finders()
        if cls is finder:
            spec = true_find(fullname, path, target)
        else:
            spec = true_find.__func__(cls, fullname, path, target)
        if fullname in AFTERWARDS and spec is not None:
            _do_afterwards(spec, AFTERWARDS[fullname])
        return spec

    def find_distributions(*arguments: "Any", **options: "Any") -> "Any":
        context = arguments[0] if arguments else options.get("context")
        if not enumerates_plugins(caller(1)):
            looked_up(getattr(context, "name", None), getattr(context, "path", None))
        return true_distributions(*arguments, **options)

    finder.find_spec = classmethod(find_spec)
    finder.find_distributions = staticmethod(find_distributions)


def searched(fullname: str, path: "Sequence[str]") -> None:
    """A module is looked for along a search path."""
    for listener in listeners:
        listener(fullname)
    if record.quiet:
        return
    try:
        key = tuple(path)
        number = _searches.numbers.get(key)
    except (KeyError, TypeError):
        return
    if number is None:
        number = _searches.numbers[key] = _tell_search(key)
    if not number:
        return
    if (number, fullname) not in _searches.found:
        record.tell(FIND, number, fullname.encode("utf-8", "surrogatepass"))
        _searches.found.add((number, fullname))


def forget() -> None:
    """From here on tell again what was told."""
    _searches.numbers.clear()
    _searches.found.clear()


def _tell_search(entries: "tuple[object, ...]") -> bytes:
    """Tell a search path; its number, or nothing where it leads only into what is dropped."""
    paths = [
        absolute(entry or ".") for entry in entries if type(entry) is str or type(entry) is bytes
    ]
    if all(not path or territory.drops(path) for path in paths):
        return b""
    # What is in a private directory was made by the tests: a search that ends there depends on
    # nothing more than one that goes on.
    paths = [path for path in paths if path and not territory.drops_private(path)]
    # Forks go on counting where their parent was, each for itself.
    number = b"%d.%d" % (_getpid(), _searches.count)
    _searches.count += 1
    record.tell(SEARCH, number, *map(_fsencode, paths))
    return number


def _tell_imported() -> None:
    """Tell what the process has imported so far as if it were imported now."""
    for name, module in list(sys.modules.items()):
        if name in {"__main__", "__mp_main__"} or name.startswith("iopio_async"):
            continue
        spec = getattr(module, "__spec__", None)
        origin = getattr(spec, "origin", None)
        if origin in {"built-in", "frozen"}:
            continue
        parent = sys.modules.get(name.rpartition(".")[0])
        if not name.rpartition(".")[0]:
            searched(name, sys.path)
        elif parent is not None and hasattr(parent, "__path__"):
            searched(name, parent.__path__)
        if type(origin) is str and origin.startswith("/"):
            if origin.endswith(".py"):
                files.told_source(absolute(origin))
            else:
                files.told_read(absolute(origin))
    # The interpreter and the C library read these before, or beside, all that can be watched.
    files.told_read("/etc/localtime")
    files.told_read(f"{sys.prefix}/pyvenv.cfg")
    # The folders with installed distributions hold files that are read at each start.
    for entry in sys.path:
        if entry.endswith(("site-packages", "dist-packages")):
            try:
                names = os.listdir(entry)
            except OSError:
                continue
            for name in names:
                if name.endswith(".pth"):
                    record.tell(READ, _fsencode(absolute(f"{entry}/{name}")))


def _look_at_finders() -> None:
    for finder in list(sys.meta_path):
        if not any(finder is known for known in _searches.finders):
            _judge(finder, KNOWN_FINDERS, "finder")
    _searches.finders = list(sys.meta_path)


def _look_at_hooks() -> None:
    for hook in list(sys.path_hooks):
        if not any(hook is known for known in _searches.hooks):
            _judge(hook, KNOWN_HOOKS, "path hook")
    _searches.hooks = list(sys.path_hooks)


def _judge(one: object, known: "frozenset[str]", what: str) -> None:
    kind = type(one)
    name = getattr(one, "__name__", None) or kind.__name__
    if name not in known and kind.__name__ not in known:
        module = getattr(one, "__module__", None) or kind.__module__
        record.tell_reason(OPAQUE, f"a {what} of its own, {module}.{name}, may find modules unseen")


def imported(arguments: "tuple[Any, ...]") -> None:
    """``import``: name, file of a compiled module, and for others the import system's state."""
    name, file = arguments[0], arguments[1]
    if file is not None:
        extensions.loaded(name, file)
        return
    if name in TAKERS_OF_CODE:
        files.read_sources_whole()
    look_at_import_system()


def look_at_import_system() -> None:
    """Tell of finders and hooks that are not known."""
    if sys.meta_path != _searches.finders:
        _look_at_finders()
    if sys.path_hooks != _searches.hooks:
        _look_at_hooks()


def _do_afterwards(spec: "Any", action: "Callable[[Any], None]") -> None:
    loader = spec.loader
    execute = loader.exec_module

    def exec_module(module: "Any") -> None:
        # A run inside of a run has two tracers, one of which may have taken it away already.
        vars(loader).pop("exec_module", None)
        execute(module)
        action(module)

    loader.exec_module = exec_module


def looked_up(name: "str | None", path: "Sequence[str] | None") -> None:
    """A distribution is looked up by its name, or all of them are listed."""
    if path is not None and list(path) != sys.path:
        for entry in path:
            files.told_listing(absolute(entry or "."))
        return
    record.tell(PACKAGE, (name or "").encode("utf-8", "surrogatepass"))
