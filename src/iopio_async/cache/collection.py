"""Garbage collection: down to a size, the least recently used first.

Entries are looked at from the one that was used last to the one that was not for longest, and kept
as long as they and the blobs that they need fit. An entry with nothing in it that holds still goes
once nobody has asked for it for a day. Then blobs that no kept entry names are swept. What was
written or used within the grace period stays in any case: a run may be about to name it.

Runs read and write meanwhile, and never wait for this. A blob is moved to a temporary name first,
looked at again, and put back where a writer has renewed it in that moment; an entry is removed
under the lock that its writers take. To a reader all of it is a miss.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from typing import NamedTuple

from iopio_async import state
from iopio_async.cache import entries
from iopio_async.cache.census import Found, files_in, files_of, read_entry
from iopio_async.cache.reader import ACTIONS, BLOBS, LOCK, QUARANTINE, RECEIPTS, SECRET, TESTS
from iopio_async.errors import InfrastructureError
from iopio_async.model.trace import ActionEntry

#: 1 GiB.
MOST_BYTES = 1 << 30

#: What is younger is not touched.
GRACE_S = 3600.0

#: Entries of which nothing holds are kept so long after their last use: they say what changed.
KEPT_ENDED_S = 86_400.0

#: Damaged files are kept so long for whoever wants to know, and answers to whole commands, too.
KEPT_BESIDE_S = 7 * 86_400.0

#: Collected so often, where nobody asks for it.
COLLECTED_EVERY_S = 86_400.0

#: When garbage was last collected: this file's time of modification.
_STAMP = "collected"


class Collected(NamedTuple):
    """What was removed, and the size of what is left."""

    entries: int
    blobs: int
    #: Temporary files that were left behind, and others that have lain beside for long.
    remnants: int
    freed_bytes: int
    left_bytes: int


class _Kept(NamedTuple):
    found: Found
    entry: ActionEntry | None
    #: When the last of its results ends, in seconds since the epoch.
    ends_s: float = float("inf")


def is_due(folder: str, *, now_s: float | None = None) -> bool:
    """Say whether it is time for a collection; not where there is no cache."""
    now_s = time.time() if now_s is None else now_s
    try:
        if not (state.is_there(folder, ACTIONS) or state.is_there(folder, TESTS)):
            return False
        collected_s = os.stat(state.path(folder, _STAMP)).st_mtime
    except FileNotFoundError:
        return True
    except (OSError, InfrastructureError):
        return False
    return not 0 <= now_s - collected_s < COLLECTED_EVERY_S


def collect(
    folder: str,
    *,
    most_bytes: int = MOST_BYTES,
    grace_s: float = GRACE_S,
    now_s: float | None = None,
) -> Collected:
    """Remove what is of least use, until what is left of the cache in ``folder`` fits.

    Raises:
        InfrastructureError: the folder can't be trusted or written.
    """
    now_s = time.time() if now_s is None else now_s
    try:
        return _collect(folder, most_bytes, grace_s, now_s)
    except OSError as error:
        raise InfrastructureError(
            f"{folder} can't be tidied up: {error.strerror or error}"
        ) from error


def _collect(folder: str, most_bytes: int, grace_s: float, now_s: float) -> Collected:
    if state.is_there(folder):
        state.write_atomically(state.path(folder, _STAMP), b"")
    remnants = freed_bytes = 0
    for old in _remnants(folder, grace_s, now_s):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(old.file)
            remnants += 1
            freed_bytes += old.status.st_size
    # Blobs before entries: what a run stores from now on is younger than what is known here.
    blobs = {found.name: found for found in files_of(folder, BLOBS) if found.is_honest}
    used = sorted(
        (*_entries(folder), *_test_files(folder)),
        key=lambda kept: kept.found.used_s(now_s),
        reverse=True,
    )
    needed: set[str] = set()
    left_bytes = removed = 0
    for found, entry, ends_s in used:
        names = entries.blobs_of(entry) if entry else set[str]()
        more = {name: blobs[name] for name in names - needed if name in blobs}
        size_bytes = found.status.st_size + sum(each.status.st_size for each in more.values())
        unused_s = now_s - found.used_s(now_s)
        fits = left_bytes + size_bytes <= most_bytes
        is_wanted = fits and not (ends_s <= now_s and unused_s > KEPT_ENDED_S)
        if unused_s > grace_s and not is_wanted and _remove_entry(found):
            removed += 1
            freed_bytes += found.status.st_size
        else:
            needed |= names
            left_bytes += size_bytes
    swept = 0
    for name, found in blobs.items():
        if name not in needed and found.age_s(now_s) > grace_s and _sweep(found, grace_s, now_s):
            swept += 1
            freed_bytes += found.status.st_size
    return Collected(removed, swept, remnants, freed_bytes, left_bytes)


def _entries(folder: str) -> Iterator[_Kept]:
    for found in files_of(folder, ACTIONS):
        if not found.is_honest:
            continue
        try:
            entry = read_entry(found)
        except FileNotFoundError:
            continue
        except (OSError, entries.DamagedError):
            # A run that reads it puts it aside; it counts by its size until then.
            yield _Kept(found, None)
            continue
        results = entry.results if entry is not None else ()
        yield _Kept(found, entry, max((each.expires_at_s for each in results), default=0.0))


def _test_files(folder: str) -> Iterator[_Kept]:
    from iopio_async.cache import test_results

    for found in files_of(folder, TESTS):
        if found.is_honest:
            stored = test_results.read(found.file)
            yield _Kept(found, None, stored.ends_s if stored is not None else 0.0)


def _remnants(folder: str, grace_s: float, now_s: float) -> Iterator[Found]:
    """Files that killed writers left, and what has lain beside for so long that nobody asks."""
    if not state.is_there(folder):
        return
    for area in (ACTIONS, BLOBS, TESTS):
        yield from _abandoned(files_of(folder, area), grace_s, now_s)
    for place in (folder, state.path(folder)):
        yield from _abandoned(files_in(place), grace_s, now_s)
    for beside in (QUARANTINE, RECEIPTS):
        if state.is_there(folder, beside):
            for found in files_in(state.path(folder, beside)):
                if found.name != SECRET and now_s - found.status.st_ctime > KEPT_BESIDE_S:
                    yield found


def _abandoned(files: Iterator[Found], grace_s: float, now_s: float) -> Iterator[Found]:
    return (each for each in files if each.is_temporary and each.age_s(now_s) > grace_s)


def _remove_entry(found: Found) -> bool:
    """Remove an entry, unless somebody is writing in its shard or has written it since."""
    descriptor = state.open_lock(os.path.join(os.path.dirname(found.file), LOCK))
    try:
        if not state.try_lock(descriptor):
            return False
        now = os.lstat(found.file)
        if (now.st_ino, now.st_mtime_ns) != (found.status.st_ino, found.status.st_mtime_ns):
            return False
        os.unlink(found.file)
    except FileNotFoundError:
        return False
    finally:
        os.close(descriptor)
    return True


def _sweep(found: Found, grace_s: float, now_s: float) -> bool:
    """Remove a blob, unless a writer has renewed it since it was looked at."""
    aside = state.temporary_beside(found.file)
    try:
        os.rename(found.file, aside)
        renewed = os.lstat(aside).st_mtime
    except FileNotFoundError:
        return False
    if now_s - renewed <= grace_s:
        os.replace(aside, found.file)
        return False
    os.unlink(aside)
    return True
