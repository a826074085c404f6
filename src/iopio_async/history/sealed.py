"""Files that say themselves whether they are whole: a mark, a checksum, then the body.

The mark names the format and its version, so a file of another kind or version is not read by
mistake. What is cut, changed or strange in any way reads as if it were not there; writing replaces
a file as a whole. The checksum is against accidents, not against malice: whoever may write here
may as well write a valid file, so readers still check what they are told.
"""

import zlib

from iopio_async import state

_CHECKSUM_BYTES = 4

#: So long a run waits for another one that is writing, before it goes without.
LOCK_DEADLINE_S = 0.5
HINT_LATE = "what this run has to add is not remembered"


def write(file: str, mark: bytes, body: bytes) -> None:
    """Replace ``file`` by one that holds ``body``.

    Raises:
        OSError: it can't be written; what was there before is there still.
    """
    state.write_atomically(file, mark + _checksum(body) + body)


def read(file: str, mark: bytes) -> bytes | None:
    """The body of ``file``, or ``None`` where there is no whole file of this mark."""
    try:
        data = state.read(file)
    except OSError:
        return None
    start = len(mark) + _CHECKSUM_BYTES
    body = data[start:]
    if len(data) < start or data[:start] != mark + _checksum(body):
        return None
    return body


def _checksum(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "big")
