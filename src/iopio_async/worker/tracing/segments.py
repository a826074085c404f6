"""Many traces of one process: what traces its tests one by one switches between *segments*.

Each segment is a file of its own. What was told in one is told again in the next, so the memory of
what was told begins anew with each switch; and functions that were begun are watched again.
Between segments nothing is told.
"""

import os
import sys

from iopio_async.wire.observations import BEGIN
from iopio_async.worker.tracing import environment, files, functions, imports, stats, tracer
from iopio_async.worker.tracing.record import record
from iopio_async.worker.tracing.settlement import settlement
from iopio_async.worker.tracing.territory import territory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Temporary files of the tests that are remembered as such, the latest.
MOST_TEMPORARY = 100


class Segment:
    """One trace; ``told`` is what it holds, kept as long as it may be gone on with."""

    __slots__ = ("file", "told")

    def __init__(self, file: str) -> None:
        self.file = file
        self.told: set[bytes] = set()


class _State:
    """The private directories that were given, and those that the tests made since."""

    def __init__(self) -> None:
        self.private: tuple[str, ...] = ()
        self.temporary: list[str] = []


_state = _State()


def install(first: Segment, root: str, own: str) -> None:
    """Trace this process from here on into ``first``.

    ``root`` is the project's, and ``own`` the directory of the traces, which is nobody's concern.
    """
    settlement.file, settlement.root, settlement.private = first.file, root, (own,)
    settlement.functions = functions.available()
    files.watch.listings_of_pytest = False
    settlement.alone = True
    _state.private = (own,)
    tracer.begin()
    first.told = record.told
    os.register_at_fork(before=record.flush, after_in_child=record.release)
    record.hold()
    collect(begins=True)
    sys.addaudithook(_made_temporary)


def leave_out(folder: str) -> None:
    """What happens in this directory is nobody's concern either."""
    _state.private = (*_state.private, folder)
    _settle()


def listen(heard: "Callable[[str], None]") -> None:
    """Call ``heard`` with the name of each module that is looked for."""
    imports.listeners.append(heard)


def go_on(segment: Segment) -> None:
    """Tell the rest into this segment."""
    record.flush()
    record.told = segment.told
    settlement.file = segment.file
    for known in (files.watch.read, files.watch.written, stats.told.all, stats.told.types):
        known.clear()
    stats.told.links.clear()
    environment.forget()
    imports.forget()
    record.begin(segment.file, settlement.functions)
    record.hold()
    functions.watch_again()


def collect(*, begins: bool) -> None:
    """Begin, or end, to leave out where pytest looks for files to collect: it always does."""
    files.watch.collects_anyway = begins


def rest() -> None:
    """Tell nothing until :func:`go_on`."""
    record.flush()
    record.quiet = True


def finish(first: Segment) -> None:
    """The last of the tests is over."""
    if files.watch.whole:
        # Functions may have been executed unseen, whoever had them compiled.
        go_on(first)
        record.tell(BEGIN, b"%d" % os.getpid(), b"")
    rest()
    record.end()


def _made_temporary(event: str, arguments: "tuple[Any, ...]") -> None:
    """``tempfile`` makes a file or directory by a name that nobody else has."""
    if record.quiet or event not in {"tempfile.mkdtemp", "tempfile.mkstemp"}:
        return
    path = arguments[0]
    if type(path) is str and path.startswith("/") and not territory.drops_private(path):
        del _state.temporary[: -MOST_TEMPORARY + 1]
        _state.temporary.append(path)
        _settle()


def _settle() -> None:
    settlement.private = (*_state.private, *_state.temporary)
    territory.settle(settlement.root, settlement.private, tuple(_state.temporary), alone=True)
