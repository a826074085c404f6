"""The inputs that a module has whatever its trace says.

Files that pytest looks for on the way from the root to a module decide what runs by being there,
and some of them were read before anything could be traced; so did the plugins that are installed.
What the project declares as an input is one as well.
"""

import os
import re
import sys
from collections.abc import Iterable

from iopio_async.model.module import Framework
from iopio_async.model.trace import INITIAL_CONFTESTS, InputKind
from iopio_async.orchestration.places import Name
from iopio_async.planning.overrides import matches
from iopio_async.project.interpreter import standard_library
from iopio_async.project.listings import DIRECTORY, is_cache
from iopio_async.project.observer import Observer

#: Names of files in any directory from the root to the module, there or not.
_ON_THE_WAY = {
    Framework.PYTEST: (
        "conftest.py",
        "__init__.py",
        "pytest.toml",
        ".pytest.toml",
        "pytest.ini",
        ".pytest.ini",
        "pyproject.toml",
        "tox.ini",
        "setup.cfg",
    ),
    Framework.UNITTEST: ("__init__.py",),
    Framework.FUNCTIONS: ("__init__.py",),
}

#: The group of entry points by which pytest finds its plugins.
_PLUGINS = "pytest11"

_WILD = re.compile(r"[*?\[]")


def standing_inputs(path: str, framework: Framework, entries: Iterable[str]) -> list[Name]:
    """The inputs of a module by its path, relative to the root; ``""`` for no module of its own.

    ``entries`` is the search path of modules, as subjects, less the standard library.
    """
    names: list[Name] = []
    parts = path.split("/")[:-1]
    for depth in range(len(parts) + 1):
        prefix = "".join(f"{part}/" for part in parts[:depth])
        names += [(InputKind.FILE, prefix + name) for name in _ON_THE_WAY[framework]]
    if path:
        names.append((InputKind.FILE, path))
    if framework is Framework.PYTEST:
        names += [(InputKind.DISTRIBUTIONS, f"{entry}|{_PLUGINS}") for entry in entries]
        # Last: what it comes of tells more.
        names.append((InputKind.PATHS, INITIAL_CONFTESTS))
    return names


def declared_inputs(observer: Observer, globs: Iterable[str]) -> list[Name]:
    """The files that match globs, and the directories in which others could come to match."""
    found: dict[Name, None] = {}
    for glob in globs:
        parts = [part for part in glob.split("/") if part not in {"", "."}]
        fixed = []
        for part in parts:
            if _WILD.search(part):
                break
            fixed.append(part)
        start = "/".join(fixed)
        if start:
            found[InputKind.FILE, start] = None
        for folder in _folders(observer, start):
            found[InputKind.LISTING, folder or "."] = None
            for name, kind in observer.listing(observer.path(folder)).types.items():
                path = f"{folder}/{name}" if folder else name
                if kind != DIRECTORY and not is_cache(name) and matches(glob, path):
                    found[InputKind.FILE, path] = None
    return list(found)


def _folders(observer: Observer, start: str) -> Iterable[str]:
    """A directory of the project and all below it; none where it is no directory."""
    waiting = [start] if observer.is_directory(observer.path(start)) else []
    while waiting:
        folder = waiting.pop()
        yield folder
        for name, kind in observer.listing(observer.path(folder)).types.items():
            if kind == DIRECTORY and not is_cache(name):
                waiting.append(f"{folder}/{name}" if folder else name)


def look_around(observer: Observer) -> None:
    """Look at what lies in the project's folders before tests run: they find just that, or add.

    So with the folders that modules are imported from, which get byte code meanwhile.
    """
    import tempfile

    observer.survey(os.path.join(tempfile.gettempdir(), "run"))
    standard = standard_library()
    for entry in sys.path:
        if os.path.isabs(entry) and entry not in standard:
            observer.listing(entry)
