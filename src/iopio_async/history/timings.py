"""How long each test of a module takes, small enough to be kept for every test there is.

A duration is one byte on a logarithmic scale, which is right to within 4 %: whoever deals out tests
to processes needs no more. Beside it stands a number that tells which tests have to stay together,
since they share a fixture of their module or class; 0 is for a test that is on its own. A module
may also be *whole*: its tests need each other in a way that shows only when they are separated. A
file holds one module, names its path, and is compressed, since ids of tests repeat themselves.
"""

import hashlib
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import msgspec

from iopio_async.history import sealed

_MARK = b"iopio tests 1\n"

#: The shortest duration that is told from none, and the factor from one code to the next: the
#: last code stands for three hours.
_SHORTEST_S = 1e-5
_STEP = 1.085
_LAST_CODE = 255
_SECONDS = (0.0, *(_SHORTEST_S * _STEP**code for code in range(_LAST_CODE)))
_LOG_STEP = math.log(_STEP)

#: Timings hold as long as they are off by no more than this share of the whole, and this time.
_SHARE_OFF = 0.2
_MARGIN_S = 0.05

#: No honest file is larger once it is unpacked.
_MAX_BODY_BYTES = 1024 * 1024 * 1024


class _Body(msgspec.Struct, frozen=True, array_like=True):
    path: str
    ids: list[str]
    codes: bytes
    scopes: list[int] = []
    shared_s: float = 0.0
    whole: bool = False


class Collected(NamedTuple):
    """What a module's processes told of its tests: their ids in the order of collection.

    ``scopes``, ``shared_s`` and ``whole`` are as in :class:`TestTimings`.
    """

    tests: Sequence[str] = ()
    scopes: Mapping[str, int] = {}
    shared_s: float = 0.0
    whole: bool = False


class TestTimings:
    """Durations of a module's tests by printable id, in the order of their collection.

    ``scopes`` has a number for each test that must not be separated from those of its number;
    where the module is ``whole``, no test must be separated from any. ``shared_s`` is the part of
    the durations that each process has anew, since it goes into fixtures of the session.
    """

    __test__ = False

    def __init__(
        self,
        durations_s: Mapping[str, float] | None = None,
        scopes: Mapping[str, int] | None = None,
        *,
        shared_s: float = 0.0,
        whole: bool = False,
    ) -> None:
        self.durations_s: dict[str, float] = dict(durations_s or {})
        self.scopes: dict[str, int] = dict(scopes or {})
        self.shared_s = shared_s
        self.whole = whole

    @property
    def total_s(self) -> float:
        """The sum of all durations."""
        return sum(self.durations_s.values())

    def holds_for(self, newer: "TestTimings") -> bool:
        """True where a plan made from these timings is as good as one made from ``newer``."""
        if self.durations_s.keys() != newer.durations_s.keys() or self.scopes != newer.scopes:
            return False
        if newer.whole and not self.whole:
            return False
        off_s = abs(self.shared_s - newer.shared_s)
        off_s += sum(abs(self.durations_s[test] - s) for test, s in newer.durations_s.items())
        return off_s <= _SHARE_OFF * newer.total_s + _MARGIN_S

    def with_some(self, newer: "TestTimings") -> "TestTimings":
        """These timings with some tests' newly taken; numbers of scopes are each run's own."""
        return TestTimings(
            self.durations_s | newer.durations_s,
            self.scopes,
            shared_s=self.shared_s,
            whole=self.whole or newer.whole,
        )

    @classmethod
    def read(cls, folder: str, path: str) -> Self:
        """What ``folder`` holds of the module at ``path``; none where that is nothing."""
        body = sealed.read(_file(folder, path), _MARK)
        if body is None:
            return cls()
        unpacker = zlib.decompressobj()
        try:
            plain = unpacker.decompress(body, _MAX_BODY_BYTES)
            found = msgspec.msgpack.decode(plain, type=_Body)
        except (zlib.error, msgspec.DecodeError, UnicodeDecodeError):
            return cls()
        ids, codes, scopes = found.ids, found.codes, found.scopes
        if found.path != printable(path) or len(ids) != len(codes):
            return cls()
        durations_s = dict(zip(ids, map(_SECONDS.__getitem__, codes), strict=True))
        shared = zip(ids, scopes, strict=False)
        return cls(
            durations_s,
            {test: scope for test, scope in shared if scope},
            shared_s=found.shared_s if 0.0 <= found.shared_s < _SECONDS[-1] else 0.0,
            whole=found.whole,
        )

    def write(self, folder: str, path: str) -> None:
        """Replace what ``folder`` holds of the module at ``path``.

        Raises:
            OSError: it can't be written.
        """
        names = list(self.durations_s)
        body = _Body(
            path=printable(path),
            ids=names,
            codes=bytes(map(_code, self.durations_s.values())),
            scopes=[self.scopes.get(test, 0) for test in names] if self.scopes else [],
            shared_s=self.shared_s,
            whole=self.whole,
        )
        data = zlib.compress(msgspec.msgpack.encode(body), 1)
        sealed.write(_file(folder, path), _MARK, data)


def remove(folder: str, path: str) -> None:
    """Forget the module at ``path``.

    Raises:
        OSError: it can't be forgotten, or is unknown.
    """
    os.unlink(_file(folder, path))


def printable(text: str) -> str:
    """The text as it can be stored: what is not Unicode in a file's name is spelled out."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _code(duration_s: float) -> int:
    # The comparison is also false for what is not a number.
    if not duration_s >= _SHORTEST_S:
        return 0
    if duration_s >= _SECONDS[-1]:
        return _LAST_CODE
    return 1 + round(math.log(duration_s / _SHORTEST_S) / _LOG_STEP)


def _file(folder: str, path: str) -> str:
    name = hashlib.blake2b(printable(path).encode(), digest_size=16).hexdigest()
    return os.path.join(folder, name)
