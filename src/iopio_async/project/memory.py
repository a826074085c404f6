"""How much memory is free for the tests: what a module's usual peak is held against.

The machine's figure is the kernel's own estimate of what can be had without swapping. A control
group, or any group above it, may allow less: its limit, less what it uses; caches of files count as
free there, since the kernel gives them up first. The smallest figure counts. Version 2 keeps these
in ``memory.max`` and ``memory.current``, version 1 in a hierarchy of its own.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from iopio_async.project.cpus import group_folders, text_of

_V1_MOUNT = "memory"

#: Version 1 says "no limit" by a number that no machine has.
_UNLIMITED_BYTES = 1 << 60


class _Files(NamedTuple):
    """The files of a control group that count, and the caches' line in the third."""

    limit: str
    usage: str
    statistics: str
    caches: str


_V1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat", "total_inactive_file")
_V2 = _Files("memory.max", "memory.current", "memory.stat", "inactive_file")


class MemoryGauge:
    """Tells how much memory is free. Which groups have a limit is looked up once."""

    def __init__(self, system_root: Path = Path("/")) -> None:
        self._machine = system_root / "proc" / "meminfo"
        self._limited = [
            (limit_bytes, folder, files)
            for folder, files in _groups(system_root)
            if (limit_bytes := _limit_bytes(folder / files.limit)) is not None
        ]

    def free_bytes(self) -> int | None:
        """The bytes that are free now; ``None`` where nothing tells."""
        figures = [_named(self._machine, "MemAvailable:", 1024)]
        for limit_bytes, folder, files in self._limited:
            used_bytes = _number(text_of(folder / files.usage))
            if used_bytes is not None:
                caches_bytes = _named(folder / files.statistics, files.caches) or 0
                figures.append(max(0, limit_bytes - max(0, used_bytes - caches_bytes)))
        return min((figure for figure in figures if figure is not None), default=None)


def _groups(system_root: Path) -> Iterator[tuple[Path, _Files]]:
    """Give the folders of every control group that this process is in."""
    mounts = system_root / "sys" / "fs" / "cgroup"
    for line in text_of(system_root / "proc" / "self" / "cgroup").splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if hierarchy == "0" and not controllers:
            for folder in group_folders(mounts, group):
                yield folder, _V2
        elif "memory" in controllers.split(","):
            for folder in group_folders(mounts / _V1_MOUNT, group):
                yield folder, _V1


def _limit_bytes(file: Path) -> int | None:
    number = _number(text_of(file))
    return number if number is not None and number < _UNLIMITED_BYTES else None


def _named(file: Path, name: str, unit_bytes: int = 1) -> int | None:
    """The number after a name in a file of names and numbers."""
    for line in text_of(file).splitlines():
        if line.startswith(name):
            words = line.removeprefix(name).split()
            number = _number(words[0]) if words else None
            return None if number is None else number * unit_bytes
    return None


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() else None
