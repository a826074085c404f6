"""Which runs are comparable: those on the same kind of machine, under the same conditions.

A duration says little without the processor, the number of CPUs, the interpreter, and what runs
beside: the number of workers, whether modules are traced, and what was asked of pytest.
"""

import hashlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

_CPU_INFO = "/proc/cpuinfo"
_MODEL = "model name"


class Machine(NamedTuple):
    """A kind of machine: ``id`` names it, ``label`` says what it is."""

    id: str
    label: str


def current(*, workers: int, traced: bool, arguments: Sequence[str] = ()) -> Machine:
    """The machine that this is, for runs under these conditions."""
    return machine(
        processor=_processor(),
        cpus=_cpus(),
        workers=workers,
        traced=traced,
        arguments=arguments,
    )


def machine(
    *, processor: str, cpus: int, workers: int, traced: bool, arguments: Sequence[str] = ()
) -> Machine:
    """A machine by its facts; the interpreter is this one."""
    python = f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"
    conditions = [f"{cpus} CPUs", processor, python, f"{workers} workers"]
    if not traced:
        conditions.append("no cache")
    conditions += arguments
    label = ", ".join(conditions)
    digest = hashlib.blake2b(label.encode("utf-8", "surrogateescape"), digest_size=8)
    return Machine(digest.hexdigest(), label.encode("utf-8", "backslashreplace").decode())


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        with open(_CPU_INFO, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() == _MODEL:
                    return " ".join(value.split())
    except OSError:
        pass
    return os.uname().machine
