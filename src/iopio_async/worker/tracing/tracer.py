"""Puts the tracer's parts together, and follows the fork server's processes.

A fork server has a trace of its own, which is part of each child's: a child begins its file with
the server's name and with how much of that had been told by then.
"""

import os

from iopio_async.wire.observations import IMPURE
from iopio_async.worker.tracing import (
    audit,
    environment,
    files,
    functions,
    imports,
    processes,
    stats,
)
from iopio_async.worker.tracing.record import record
from iopio_async.worker.tracing.settlement import settlement
from iopio_async.worker.tracing.territory import territory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from iopio_async.model.action import Action


class _Installed:
    """Whether the hooks are there, and what of a server's trace was told at the last fork."""

    def __init__(self) -> None:
        self.hooks = False
        self.inherited = ("", 0)


_installed = _Installed()


def install(action: "Action") -> None:
    """Trace this process from here on, as the action says."""
    settlement.file, settlement.root = action.trace, action.root
    settlement.private = (action.private_dir,) if action.private_dir else ()
    settlement.functions = action.trace_functions and functions.available()
    files.watch.listings_of_pytest = _collects_freely(action)
    begin()
    os.register_at_fork(before=record.flush, after_in_child=record.release)
    record.hold()
    record.last = finish


def begin(*, create: bool = True) -> None:
    """Trace this process as ``settlement`` says."""
    territory.settle(
        settlement.root, settlement.private, (settlement.file,), alone=settlement.alone
    )
    record.begin(settlement.file, settlement.functions, create=create)
    if _installed.hooks or record.quiet:
        return
    _installed.hooks = True
    environment.install()
    stats.install()
    files.install()
    processes.install()
    imports.install()
    if settlement.functions and not functions.install():
        files.read_sources_whole()
    audit.install()
    imports.look_at_import_system()


def part() -> None:
    """Before a fork: remember how much of this trace the child inherits.

    Nothing is told from here on until the server goes on, or the child has a trace of its own.
    """
    record.flush()
    _installed.inherited = (record.file, record.size_bytes)
    record.quiet = True


def go_on() -> None:
    """In the server, after a fork."""
    record.quiet = not record.reached


def follow(action: "Action") -> None:
    """In a child: go on in the action's own trace, if it wants one."""
    if not action.trace:
        record.end()
        return
    if not _installed.hooks:
        # Too late: what the server did was not seen.
        install(action)
        record.tell_reason(IMPURE, "the fork server was not traced")
        return
    server_private = settlement.private
    settlement.file, settlement.root = action.trace, action.root
    settlement.private = (*server_private, action.private_dir)
    files.watch.listings_of_pytest = _collects_freely(action)
    territory.settle(settlement.root, settlement.private, (settlement.file,))
    record.begin(settlement.file, settlement.functions, _installed.inherited)
    record.hold()
    if action.trace_functions and not settlement.functions and functions.available():
        files.read_sources_whole()


def branch() -> None:
    """In a server that was forked from another one: go on in a trace of its own."""
    if not _installed.hooks or not _installed.inherited[0]:
        return
    settlement.file = f"{settlement.file}.{os.getpid()}"
    territory.settle(settlement.root, settlement.private, (settlement.file,))
    record.begin(settlement.file, settlement.functions, _installed.inherited)
    record.hold()


def finish() -> None:
    """At the end of a worker: what has to be looked at once more."""
    if _installed.hooks and not record.quiet:
        imports.look_at_import_system()
        record.release()


def uncacheable(reason: str) -> None:
    """The result must not be stored."""
    record.tell_reason(IMPURE, reason)


def _collects_freely(action: "Action") -> bool:
    """True for what is not one module: what is listed decides which tests there are."""
    return action.kind != "file"


def active() -> bool:
    """True where this process is traced."""
    return _installed.hooks and not record.quiet
