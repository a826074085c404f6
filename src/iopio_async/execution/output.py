"""Keeps the head and the tail of a stream of any length, and its true size."""

from iopio_async.model.outcome import Captured

#: Stands at the end of a stream that was closed before the process ended.
CUT = "\n[closed here by the process itself, before its end]\n"


class OutputKeeper:
    """Takes chunks of bytes; holds at most ``limit_bytes`` of them (half head, half tail)."""

    def __init__(self, limit_bytes: int) -> None:
        self._head_bytes = limit_bytes // 2
        self._tail_bytes = limit_bytes - self._head_bytes
        self._head = bytearray()
        self._tail = bytearray()
        self.total_bytes = 0
        #: The process closed the stream and went on: what it wrote later is lost.
        self.cut = False

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk."""
        self.total_bytes += len(chunk)
        room = self._head_bytes - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        if chunk:
            self._tail += chunk[-self._tail_bytes :]
            # Cut now and then rather than each time, so that small chunks stay cheap.
            if len(self._tail) > 2 * self._tail_bytes:
                del self._tail[: -self._tail_bytes]

    def captured(self) -> Captured:
        """What was kept; bytes that are not UTF-8 are shown as escapes."""
        end = CUT if self.cut else ""
        kept_tail = self._tail[-self._tail_bytes :]
        kept_bytes = len(self._head) + len(kept_tail)
        if kept_bytes == self.total_bytes:
            whole = _text(bytes(self._head + kept_tail)) + end
            return Captured(whole, "", self.total_bytes, self.total_bytes)
        tail = _text(bytes(kept_tail)) + end
        return Captured(_text(bytes(self._head)), tail, self.total_bytes, kept_bytes)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
