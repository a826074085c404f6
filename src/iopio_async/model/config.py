"""The resolved settings of a run, frozen, with every default in one place.

``project.settings`` makes a :class:`Config` from files, environment and flags; embedding programs
may also construct one. Everything behind it only reads.
"""

import sys
from typing import Literal

import msgspec

from iopio_async.model.module import Framework

StartMethod = Literal["auto", "spawn", "forkserver"]
ColorChoice = Literal["auto", "always", "never"]
FrameworkChoice = Literal["auto", "pytest", "unittest", "functions"]


class Shard(msgspec.Struct, frozen=True):
    """Part ``index`` (from 1) of ``count`` of the modules."""

    index: int
    count: int


class Override(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Settings for the modules whose path matches one of ``paths`` (globs; ``**`` crosses folders).

    ``None`` leaves a setting as it is; a ``timeout_s`` of 0 switches the time limit off. Later
    overrides win over earlier ones. modules of the same ``group`` share a process, one after
    the other; a module takes the place of so many ``workers``, and is never run
    by several processes at once where ``split`` is false. What it claims is as for the mark:
    ``locks`` and ``shared`` take the place of what the analysis found, where they are not ``None``;
    ``needs`` are units of resources with a capacity.
    ``planning.overrides.settings_for`` applies them.
    """

    paths: tuple[str, ...]
    timeout_s: float | None = None
    slow_after_s: float | None = None
    retries: int | None = None
    workers: int | None = None
    framework: Framework | None = None
    group: str | None = None
    split: bool | None = None
    env: dict[str, str] = {}
    locks: tuple[str, ...] | None = None
    shared: tuple[str, ...] | None = None
    serial: bool | None = None
    needs: dict[str, int] = {}


class Resource(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something of which there are ``capacity`` units, handed out by number from 0.

    The numbers that a module gets are in ``IOPIO_`` and the resource's name in capitals, and in the
    variable ``env`` if there is one.
    """

    capacity: int
    env: str = ""


class ModuleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What applies to one module once all overrides are laid over the run's settings."""

    timeout_s: float | None
    slow_after_s: float
    retries: int
    framework: Framework | None
    group: str | None
    env: dict[str, str]
    workers: int = 1
    split: bool = True
    locks: tuple[str, ...] | None = None
    shared: tuple[str, ...] | None = None
    serial: bool = False
    needs: dict[str, int] = {}


class CacheRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the project says of its tests' inputs, where they can't be seen or don't matter.

    ``inputs`` and ``ignore`` are globs of paths, relative to the root; ``env`` and ``ignore_env``
    names of environment variables, also as globs; ``hosts`` count as always answering the same.
    """

    inputs: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    ignore_env: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of a run. Paths are absolute unless said otherwise; times are in seconds.

    ``paths`` are as given (files, directories, node ids), relative to ``invocation_dir``;
    ``testpaths`` are relative to ``root`` and may be globs. ``report`` and ``junit_xml`` are files
    to write, empty for none and ``-`` for the standard output; so, but for that, are ``trace`` and
    ``timeline``. A ``maxfail`` of 0 never stops the
    run. ``arguments`` are passed on to pytest. ``cwd_on_path`` says that the invocation directory
    is to stand first in the tests' ``sys.path``, as it does under ``python -m``. ``cache_dir`` is
    absolute, or empty for the project's own; ``audit_percent`` of the hits are executed anyway.
    ``observers`` are factories of observers, as ``package.module:name``; ``otel`` adds the one that
    sends to an OpenTelemetry receiver.
    ``fail_on_regression`` is in percent, ``None`` for not to look.
    ``memory_limit_bytes`` bounds the sum of the usual peaks of the modules that run; ``None`` is no
    bound but what is free. With ``no_locks`` nothing keeps apart what shares a resource, but for
    groups.
    """

    root: str
    invocation_dir: str
    config_file: str = ""
    paths: tuple[str, ...] = ()
    testpaths: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    framework: FrameworkChoice = "auto"
    cwd_on_path: bool = False

    workers: int = 1
    memory_limit_bytes: int | None = None
    start_method: StartMethod = "auto"
    keyword: str = ""
    markers: str = ""
    maxfail: int = 0
    retries: int = 0
    last_failed: bool = False
    shard: Shard | None = None

    timeout_s: float | None = None
    slow_after_s: float = 60.0
    grace_s: float = 10.0
    leak_timeout_s: float = 0.2

    output_bytes: int = 64 * 1024
    env: dict[str, str] = {}
    overrides: tuple[Override, ...] = ()
    resources: dict[str, Resource] = {}
    no_locks: bool = False

    no_cache: bool = False
    refresh: bool = False
    cache_dir: str = ""
    cache_ttl_s: float = 24 * 3600.0
    audit_percent: float = 0.0
    cache: CacheRules = CacheRules()

    report: str = ""
    junit_xml: str = ""
    fail_on_regression: float | None = None
    trace: str = ""
    timeline: str = ""
    observers: tuple[str, ...] = ()
    otel: bool = False
    json: bool = False
    verbosity: int = 0
    color: ColorChoice = "auto"

    #: Settings that were clamped or look odd: shown once, as warnings, when the run starts.
    notes: tuple[str, ...] = ()

    @property
    def forks(self) -> bool:
        """Processes are forked from warm ones, rather than started afresh."""
        if self.start_method == "auto":
            return sys.platform == "linux"
        return self.start_method == "forkserver"
