"""The key of keyed digests: values of variables can't be guessed back from what is stored.

It is kept beside the receipts, which are called by such digests.
"""

import contextlib
import os
import secrets

from iopio_async import state
from iopio_async.cache.reader import RECEIPTS, SECRET

SECRET_BYTES = 32


def load_secret(folder: str) -> bytes:
    """The key of the cache in ``folder``; made where there is none.

    Raises:
        InfrastructureError: the folder can't be created, or can't be trusted.
        OSError: the key can be neither read nor made.
    """
    file = os.path.join(state.ensure(folder, RECEIPTS), SECRET)
    for _ in range(2):
        try:
            secret = state.read(file)
        except FileNotFoundError:
            _write_first(file, secrets.token_bytes(SECRET_BYTES))
            secret = state.read(file)
        if len(secret) == SECRET_BYTES:
            return secret
        os.unlink(file)
    return secret


def _write_first(file: str, data: bytes) -> None:
    """Write a file unless somebody else was faster: all runs of a project have the same key."""
    temporary = state.temporary_beside(file)
    state.write_atomically(temporary, data)
    try:
        os.link(temporary, file)
    except FileExistsError:
        pass
    except OSError:
        # There are file systems without links; there, the last one wins.
        os.replace(temporary, file)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
