"""How many CPUs may be used, from made-up systems."""

import os

import pytest

from iopio_async.project.cpus import usable_cpus

SYSTEMS = {
    "no control groups": ({}, 8),
    "version 2, no limit": (
        {"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/cpu.max": "max 100000"},
        8,
    ),
    "version 2": ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/cpu.max": "200000 100000\n"}, 2),
    "a fraction": ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/cpu.max": "150000 100000"}, 2),
    "less than one": ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/cpu.max": "10000 100000"}, 1),
    "a group above": (
        {
            "proc/self/cgroup": "0::/a/b/c",
            "sys/fs/cgroup/a/cpu.max": "300000 100000",
            "sys/fs/cgroup/a/b/cpu.max": "500000 100000",
            "sys/fs/cgroup/a/b/c/cpu.max": "max 100000",
        },
        3,
    ),
    "a container's own namespace": (
        {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "400000 100000"},
        4,
    ),
    "a group outside of what is visible": (
        {"proc/self/cgroup": "0::/../../x", "sys/fs/cgroup/cpu.max": "400000 100000"},
        4,
    ),
    "a container with the host's paths": (
        {"proc/self/cgroup": "0::/docker/123", "sys/fs/cgroup/cpu.max": "500000 100000"},
        5,
    ),
    "version 1": (
        {
            "proc/self/cgroup": "12:memory:/a\n4:cpu,cpuacct:/a\n1:name=systemd:/a\n",
            "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "250000",
            "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000",
        },
        3,
    ),
    "version 1, no limit": (
        {
            "proc/self/cgroup": "4:cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
        8,
    ),
    "both versions": (
        {
            "proc/self/cgroup": "4:cpuacct,cpu:/x\n0::/y\n",
            "sys/fs/cgroup/cpuacct,cpu/x/cpu.cfs_quota_us": "600000",
            "sys/fs/cgroup/cpuacct,cpu/x/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/y/cpu.max": "700000 100000",
        },
        6,
    ),
    "more than there are": (
        {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "9900000 100000"},
        8,
    ),
    "rubbish": ({"proc/self/cgroup": "what\n0::\n::\n", "sys/fs/cgroup/cpu.max": "x \xff"}, 8),
    "a period of zero": ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "1 0"}, 8),
}


@pytest.mark.parametrize(("files", "cpus"), SYSTEMS.values(), ids=SYSTEMS)
def test_quotas(tmp_path, files, cpus):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert usable_cpus(tmp_path, affinity=8) == cpus


def test_affinity_counts(tmp_path):
    expected = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert usable_cpus(tmp_path) == expected


def test_there_is_always_one(tmp_path):
    assert usable_cpus(tmp_path, affinity=0) == 1


def test_this_machine():
    assert 1 <= usable_cpus() <= (os.cpu_count() or 1)
