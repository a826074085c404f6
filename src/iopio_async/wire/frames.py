"""Splits a byte stream into length-prefixed frames, bounded, in whatever pieces it arrives."""

import struct
import zlib
from collections.abc import Iterator

from iopio_async.errors import ProtocolError

#: The length of a frame's body, big-endian.
PREFIX = struct.Struct(">I")

#: No honest frame is longer: senders cut texts and split plans well below it.
MAX_FRAME_BYTES = 16 * 1024 * 1024


def frame(body: bytes) -> bytes:
    """One frame around ``body``."""
    return PREFIX.pack(len(body)) + body


def checksum(body: bytes, value: int = 0) -> int:
    """The running checksum over frame bodies that ``End`` carries (CRC-32)."""
    return zlib.crc32(body, value)


class FrameSplitter:
    """Feed it chunks, get whole frame bodies.

    Keeps at most one unfinished frame. A length beyond ``max_bytes`` is refused as soon as the
    prefix is there, before anything is stored for it.
    """

    def __init__(self, max_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max_bytes = max_bytes
        self._rest = b""

    @property
    def pending_bytes(self) -> int:
        """Bytes of an unfinished frame: not 0 at the end of a stream means it was cut."""
        return len(self._rest)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the bodies that ``chunk`` completes; to be iterated to its end.

        Raises:
            ProtocolError: a frame claims to be longer than the bound.
        """
        data = self._rest + chunk if self._rest else chunk
        position, end = 0, len(data)
        prefix_bytes = PREFIX.size
        try:
            while end - position >= prefix_bytes:
                (length,) = PREFIX.unpack_from(data, position)
                if length > self._max_bytes:
                    raise ProtocolError(
                        f"a frame claims {length} bytes, the bound is {self._max_bytes}",
                        hint="something wrote into the worker's result descriptor",
                    )
                if end - position - prefix_bytes < length:
                    break
                start = position + prefix_bytes
                position = start + length
                yield data[start:position]
        finally:
            self._rest = data[position:]
