"""What goes wrong with a cache in one run: warned of once, and what is given up because of it.

=============  ============================================  =====================================
fault          for instance                                  from then on
=============  ============================================  =====================================
damaged        a checksum is wrong, an entry is a link       that file is moved aside: a miss
unreadable     an input/output error, no permission          that file is a miss
unwritable     no space, a read-only file system, a lock     nothing is written; reading goes on
               that is never given back
off            the folder can't be trusted, or every         neither read nor written
               operation takes half a second
=============  ============================================  =====================================

None of it changes what a run says of the tests, nor its exit code.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: An operation that takes so long is a slow one; so many of them in a row, and the cache is off.
SLOW_OPERATION_S = 0.5
SLOW_IN_A_ROW = 3


class Faults:
    """Warns once of each kind of fault. ``clock_s`` is a monotonic clock.

    ``off`` says why the cache is neither read nor written any more, ``unwritable`` why it is not
    written; both are ``""`` in good order.
    """

    def __init__(
        self, warn: Callable[[str], None], clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._warn = warn
        self._clock_s = clock_s
        self._warned: set[str] = set()
        self._slow = 0
        self.off = ""
        self.unwritable = ""

    @property
    def writes(self) -> bool:
        """Whether anything is to be written still."""
        return not (self.off or self.unwritable)

    def damaged(self, file: str, why: str) -> None:
        """A file is not what was written, and was moved aside if that was possible."""
        self._tell("damaged", f"the cached result {file} is damaged and not used: {why}")

    def unreadable(self, file: str, error: OSError) -> None:
        """A file could not be read."""
        reason = error.strerror or str(error)
        self._tell("unreadable", f"the cached result {file} can't be read: {reason}")

    def stop_writing(self, reason: str) -> None:
        """Nothing can be written, for the rest of the run."""
        if self.writes:
            self.unwritable = reason
            self._tell("unwritable", f"results are not cached any more in this run: {reason}")

    def switch_off(self, reason: str) -> None:
        """The cache can't be used at all, for the rest of the run."""
        if not self.off:
            self.off = reason
            self._tell("off", f"the cache is not used any more in this run: {reason}")

    @contextmanager
    def operation(self) -> Iterator[None]:
        """Take the time of one operation on the disk."""
        start_s = self._clock_s()
        try:
            yield
        finally:
            if self._clock_s() - start_s < SLOW_OPERATION_S:
                self._slow = 0
            else:
                self._slow += 1
                if self._slow >= SLOW_IN_A_ROW:
                    self.switch_off(
                        f"{self._slow} operations in a row took {SLOW_OPERATION_S} s or more"
                    )

    def _tell(self, kind: str, message: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            self._warn(message)
