"""An attempt told as events: what is lost, what is to be run again, what counts as a failure."""

from collections.abc import Iterable

import msgspec
import pytest
from fakes.executor import LEFT_WELL, Step, end, passes, plan

from iopio_async.execution.ports import Gone
from iopio_async.model import events as ev
from iopio_async.model.module import TestModule
from iopio_async.model.outcome import Captured, ExitStatus, Failure, ModuleStatus, Outcome
from iopio_async.orchestration.narration import Narration
from iopio_async.wire import messages as msg
from iopio_async.wire.codec import encode_message

PASSED, FAILED, NOT_RUN = Outcome.PASSED, Outcome.FAILED, Outcome.NOT_RUN
SEGFAULT = Gone(exit_status=ExitStatus(signal=11), duration_s=1.0)
STOPPED = Gone(exit_status=ExitStatus(signal=2), duration_s=1.0, stopped=True)

THREE = plan(["a::x", "a::y", "a::z"])


def ran(index: int, outcome: Outcome) -> list[Step]:
    return [msg.Started(index), msg.Finished(index, outcome, 0.5)]


def twins_that_fail() -> list[Step]:
    steps = [*plan(["a::x", "a::x"]), *ran(0, FAILED), *ran(1, FAILED)]
    return [*steps, end(steps, 1)]


def narrate(
    steps: Iterable[Step], *, attempt: int = 1, final: bool = True
) -> tuple[Narration, list[ev.AnyEvent]]:
    narration = Narration(TestModule(path="a"), attempt, final=final)
    told = narration.tell(
        [(step, encode_message(step)) for step in steps if isinstance(step, msg.Message)]
    )
    return narration, told


def lost(events: Iterable[ev.AnyEvent]) -> dict[str, Outcome]:
    return {event.id: event.outcome for event in events if isinstance(event, ev.TestFinished)}


# -- what is told ------------------------------------------------------------------------------


def test_messages_become_events_of_the_attempt() -> None:
    finished = msg.Finished(
        0,
        FAILED,
        0.5,
        call_s=0.25,
        reason="r",
        failures=(Failure("boom"),),
        properties=(("key", "value"),),
        reruns=1,
        line=3,
    )
    warned = msg.Warned("careful", "UserWarning", "a::x", "src.py", 7)
    _, told = narrate([*plan(["a::x"], deselected=2), warned, msg.Started(0), finished], attempt=2)

    assert told == [
        ev.TestsCollected(module="a", attempt=2, count=1, deselected=2),
        ev.WarningIssued(
            message="careful",
            category="UserWarning",
            module="a",
            test="a::x",
            path="src.py",
            line=7,
        ),
        ev.TestStarted(module="a", attempt=2, id="a::x"),
        ev.TestFinished(
            module="a",
            attempt=2,
            id="a::x",
            outcome=FAILED,
            duration_s=0.5,
            call_s=0.25,
            reason="r",
            failures=(Failure("boom"),),
            properties=(("key", "value"),),
            reruns=1,
            line=3,
        ),
    ]


def test_a_plan_in_pieces_is_told_once_it_is_whole() -> None:
    hello, _ = plan([])
    pieces = [msg.Plan(("a::x",), deselected=1), msg.Plan(("a::y",), last=True, deselected=1)]
    _, told = narrate([hello, *pieces])

    assert told == [ev.TestsCollected(module="a", attempt=1, count=2, deselected=2)]


def test_nothing_is_told_after_the_first_message_that_can_not_be() -> None:
    steps = [*THREE, *ran(0, PASSED), msg.Finished(0, FAILED, 0.1), *ran(1, FAILED)]
    narration, told = narrate(steps)

    assert lost(told) == {"a::x": PASSED}
    assert narration.protocol_error is not None
    assert narration.protocol_error.message == "test a::x finished twice"
    assert narration.tell([(msg.Started(1), b"")]) == []


def test_the_test_that_started_last_is_known() -> None:
    narration, _ = narrate([*THREE, *ran(0, PASSED), msg.Started(1)])

    assert narration.current == "a::y"


# -- the end -----------------------------------------------------------------------------------


def test_an_attempt_in_good_order_is_concluded_by_its_end() -> None:
    narration, _ = narrate(passes({"a::x": PASSED}))
    judgement, told = narration.conclude(
        msgspec.structs.replace(LEFT_WELL, duration_s=1.5, cpu_s=0.5, peak_rss_bytes=99)
    )

    assert judgement.status is ModuleStatus.PASSED
    assert told == [
        ev.AttemptFinished(
            module="a",
            attempt=1,
            status=ModuleStatus.PASSED,
            duration_s=1.5,
            exit_status=ExitStatus(code=0),
            cpu_s=0.5,
            peak_rss_bytes=99,
        )
    ]


def test_after_a_crash_the_test_in_flight_failed_and_the_rest_was_not_run() -> None:
    narration, _ = narrate([*THREE, *ran(0, PASSED), msg.Started(1)])
    _, told = narration.conclude(msgspec.structs.replace(SEGFAULT, stacks="here"))

    assert told == [
        ev.TestFinished(
            module="a",
            attempt=1,
            id="a::y",
            outcome=FAILED,
            duration_s=0.0,
            failures=(Failure("crashed: its process was ended by SIGSEGV"),),
        ),
        ev.TestFinished(
            module="a",
            attempt=1,
            id="a::z",
            outcome=NOT_RUN,
            duration_s=0.0,
            reason="its process was ended by SIGSEGV",
        ),
        ev.AttemptFinished(
            module="a",
            attempt=1,
            status=ModuleStatus.CRASHED,
            duration_s=1.0,
            exit_status=ExitStatus(signal=11),
            failure=Failure("its process was ended by SIGSEGV", phase="session"),
            in_flight="a::y",
            stacks="here",
        ),
    ]


def test_a_crash_between_tests_is_nobody_s() -> None:
    narration, _ = narrate([*THREE, *ran(0, PASSED)])
    _, told = narration.conclude(SEGFAULT)

    assert lost(told) == {"a::y": NOT_RUN, "a::z": NOT_RUN}


def test_nobody_is_blamed_where_iopio_stopped_the_attempt() -> None:
    narration, _ = narrate([*THREE, *ran(0, FAILED), msg.Started(1)])
    judgement, told = narration.conclude(STOPPED)

    assert judgement.status is ModuleStatus.FAILED
    assert lost(told) == {"a::y": NOT_RUN, "a::z": NOT_RUN}


def test_what_stopped_at_its_limit_did_not_run_the_rest() -> None:
    steps = [*THREE, *ran(0, FAILED)]
    narration, _ = narrate([*steps, end(steps, 2, stopped_early=True)])
    judgement, told = narration.conclude(LEFT_WELL)

    assert judgement.status is ModuleStatus.FAILED
    assert lost(told) == {"a::y": NOT_RUN, "a::z": NOT_RUN}
    assert {event.reason for event in told if isinstance(event, ev.TestFinished)} == {
        "it never had its turn"
    }


def test_two_tests_of_one_name_are_lost_as_two() -> None:
    narration, _ = narrate([*plan(["a::x", "a::x"]), msg.Started(0)])
    _, told = narration.conclude(SEGFAULT)

    assert [event.outcome for event in told if isinstance(event, ev.TestFinished)] == [
        FAILED,
        NOT_RUN,
    ]


def test_what_was_written_is_told_before_the_end() -> None:
    narration, _ = narrate(passes({"a::x": PASSED}))
    captured = Captured("text", "", 4, 4)
    _, told = narration.conclude(msgspec.structs.replace(LEFT_WELL, stderr=captured))

    assert told[0] == ev.OutputCaptured(module="a", attempt=1, stream="stderr", captured=captured)
    assert len(told) == 2


# -- what is to be run again -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "gone", "selectors"),
    [
        (passes({"a::x": FAILED, "a::y": PASSED}), LEFT_WELL, ("a::x",)),
        ([*THREE, *ran(0, FAILED), msg.Started(1)], SEGFAULT, ("a::x", "a::y", "a::z")),
        ([*THREE, *ran(0, PASSED), *ran(1, PASSED)], SEGFAULT, ("a::z",)),
        (twins_that_fail(), LEFT_WELL, ("a::x",)),
        # What has no test to name, or none that explains it all, runs whole.
        (passes({"a::x": FAILED}), SEGFAULT, ()),
        ([*THREE, *ran(0, FAILED), msg.Note(Failure("a broken plugin"))], LEFT_WELL, ()),
        (passes({"a.py": Outcome.ERROR}), LEFT_WELL, ()),
        (passes({"a.py": Outcome.ERROR, "a::x": FAILED}), LEFT_WELL, ()),
        (plan([])[:1], SEGFAULT, ()),
        ([], SEGFAULT, ()),
        (passes({"a::x": PASSED}), SEGFAULT, ()),
    ],
)
def test_what_another_attempt_should_run(
    steps: list[Step], gone: Gone, selectors: tuple[str, ...]
) -> None:
    narration, _ = narrate(steps)
    narration.conclude(gone)

    assert narration.retry_selectors() == selectors


# -- what counts as a failure ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "gone", "during", "after"),
    [
        (passes({"a::x": PASSED}), LEFT_WELL, 0, 0),
        (passes({"a::x": FAILED, "a::y": Outcome.ERROR}), LEFT_WELL, 2, 0),
        # A crash takes one test with it; those that were not run are no failures.
        ([*THREE, *ran(0, FAILED), msg.Started(1)], SEGFAULT, 1, 1),
        ([*THREE, *ran(0, FAILED)], SEGFAULT, 1, 0),
        # An attempt that failed without a test counts as one.
        ([*THREE], SEGFAULT, 0, 1),
        ([], SEGFAULT, 0, 1),
        (passes({"a::x": PASSED}), SEGFAULT, 0, 1),
    ],
)
def test_failures_are_counted_once(steps: list[Step], gone: Gone, during: int, after: int) -> None:
    narration, _ = narrate(steps)
    assert narration.take_final_failures() == during
    assert narration.take_final_failures() == 0
    judgement, _ = narration.conclude(gone)

    assert narration.take_final_failures(judgement.status) == after
    assert narration.take_final_failures(judgement.status) == 0


def test_what_another_attempt_may_heal_does_not_count() -> None:
    narration, _ = narrate([*THREE, *ran(0, FAILED), msg.Started(1)], final=False)
    judgement, _ = narration.conclude(SEGFAULT)

    assert narration.take_final_failures(judgement.status) == 0
    assert narration.bad_tests == ["a::x", "a::y", "a::z"]
