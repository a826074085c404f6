"""What lies in a cache, file by file: what statistics, verification and collection go through.

Everything may change at any moment, since runs read and write meanwhile: what has gone when it is
looked at was never there.
"""

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from iopio_async import state
from iopio_async.cache import entries
from iopio_async.cache.reader import SHARD_CHARS
from iopio_async.errors import InfrastructureError
from iopio_async.model.trace import ActionEntry


class Found(NamedTuple):
    """A file of an area: its name, its place, and its status when it was come across."""

    name: str
    file: str
    status: os.stat_result

    @property
    def is_honest(self) -> bool:
        """Whether it may be what its name and place say."""
        shard = os.path.basename(os.path.dirname(self.file))
        return (
            entries.is_digest(self.name)
            and self.name.startswith(shard)
            and stat.S_ISREG(self.status.st_mode)
        )

    @property
    def is_temporary(self) -> bool:
        """Whether it is being written, or was when its writer was killed."""
        return self.name.startswith(state.TEMPORARY_PREFIX)

    @property
    def is_hidden(self) -> bool:
        """Whether it is no content, but a lock or the like."""
        return self.name.startswith(".")

    def used_s(self, now_s: float) -> float:
        """When it was last of use, or written; never in the future."""
        return min(now_s, max(self.status.st_atime, self.status.st_mtime))

    def age_s(self, now_s: float) -> float:
        """Seconds since it was written; dates in the future count as now."""
        return max(0.0, now_s - self.status.st_mtime)


def files_of(folder: str, area: str) -> Iterator[Found]:
    """All files of ``ac`` or ``cas``, hidden ones too, shard by shard.

    Raises:
        InfrastructureError: the folder can't be trusted, or can't be listed.
    """
    if not state.is_there(folder, area):
        return
    place = state.path(folder, area)
    for shard in sorted(_names(place)):
        if len(shard) == SHARD_CHARS and state.is_there(folder, area, shard):
            yield from files_in(os.path.join(place, shard))


def files_in(place: str) -> Iterator[Found]:
    """All files right in a folder; none where there is no such folder.

    Raises:
        InfrastructureError: it can't be listed.
    """
    for name in sorted(_names(place)):
        file = os.path.join(place, name)
        try:
            yield Found(name, file, os.lstat(file))
        except OSError:
            continue


def read_entry(found: Found) -> ActionEntry | None:
    """The entry in a file; ``None`` where another version wrote it.

    Raises:
        DamagedError: it is not what was written.
        OSError: it can't be read, or has gone.
    """
    if not found.is_honest:
        raise entries.DamagedError("it is not a file that iopio wrote")
    return entries.decode(state.read(found.file), found.name)


def _names(place: str) -> list[str]:
    try:
        return os.listdir(place)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        # What can't be seen is not gone.
        raise InfrastructureError(f"{place} can't be listed: {error.strerror or error}") from error
