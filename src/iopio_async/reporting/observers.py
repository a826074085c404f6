"""Programs that look on: each takes the envelopes of a run on a thread of its own.

An observer is somebody else's code, which may raise, hang or be slow, and the run must not care.
So the run only puts batches into a queue. An observer that raises, or that falls too far behind,
is left out from then on; at the end all of them together have a bounded time to take what is left.
What went wrong is one sentence for each, told when the run is over. The threads are daemons:
whatever an observer is still at, the process ends.
"""

import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Protocol

from iopio_async.model.events import Envelope
from iopio_async.reporting.escape import escape_message
from iopio_async.reporting.fanout import one_line

#: How long the observers of a run may take at its end, all together ...
CLOSE_S = 3.0

#: ... and so much more for each envelope of the run, since some have to carry each of them far.
CLOSE_PER_ENVELOPE_S = 1e-4

#: An observer with more envelopes than these before it is left out: they take memory.
MAX_BEHIND = 500_000


class Observer(Protocol):
    """Takes the envelopes of one run. Both methods are called on one thread, not the run's.

    They may block, but for a bounded time at the end. What they raise costs the run nothing: the
    observer is left out, with a warning. They must not start processes, which would be taken for
    the tests'.
    """

    def handle(self, envelope: Envelope) -> None:
        """Take one envelope; they come in order, from ``RunStarted`` to ``RunFinished``."""
        ...

    def close(self) -> None:
        """Finish. Called once, after the last envelope, unless ``handle`` has raised."""
        ...


#: Makes an observer, on the observer's thread.
Factory = Callable[[], Observer]


def named(observers: Sequence[Observer]) -> list[tuple[str, Factory]]:
    """Observers that are made already, each by its ``name`` or its class's."""

    def of(observer: Observer) -> tuple[str, Factory]:
        return str(getattr(observer, "name", type(observer).__qualname__)), lambda: observer

    return [of(observer) for observer in observers]


class Observers:
    """All observers of a run, each by its name and what makes it."""

    def __init__(self, factories: Sequence[tuple[str, Factory]], close_s: float = CLOSE_S) -> None:
        self._watched = [_Watched(name, factory) for name, factory in factories]
        self._close_s = close_s

    def observe(self, envelopes: Sequence[Envelope]) -> None:
        """Hand on what has happened; returns at once and never raises for an observer's fault."""
        for each in self._watched:
            each.take(envelopes)
        self._close_s += CLOSE_PER_ENVELOPE_S * len(envelopes)

    def close(self) -> list[str]:
        """Let them finish, for a bounded time; a sentence on each that was left out."""
        for each in self._watched:
            each.finish()
        deadline_s = time.monotonic() + self._close_s
        told = [each.wait(max(0.0, deadline_s - time.monotonic())) for each in self._watched]
        self._watched = []
        return [f"observer {text}, and was left out" for text in told if text]


class _Watched:
    """One observer and its thread."""

    def __init__(self, name: str, factory: Factory) -> None:
        self._name = escape_message(name)
        self._factory = factory
        self._fault = ""
        #: How many envelopes it was given, and how many of them it has taken.
        self._given = self._taken = 0
        # An empty batch is the end.
        self._queue: SimpleQueue[Sequence[Envelope]] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"observer {name}", daemon=True)
        self._thread.start()

    def take(self, envelopes: Sequence[Envelope]) -> None:
        if self._fault or not envelopes:
            return
        self._given += len(envelopes)
        behind = self._given - self._taken
        if behind > MAX_BEHIND:
            self._fault = f"fell {behind} events behind"
            return
        self._queue.put(envelopes)

    def finish(self) -> None:
        self._queue.put(())

    def wait(self, patience_s: float) -> str:
        """What is wrong with it, after so long at the most; ``""`` if it has finished well."""
        if not self._fault or not self._thread.is_alive():
            self._thread.join(patience_s)
        if not self._fault and self._thread.is_alive():
            self._fault = "did not finish in time"
        return f"{self._name} {self._fault}" if self._fault else ""

    def _work(self) -> None:
        # BaseException: sys.exit in an observer is no way to end a run either.
        try:
            observer = self._factory()
            while batch := self._queue.get():
                for envelope in batch:
                    if self._fault:
                        return
                    observer.handle(envelope)
                self._taken += len(batch)
            observer.close()
        except BaseException as error:
            self._fault = self._fault or f"failed: {one_line(error)}"
