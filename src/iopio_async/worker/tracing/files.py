"""Files that are opened, listed and changed, by audit events.

A file that the import system opens is a *source*; one that anybody else opens is *read*, as a
whole. Bytecode stands for its source. ``os.open`` relative to a directory's descriptor raises an
event that does not say which directory: it is wrapped.
"""

import os

from iopio_async.wire.observations import DATABASE, IMPURE, LIST, READ, SOURCE, STAT, TYPE, WRITE
from iopio_async.worker.tracing import callers
from iopio_async.worker.tracing.bytecode import source_of as compiled_from
from iopio_async.worker.tracing.callers import (
    IMPORT,
    METADATA,
    OWN,
    PYTEST,
    REWRITE,
    behind_plumbing,
    caller,
    enumerates_plugins,
    role_of,
)
from iopio_async.worker.tracing.record import record
from iopio_async.worker.tracing.standins import stand_in
from iopio_async.worker.tracing.territory import absolute, special, territory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_lstat, _scandir, _fsencode = os.lstat, os.scandir, os.fsencode

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_TRUNC | os.O_APPEND
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_TEMPORARY = getattr(os, "O_TMPFILE", 0)
_PATH_ONLY = getattr(os, "O_PATH", 0)

#: Functions of the import system and of pytest's that read what is executed.
_LOADERS = frozenset({"exec_module", "get_code"})

#: Of the stack at the time of an event: handler, hook, and above them whoever caused it.
_DEPTH = 2


class _Watch:
    """What the handlers remember."""

    def __init__(self) -> None:
        #: Absolute paths that were told as read, as they were given.
        self.read: set[str] = set()
        self.written: set[str] = set()
        #: Those of which only the mode, the owner or the times were changed so far.
        self.marked: set[str] = set()
        #: Source files of the project that were told, in case that they have to be read as a whole.
        self.sources: set[str] = set()
        #: Functions of this project may run without being begun: sources are read as a whole.
        self.whole = False
        #: pytest's own listings are part of the selection, not of the module's collection.
        self.listings_of_pytest = False
        #: pytest looks for what it collects, and will do so again whatever is stored.
        self.collects_anyway = False


watch = _Watch()


# -- reading -----------------------------------------------------------------------------------


def opened(arguments: "tuple[Any, ...]") -> None:
    """``open``: path or descriptor, mode or ``None``, flags."""
    path, mode, flags = arguments
    if type(path) is int:
        return
    writing = flags & _WRITING if flags else mode is not None and mode[:1] in "wax"
    if type(path) is str:
        if not writing and path in watch.read:
            return
        # Most files of tests are temporary.
        if territory.drops_private(path) and "/../" not in path:
            return
    frame = caller(_DEPTH)
    if frame is not None and frame.f_code is _OPEN_AT:
        return
    told = absolute(path)
    if told:
        _opened(told, flags, writing, frame)
        if not writing and path == told and not told.endswith((".py", ".pyc")):
            watch.read.add(told)


def _opened(path: str, flags: int, writing: object, frame: "FrameType | None") -> None:
    if territory.drops(path):
        return
    verdict = special(path)
    if verdict is not None:
        if verdict == "impure":
            record.tell_reason(IMPURE, f"opens {path}")
        return
    if (_TEMPORARY and flags & _TEMPORARY == _TEMPORARY) or flags & (_DIRECTORY | _PATH_ONLY):
        told_type(path)
    elif writing:
        kept = not flags & os.O_TRUNC if flags else False
        told_write(path, kept=kept)
        if kept and flags & os.O_RDWR:
            # What was there before can be read as well as changed.
            record.tell(READ, _fsencode(path))
    else:
        _read(path, frame)


def _read(path: str, frame: "FrameType | None") -> None:
    frame, role, _ = behind_plumbing(frame)
    if role == OWN or (role in {METADATA, PYTEST} and _of_plugins(path, frame)):
        return
    if role in {IMPORT, REWRITE} and path.endswith((".py", ".pyc")) and _loads(frame):
        told_source(source_of(path) if path.endswith(".pyc") else path)
        return
    if path.endswith(".pyc"):
        source = source_of(path)
        if source != path:
            record.tell(READ, _fsencode(source))
    record.tell(READ, _fsencode(path))


def _loads(frame: "FrameType | None") -> bool:
    """True where a file is read to be executed, not because somebody wants to see its text."""
    while frame is not None and role_of(frame.f_code.co_filename) in {IMPORT, REWRITE}:
        if frame.f_code.co_name in _LOADERS:
            return True
        frame = frame.f_back
    return False


def _of_plugins(path: str, frame: "FrameType | None") -> bool:
    return (
        path.endswith((".txt", "/METADATA", "/PKG-INFO", "/RECORD"))
        and (".dist-info/" in path or ".egg-info/" in path)
        and enumerates_plugins(frame)
    )


def told_source(path: str) -> None:
    """A source file is imported. ``path`` is absolute."""
    if territory.drops(path):
        return
    inside = territory.inside_project(path)
    if inside:
        watch.sources.add(path)
    record.tell(READ if inside and watch.whole else SOURCE, _fsencode(path))


def told_read(path: str) -> None:
    """A file is read as a whole. ``path`` is absolute."""
    if not territory.drops(path) and special(path) is None:
        record.tell(READ, _fsencode(path))


def read_sources_whole() -> None:
    """From here on the digests of functions don't do: something looks into the code itself."""
    if not watch.whole:
        watch.whole = True
        for path in watch.sources:
            record.tell(READ, _fsencode(path))


def source_of(bytecode: str) -> str:
    """The source file that a compiled one was made from, if it is there, and else itself."""
    source = compiled_from(bytecode)
    return source if _exists(source) else bytecode


def _exists(path: str) -> bool:
    try:
        _lstat(path)
    except (OSError, ValueError):
        return False
    return True


# -- listing -----------------------------------------------------------------------------------


def listed(arguments: "tuple[Any, ...]") -> None:
    """``os.listdir`` and ``os.scandir``: a path, a descriptor, or ``None``."""
    frame = caller(_DEPTH)
    if frame is None or role_of(frame.f_code.co_filename) == IMPORT:
        return
    frame, role, _ = behind_plumbing(frame)
    if role in {IMPORT, REWRITE, METADATA, OWN}:
        return
    if role == PYTEST and not watch.listings_of_pytest:
        return
    told_listing(absolute(arguments[0]))


def told_listing(path: str) -> None:
    """A directory is listed."""
    if not path or territory.drops(path):
        return
    verdict = special(path)
    if verdict is None:
        record.tell(LIST, _fsencode(path))
    elif verdict == "impure":
        record.tell_reason(IMPURE, f"lists {path}")


# -- changing ----------------------------------------------------------------------------------


def told_type(path: str) -> None:
    """Only the type of a path counts."""
    if not territory.drops_status(path):
        record.tell(TYPE, _fsencode(path))


def told_write(path: str, *, kept: bool, content: bool = True) -> None:
    """A path is created, changed or removed; ``kept`` where what is in it, if it is, goes on.

    Without ``content``, what is in it is not touched at all.
    """
    if path in watch.written or (path in watch.marked and not content) or territory.drops(path):
        return
    if "/__pycache__" in path or path.endswith(".pyc") or special(path) is not None:
        return
    existed = _exists(path)
    how = (b"1" if content else b"2") if kept else b""
    record.tell(WRITE, _fsencode(path), b"1" if existed else b"", how)
    (watch.written if content else watch.marked).add(path)


def changed(arguments: "tuple[Any, ...]") -> None:
    """``os.chmod`` and others: what is there stays, but is not what it was."""
    _change(arguments[0], arguments, kept=True, content=False)


def removed(arguments: "tuple[Any, ...]") -> None:
    """``os.remove``, ``os.rmdir``."""
    _change(arguments[0], arguments, kept=False, content=True)


def _change(path: object, arguments: "tuple[Any, ...]", *, kept: bool, content: bool) -> None:
    # The descriptor of a directory is the last argument, -1 where there is none.
    last = arguments[-1] if len(arguments) > 1 else -1
    told = absolute(path, last if type(last) is int else -1)
    if told:
        told_write(told, kept=kept, content=content)


def truncated(arguments: "tuple[Any, ...]") -> None:
    """``os.truncate``, ``os.chown``, ``os.setxattr``: the last argument is no descriptor."""
    told = absolute(arguments[0])
    if told:
        told_write(told, kept=True)


def renamed(arguments: "tuple[Any, ...]") -> None:
    """``os.rename``, ``os.replace``, ``os.link``: source, destination, two descriptors."""
    source, destination, source_folder, destination_folder = arguments
    old, new = absolute(source, source_folder), absolute(destination, destination_folder)
    if old and not old.endswith(".pyc") and "/__pycache__/" not in old:
        told_read(old)
        told_write(old, kept=True)
    if new:
        told_write(new, kept=False)


def linked(arguments: "tuple[Any, ...]") -> None:
    """``os.symlink``: target, path, descriptor."""
    told = absolute(arguments[1], arguments[2])
    if told:
        told_write(told, kept=False)


def attributes_read(arguments: "tuple[Any, ...]") -> None:
    """``os.getxattr``, ``os.listxattr``."""
    path = absolute(arguments[0])
    if path and not territory.drops_status(path) and special(path) is None:
        record.tell(STAT, _fsencode(path))


def database_connected(arguments: "tuple[Any, ...]") -> None:
    """``sqlite3.connect``: the database's content is read, and it may be created."""
    name = arguments[0]
    text = name if type(name) is str else ""
    if not text and name is not None and type(name) is not str:
        text = absolute(name)
    changing = True
    if text.startswith("file:"):
        text, _, query = text[5:].partition("?")
        if "mode=memory" in query:
            return
        changing = "mode=ro" not in query and "immutable=1" not in query
        text = _unquoted(text)
        if text.startswith("//"):
            text = "/" + text[2:].partition("/")[2]
    if text in {"", ":memory:"}:
        return
    path = absolute(text)
    if path:
        if not _exists(path):
            told_write(path, kept=False)
        told_read(path)
        if changing and not territory.drops(path) and special(path) is None:
            record.tell(DATABASE, _fsencode(path))


def _unquoted(text: str) -> str:
    head, *parts = text.split("%")
    try:
        return head + "".join(chr(int(part[:2], 16)) + part[2:] for part in parts)
    except ValueError:
        return text


# -- what is wrapped ---------------------------------------------------------------------------


def install() -> None:
    """Wrap ``os.open`` and ``os.scandir``."""
    true_open, true_scandir = os.open, os.scandir

    def open(  # noqa: A001 - named as what it stands in for
        _os: object, path: "Any", flags: int, mode: int = 0o777, *, dir_fd: "int | None" = None
    ) -> int:
        __tracebackhide__ = True
        if dir_fd is None:
            return true_open(path, flags, mode)
        return _open_at(path, flags, mode, dir_fd)

    def scandir(_os: object, path: "Any" = None) -> "Any":
        __tracebackhide__ = True
        entries = true_scandir() if path is None else true_scandir(path)
        frame = caller(1)
        if frame is None or callers.role_of(frame.f_code.co_filename) != callers.OTHER:
            return entries
        from_library = frame.f_code.co_filename.startswith((callers.LIBRARY, "<frozen "))
        return entries if from_library or type(path) is int else _Entries(entries)

    stand_in("open", open)
    stand_in("scandir", scandir)


_true_open = os.open


def _open_at(path: "Any", flags: int, mode: int, folder: int) -> int:
    __tracebackhide__ = True
    told = absolute(path, folder)
    if told:
        _opened(told, flags, flags & _WRITING, caller(2))
    return _true_open(path, flags, mode, dir_fd=folder)


_OPEN_AT = _open_at.__code__


class _Entries:
    """What ``os.scandir`` gives to others than the standard library: it tells of their status."""

    def __init__(self, entries: "Any") -> None:
        self._entries = entries

    def __iter__(self) -> "Any":
        return self

    def __next__(self) -> "_Entry":
        return _Entry(next(self._entries))

    def __enter__(self) -> "_Entries":  # noqa: PYI034 - nothing derives from it
        return self

    def __exit__(self, *details: object) -> None:
        self._entries.close()

    def close(self) -> None:
        self._entries.close()


class _Entry:
    """A ``DirEntry`` whose ``stat`` is told."""

    __slots__ = ("_entry", "name", "path")

    def __init__(self, entry: "os.DirEntry[Any]") -> None:
        self._entry, self.name, self.path = entry, entry.name, entry.path

    @property  # type: ignore[misc] # what ``isinstance`` asks
    def __class__(self) -> type:
        return os.DirEntry

    def __fspath__(self) -> "Any":
        return self.path

    def __repr__(self) -> str:
        return repr(self._entry)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        attributes_read((self.path,))
        return self._entry.stat(follow_symlinks=follow_symlinks)

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        self._told_type()
        return self._entry.is_dir(follow_symlinks=follow_symlinks)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        self._told_type()
        return self._entry.is_file(follow_symlinks=follow_symlinks)

    def is_symlink(self) -> bool:
        return self._entry.is_symlink()

    def is_junction(self) -> bool:
        return bool(self._entry.is_junction()) if hasattr(self._entry, "is_junction") else False

    def inode(self) -> int:
        return self._entry.inode()

    def _told_type(self) -> None:
        # The listing holds the types of all that are no links.
        if self._entry.is_symlink():
            path = absolute(self.path)
            if path and special(path) is None:
                told_type(path)
