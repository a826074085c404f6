"""The trace file: each observation is appended once, in one write, before the thing happens.

Only the functions that a worker itself begins are held back for a while: they are by far the most,
and a worker that does not come to its end has no result that could be stored. In what it forks or
starts, which tests may kill at any time, they are written one by one as well.

The set of what was told is inherited by forks, as the file is. Whatever a test does to descriptors,
records go to the file or nowhere else: its identity is looked at before each write. Where a record
can't be written the file is removed, since a trace with a hole in it must not be believed.
"""

import fcntl
import os

from iopio_async.wire.observations import BEGIN, CODE, INCLUDE, MAX_RECORD_BYTES, OPAQUE, encode

# Bound before any test can patch them; those of ``os`` that ``stats`` wraps are the true ones here.
_open, _close, _write, _fstat, _unlink = os.open, os.close, os.write, os.fstat, os.unlink
_fcntl, _getpid = fcntl.fcntl, os.getpid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_APPENDING = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC

#: The tracer's descriptor has a number from here on: tests expect the low ones to be free.
LOWEST_DESCRIPTOR = 64

#: So many functions are held back.
HELD_AT_MOST = 500

#: No reason that is told is longer.
MAX_REASON_BYTES = 1000


class Record:
    """The trace of this process. Nothing is told while it is ``quiet``."""

    def __init__(self) -> None:
        self.quiet = True
        self.file = ""
        self._descriptor = -1
        self._identity = (-1, -1)
        #: What the file holds already.
        self.told: set[bytes] = set()
        #: Whether functions are held back, and those that are.
        self._holding = False
        self._held: list[bytes] = []
        #: What is to be done before the worker takes itself apart.
        self.last: Callable[[], None] = self.release

    @property
    def size_bytes(self) -> int:
        """How long the file is by now."""
        return _fstat(self._descriptor).st_size if self._descriptor >= 0 else 0

    @property
    def reached(self) -> bool:
        """True where there is a file to append to."""
        return self._descriptor >= 0

    def begin(
        self,
        file: str,
        functions: bool,
        include: tuple[str, int] | None = None,
        create: bool = True,
    ) -> None:
        """Append to ``file`` from here on; ``include`` is what of another trace comes before."""
        self.end()
        self.file = file
        try:
            self._reach(os.O_CREAT if create else 0)
        except OSError:
            return
        records = [encode(BEGIN, b"%d" % _getpid(), b"1" if functions else b"")]
        if include is not None:
            records.append(encode(INCLUDE, os.fsencode(include[0]), b"%d" % include[1]))
        self._append(b"".join(records))
        self.quiet = self._descriptor < 0

    def hold(self) -> None:
        """Hold functions back from here on, until :meth:`release`."""
        self._holding = True

    def release(self) -> None:
        """Write what is held back, and hold nothing back any more."""
        self._holding = False
        self.flush()

    def flush(self) -> None:
        """Write what is held back."""
        pieces = []
        # Other threads may go on adding to it.
        while self._held:
            pieces.append(self._held.pop())
        if pieces and not self.quiet:
            self._append(b"".join(pieces))

    def end(self) -> None:
        """Tell nothing any more."""
        self.quiet = True
        # What a test has put in its place is not ours to close.
        if self._is_reached():
            _close(self._descriptor)
        self._descriptor = -1

    def tell(self, letter: bytes, *fields: bytes) -> None:
        """Append an observation, unless it was told before."""
        if self.quiet:
            return
        record = encode(letter, *fields)
        if record in self.told:
            return
        if len(record) > MAX_RECORD_BYTES:
            record = encode(OPAQUE, b"an observation is too long to be told")
        self._append(record)
        # Only now: a signal handler may raise while it is being written.
        self.told.add(record)

    def tell_function(self, *fields: bytes) -> None:
        """Append a function that is begun, or hold it back."""
        record = encode(CODE, *fields)
        if not self._holding:
            self.tell(CODE, *fields)
        elif record not in self.told:
            self.told.add(record)
            self._held.append(record)
            if len(self._held) >= HELD_AT_MOST:
                self.flush()

    def tell_reason(self, letter: bytes, reason: str) -> None:
        """Append a reason, in words."""
        text = reason.replace("\0", "").encode("utf-8", "backslashreplace")
        self.tell(letter, text[:MAX_REASON_BYTES])

    def _append(self, data: bytes) -> None:
        try:
            if not self._is_reached():
                self._reach(0)
            if _write(self._descriptor, data) == len(data):
                return
        except OSError:
            pass
        self._give_up()

    def _is_reached(self) -> bool:
        try:
            status = _fstat(self._descriptor)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def _reach(self, flags: int) -> None:
        quiet, self.quiet = self.quiet, True
        descriptor = _open(self.file, _APPENDING | flags, 0o600)
        try:
            private = _fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LOWEST_DESCRIPTOR)
        except OSError:
            # The limit on descriptors is below that.
            private = descriptor
        else:
            _close(descriptor)
        status = _fstat(private)
        self._descriptor, self._identity = private, (status.st_dev, status.st_ino)
        self.quiet = quiet

    def _give_up(self) -> None:
        self.quiet = True
        self._descriptor = -1
        try:  # noqa: SIM105 - contextlib would have to be loaded
            _unlink(self.file)
        except OSError:
            pass


#: The one of this process.
record = Record()
