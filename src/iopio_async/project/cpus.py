"""How many CPUs this process may use: what ``--workers auto`` means.

A machine's CPU count says too much: a process may be pinned to some CPUs (its affinity), and its
control group, or any group above it, may have a quota of CPU time. The smallest of these counts.
Version 2 keeps the quota in ``cpu.max``, version 1 in ``cpu.cfs_quota_us`` of a hierarchy of its
own; in a container the group's path may not be visible, but the root of what is visible is.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_V1_MOUNTS = ("cpu", "cpu,cpuacct", "cpuacct,cpu")


def usable_cpus(system_root: Path = Path("/"), *, affinity: int | None = None) -> int:
    """Count the CPUs that this process may use, at least 1.

    A fraction of a CPU counts as a whole one. ``affinity`` stands in for the process's own.
    """
    count = _affinity() if affinity is None else affinity
    for quota in _quotas(system_root):
        count = min(count, math.ceil(quota))
    return max(count, 1)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(system_root: Path) -> Iterator[float]:
    """Give the quota, in CPUs, of every control group that this process is in."""
    mounts = system_root / "sys" / "fs" / "cgroup"
    for line in text_of(system_root / "proc" / "self" / "cgroup").splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if hierarchy == "0" and not controllers:
            for folder in group_folders(mounts, group):
                yield from _quota(text_of(folder / "cpu.max").split())
        elif "cpu" in controllers.split(","):
            for name in _V1_MOUNTS:
                for folder in group_folders(mounts / name, group):
                    quota = text_of(folder / "cpu.cfs_quota_us")
                    period = text_of(folder / "cpu.cfs_period_us")
                    yield from _quota([*quota.split(), *period.split()])


def group_folders(mount: Path, group: str) -> Iterator[Path]:
    """Give the folders of a group and of all groups above it, as far as they can be seen."""
    # The path climbs above the visible root where the group lies outside of the namespace.
    path = PurePosixPath(os.path.normpath(f"/{group.lstrip('/')}"))
    for ancestor in (path, *path.parents):
        yield mount / ancestor.relative_to("/")


def _quota(fields: list[str]) -> Iterator[float]:
    """Give the CPUs that ``quota period`` allows; nothing where there is no limit."""
    try:
        quota_us, period_us = map(int, fields)
    except ValueError:
        return
    if quota_us > 0 and period_us > 0:
        yield quota_us / period_us


def text_of(path: Path) -> str:
    """Read a file of the system; nothing where there is none."""
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
