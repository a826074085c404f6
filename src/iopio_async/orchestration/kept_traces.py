"""Copies of what tracers wrote down, for whoever wants to check it: ``IOPIO_KEEP_TRACES=DIR``.

A copy stands for itself: what it includes of a fork server's trace is put in its place.
"""

import os
from collections.abc import Callable

from iopio_async.wire import observations as wire

VARIABLE = "IOPIO_KEEP_TRACES"


def keep_trace(path: str, trace: bytes, include: Callable[[bytes, int], bytes]) -> None:
    """Append the trace of a process of the module at ``path`` to its copy, if copies are wanted.

    Raises:
        OSError: it can't be written, or what it includes can't be read.
    """
    folder = os.environ.get(VARIABLE)
    if folder:
        file = os.path.join(folder, f"{path.replace('/', '__')}.trace")
        with open(file, "ab") as copy:
            copy.write(_with_included(trace, include))


def _with_included(trace: bytes, include: Callable[[bytes, int], bytes]) -> bytes:
    pieces = []
    for letter, fields in wire.decode(trace)[0]:
        if letter == wire.INCLUDE:
            pieces.append(_with_included(include(fields[0], int(fields[1])), include))
        else:
            pieces.append(wire.encode(letter, *fields))
    return b"".join(pieces)
