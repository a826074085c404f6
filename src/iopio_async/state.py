"""The folder that holds what iopio remembers: ``.test_cache`` in the project's root, or another.

Everything is below the version's own folder (``v1``), so that versions live side by side. The
folder ignores itself in git, is open to its owner alone, and is refused where it is a link or
belongs to somebody else, at any level. Files are read with a bound, and never through a link or
from a pipe; they are replaced as wholes. This is on the path of runs that have nothing to do: it
imports next to nothing.
"""

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator

from iopio_async.errors import InfrastructureError

FOLDER = ".test_cache"

#: What modules were seen to contend for: a file that is only there where they were.
LEARNED = "learned"

#: The version of everything below the folder; another version lives beside it.
VERSION = "v1"

#: No honest file is larger: a hundred thousand failures take about ten megabytes.
MAX_FILE_BYTES = 64 * 1024 * 1024

#: Names of files that are being written begin so.
TEMPORARY_PREFIX = ".iopio-"

#: Who waits for a lock tries again after so long.
_LOCK_PAUSE_S = 0.01

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

#: To look at a file is not to use it; who may say so is up to the file system.
_UNNOTICED = getattr(os, "O_NOATIME", 0)
_CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

#: What locking fails with where the file system can't.
_LOCKLESS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})

#: The hint of errors about the folder, for a run.
HINT_NOT_KEPT = "results of this run are not remembered"


def folder_of(root: str) -> str:
    """The folder of the project at ``root``, where no other was asked for."""
    return os.path.join(root, FOLDER)


def path(folder: str, *parts: str) -> str:
    """The place of something in this version's part of ``folder``."""
    return os.path.join(folder, VERSION, *parts)


def ensure(folder: str, *parts: str) -> str:
    """Create ``folder`` and this version's part of it, or a folder below that, and return its path.

    Raises:
        InfrastructureError: it can't be created, or can't be trusted.
    """
    level = folder
    try:
        _own_folder(level)
        ignore = os.path.join(level, ".gitignore")
        if not os.path.lexists(ignore):
            write_atomically(ignore, b"*\n")
        for part in (VERSION, *parts):
            level = os.path.join(level, part)
            _own_folder(level)
    except OSError as error:
        raise InfrastructureError(
            f"{level} can't be used: {error.strerror or error}", hint=HINT_NOT_KEPT
        ) from error
    return level


def is_there(folder: str, *parts: str) -> bool:
    """Say whether there is such a folder, having looked at each level of it; nothing is changed.

    Raises:
        InfrastructureError: it can't be trusted, or looked at.
    """
    level = folder
    try:
        _check_folder(level)
        for part in (VERSION, *parts):
            level = os.path.join(level, part)
            _check_folder(level)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise InfrastructureError(
            f"{level} can't be used: {error.strerror or error}", hint=HINT_NOT_KEPT
        ) from error
    return True


def is_folder_of_ours(folder: str) -> bool:
    """False for a folder that holds something, and nothing of this or another version.

    Raises:
        InfrastructureError: it can't be looked at.
    """
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError as error:
        raise InfrastructureError(f"{folder} can't be used: {error.strerror or error}") from error
    versions = (name for name in names if name[:1] == "v" and name[1:].isdigit())
    return set(names) <= {".gitignore"} or any(versions)


def _own_folder(folder: str) -> None:
    """Create a folder, or make sure that it is one, of this user, that nobody else writes to."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, mode=0o700)
    if _mode(folder) & _WRITABLE_BY_OTHERS:
        os.chmod(folder, 0o700)


def _check_folder(folder: str) -> None:
    if _mode(folder) & _WRITABLE_BY_OTHERS:
        raise InfrastructureError(
            f"others may write to {folder}",
            hint="remove it, or close it to them if you know what it holds",
        )


def _mode(folder: str) -> int:
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise InfrastructureError(
            f"{folder} is not a directory of this user", hint="remove it, or move it away"
        )
    return status.st_mode


def read(file: str) -> bytes:
    """The content of a regular file of the folder.

    Raises:
        OSError: there is none, it is a link, a pipe or the like, somebody else's, or larger than
            any honest one.
    """
    return read_with_status(file)[0]


def read_with_status(file: str) -> tuple[bytes, os.stat_result]:
    """The content of a regular file of the folder, and the status of just that file.

    Raises:
        OSError: as for :func:`read`.
    """
    # Without waiting, should it be a pipe.
    try:
        descriptor = os.open(file, _READ_FLAGS | _UNNOTICED)
    except PermissionError:
        descriptor = os.open(file, _READ_FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise OSError(errno.EINVAL, "not a file that iopio wrote", file)
        data = b""
        # One byte more than there should be, which tells the end in most cases.
        while chunk := os.read(descriptor, max(0, status.st_size - len(data)) + 1):
            data += chunk
            if len(data) > MAX_FILE_BYTES:
                break
        if max(len(data), status.st_size) > MAX_FILE_BYTES:
            raise OSError(errno.EINVAL, "not a file that iopio wrote", file)
    finally:
        os.close(descriptor)
    return data, status


def temporary_beside(file: str) -> str:
    """A name in the same folder that nobody else thinks of."""
    return os.path.join(os.path.dirname(file), TEMPORARY_PREFIX + os.urandom(8).hex())


def create(file: str, flags: int = 0) -> int:
    """Create a file that only its owner may read, and return its descriptor; an ``opener``.

    Raises:
        OSError: it can't be created, or is there.
    """
    return os.open(file, flags | _CREATE_FLAGS, 0o600)


def write_atomically(file: str, data: bytes) -> None:
    """Replace ``file`` as a whole: readers see the old content or the new.

    Raises:
        OSError: it can't be written; nothing is left behind then.
    """
    temporary = temporary_beside(file)
    descriptor = create(temporary)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        os.replace(temporary, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def open_lock(file: str) -> int:
    """Open a file for :func:`try_lock`; to close the descriptor is to give the lock back.

    Raises:
        OSError: it can't be opened.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(file, flags, 0o600)


def try_lock(descriptor: int) -> bool:
    """Take the lock, unless somebody else holds it; true where the file system has no locks.

    Raises:
        OSError: it can't be locked for another reason.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # Without locks, the worst is that one of two runs is not remembered.
        if error.errno not in _LOCKLESS:
            raise
    return True


@contextlib.contextmanager
def taken(file: str, *, deadline_s: float, hint: str = "") -> Iterator[None]:
    """Hold the lock that all writers of some part of the folder take, in ``file``.

    Raises:
        InfrastructureError: somebody else holds it beyond the deadline.
        OSError: the file can't be opened.
    """
    descriptor = open_lock(file)
    try:
        until_s = time.monotonic() + deadline_s
        while not try_lock(descriptor):
            if time.monotonic() >= until_s:
                raise InfrastructureError(f"another run holds {file}", hint=hint)
            time.sleep(_LOCK_PAUSE_S)
        yield
    finally:
        os.close(descriptor)
