"""One module's session, for the frameworks that iopio drives itself: what happens → the recorder.

``conduct`` imports the module and hands it to a framework's body. The body plans, then for each
test calls ``open`` (fixtures of the class or module may follow), ``begin`` (the test itself) and
``close``. A closed test is held back until the next one opens: what the teardown of its class or
module raises is its own failure still, as it is with pytest, and if that teardown takes the process
down, the test that it belongs to is the one in flight.
"""

import gc
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import NamedTuple

import msgspec

from iopio_async.model.action import Action, Limits
from iopio_async.model.outcome import BAD_OUTCOMES, Failure, Outcome, Section, SubTest
from iopio_async.worker.frameworks.capture import Capture, Warnings
from iopio_async.worker.frameworks.failures import Caught
from iopio_async.worker.frameworks.loading import load_module
from iopio_async.worker.frameworks.skips import skip_reason
from iopio_async.worker.recorder import Recorder

#: What the failures of one test may take up in all, far below the bound on a frame.
FAILURES_CHARS = 1024 * 1024

#: So many sub-tests that passed are told one by one.
PASSED_SUBTESTS = 1000

PASSED_CODE, FAILED_CODE, INTERRUPTED_CODE, BROKEN_CODE, EMPTY_CODE = 0, 1, 2, 3, 5


class Planned(NamedTuple):
    """A test that will run; ``line`` is 1-based, 0 where it is not known."""

    id: str
    line: int = 0


@dataclass(slots=True)
class Record:
    """What is known of one test so far. ``opened_s`` and ``begun_s`` are clock readings."""

    index: int
    planned: Planned
    opened_s: float
    begun_s: float | None = None
    duration_s: float = 0.0
    call_s: float = 0.0
    outcome: Outcome | None = None
    reason: str = ""
    sections: list[Section] = field(default_factory=list)
    subtests: list[SubTest] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    #: What was caught, each with the place of its sub-test, if it was one.
    _caught: list[tuple[Caught, int | None]] = field(default_factory=list)
    _passed_subtests: int = 0
    _spent_chars: int = 0
    _left_out: int = 0

    @property
    def bad(self) -> bool:
        """True where the test makes the run red."""
        return self.outcome in BAD_OUTCOMES

    def ended(self, outcome: Outcome, reason: str = "") -> None:
        """The test ended so, unless something went wrong already."""
        if not self.bad:
            self.outcome, self.reason = outcome, reason

    def went_wrong(self, outcome: Outcome, caught: Caught, *, subtest: str = "") -> None:
        """Something went wrong; the first such thing gives the test its outcome."""
        self.ended(outcome)
        if self._spent_chars > FAILURES_CHARS:
            self._left_out += 1
            return
        # A first guess: the text itself is rendered when the test is over.
        self._spent_chars += 1000
        place = None
        if subtest:
            place = len(self.subtests)
            self.subtests.append(SubTest(subtest, outcome))
        self._caught.append((caught, place))

    def refused(self, outcome: Outcome, failure: Failure) -> None:
        """The test's outcome is bad without anything having been raised."""
        self.ended(outcome)
        self.failures.append(failure)

    def subtest(self, description: str, outcome: Outcome) -> None:
        """A sub-test ended well."""
        if outcome is Outcome.PASSED:
            self._passed_subtests += 1
            if self._passed_subtests > PASSED_SUBTESTS:
                return
        self.subtests.append(SubTest(description, outcome))

    def render(self, limits: Limits) -> None:
        """Turn what was caught into failures."""
        spent = sum(len(failure.text) for failure in self.failures)
        for caught, place in self._caught:
            if spent > FAILURES_CHARS:
                self._left_out += 1
                continue
            failure = caught.failure()
            spent += min(len(failure.text), limits.failure_chars)
            spent += min(len(failure.message), limits.property_chars)
            if place is not None:
                name, outcome = self.subtests[place].description, self.subtests[place].outcome
                self.subtests[place] = SubTest(name, outcome, failure)
                failure = msgspec.structs.replace(
                    failure, message=f"{name}: {failure.message}", phase="subtest"
                )
            self.failures.append(failure)
        self._caught.clear()
        if self._left_out:
            self.failures.append(Failure(f"and {self._left_out} more failures of this test"))
        if self._passed_subtests > PASSED_SUBTESTS:
            more = self._passed_subtests - PASSED_SUBTESTS
            self.subtests.append(SubTest(f"and {more} more", Outcome.PASSED))
        self._left_out = self._passed_subtests = 0


class Session:
    """The plan and what became of it. ``clock`` reads seconds; it is bound before any test."""

    def __init__(
        self, action: Action, recorder: Recorder, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.action = action
        self.capture = Capture(recorder.limits.section_chars)
        self.warnings = Warnings(self._warned)
        self._recorder = recorder
        self._clock = clock
        self._plan: Sequence[Planned] = ()
        self._finished: list[bool] = []
        self._open: Record | None = None
        self._held: Record | None = None
        self._bad = 0
        self._noted = False

    @property
    def stopping(self) -> bool:
        """As many tests went wrong as the action allows: no other is to begin."""
        return 0 < self.action.maxfail <= self._bad

    def caught(self, error: BaseException, phase: str = "call") -> Caught:
        """Take down an exception of this project."""
        return Caught(error, self.action.root, phase)

    def plan(self, tests: Sequence[Planned], *, deselected: int = 0) -> None:
        """Announce all tests that will run, in order."""
        self._plan = tests
        self._finished = [False] * len(tests)
        self._recorder.plan([test.id for test in tests], deselected=deselected)

    def open(self, index: int) -> Record:
        """The test's turn has come, with the fixtures that it shares with others first."""
        record = self._open
        if record is None or record.index != index:
            self.settle()
            record = self._open = Record(index, self._plan[index], self._clock())
            self._recorder.started(index)
        return record

    def begin(self, record: Record) -> None:
        """The test itself begins: what is printed from here on is its own."""
        self.capture.start()
        record.begun_s = self._clock()

    def close(self, record: Record) -> None:
        """The test is over; without any word of an outcome that is an error."""
        now_s = self._clock()
        record.duration_s = now_s - record.opened_s
        if record.begun_s is not None:
            record.call_s = now_s - record.begun_s
            record.sections = self.capture.stop()
        if record.outcome is None:
            record.refused(Outcome.ERROR, Failure("the test ended without an outcome"))
        record.render(self._recorder.limits)
        self._bad += record.bad
        self._finished[record.index] = True
        self._open = None
        self._held = record

    def abandon(self) -> None:
        """Leave the open test without an outcome: the session is over."""
        self.capture.stop()
        self._open = None

    def blame_last(self, caught: Caught) -> None:
        """A teardown that came after the last test, and belongs to it, went wrong."""
        record = self._held
        if record is None:
            self.note(caught.failure())
            return
        was_bad = record.bad
        record.went_wrong(Outcome.ERROR, caught)
        record.render(self._recorder.limits)
        self._bad += record.bad and not was_bad

    def settle(self) -> None:
        """Let the last test's result go: nothing can change it any more."""
        record, self._held = self._held, None
        if record is None or record.outcome is None:
            return
        self._recorder.finished(
            record.index,
            record.outcome,
            record.duration_s,
            call_s=record.call_s,
            reason=record.reason,
            failures=record.failures,
            sections=record.sections,
            subtests=record.subtests,
            line=record.planned.line,
        )

    def unfinished(self) -> list[int]:
        """Indices of the planned tests without an outcome, in order."""
        return [index for index, finished in enumerate(self._finished) if not finished]

    def note(self, failure: Failure) -> None:
        """Something went wrong that belongs to no test."""
        self._noted = True
        self._recorder.note(failure)

    def not_imported(self, error: BaseException) -> None:
        """The module could not be imported: it counts as one test, named as the module."""
        self.plan([Planned(self.action.path)])
        record = self.open(0)
        reason = skip_reason(error)
        if reason is None:
            record.went_wrong(Outcome.ERROR, self.caught(error, "collect"))
        else:
            record.ended(Outcome.SKIPPED, reason)
        self.close(record)

    def exit_code(self) -> int:
        """What the framework would leave with."""
        if self._bad or self._noted:
            return FAILED_CODE
        return PASSED_CODE if self._plan else EMPTY_CODE

    def _warned(self, message: str, category: str, path: str, line: int) -> None:
        test = self._open.planned.id if self._open else ""
        self._recorder.warned(message, category, test=test, path=path, line=line)


def conduct(action: Action, recorder: Recorder, body: Callable[[Session, ModuleType], None]) -> int:
    """Import the action's module, have ``body`` run it, and close the stream; the exit code."""
    session = Session(action, recorder)
    recorder.hello({"python": sys.version.split()[0]})
    # What iopio itself has allocated goes to the oldest generation, where it is seldom walked over.
    gc.freeze()
    gc.unfreeze()
    gc.enable()
    code = None
    try:
        with session.warnings:
            _import_and_run(session, body)
    except KeyboardInterrupt as error:
        session.abandon()
        session.note(session.caught(error, "session").failure("the session was ended by "))
        code = INTERRUPTED_CODE
    except BaseException as error:
        session.abandon()
        session.note(session.caught(error, "session").failure("the session was broken off by "))
        code = BROKEN_CODE
    session.settle()
    if code is None:
        code = session.exit_code()
    recorder.end(code, stopped_early=session.stopping)
    return code


def _import_and_run(session: Session, body: Callable[[Session, ModuleType], None]) -> None:
    try:
        module = load_module(session.action)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        session.not_imported(error)
        return
    # unittest applies its own filters to what runs, not to what is imported.
    session.warnings.show_each_once()
    body(session, module)
