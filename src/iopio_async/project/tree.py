"""The user's files: listed, read and named.

A :class:`Tree` is the only way by which discovery touches the disk, so that tests can put another
in its place. Paths are strings, absolute and unresolved: symbolic links stay as they were given,
because tests are named after them. Names that are not UTF-8 are carried by surrogate escapes.
Nothing here opens anything but regular files, so that a FIFO cannot block.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter

_BY_NAME = attrgetter("name")

#: Files larger than this are not searched; they count as holding whatever was searched for.
SEARCHED_BYTES = 16 * 1024 * 1024


class Tree:
    """The file system below and around one root directory."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self._below_root = self.root.rstrip("/") + "/"
        self._is_package: dict[str, bool] = {}

    def scan(self, directory: str) -> list[os.DirEntry[str]]:
        """The entries of a directory, by name. Empty where it has gone.

        Raises:
            OSError: it cannot be read.
        """
        try:
            with os.scandir(directory) as entries:
                return sorted(entries, key=_BY_NAME)
        except FileNotFoundError:
            return []

    def kind(self, path: str) -> str:
        """``file``, ``directory``, ``missing`` or what else a path leads to."""
        try:
            mode = os.stat(path).st_mode
        except (OSError, ValueError):
            return "missing"
        return next((word for test, word in _KINDS if test(mode)), "special file")

    def is_file(self, path: str) -> bool:
        """True for a regular file, or a link to one."""
        return self.kind(path) == "file"

    def is_directory(self, path: str) -> bool:
        """True for a directory, or a link to one."""
        return self.kind(path) == "directory"

    def is_package(self, directory: str) -> bool:
        """True for a directory with an ``__init__.py``. Remembered."""
        known = self._is_package.get(directory)
        if known is None:
            known = self._is_package[directory] = self.is_file(f"{directory}/__init__.py")
        return known

    def identity(self, path: str) -> tuple[int, int] | None:
        """Device and inode of what a path leads to; None where it leads nowhere."""
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return None
        return status.st_dev, status.st_ino

    def size_bytes(self, path: str) -> int:
        """The size of a file; 0 where it has gone."""
        try:
            return os.stat(path).st_size
        except (OSError, ValueError):
            return 0

    def read(self, path: str) -> bytes:
        """The bytes of a regular file; none where there is no such file or it cannot be read."""
        if not self.is_file(path):
            return b""
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError:
            return b""

    def may_hold(self, path: str, needle: bytes, *, encoding: str = "") -> bool:
        """False where a file certainly lacks a piece of ASCII and can be decoded.

        Without ``encoding`` whether it decodes does not matter. What cannot be told counts as
        true: too large a file, an unreadable one.
        """
        try:
            if os.stat(path).st_size > SEARCHED_BYTES:
                return True
            with open(path, "rb") as file:
                content = file.read()
            if needle in content:
                return True
            return bool(encoding) and needle.decode() in content.decode(encoding)
        except (OSError, ValueError, LookupError):
            return True

    def name(self, path: str) -> str:
        """A normal path as seen from the root; with ``../`` where it is outside."""
        if path.startswith(self._below_root):
            return path[len(self._below_root) :]
        return os.path.relpath(path, self.root)


#: What a path may lead to, in the words of a message.
_KINDS = (
    (stat.S_ISREG, "file"),
    (stat.S_ISDIR, "directory"),
    (stat.S_ISFIFO, "FIFO"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)


def import_root(tree: Tree, path: str) -> str:
    """The directory from which a module is imported by its full dotted name, absolute.

    That is the nearest one above the module that is no package itself. ``path`` may be relative
    to the tree's root.
    """
    directory = os.path.dirname(os.path.normpath(os.path.join(tree.root, path)))
    while tree.is_package(directory) and os.path.dirname(directory) != directory:
        directory = os.path.dirname(directory)
    return directory


def find_module(
    tree: Tree, name: str, search_path: Sequence[str], *, namespace_packages: bool = False
) -> str:
    """Where a module's source is: its file, or the directory of a package. Empty if not found.

    Nothing is imported, so what a package does to its own search path when imported is not seen.
    A namespace package is found only where asked for; one may always lie on the way.
    """
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        return ""
    portions: Iterable[str] = search_path
    for part in parts[:-1]:
        portions = _package_directories(tree, part, portions)
    namespaces: list[str] = []
    for portion in portions:
        candidate = os.path.join(portion, parts[-1])
        if tree.is_package(candidate):
            return candidate
        if tree.is_file(f"{candidate}.py"):
            return f"{candidate}.py"
        if tree.is_directory(candidate):
            namespaces.append(candidate)
    return namespaces[0] if namespaces and namespace_packages else ""


def _package_directories(tree: Tree, name: str, portions: Iterable[str]) -> list[str]:
    """The directories that a package's modules are searched in: one, or a namespace's several."""
    namespaces: list[str] = []
    for portion in portions:
        candidate = os.path.join(portion, name)
        if tree.is_package(candidate):
            return [candidate]
        if tree.is_file(f"{candidate}.py"):
            # A plain module of that name has no modules below it.
            return []
        if tree.is_directory(candidate):
            namespaces.append(candidate)
    return namespaces


def upwards(path: str) -> Iterator[str]:
    """A path and all directories above it."""
    while True:
        yield path
        above = os.path.dirname(path)
        if above == path:
            return
        path = above
