"""What is stored of the tests of one file: their reports, and the inputs that these hold for.

One file of the cache for each test file (and way of running it). Tests of a file have most of their
inputs in common: each stands once in a table, and a test has their numbers. The first line vouches
for the rest; whatever is not in order reads as nothing.
"""

import contextlib
import os
from array import array
from collections.abc import Callable, Collection, Iterable, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from iopio_async import state
from iopio_async.cache.lifetime import holds, lifetime_s
from iopio_async.cache.reader import LOCK, SHARD_CHARS, TESTS
from iopio_async.errors import InfrastructureError
from iopio_async.model.trace import Input

#: Counted up whenever one version can not read, or must not trust, what another one wrote.
FORMAT_VERSION = 1

#: Results of one test that are kept, with different inputs.
KEPT_RESULTS = 4

#: So long a session waits for others that store results, before it goes without.
LOCK_DEADLINE_S = 5.0

_MARK = b"iopio tests %d " % FORMAT_VERSION
_NUMBERS = "I"


class RecordedWarning(msgspec.Struct, frozen=True, array_like=True):
    """A warning that was issued while a test ran; ``location`` is as pytest gives it."""

    module: str
    category: str
    text: str
    file: str
    line: int
    location: tuple[str, int, str] | None = None


class Story(msgspec.Struct, frozen=True, array_like=True):
    """What is told again of a test: reports as pytest serialises them, and warnings."""

    reports: list[dict[str, Any]]
    warnings: list[RecordedWarning] = []


class Result(msgspec.Struct, frozen=True, array_like=True):
    """One execution of a test. ``numbers`` of inputs are packed; times as in ``StoredResult``."""

    numbers: bytes
    story: Story
    executed_at_s: float
    expires_at_s: float

    def first_among(self, inputs: Collection[int]) -> int | None:
        """The first of its inputs that is one of these; ``None`` where it has none of them."""
        if not inputs:
            return None
        return next((each for each in array(_NUMBERS, self.numbers) if each in inputs), None)


class TestFile(msgspec.Struct, array_like=True):
    """What is stored under one key: the results of each test, the newest first."""

    __test__ = False

    key: str
    file: str
    inputs: list[Input]
    tests: dict[str, list[Result]]

    @property
    def ends_s(self) -> float:
        """When the last of its results ends, in seconds since the epoch."""
        results = (each for kept in self.tests.values() for each in kept)
        return max((each.expires_at_s for each in results), default=0.0)


class Fresh(msgspec.Struct, frozen=True):
    """A result that is to be stored."""

    inputs: tuple[Input, ...]
    story: Story


_decoder: msgspec.msgpack.Decoder[TestFile] = msgspec.msgpack.Decoder(TestFile)


def encode(stored: TestFile) -> bytes:
    """The bytes that :func:`decode` reads.

    Raises:
        TypeError, UnicodeError: a report holds what can't be stored.
    """
    body = msgspec.msgpack.encode(stored)
    return _MARK + sha256(body).hexdigest().encode() + b"\n" + body


def decode(data: bytes) -> TestFile | None:
    """What was stored; ``None`` where this is not what was written, by this version."""
    line, _, body = data.partition(b"\n")
    if line != _MARK + sha256(body).hexdigest().encode():
        return None
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def read(file: str) -> TestFile | None:
    """What a file of the cache holds; ``None`` where that is nothing that can be used."""
    try:
        stored = decode(state.read(file))
    except OSError:
        return None
    return stored if stored is not None and stored.key == os.path.basename(file) else None


def merged(
    before: TestFile | None,
    key: str,
    file: str,
    fresh: Mapping[str, Fresh],
    *,
    executed_at_s: float,
    ttl_s: float,
) -> TestFile:
    """What is stored from now on; what has ended by ``executed_at_s`` is left out."""
    table: dict[Input, int] = {}

    def packed(inputs: Iterable[Input]) -> bytes:
        return array(_NUMBERS, (table.setdefault(each, len(table)) for each in inputs)).tobytes()

    tests: dict[str, list[Result]] = {}
    for test, new in fresh.items():
        expires_at_s = executed_at_s + lifetime_s(f"{key} {test}", ttl_s)
        tests[test] = [Result(packed(new.inputs), new.story, executed_at_s, expires_at_s)]
    for test, results in before.tests.items() if before else ():
        kept = tests.setdefault(test, [])
        for each in results:
            if each.expires_at_s <= executed_at_s or len(kept) >= KEPT_RESULTS:
                continue
            inputs = before.inputs if before else []
            numbers = packed(inputs[number] for number in array(_NUMBERS, each.numbers))
            if all(other.numbers != numbers for other in kept):
                kept.append(msgspec.structs.replace(each, numbers=numbers))
    return TestFile(key, file, list(table), {test: each for test, each in tests.items() if each})


class TestStore:
    """The stored results of a cache's folder. ``warn`` is told, once, why nothing is written."""

    __test__ = False

    def __init__(self, folder: str, warn: Callable[[str], None], ttl_s: float) -> None:
        self.folder = folder
        self._warn = warn
        self._ttl_s = ttl_s
        self._writes = True

    def load(self, key: str) -> TestFile | None:
        """What is stored under a key; ``None`` where nothing is that can be used."""
        with contextlib.suppress(InfrastructureError):
            if state.is_there(self.folder, TESTS, key[:SHARD_CHARS]):
                return read(self._file(key))
        return None

    def holding(
        self, stored: TestFile, test: str, changed: Collection[int], now_s: float
    ) -> Story | int | None:
        """The newest result of a test that holds where just these inputs have changed.

        Where none holds, the number of the first input that changed; ``None`` where there is none.
        """
        first: int | None = None
        longest_s = lifetime_s(f"{stored.key} {test}", self._ttl_s)
        for result in stored.tests.get(test, ()):
            is_living = holds(
                result.executed_at_s, result.expires_at_s, now_s=now_s, longest_s=longest_s
            )
            if not is_living:
                continue
            number = result.first_among(changed)
            if number is None:
                return result.story
            first = number if first is None else first
        return first

    def save(self, key: str, file: str, fresh: Mapping[str, Fresh], executed_at_s: float) -> None:
        """Add results to those that are stored under a key by then."""
        if not self._writes:
            return
        try:
            state.ensure(self.folder, TESTS, key[:SHARD_CHARS])
            lock = os.path.join(os.path.dirname(self._file(key)), LOCK)
            # Sessions at the same time merge what they store.
            with state.taken(lock, deadline_s=LOCK_DEADLINE_S):
                before = self.load(key)
                stored = merged(
                    before, key, file, fresh, executed_at_s=executed_at_s, ttl_s=self._ttl_s
                )
                with contextlib.suppress(TypeError, ValueError):
                    state.write_atomically(self._file(key), encode(stored))
        except InfrastructureError as error:
            self._stop(error.message)
        except OSError as error:
            self._stop(f"{self.folder}: {error.strerror or error}")

    def _stop(self, reason: str) -> None:
        self._writes = False
        self._warn(f"results of tests are not kept: {reason}")

    def _file(self, key: str) -> str:
        return state.path(self.folder, TESTS, key[:SHARD_CHARS], key)
