"""What is in a directory, as an input: its names and their types, and what could be imported.

Caches are left out: whatever is in them can be made again from the rest. One listing answers for
every name that was looked for in the directory.
"""

import importlib.machinery
import os
from collections.abc import Callable
from hashlib import sha256

#: Directories and files that tools keep for themselves.
CACHES = frozenset(
    {
        "__pycache__",
        ".test_cache",
        ".git",
        ".hg",
        ".svn",
        ".jj",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
        ".hypothesis",
        ".import_linter_cache",
        ".tox",
        ".nox",
        ".coverage",
        "node_modules",
    }
)
_CACHED_SUFFIXES = (".pyc", ".pyo")

FILE, DIRECTORY, LINK, OTHER = "f", "d", "l", "o"

#: What ends the name of a file that can be imported.
SUFFIXES = frozenset(importlib.machinery.all_suffixes())

#: In place of a name to import: the files that tell the interpreter to extend its search path.
PATH_FILES = "*.pth"

#: Between the names of candidates; no name holds it.
SEPARATOR = "/"


class Listing:
    """The entries of one directory, by name, with their types; ``seen_ns`` is when."""

    def __init__(self, path: str, types: dict[str, str], seen_ns: int, trouble: str = "") -> None:
        self.path = path
        self.types = types
        self.seen_ns = seen_ns
        #: Why it could not be listed, as the value of an input; empty where it could.
        self.trouble = trouble
        self._digest = ""
        self._stems: dict[str, list[str]] | None = None

    def digest(self) -> str:
        """Of names and types, less caches."""
        if self.trouble:
            return self.trouble
        if not self._digest:
            text = "\0".join(
                f"{kind}{name}" for name, kind in sorted(self.types.items()) if not is_cache(name)
            )
            self._digest = sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        return self._digest

    def candidates(self, name: str, is_directory: Callable[[str], bool]) -> list[str]:
        """The names that an import of ``name`` may take, sorted; a directory stands for itself.

        ``is_directory`` says what a symbolic link leads to, by its absolute path.
        """
        if name == PATH_FILES:
            return sorted(each for each in self.types if each.endswith(".pth"))
        if self._stems is None:
            self._stems = {}
            for each, kind in self.types.items():
                stem, dot, rest = each.partition(".")
                if (dot + rest in SUFFIXES and kind != DIRECTORY) or (
                    not dot and kind in {DIRECTORY, LINK}
                ):
                    self._stems.setdefault(stem, []).append(each)
        found = self._stems.get(name, ())
        return sorted(
            each
            for each in found
            if "." in each or self.types[each] != LINK or is_directory(f"{self.path}/{each}")
        )


def is_cache(name: str) -> bool:
    """True for a name in a listing that tools use for what they keep."""
    return name in CACHES or name.endswith(_CACHED_SUFFIXES)


def is_in_cache(subject: str) -> bool:
    """True for a path in what tools keep, or such a path itself.

    Outside of the project only bytecode counts: there a folder of such a name may be anything.
    Bytecode without a ``__pycache__`` around it may be all that there is of a module.
    """
    if subject.startswith("/"):
        return "/__pycache__/" in subject or subject.endswith("/__pycache__")
    return not CACHES.isdisjoint(subject.split("/"))


def scan(path: str) -> dict[str, str]:
    """Name → type of all entries of a directory; links are links.

    Raises:
        OSError: it can't be listed.
        ValueError: the path is none.
    """
    types = {}
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_symlink():
                kind = LINK
            elif entry.is_dir(follow_symlinks=False):
                kind = DIRECTORY
            else:
                kind = FILE if entry.is_file(follow_symlinks=False) else OTHER
            types[entry.name] = kind
    return types
