"""How text reaches a stream that may be slow, blocked, closed or gone.

A terminal that was stopped with Ctrl-S, a pager that nobody scrolls, a pipe whose reader has left:
none of them may hold up the tests or end the command with a traceback. So writers only queue, and
one thread writes to the descriptor itself, past Python's buffered stream (a daemon thread that is
blocked inside a buffered stream would abort the interpreter at its end).

The queue is bounded in bytes. :meth:`Sink.write` never blocks: text that finds no room is left
out, and a line in its place says how much that was. :meth:`Sink.put` is for data and waits instead.

================== =======================================================================
what happens       what the sink does
================== =======================================================================
reader is gone     ``broken`` is set, ``on_broken`` is called once, the rest is discarded
stream is closed   the rest is discarded: somebody chose to have no output
any other error    ``fault`` keeps it, the rest is discarded; the owner must report it
================== =======================================================================
"""

import contextlib
import errno
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import TextIO

#: How much may wait to be written before text is left out.
LIMIT_BYTES = 8 * 1024 * 1024

#: A terminal that takes nothing for so long when all is said is left alone.
TERMINAL_STALL_S = 5.0

# A write to a terminal returns when all of it is taken: small pieces show that there is progress.
_TERMINAL_PIECE_BYTES = 4 * 1024
_PIECE_BYTES = 64 * 1024

_READER_GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ESHUTDOWN})
_CLOSED = frozenset({errno.EBADF, errno.EIO, errno.ENXIO})


class Sink:
    """A stream, written by a thread of its own.

    A stream without a descriptor (a buffer in memory) can't block and is written at once; ``None``
    takes everything and keeps nothing. ``on_broken`` is called from the writing thread.
    """

    def __init__(
        self,
        stream: TextIO | None,
        *,
        limit_bytes: int = LIMIT_BYTES,
        on_broken: Callable[[], None] | None = None,
    ) -> None:
        self.broken = False
        self.fault: OSError | None = None
        self.is_terminal = False
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._limit_bytes = limit_bytes
        self._on_broken = on_broken
        self._discards = stream is None
        self._descriptor = self._open(stream)
        self._queue: deque[bytes] = deque()
        self._backlog_bytes = 0
        self._written_bytes = 0
        self._left_out_bytes = 0
        self._closing = False
        self._done = False
        lock = threading.Lock()
        self._filled = threading.Condition(lock)
        self._drained = threading.Condition(lock)
        self._writer: threading.Thread | None = None

    def _open(self, stream: TextIO | None) -> int | None:
        if stream is None:
            return None
        if stream.closed:
            self._discards = True
            return None
        # What is wrong with the descriptor shows again at the first write, where it is handled.
        with contextlib.suppress(OSError):
            stream.flush()
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError, AttributeError):
            return None
        self.is_terminal = os.isatty(descriptor)
        return descriptor

    @property
    def backlog_bytes(self) -> int:
        """What waits to be written."""
        return self._backlog_bytes

    @property
    def full(self) -> bool:
        """True while :meth:`put` would wait."""
        return self._backlog_bytes > self._limit_bytes

    def write(self, text: str, *, keep: bool = False) -> bool:
        """Queue ``text``; False where it was left out for want of room.

        ``keep`` is for the few lines that must not be lost: they find room always.
        """
        if self._discards or not text:
            return not self._discards
        data = text.encode(self._encoding, "backslashreplace")
        if self._descriptor is None:
            self._write_at_once(data)
            return True
        with self._filled:
            room = self._backlog_bytes + len(data) <= self._limit_bytes
            if not (room or keep or not self._backlog_bytes):
                self._left_out_bytes += len(data)
                return False
            if self._left_out_bytes:
                self._append(self._notice())
            self._append(data)
        return True

    def put(self, data: bytes) -> None:
        """Queue ``data``, all of it; waits while there is no room for more."""
        if self._discards:
            return
        if self._descriptor is None:
            self._write_at_once(data)
            return
        with self._filled:
            while self._backlog_bytes > self._limit_bytes and not self._discards:
                self._drained.wait()
            self._append(data)

    def flush(self, stall_s: float | None = None) -> bool:
        """Wait until all is written; False if for ``stall_s`` nothing at all could be."""
        with self._drained:
            while self._backlog_bytes and not self._discards:
                before = self._written_bytes
                self._drained.wait(stall_s)
                if stall_s is not None and self._written_bytes == before and self._backlog_bytes:
                    return False
            return True

    def close(self, stall_s: float | None = None) -> bool:
        """Write what is left and end the thread; False if it had to be given up.

        Only the first call does anything: what was given up stays so.
        """
        if self._closing:
            return self._done
        with self._filled:
            if self._left_out_bytes and not self._discards:
                self._append(self._notice())
        self._done = self.flush(stall_s)
        with self._filled:
            self._closing = True
            self._discards = True
            self._filled.notify_all()
        if self._done and self._writer is not None:
            self._writer.join()
        return self._done

    def _notice(self) -> bytes:
        number, self._left_out_bytes = self._left_out_bytes, 0
        return f"\n[{number} bytes of output left out: nobody read them in time]\n".encode()

    def _append(self, data: bytes) -> None:
        if self._discards:
            return
        self._queue.append(data)
        self._backlog_bytes += len(data)
        if self._writer is None:
            self._writer = threading.Thread(target=self._run, name="iopio-sink", daemon=True)
            self._writer.start()
        self._filled.notify()

    def _write_at_once(self, data: bytes) -> None:
        stream = self._stream
        if stream is None:
            return
        try:
            stream.write(data.decode(self._encoding))
            stream.flush()
        except OSError as error:
            self._failed(error)
        except ValueError:  # It was closed meanwhile.
            self._discards = True

    def _run(self) -> None:
        limit = _TERMINAL_PIECE_BYTES if self.is_terminal else _PIECE_BYTES
        while True:
            with self._filled:
                while not self._queue and not self._closing:
                    self._filled.wait()
                if not self._queue:
                    return
                piece = self._take(limit)
            try:
                self._write_piece(piece)
            except OSError as error:
                self._failed(error)
                return

    def _take(self, limit: int) -> bytes:
        pieces = [self._queue.popleft()]
        length = len(pieces[0])
        while self._queue and length + len(self._queue[0]) <= limit:
            pieces.append(self._queue.popleft())
            length += len(pieces[-1])
        return b"".join(pieces) if len(pieces) > 1 else pieces[0]

    def _write_piece(self, piece: bytes) -> None:
        descriptor = self._descriptor
        if descriptor is None:
            return
        limit = _TERMINAL_PIECE_BYTES if self.is_terminal else _PIECE_BYTES
        rest = memoryview(piece)
        while rest:
            try:
                written = os.write(descriptor, rest[:limit])
            except BlockingIOError:
                # Some other program has made the shared terminal non-blocking.
                poller = select.poll()
                poller.register(descriptor, select.POLLOUT)
                poller.poll()
                continue
            rest = rest[written:]
            with self._drained:
                self._backlog_bytes -= written
                self._written_bytes += written
                self._drained.notify_all()

    def _failed(self, error: OSError) -> None:
        with self._drained:
            self._discards = True
            self._queue.clear()
            self._backlog_bytes = 0
            if error.errno in _READER_GONE:
                self.broken = True
            elif error.errno not in _CLOSED:
                self.fault = error
            self._drained.notify_all()
        if self.broken and self._on_broken is not None:
            self._on_broken()
