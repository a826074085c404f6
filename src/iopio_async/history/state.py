"""The folder in the project's root that holds what iopio remembers: ``.test_cache/v1``.

It ignores itself in git, is open to its owner alone, and is refused where it is a link or belongs
to somebody else, at any level.
"""

import contextlib
import errno
import os
import stat
import tempfile

from iopio_async.errors import InfrastructureError

FOLDER = ".test_cache"

#: The version of everything below the folder; another version lives beside it.
VERSION = "v1"

#: No honest file is larger: a hundred thousand failures take about ten megabytes.
MAX_FILE_BYTES = 64 * 1024 * 1024

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def path(root: str) -> str:
    """The versioned folder of the project at ``root``."""
    return os.path.join(root, FOLDER, VERSION)


def ensure(root: str, *parts: str) -> str:
    """Create the folder, or one below it, and return its path.

    Raises:
        InfrastructureError: it can't be created, or can't be trusted.
    """
    folder = os.path.join(root, FOLDER)
    try:
        _own_folder(folder)
        ignore = os.path.join(folder, ".gitignore")
        if not os.path.lexists(ignore):
            write_atomically(ignore, b"*\n")
        for part in (VERSION, *parts):
            folder = os.path.join(folder, part)
            _own_folder(folder)
    except OSError as error:
        raise InfrastructureError(
            f"{folder} can't be used: {error.strerror or error}",
            hint="results of this run are not remembered",
        ) from error
    return folder


def _own_folder(folder: str) -> None:
    """Create a folder, or make sure that it is one, of this user, that nobody else writes to."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, mode=0o700)
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise InfrastructureError(
            f"{folder} is not a directory of this user", hint="remove it, or move it away"
        )
    if status.st_mode & _WRITABLE_BY_OTHERS:
        os.chmod(folder, 0o700)


def read(file: str) -> bytes:
    """The content of a regular file of the folder.

    Raises:
        OSError: there is none, it is a link, a pipe or the like, or larger than any honest one.
    """
    # Without waiting, should it be a pipe.
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
            raise OSError(errno.EINVAL, "not a file that iopio wrote", file)
        with open(descriptor, "rb", closefd=False) as stream:
            return stream.read()
    finally:
        os.close(descriptor)


def write_atomically(file: str, data: bytes) -> None:
    """Replace ``file`` as a whole: readers see the old content or the new.

    Raises:
        OSError: it can't be written; nothing is left behind then.
    """
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(file) or ".", prefix=".iopio-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        os.replace(temporary, file)
    except BaseException:
        os.unlink(temporary)
        raise
