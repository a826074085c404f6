"""Files that a run leaves behind: written whole or not at all.

The content goes into a file beside the target, which then takes the target's place, so that
nobody ever reads half a report. What is not a plain file (a pipe, ``/dev/fd/3``) is written as is.
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from iopio_async.errors import InfrastructureError


def write_artefact(path: str, pieces: Iterable[bytes]) -> None:
    """Replace the file at ``path``; missing folders above it are made.

    Raises:
        InfrastructureError: the file can't be written; nothing is left of the attempt.
    """
    try:
        # A link is kept, and what it points to is replaced.
        target = Path(os.path.realpath(path))
        if target.exists() and not stat.S_ISREG(target.stat().st_mode):
            with target.open("wb", buffering=0) as device:
                for piece in pieces:
                    device.write(piece)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, pieces)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InfrastructureError(f"could not write {path}: {reason.lower()}") from error


def _replace(target: Path, pieces: Iterable[bytes]) -> None:
    beside = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.tmp")
    try:
        with beside.open("xb") as file:
            for piece in pieces:
                file.write(piece)
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
