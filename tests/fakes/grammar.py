"""Checks a whole event stream against the grammar that ``model.events`` promises.

``check`` raises an ``AssertionError`` at the first event that may not come where it comes, and
returns the statistics, folded anew from the events alone.
"""

from collections import Counter
from collections.abc import Iterable

from iopio_async.model import events as ev
from iopio_async.model.outcome import BAD_STATUSES, ModuleStatus
from iopio_async.model.stats import RunStats


class _Attempt:
    """An attempt that is going on."""

    def __init__(self, number: int, slot: int | None) -> None:
        self.number = number
        #: Not known of one in several parts, which come and go, and shared by those of a group.
        self.slot = slot
        self.planned: int | None = None
        self.started: Counter[str] = Counter()
        self.finished: Counter[str] = Counter()


class _Grammar:
    def __init__(self) -> None:
        self.stats = RunStats()
        self.run: ev.RunStarted | None = None
        self.planned: set[str] = set()
        self.attempts: Counter[str] = Counter()
        self.going: dict[str, _Attempt] = {}
        self.statuses: dict[str, ModuleStatus] = {}
        self.finished: set[str] = set()
        self.cancelled: ev.CancellationStarted | None = None
        self.last: ev.RunFinished | None = None

    def take(self, event: ev.AnyEvent) -> None:
        if isinstance(event, ev.AttemptStarted | ev.CancellationStarted) and not self.attempts:
            assert self.run is not None
            assert len(self.planned) == self.run.modules, "the plan did not stand at the start"
        assert self.last is None, f"{event} after the end of the run"
        assert (self.run is None) == isinstance(event, ev.RunStarted), f"{event} out of place"
        match event:
            case ev.RunStarted():
                self.run = event
            case ev.ModulePlanned():
                assert event.module not in self.planned, f"{event.module} was planned twice"
                self.planned.add(event.module)
            case ev.AttemptStarted():
                self._attempt_started(event)
            case ev.TestsCollected():
                attempt = self._attempt(event)
                assert attempt.planned is None, f"{event.module} collected twice"
                assert not attempt.finished
                attempt.planned = event.count
            case ev.TestStarted():
                attempt = self._attempt(event)
                assert attempt.planned is not None
                attempt.started[event.id] += 1
            case ev.TestFinished():
                self._attempt(event).finished[event.id] += 1
            case ev.OutputCaptured() | ev.ModuleSlow():
                self._attempt(event)
            case ev.AttemptFinished():
                self._attempt_finished(event)
            case ev.ModuleFinished():
                self._module_finished(event)
            case ev.WarningIssued():
                assert not event.module or event.module in self.going
            case ev.CancellationStarted():
                assert self.cancelled is None, "the run was cancelled twice"
                self.cancelled = event
            case ev.RunFinished():
                assert self.planned == self.finished, f"{self.planned - self.finished} lost"
                assert event.cancelled == (self.cancelled and self.cancelled.reason)
                self.last = event

    def _attempt(
        self,
        event: ev.TestsCollected
        | ev.TestStarted
        | ev.TestFinished
        | ev.OutputCaptured
        | ev.ModuleSlow
        | ev.AttemptFinished,
    ) -> _Attempt:
        attempt = self.going.get(event.module)
        assert attempt is not None, f"{event} outside of an attempt"
        assert attempt.number == event.attempt
        return attempt

    def _attempt_started(self, event: ev.AttemptStarted) -> None:
        assert self.run is not None
        assert self.cancelled is None, f"{event} after the cancellation"
        assert event.module in self.planned - self.finished
        assert event.module not in self.going
        self.attempts[event.module] += 1
        assert event.attempt == self.attempts[event.module]
        assert event.slot in range(self.run.workers)
        assert event.slot not in {attempt.slot for attempt in self.going.values()}
        assert self.statuses.get(event.module, ModuleStatus.FAILED) in BAD_STATUSES
        assert event.parts >= 1
        assert event.parts == 1 or event.attempt == 1
        slot = event.slot if event.parts == 1 and not event.group else None
        self.going[event.module] = _Attempt(event.attempt, slot)

    def _attempt_finished(self, event: ev.AttemptFinished) -> None:
        attempt = self._attempt(event)
        del self.going[event.module]
        self.statuses[event.module] = event.status
        if attempt.planned is not None:
            assert attempt.finished.total() == attempt.planned, f"a test of {event} was lost"
        assert not attempt.started - attempt.finished
        if attempt.planned is None or attempt.finished != attempt.started:
            assert event.status in BAD_STATUSES, f"{event} though not all tests were run"

    def _module_finished(self, event: ev.ModuleFinished) -> None:
        assert event.module in self.planned, f"{event} was not planned"
        assert event.module not in self.finished, f"{event.module} finished twice"
        assert event.module not in self.going
        self.finished.add(event.module)
        assert event.attempts == self.attempts[event.module]
        last = self.statuses.get(event.module, ModuleStatus.NOT_RUN)
        if event.status is ModuleStatus.FLAKY:
            assert event.attempts > 1
            assert last in {ModuleStatus.PASSED, ModuleStatus.LEAKED}
        else:
            assert event.status is last


def check(envelopes: Iterable[ev.Envelope]) -> RunStats:
    """Check a stream from its first event to its last; its statistics."""
    grammar = _Grammar()
    elapsed_s = 0.0
    for number, envelope in enumerate(envelopes):
        assert envelope.seq == number, f"event {number} has the number {envelope.seq}"
        assert envelope.elapsed_s >= elapsed_s, "time runs backwards"
        elapsed_s = envelope.elapsed_s
        grammar.take(envelope.event)
        grammar.stats.apply(envelope.event)
    assert grammar.last is not None, "the stream has no end"
    return grammar.stats
