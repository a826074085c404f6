"""All reporters of a run as one: each gets every envelope, and none can take the others down.

A reporter that raises is switched off, and what it raised is kept in ``faults`` for the command,
which must turn it into exit code 3: a fault is neither hidden nor allowed to cost a result.
"""

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import msgspec

from iopio_async.errors import IopioError
from iopio_async.model.events import Envelope
from iopio_async.model.stats import RunStats
from iopio_async.reporting.escape import escape_message
from iopio_async.reporting.ports import Reporter


@runtime_checkable
class Abandonable(Protocol):
    """A reporter that holds something to give back, like a terminal, also when it has failed."""

    def abandon(self) -> None:
        """Let go of everything, write nothing more."""
        ...


class Fault(msgspec.Struct, frozen=True):
    """What went wrong in a reporter, in one line."""

    reporter: str
    message: str


class Fanout:
    """Hands every envelope to each reporter that still works, in the order given."""

    def __init__(self, reporters: Iterable[Reporter]) -> None:
        self.faults: list[Fault] = []
        self._working = list(reporters)

    def handle(self, envelope: Envelope, stats: RunStats) -> None:
        """Pass the envelope on; never raises for a reporter's fault."""
        for reporter in self._working:
            try:
                reporter.handle(envelope, stats)
            except Exception as error:
                self._switch_off(reporter, error)

    def close(self) -> None:
        """Close each reporter that still works; never raises for a reporter's fault."""
        for reporter in self._working:
            try:
                reporter.close()
            except Exception as error:
                self._switch_off(reporter, error)
        self._working = []

    def _switch_off(self, reporter: Reporter, error: Exception) -> None:
        # A new list, because the old one is being walked over.
        self._working = [other for other in self._working if other is not reporter]
        name = str(getattr(reporter, "name", type(reporter).__name__))
        self.faults.append(Fault(name, one_line(error)))
        if isinstance(reporter, Abandonable):
            try:
                reporter.abandon()
            except Exception as second:
                self.faults.append(Fault(name, one_line(second)))


def one_line(error: BaseException) -> str:
    """What went wrong, fit for a message."""
    if isinstance(error, IopioError):
        return escape_message(error.message)
    return escape_message(f"{type(error).__name__}: {error}")[:500]
