"""The functions of sources, remembered by the digest of the whole file.

Parsing takes a hundred times as long as hashing; so what a version of a file was found to hold is
kept for later runs. It is loaded when it is first needed: a run in which nothing changed needs
none.
"""

import sys
from collections.abc import Callable
from hashlib import sha256

import msgspec

from iopio_async.analysis.scopes import Scopes, read_scopes

#: Digests of scopes can be compared only within one version of Python. The number is counted up
#: whenever they are made in another way.
FORMAT = f"1 {sys.version_info[0]}.{sys.version_info[1]}"

#: The versions of files that are remembered; the oldest are forgotten first.
MOST_REMEMBERED = 20_000

_Memory = tuple[str, dict[str, Scopes | None]]
_decoder: msgspec.msgpack.Decoder[_Memory] = msgspec.msgpack.Decoder(_Memory)


class ScopeMemory:
    """SHA-256 of a source → its scopes. ``load`` gives what an earlier memory saved."""

    def __init__(self, load: Callable[[], bytes] = bytes) -> None:
        self._load = load
        self._known: dict[str, Scopes | None] | None = None
        self._learnt = False

    def of(self, digest: str, read: Callable[[], bytes | None]) -> Scopes | None:
        """The scopes of the source with this digest; ``read`` reads it.

        None where it does not compile, or is another one by now.
        """
        if self._known is None:
            self._known = _decode(self._load())
        if digest not in self._known:
            source = read()
            if source is None or sha256(source).hexdigest() != digest:
                return None
            self._known[digest] = read_scopes(source)
            self._learnt = True
        return self._known[digest]

    def save(self) -> bytes | None:
        """The memory as bytes; None where nothing was learnt since it was loaded."""
        if not self._learnt or self._known is None:
            return None
        kept = dict(list(self._known.items())[-MOST_REMEMBERED:])
        return msgspec.msgpack.encode((FORMAT, kept))


def _decode(data: bytes) -> dict[str, Scopes | None]:
    try:
        version, known = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return known if version == FORMAT else {}
