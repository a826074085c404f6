"""The folder in the project's root that holds what iopio remembers: ``.test_cache/v1``.

It ignores itself in git, is open to its owner alone, and is refused where it is a link or belongs
to somebody else.
"""

import os
import stat
import tempfile

from iopio_async.errors import InfrastructureError

FOLDER = ".test_cache"

#: The version of everything below the folder; another version lives beside it.
VERSION = "v1"


def path(root: str) -> str:
    """The versioned folder of the project at ``root``."""
    return os.path.join(root, FOLDER, VERSION)


def ensure(root: str, *parts: str) -> str:
    """Create the folder, or one below it, and return its path.

    Raises:
        InfrastructureError: it can't be created, or can't be trusted.
    """
    top = os.path.join(root, FOLDER)
    try:
        os.makedirs(top, mode=0o700, exist_ok=True)
        status = os.lstat(top)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise InfrastructureError(
                f"{top} is not a directory of this user", hint="remove it, or move it away"
            )
        ignore = os.path.join(top, ".gitignore")
        if not os.path.lexists(ignore):
            write_atomically(ignore, b"*\n")
        folder = os.path.join(path(root), *parts)
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(
            f"{top} can't be used: {error.strerror or error}",
            hint="results of this run are not remembered",
        ) from error
    return folder


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
