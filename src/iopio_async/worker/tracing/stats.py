"""``os.stat``, ``lstat``, ``access`` and ``readlink``, which raise no audit event: wrapped.

How much of a status counts is told by who asks: ``exists``, ``is_file`` and their like want the
type alone, ``getmtime`` the time, anybody else all of it.
"""

import os
import sys

from iopio_async.wire.observations import LINK, MTIME, STAT, TYPE
from iopio_async.worker.tracing import files
from iopio_async.worker.tracing.callers import (
    CACHING,
    IMPORT,
    METADATA,
    OWN,
    PYTEST,
    REWRITE,
    behind_plumbing,
    caller,
    enumerates_plugins,
    finds_its_start,
)
from iopio_async.worker.tracing.record import record
from iopio_async.worker.tracing.standins import stand_in
from iopio_async.worker.tracing.territory import absolute, special, territory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_fsencode, _fspath = os.fsencode, os.fspath

#: Functions of the standard library that want to know of what type a path is.
TYPE_FUNCTIONS = frozenset(
    [
        "exists",
        "lexists",
        "isfile",
        "isdir",
        "islink",
        "ismount",
        "isjunction",
        "is_file",
        "is_dir",
        "is_symlink",
        "is_mount",
        "is_socket",
        "is_fifo",
        "is_block_device",
        "is_char_device",
        "is_junction",
        "realpath",
        "_joinrealpath",
        "resolve",
        "makedirs",
        "mkdir",
        "removedirs",
        "walk",
        "_walk",
        "fwalk",
        "_fwalk",
        "_fwalk_yield",
        "glob",
        "iglob",
        "_iglob",
        "_glob0",
        "_glob1",
        "_glob2",
        "_rlistdir",
        "_isrecursive",
        "_lexists",
        "_isdir",
        "select_exists",
        "select_literal",
        "select_recursive",
        "select_wildcard",
        "glob0",
        "glob1",
        "rglob",
        "rmtree",
        "_rmtree_safe_fd",
        "_rmtree_safe_fd_step",
        "_rmtree_unsafe",
        "_rmtree_isdir",
        "_rmtree_islink",
        "_exists",
        "mkdtemp",
        "mktemp",
        "_samefile",
        "_destinsrc",
        "which",
        "_is_case_sensitive",
    ]
)
TIME_FUNCTIONS = frozenset({"getmtime", "getctime", "getatime"})

#: Whoever validates what it has read before, or looks for what may be there: the type is all that
#: an outcome depends on.
_TYPE_ROLES = frozenset({IMPORT, REWRITE, METADATA, PYTEST, CACHING})


class _Told:
    """Paths as they were given, absolute ones only, by how much of them was told."""

    def __init__(self) -> None:
        self.all: set[str] = set()
        self.types: set[str] = set()
        self.links: set[str] = set()


told = _Told()


def install() -> None:
    """Wrap them."""
    true_stat, true_lstat, true_fstat = os.stat, os.lstat, os.fstat
    true_access, true_readlink = os.access, os.readlink
    known = told.all

    def stat(
        _os: object, path: "Any", *, dir_fd: "int | None" = None, follow_symlinks: bool = True
    ) -> os.stat_result:
        __tracebackhide__ = True
        if type(path) is not int and (path.__class__ is not str or path not in known):
            look(path, dir_fd)
        return true_stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    def lstat(_os: object, path: "Any", *, dir_fd: "int | None" = None) -> os.stat_result:
        __tracebackhide__ = True
        if path.__class__ is not str or path not in known:
            look(path, dir_fd)
        return true_lstat(path, dir_fd=dir_fd)

    def access(
        _os: object,
        path: "Any",
        mode: int,
        *,
        dir_fd: "int | None" = None,
        effective_ids: bool = False,
        follow_symlinks: bool = True,
    ) -> bool:
        __tracebackhide__ = True
        if path.__class__ is not str or path not in known:
            look(path, dir_fd, only_type=mode == 0)
        return true_access(
            path,
            mode,
            dir_fd=dir_fd,
            effective_ids=effective_ids,
            follow_symlinks=follow_symlinks,
        )

    def readlink(_os: object, path: "Any", *, dir_fd: "int | None" = None) -> "Any":
        __tracebackhide__ = True
        if path.__class__ is not str or path not in told.links:
            look_at_link(path, dir_fd)
        return true_readlink(path, dir_fd=dir_fd)

    def fstat(_os: object, fd: int) -> os.stat_result:
        __tracebackhide__ = True
        if type(fd) is int and not record.quiet:
            path = absolute(fd)
            if path and path not in known:
                look(path, None)
        return true_fstat(fd)

    stand_in("stat", stat)
    stand_in("lstat", lstat)
    stand_in("access", access)
    stand_in("readlink", readlink)
    stand_in("fstat", fstat)
    # Bound early by a module that the worker itself needs.
    globber = getattr(sys.modules.get("glob"), "_StringGlobber", None)
    if globber is not None:
        globber.lstat = os.lstat


def look(path: "Any", folder: "int | None", *, only_type: bool = False) -> None:
    """Tell of a status that is asked for by the caller's caller."""
    if record.quiet:
        return
    given = path
    if given.__class__ is not str:
        try:
            given = _fspath(given)
        except TypeError:
            return
    if given.__class__ is str:
        if given in told.all:
            return
        # Most paths of a test are below its private directory: that is decided first.
        if territory.drops_private(given) and "/../" not in given:
            return
    letter = TYPE if only_type else _wanted()
    if letter is None or (letter is TYPE and given in told.types):
        return
    path = absolute(given, -1 if folder is None else folder)
    if not path or territory.drops_status(path):
        return
    verdict = special(path)
    if verdict == "drop":
        return
    if verdict == "impure":
        letter = TYPE
    record.tell(letter, _fsencode(path))
    if path == given:
        if letter is STAT:
            told.all.add(given)
        elif letter is TYPE:
            told.types.add(given)


def _wanted() -> "bytes | None":
    frame, role, names = behind_plumbing(caller(3))
    if role == OWN or (role == METADATA and enumerates_plugins(frame)):
        return None
    if role == PYTEST and (files.watch.collects_anyway or finds_its_start(frame)):
        return None
    for name in names:
        if name in TYPE_FUNCTIONS:
            return TYPE
        if name in TIME_FUNCTIONS:
            return MTIME
    return TYPE if role in _TYPE_ROLES else STAT


def look_at_link(path: "Any", folder: "int | None") -> None:
    """Tell of a symbolic link that is read."""
    given = path
    path = absolute(path, -1 if folder is None else folder)
    if not path or territory.drops_status(path) or special(path) is not None:
        return
    record.tell(LINK, _fsencode(path))
    if path == given and given.__class__ is str:
        told.links.add(given)
