"""What modules were seen to contend for, as it is kept between runs.

One small file, which is there only where anything was learned. Runs at the same time bring what
they saw into the file as it is by then, one after the other; whatever is damaged reads as if
nothing had been learned, and costs just that.
"""

import contextlib
import os
from collections.abc import Callable

import msgspec

from iopio_async import state
from iopio_async.errors import InfrastructureError
from iopio_async.history import sealed
from iopio_async.planning.learned import Conflicts

_MARK = b"iopio learned 1\n"

_decoder = msgspec.msgpack.Decoder(Conflicts)


def load(folder: str) -> Conflicts:
    """What is known; nothing where there is no whole file in ``folder``, or it can't be trusted."""
    with contextlib.suppress(InfrastructureError, msgspec.DecodeError, UnicodeDecodeError):
        if state.is_there(folder):
            body = sealed.read(state.path(folder, state.LEARNED), _MARK)
            if body is not None:
                return _decoder.decode(body)
    return {}


def update(folder: str, change: Callable[[Conflicts], Conflicts]) -> Conflicts:
    """Bring the file up to date by ``change`` of what it holds; what it holds then.

    Raises:
        InfrastructureError: it can't be written, or another run does not stop writing.
    """
    inside = state.ensure(folder)
    file = os.path.join(inside, state.LEARNED)
    try:
        lock = os.path.join(inside, f"{state.LEARNED}.lock")
        with state.taken(lock, deadline_s=sealed.LOCK_DEADLINE_S, hint=sealed.HINT_LATE):
            before = load(folder)
            after = change(before)
            if after:
                if after != before:
                    sealed.write(file, _MARK, msgspec.msgpack.encode(after))
            else:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(file)
    except OSError as error:
        raise InfrastructureError(
            f"{file} can't be written: {error.strerror or error}",
            hint="what this run saw is not remembered",
        ) from error
    return after
