"""When everything in a run began and ended: a fold over its envelopes, for metrics and timelines.

Events are told when iopio hears of them, and tests are heard of in batches, so the spans of an
attempt's tests are laid out by their durations: each ends when it was told at the latest, and
before the next one of its process begins. Of an attempt in several parts nobody tells which
process ran which test, so those are left where they were told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from iopio_async.model import events as ev
from iopio_async.model.outcome import ModuleStatus, Outcome, Source


@dataclass(slots=True)
class TestSpan:
    """A test within its attempt; times count from the run's start."""

    __test__ = False

    id: str
    outcome: Outcome
    begin_s: float
    end_s: float


@dataclass(slots=True)
class AttemptSpan:
    """A process (or several, of ``parts``) that ran a module in a slot.

    ``status`` is ``None`` where its end was never told; then ``end_s`` is when the run ended.
    """

    module: str
    attempt: int
    slot: int
    begin_s: float
    end_s: float
    parts: int = 1
    group: str = ""
    pid: int = 0
    status: ModuleStatus | None = None
    duration_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0
    tests: list[TestSpan] = field(default_factory=list)

    @property
    def wall_s(self) -> float:
        """How long it lasted, as the run's clock saw it."""
        return self.end_s - self.begin_s


@dataclass(slots=True)
class Recalled:
    """A module whose stored result was told again; it took ``duration_s`` when it was executed."""

    module: str
    at_s: float
    status: ModuleStatus
    source: Source
    duration_s: float
    tests: int


@dataclass(slots=True)
class QueuePoint:
    """So many modules ``waiting`` for their turn, and ``running``, from ``at_s`` on."""

    at_s: float
    waiting: int
    running: int


@dataclass(slots=True)
class RunSpans:
    """A run so far. ``apply`` takes every envelope of the run, in order."""

    started: ev.RunStarted | None = None
    finished: ev.RunFinished | None = None
    attempts: list[AttemptSpan] = field(default_factory=list)
    recalled: list[Recalled] = field(default_factory=list)
    queue: list[QueuePoint] = field(default_factory=list)
    #: The final status of each module that has one.
    statuses: dict[str, ModuleStatus] = field(default_factory=dict)
    last_s: float = 0.0
    _waiting: set[str] = field(default_factory=set)
    _running: dict[str, AttemptSpan] = field(default_factory=dict)
    _tests: dict[str, int] = field(default_factory=dict)

    @property
    def workers(self) -> int:
        """Number of slots of the run, 0 where it has not begun."""
        return self.started.workers if self.started else 0

    @property
    def duration_s(self) -> float:
        """How long the run took, or has taken so far."""
        return self.finished.duration_s if self.finished else self.last_s

    def apply(self, envelope: ev.Envelope) -> None:
        """Fold one envelope in."""
        now_s = self.last_s = max(self.last_s, envelope.elapsed_s)
        match envelope.event:
            case ev.TestStarted():
                pass
            case ev.TestFinished() as event:
                self._test_finished(event, now_s)
            case ev.RunStarted() as event:
                self.started = event
            case ev.ModulePlanned() as event:
                self._waiting.add(event.module)
                self._count(now_s)
            case ev.AttemptStarted() as event:
                self._attempt_started(event, now_s)
            case ev.AttemptFinished() as event:
                self._attempt_finished(event, now_s)
            case ev.ModuleFinished() as event:
                self._module_finished(event, now_s)
            case ev.RunFinished() as event:
                self.finished = event
                for attempt in self._running.values():
                    attempt.end_s = now_s
                    _lay_out(attempt)
            case _:
                pass

    def _count(self, now_s: float) -> None:
        waiting, running = len(self._waiting), len(self._running)
        last = self.queue[-1] if self.queue else None
        if last is not None and last.at_s == now_s:
            last.waiting, last.running = waiting, running
        elif last is None or (last.waiting, last.running) != (waiting, running):
            self.queue.append(QueuePoint(now_s, waiting, running))

    def _test_finished(self, event: ev.TestFinished, now_s: float) -> None:
        attempt = self._running.get(event.module)
        if attempt is None:
            self._tests[event.module] = self._tests.get(event.module, 0) + 1
        elif event.outcome is not Outcome.NOT_RUN:
            begin_s = max(attempt.begin_s, now_s - max(0.0, event.duration_s))
            attempt.tests.append(TestSpan(event.id, event.outcome, begin_s, now_s))

    def _attempt_started(self, event: ev.AttemptStarted, now_s: float) -> None:
        attempt = AttemptSpan(
            module=event.module,
            attempt=event.attempt,
            slot=event.slot,
            begin_s=now_s,
            end_s=now_s,
            parts=event.parts,
            group=event.group,
            pid=event.pid,
        )
        self.attempts.append(attempt)
        self._running[event.module] = attempt
        self._waiting.discard(event.module)
        self._count(now_s)

    def _attempt_finished(self, event: ev.AttemptFinished, now_s: float) -> None:
        attempt = self._running.pop(event.module, None)
        if attempt is not None:
            attempt.end_s = now_s
            attempt.status = event.status
            attempt.duration_s = event.duration_s
            attempt.cpu_s = event.cpu_s
            attempt.peak_rss_bytes = event.peak_rss_bytes
            _lay_out(attempt)
            self._count(now_s)

    def _module_finished(self, event: ev.ModuleFinished, now_s: float) -> None:
        module = event.module
        self.statuses[module] = event.status
        self._waiting.discard(module)
        self._running.pop(module, None)
        tests = self._tests.pop(module, 0)
        if event.source is not Source.EXECUTED:
            while self.attempts and self.attempts[-1].module == module:
                # What is told again took place in an earlier run.
                tests += len(self.attempts.pop().tests)
            self.recalled.append(
                Recalled(module, now_s, event.status, event.source, event.duration_s, tests)
            )
        self._count(now_s)


def _lay_out(attempt: AttemptSpan) -> None:
    """Put the tests of one process one after the other, from the last to the first."""
    if attempt.parts > 1:
        return
    limit_s = attempt.end_s
    for test in reversed(attempt.tests):
        lasted_s = test.end_s - test.begin_s
        test.end_s = min(test.end_s, limit_s)
        test.begin_s = max(attempt.begin_s, test.end_s - lasted_s)
        limit_s = test.begin_s


def fold(envelopes: Sequence[ev.Envelope]) -> RunSpans:
    """The spans of a whole run."""
    spans = RunSpans()
    for envelope in envelopes:
        spans.apply(envelope)
    return spans


@dataclass(slots=True)
class Lane:
    """A row of a timeline: attempts in ``slot`` that follow each other.

    A slot has further rows (``row`` from 1) where something began in it while a module in several
    parts, which had begun there, was still going on elsewhere.
    """

    slot: int
    row: int
    attempts: list[AttemptSpan] = field(default_factory=list)


def lanes(spans: RunSpans) -> list[Lane]:
    """All attempts in rows in which nothing overlaps; at least one row for each worker."""
    by_slot: dict[int, list[Lane]] = {slot: [Lane(slot, 0)] for slot in range(spans.workers)}
    for attempt in sorted(spans.attempts, key=lambda each: (each.begin_s, each.end_s)):
        rows = by_slot.setdefault(attempt.slot, [Lane(attempt.slot, 0)])
        for lane in rows:
            if not lane.attempts or lane.attempts[-1].end_s <= attempt.begin_s:
                break
        else:
            lane = Lane(attempt.slot, len(rows))
            rows.append(lane)
        lane.attempts.append(attempt)
    return [lane for slot in sorted(by_slot) for lane in by_slot[slot]]


def packed(tests: Sequence[TestSpan]) -> list[list[TestSpan]]:
    """Tests in rows in which nothing overlaps: those of a module in several parts ran at once."""
    rows: list[list[TestSpan]] = []
    for test in sorted(tests, key=lambda each: each.begin_s):
        row = next((row for row in rows if row[-1].end_s <= test.begin_s), None)
        if row is None:
            rows.append(row := [])
        row.append(test)
    return rows
