"""``iopio cache stats``, ``verify`` and ``clear``: a cache looked at, and thrown away.

Neither of the first two changes anything; whatever was damaged is moved aside when a run reads it.
Clearing takes the same locks as writing does, so what a run adds at the same time either goes as a
whole or stays as a whole. History (durations, failures, journals) is no part of the cache.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from iopio_async import state
from iopio_async.cache import entries, test_results
from iopio_async.cache.census import Found, files_in, files_of, read_entry
from iopio_async.cache.index import INDEX, SCOPES, is_damaged
from iopio_async.cache.reader import ACTIONS, BLOBS, LOCK, QUARANTINE, RECEIPTS, SECRET, TESTS
from iopio_async.errors import InfrastructureError
from iopio_async.planning.overrides import matches

#: Files beside the areas that are made from what is found elsewhere, and can be made again.
DERIVED = (INDEX, SCOPES, "digests", "scopes", "outputs")

#: So long clearing waits for runs that write.
LOCK_DEADLINE_S = 5.0


class Stats(NamedTuple):
    """What a cache holds. Times are seconds since the epoch, 0 where there is no result."""

    entries: int = 0
    #: Modules that have entries: one for each way in which they were run.
    modules: int = 0
    results: int = 0
    #: Tests that plain pytest can replay.
    tests: int = 0
    #: Results that have ended.
    ended: int = 0
    #: Modules of which at least one way's last result was not stored.
    refused: int = 0
    blobs: int = 0
    #: All of it, the index and what was put aside included.
    size_bytes: int = 0
    #: Damaged files that were put aside.
    aside: int = 0
    oldest_s: float = 0.0
    newest_s: float = 0.0


class Bad(NamedTuple):
    """A file that is not what it should be."""

    file: str
    why: str


class Verification(NamedTuple):
    """What was read, and what of it is bad.

    ``incomplete`` results need a blob that has gone, ``foreign`` entries are of another version:
    both are misses, and in order.
    """

    entries: int
    blobs: int
    bad: tuple[Bad, ...]
    incomplete: int
    foreign: int


def stats(folder: str, *, now_s: float | None = None) -> Stats:
    """Count what the cache in ``folder`` holds.

    Raises:
        InfrastructureError: the folder can't be trusted.
    """
    now_s = time.time() if now_s is None else now_s
    size_bytes = count = ended = 0
    modules: set[str] = set()
    refused: set[str] = set()
    times_s: list[float] = []
    for found in files_of(folder, ACTIONS):
        size_bytes += found.status.st_size
        if not found.is_honest:
            continue
        count += 1
        with contextlib.suppress(OSError, entries.DamagedError):
            entry = read_entry(found)
            if entry is not None:
                modules.add(entry.module)
                if entry.refusal:
                    refused.add(entry.module)
                times_s += (result.executed_at_s for result in entry.results)
                ended += sum(result.expires_at_s <= now_s for result in entry.results)
    tests = 0
    for found in files_of(folder, TESTS):
        size_bytes += found.status.st_size
        stored = test_results.read(found.file) if found.is_honest else None
        tests += len(stored.tests) if stored is not None else 0
    blobs = [found for found in files_of(folder, BLOBS) if found.is_honest]
    aside = list(files_in(state.path(folder, QUARANTINE)))
    beside = [each for each in files_in(state.path(folder)) if each.name in DERIVED]
    size_bytes += sum(each.status.st_size for each in (*blobs, *aside, *beside))
    return Stats(
        entries=count,
        modules=len(modules),
        results=len(times_s),
        tests=tests,
        ended=ended,
        refused=len(refused),
        blobs=len(blobs),
        size_bytes=size_bytes,
        aside=len(aside),
        oldest_s=min(times_s, default=0.0),
        newest_s=max(times_s, default=0.0),
    )


def verify(folder: str) -> Verification:
    """Read all of the cache in ``folder``, and tell what is bad.

    Raises:
        InfrastructureError: the folder can't be trusted.
    """
    bad: list[Bad] = []
    needs: list[set[str]] = []
    count = foreign = 0
    # Entries first: a run that writes meanwhile writes the blobs first.
    for found in _content(folder, ACTIONS):
        with _judged(found, bad):
            entry = read_entry(found)
            count += 1
            foreign += entry is None
            needs += map(entries.blobs_of_result, entry.results if entry else ())
    blobs = set()
    for found in _content(folder, TESTS):
        with _judged(found, bad):
            if test_results.read(found.file) is None:
                raise entries.DamagedError("it is not what was written")
    for found in _content(folder, BLOBS):
        with _judged(found, bad):
            if not found.is_honest:
                raise entries.DamagedError("it is not a file that iopio wrote")
            if entries.digest_of(state.read(found.file)) != found.name:
                raise entries.DamagedError("its checksum is wrong")
            blobs.add(found.name)
    for found in files_in(state.path(folder)):
        if found.name in {INDEX, SCOPES}:
            with _judged(found, bad):
                if is_damaged(state.read(found.file)):
                    raise entries.DamagedError("its checksum is wrong")
    incomplete = sum(not names <= blobs for names in needs)
    return Verification(count, len(blobs), tuple(bad), incomplete, foreign)


def clear(folder: str, modules: Sequence[str] = ()) -> int:
    """Forget the results of the modules that one of the globs matches, or all; how many modules.

    An entry that can't be read is of a module of its own.

    Raises:
        InfrastructureError: the folder can't be trusted or written, or another run holds a lock.
    """
    removed: set[str] = set()
    try:
        if state.is_there(folder):
            # First, whatever would answer without looking at an entry.
            _unlink_all(_answers(folder))
        for found in list(_content(folder, ACTIONS)):
            module = _module_of(found)
            if modules and not (module and any(matches(glob, module) for glob in modules)):
                continue
            with _locked(found):
                os.unlink(found.file)
            removed.add(module or found.file)
        for found in list(_content(folder, TESTS)):
            stored = test_results.read(found.file)
            file = stored.file if stored is not None else None
            if modules and not (file and any(matches(glob, file) for glob in modules)):
                continue
            with _locked(found):
                os.unlink(found.file)
            removed.add(file or found.file)
        if not modules:
            _unlink_all(_content(folder, BLOBS))
            _unlink_all(files_in(state.path(folder, QUARANTINE)))
        if state.is_there(folder):
            _unlink_all(_answers(folder))
    except OSError as error:
        raise InfrastructureError(
            f"{folder} can't be cleared: {error.strerror or error}",
            hint="remove the folder itself",
        ) from error
    return len(removed)


def _content(folder: str, area: str) -> Iterator[Found]:
    return (found for found in files_of(folder, area) if not found.is_hidden)


@contextlib.contextmanager
def _judged(found: Found, bad: list[Bad]) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        # Replaced or collected meanwhile.
        pass
    except entries.DamagedError as error:
        bad.append(Bad(found.file, str(error)))
    except OSError as error:
        bad.append(Bad(found.file, error.strerror or str(error)))


def _module_of(found: Found) -> str | None:
    """The module that an entry is of; ``None`` where it can't be read."""
    try:
        entry = read_entry(found)
    except (OSError, entries.DamagedError):
        return None
    return entry.module if entry is not None else None


def _answers(folder: str) -> Iterator[Found]:
    """What is made from entries, or tells what files held."""
    for found in files_in(state.path(folder)):
        if found.name in DERIVED:
            yield found
    if state.is_there(folder, RECEIPTS):
        for found in files_in(state.path(folder, RECEIPTS)):
            if found.name != SECRET:
                yield found


def _unlink_all(found: Iterable[Found]) -> None:
    for each in found:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(each.file)


@contextlib.contextmanager
def _locked(found: Found) -> Iterator[None]:
    """Hold the lock of an entry's shard; what has gone meanwhile is well.

    Raises:
        InfrastructureError: somebody else holds it beyond the deadline.
    """
    lock = os.path.join(os.path.dirname(found.file), LOCK)
    with state.taken(lock, deadline_s=LOCK_DEADLINE_S), contextlib.suppress(FileNotFoundError):
        yield
