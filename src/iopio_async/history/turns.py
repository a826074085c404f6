"""Taking turns at writing, where two runs at the same time add to the same part of the history.

Nobody waits long: what a run can't write in time it goes without.
"""

import contextlib
import os
import time
from collections.abc import Iterator

from iopio_async import state
from iopio_async.errors import InfrastructureError

#: So long a run waits for another one that is writing, before it goes without.
LOCK_DEADLINE_S = 0.5
_LOCK_PAUSE_S = 0.01


@contextlib.contextmanager
def taken(file: str, deadline_s: float = LOCK_DEADLINE_S) -> Iterator[None]:
    """Hold the lock that all writers of some part of the history take.

    Raises:
        InfrastructureError: somebody else holds it beyond the deadline.
        OSError: the file can't be opened.
    """
    descriptor = state.open_lock(file)
    try:
        until_s = time.monotonic() + deadline_s
        while not state.try_lock(descriptor):
            if time.monotonic() >= until_s:
                raise InfrastructureError(
                    f"another run holds {file}", hint="what this run has to add is not remembered"
                )
            time.sleep(_LOCK_PAUSE_S)
        yield
    finally:
        os.close(descriptor)
