"""Several processes that each run a part of one module, told as one attempt.

Each part has a narration and a certificate of its own and is judged by itself. Here is decided what
the world hears of it: the attempt starts with the first part that does, and ends when the last one
has ended; what all parts see alike (the plan, what could not be collected, warnings of the import)
is told once. The attempt ends as its worst part did. It took what the module would have taken in
one process: the time of all tests and, once, the longest time that a part spent beside its tests;
so that histories and reports can compare it. CPU seconds are summed up, and of the peaks of memory
the highest counts.

A test that fails may have failed for want of those that did not run before it. It did not if they
all did: in the part that begins the module. For others, and where the parts did not agree on what
there is to run, the module is to be run again as a whole, and that is its word.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from iopio_async.execution.ports import Gone
from iopio_async.history.timings import Collected
from iopio_async.model import events as ev
from iopio_async.model.action import Action
from iopio_async.model.module import TestModule
from iopio_async.model.outcome import (
    BAD_STATUSES,
    RETRIED_STATUSES,
    Captured,
    Failure,
    ModuleStatus,
    Outcome,
)
from iopio_async.orchestration.judgement import Judgement
from iopio_async.orchestration.narration import Narration
from iopio_async.planning.parts import Part
from iopio_async.wire import messages as msg

#: What a module ends as whose parts ended in several ways: the first of these.
WORST_FIRST = (
    ModuleStatus.CRASHED,
    ModuleStatus.TIMED_OUT,
    ModuleStatus.INCOMPLETE,
    ModuleStatus.ERROR,
    ModuleStatus.FAILED,
    ModuleStatus.NOT_RUN,
    ModuleStatus.LEAKED,
    ModuleStatus.PASSED,
    ModuleStatus.EMPTY,
)

DISAGREEMENT = "its processes did not collect the same tests"


class SplitAttempt:
    """The first attempt at a module that is split; ``retries`` is how many may follow anyway.

    ``over`` is true when all parts have ended, and the end has been told; then ``status`` is what
    the attempt came to, ``failure`` what went wrong beside its tests, and ``torn`` says that its
    parts can't be trusted.
    """

    def __init__(self, parts: Sequence[Part], *, retries: int = 0) -> None:
        self.module: TestModule = parts[0].module
        self.retries = retries
        self.over = False
        self.torn = False
        self.disagreed = False
        self.status = ModuleStatus.NOT_RUN
        self.failure: Failure | None = None
        #: Parts of which nothing is to be expected any more.
        self._done: set[int] = set()
        self._narrations = [PartNarration(self, part) for part in parts]
        self._started = False
        self._missing: set[int] = set(range(len(parts)))
        self._ended: dict[int, tuple[Judgement, ev.AttemptFinished]] = {}
        self._outputs: set[tuple[str, Captured]] = set()
        #: The plan as the first part told it that had one.
        self._plan: list[str] | None = None
        self._collectors: dict[str, int] = {}
        self._warnings: dict[ev.WarningIssued, int] = {}

    def narration(self, number: int) -> "PartNarration":
        """The narration of a part."""
        return self._narrations[number]

    @property
    def followed(self) -> bool:
        """Once it is over: the module has to be run again, now as a whole or in selected tests."""
        return self.torn or (self.retries > 0 and self.status in RETRIED_STATUSES)

    def follow_up(self) -> TestModule:
        """What is to be run then."""
        selectors: tuple[str, ...] = ()
        if not self.torn:
            bad = [narration.retry_selectors() for narration in self._narrations if narration.bad]
            if all(bad):
                selectors = tuple(test for tests in bad for test in tests)
        return msgspec.structs.replace(self.module, selectors=selectors)

    # -- what the parts tell -------------------------------------------------------------------

    def started(self, slot: int, pid: int) -> list[ev.AnyEvent]:
        """A part has started; what is to be told of that."""
        if self._started:
            return []
        self._started = True
        return [
            ev.AttemptStarted(
                module=self.module.path,
                attempt=1,
                slot=slot,
                pid=pid,
                parts=len(self._narrations),
            )
        ]

    def heard(self, number: int, events: Iterable[ev.AnyEvent]) -> list[ev.AnyEvent]:
        """What is to be told of what a part told."""
        return [event for event in events if self._is_news(number, event)]

    def _is_news(self, number: int, event: ev.AnyEvent) -> bool:
        match event:
            case ev.TestsCollected():
                certificate = self._narrations[number].certificate
                for test in certificate.ids[: certificate.collectors]:
                    self._collectors.setdefault(test, number)
                if self._plan is not None:
                    return False
                self._plan = certificate.ids
            case ev.TestStarted(id=test) | ev.TestFinished(id=test):
                return self._collectors.get(test, number) == number
            case ev.WarningIssued():
                return self._warnings.setdefault(event, number) == number
            case _:
                pass
        return True

    def concluded(
        self, number: int, judgement: Judgement, events: Sequence[ev.AnyEvent]
    ) -> list[ev.AnyEvent]:
        """A part has ended in this way; what is to be told of that."""
        told: list[ev.AnyEvent] = []
        for event in self.heard(number, events):
            match event:
                case ev.AttemptFinished():
                    self._ended[number] = (judgement, event)
                case ev.TestFinished() if not self._narrations[number].certificate.planned:
                    # It is known from the others, and told with all that nobody had planned.
                    pass
                case ev.OutputCaptured():
                    # What the import writes, all parts write.
                    output = (event.stream, event.captured)
                    if output not in self._outputs:
                        self._outputs.add(output)
                        told.append(event)
                case _:
                    told.append(event)
        self._missing.discard(number)
        return [*told, *self._end()]

    def done(self, number: int) -> list[ev.AnyEvent]:
        """A part has ended, or will never start, since the run is over; what is to be told then."""
        self._done.add(number)
        self._missing.discard(number)
        return self._end()

    @property
    def all_done(self) -> bool:
        """Nothing is to be expected of any part."""
        return len(self._done) == len(self._narrations)

    def broken_off(self) -> list[ev.AnyEvent]:
        """No part will start any more, and none runs; what is to be told of that."""
        self._missing.clear()
        return self._end()

    # -- the end -------------------------------------------------------------------------------

    def _end(self) -> list[ev.AnyEvent]:
        if self._missing or self.over:
            return []
        self.over = True
        if not self._started:
            return []
        complete = len(self._ended) == len(self._narrations)
        statuses = {judgement.status for judgement, _ in self._ended.values()}
        if not complete:
            statuses.add(ModuleStatus.NOT_RUN)
        self.status = min(statuses, key=WORST_FIRST.index)
        lost = self._lost()
        if self.status not in BAD_STATUSES and lost:
            self.torn = self.disagreed = True
            self.status = ModuleStatus.INCOMPLETE
            self.failure = Failure(f"{DISAGREEMENT}: {next(iter(lost))}", phase="session")
        elif self.status is ModuleStatus.FAILED and complete:
            self.torn = any(self._is_in_doubt(number) for number in self._ended)
        reason = self.failure.message if self.failure else "its part of the module was not run"
        told: list[ev.AnyEvent] = [self._not_run(test, reason) for test in lost.elements()]
        return [*told, self._finished()]

    def _is_in_doubt(self, number: int) -> bool:
        """A test of this part failed, and others of the module were to run before it."""
        narration = self._narrations[number]
        return not self._begins_the_module(number) and any(
            test not in self._collectors for test in narration.bad_tests
        )

    def _begins_the_module(self, number: int) -> bool:
        """The part ran what stands first in the module, without a gap."""
        certificate = self._narrations[number].certificate
        own = len(certificate.own_ids)
        return not certificate.elsewhere or min(certificate.elsewhere) >= own

    def _lost(self) -> Counter[str]:
        """The tests that were to be run and that no part had planned."""
        known: Counter[str] = Counter()
        planned: Counter[str] = Counter()
        for narration in self._narrations:
            certificate = narration.certificate
            # Where a part could not be collected, the others' plans are what counts.
            if certificate.planned:
                known |= Counter(certificate.ids)
                planned += Counter(certificate.own_ids)
        return known - planned

    def _not_run(self, test: str, reason: str) -> ev.TestFinished:
        self._narrations[-1].bad_tests.append(test)
        return ev.TestFinished(
            module=self.module.path,
            attempt=1,
            id=test,
            outcome=Outcome.NOT_RUN,
            duration_s=0.0,
            reason=reason,
        )

    def _finished(self) -> ev.AttemptFinished:
        ends = [end for _, end in self._ended.values()]
        worst = min(ends, key=lambda end: WORST_FIRST.index(end.status))
        self.failure = self.failure or worst.failure
        tests_s = [self._narrations[number].tests_s for number in self._ended]
        beside_s = [
            max(end.duration_s - spent_s, 0.0) for end, spent_s in zip(ends, tests_s, strict=True)
        ]
        return msgspec.structs.replace(
            worst,
            status=self.status,
            failure=self.failure,
            duration_s=round(sum(tests_s) + max(beside_s), 6),
            cpu_s=round(sum(end.cpu_s for end in ends), 6),
            peak_rss_bytes=max(end.peak_rss_bytes for end in ends),
            setups_s=tuple(setup for end in ends for setup in end.setups_s),
        )

    # -- what is left of it --------------------------------------------------------------------

    @property
    def failures(self) -> int:
        """How many failures the attempt counts as."""
        failed = sum(narration.failed for narration in self._narrations)
        return max(failed, int(self.status in BAD_STATUSES))

    def collected(self) -> Collected:
        """What its processes told of its tests."""
        told = [narration.own_collected() for narration in self._narrations]
        return Collected(
            tests=self._plan or (),
            scopes=next((each.scopes for each in told if each.scopes), {}),
            shared_s=max(each.shared_s for each in told),
            whole=self.disagreed or any(each.whole for each in told),
        )


class PartNarration(Narration):
    """Tells a part of a module, as far as it is to be told.

    Failures count when the whole attempt is over, and only if it is not to be followed by another.
    """

    def __init__(self, split: SplitAttempt, part: Part) -> None:
        super().__init__(part.module, 1, final=False)
        self.split = split
        self.part = part
        #: The time that its tests took.
        self.tests_s = 0.0

    def adapted(self, action: Action) -> Action:
        """The action that its process is to be given."""
        part, leave_out = self.part.tests, self.part.leave_out
        return msgspec.structs.replace(action, part=part, leave_out=leave_out)

    def tell(self, batch: Iterable[tuple[msg.AnyMessage, bytes]]) -> list[ev.AnyEvent]:
        """The events of a batch of messages."""
        events = super().tell(batch)
        self.tests_s += sum(
            event.duration_s for event in events if isinstance(event, ev.TestFinished)
        )
        return self.split.heard(self.part.number, events)

    def conclude(self, gone: Gone) -> tuple[Judgement, list[ev.AnyEvent]]:
        """Judge the part; the events that complete it, and the attempt if it is the last."""
        judgement, events = super().conclude(gone)
        told = self.split.concluded(self.part.number, judgement, events)
        failure = self.split.failure or judgement.failure
        return msgspec.structs.replace(judgement, failure=failure), told

    def started(self, slot: int, pid: int) -> list[ev.AnyEvent]:
        """The events of the start of its process."""
        return self.split.started(slot, pid)

    def own_collected(self) -> Collected:
        """What its own process told of the module's tests."""
        return super().collected()

    def collected(self) -> Collected:
        """What the module's processes have told of its tests so far."""
        return self.split.collected()

    def take_final_failures(self, status: ModuleStatus | None = None) -> int:
        """How many failures have come that no other attempt can heal."""
        if status is None or not self.split.over or self.split.followed:
            return 0
        return self.split.failures
