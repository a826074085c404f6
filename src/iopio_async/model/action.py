"""What a worker is told to execute: the Remote Execution API's *action*, for one test module."""

import msgspec

from iopio_async.model.module import Framework, ModuleKind

#: Counted up whenever a worker of one version could not serve an orchestrator of another.
SCHEMA_VERSION = 2


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much text a worker sends for one test; what is beyond is cut in the middle.

    All in characters.
    """

    failure_chars: int = 256 * 1024
    section_chars: int = 64 * 1024
    property_chars: int = 16 * 1024


class Action(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that decides what an attempt executes.

    ``root`` and ``invocation_dir`` are absolute; ``path`` and ``known_paths`` are relative to
    ``root``. ``arguments`` are what plain pytest would have been called with; the worker narrows
    the collection to ``path`` itself, so that root directory, configuration file and initial
    conftests are found as pytest finds them. ``selectors`` are test ids; empty means all.
    ``known_paths`` are the files that the remainder must leave alone. ``maxfail`` 0 is no limit.

    A module may be run by several processes, each a part of its tests: of those that are collected,
    this one runs the tests in ``part`` if there are any, and none of ``leave_out``; what it does
    not run so counts as run elsewhere. Several modules may also be run by one process, one after
    the other: ``batch`` has their paths then, and ``path`` is the first of them.
    """

    path: str
    root: str
    invocation_dir: str
    framework: Framework = Framework.PYTEST
    kind: ModuleKind = ModuleKind.FILE
    arguments: tuple[str, ...] = ()
    selectors: tuple[str, ...] = ()
    part: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    batch: tuple[str, ...] = ()
    known_paths: tuple[str, ...] = ()
    keyword: str = ""
    import_root: str = ""
    private_dir: str = ""
    cwd_on_path: bool = False
    maxfail: int = 0
    color: bool = False
    #: The file that the tracer appends to; ``""`` where nothing is traced. The executor puts it
    #: into the private directory, whatever it is called before.
    trace: str = ""
    #: Whether the tracer tells the functions that are executed, where the interpreter can.
    trace_functions: bool = False
    limits: Limits = Limits()
    schema_version: int = SCHEMA_VERSION
