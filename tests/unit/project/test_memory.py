"""How much memory is free, from made-up systems."""

import pytest

from iopio_async.project.memory import MemoryGauge

MACHINE = {"proc/meminfo": "MemTotal: 9000 kB\nMemAvailable:   4000 kB\nBuffers: 1 kB\n"}
MACHINE_BYTES = 4000 * 1024

SYSTEMS = {
    "the machine alone": (MACHINE, MACHINE_BYTES),
    "nothing tells": ({}, None),
    "an old kernel": ({"proc/meminfo": "MemTotal: 9000 kB\nMemFree: 1 kB\n"}, None),
    "version 2, no limit": (
        {
            **MACHINE,
            "proc/self/cgroup": "0::/a",
            "sys/fs/cgroup/a/memory.max": "max\n",
            "sys/fs/cgroup/a/memory.current": "100\n",
        },
        MACHINE_BYTES,
    ),
    "version 2": (
        {
            **MACHINE,
            "proc/self/cgroup": "0::/a",
            "sys/fs/cgroup/a/memory.max": "1000\n",
            "sys/fs/cgroup/a/memory.current": "600\n",
        },
        400,
    ),
    "caches of files are free": (
        {
            **MACHINE,
            "proc/self/cgroup": "0::/",
            "sys/fs/cgroup/memory.max": "1000\n",
            "sys/fs/cgroup/memory.current": "600\n",
            "sys/fs/cgroup/memory.stat": "anon 400\ninactive_file 150\nactive_file 9\n",
        },
        550,
    ),
    "a group above": (
        {
            **MACHINE,
            "proc/self/cgroup": "0::/a/b",
            "sys/fs/cgroup/a/memory.max": "1000\n",
            "sys/fs/cgroup/a/memory.current": "900\n",
            "sys/fs/cgroup/a/b/memory.max": "800\n",
            "sys/fs/cgroup/a/b/memory.current": "300\n",
        },
        100,
    ),
    "more than the limit": (
        {
            **MACHINE,
            "proc/self/cgroup": "0::/",
            "sys/fs/cgroup/memory.max": "1000\n",
            "sys/fs/cgroup/memory.current": "1200\n",
        },
        0,
    ),
    "the machine has less": (
        {
            **MACHINE,
            "proc/self/cgroup": "0::/",
            "sys/fs/cgroup/memory.max": "99000000\n",
            "sys/fs/cgroup/memory.current": "0\n",
        },
        MACHINE_BYTES,
    ),
    "version 1": (
        {
            **MACHINE,
            "proc/self/cgroup": "12:memory:/a\n4:cpu,cpuacct:/a\n",
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "5000\n",
            "sys/fs/cgroup/memory/a/memory.usage_in_bytes": "4500\n",
            "sys/fs/cgroup/memory/a/memory.stat": "inactive_file 1\ntotal_inactive_file 500\n",
        },
        1000,
    ),
    "version 1, no limit": (
        {
            **MACHINE,
            "proc/self/cgroup": "12:memory:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "4500\n",
        },
        MACHINE_BYTES,
    ),
    "rubbish": (
        {
            "proc/meminfo": "MemAvailable:\n",
            "proc/self/cgroup": "what\n0::\n::\n",
            "sys/fs/cgroup/memory.max": "-1",
            "sys/fs/cgroup/memory.current": "x",
        },
        None,
    ),
    "a limit without a usage": (
        {**MACHINE, "proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "10"},
        MACHINE_BYTES,
    ),
}


@pytest.mark.parametrize(("files", "free_bytes"), SYSTEMS.values(), ids=SYSTEMS)
def test_what_is_free(tmp_path, files, free_bytes):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")

    assert MemoryGauge(tmp_path).free_bytes() == free_bytes


def test_each_reading_is_new(tmp_path):
    meminfo = tmp_path / "proc" / "meminfo"
    meminfo.parent.mkdir()
    meminfo.write_text("MemAvailable: 2 kB\n", encoding="ascii")
    gauge = MemoryGauge(tmp_path)
    assert gauge.free_bytes() == 2048

    meminfo.write_text("MemAvailable: 1 kB\n", encoding="ascii")

    assert gauge.free_bytes() == 1024


def test_this_machine():
    free_bytes = MemoryGauge().free_bytes()
    assert free_bytes is None or free_bytes > 0
