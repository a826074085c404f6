"""Whole runs of the session, case by case, in simulated time; ``fakes.runs`` verifies each."""

import math
from dataclasses import replace

import msgspec
import pytest
from fakes.executor import LEFT_WELL, Hang, Script, end, passes, plan
from fakes.runs import REMAINDER, Played, Scenario, cancel, kill, play

from iopio_async.execution.ports import Gone
from iopio_async.model import events as ev
from iopio_async.model.module import REMAINDER_PATH, Claim
from iopio_async.model.outcome import (
    CancelReason,
    Captured,
    ExitStatus,
    Failure,
    ModuleStatus,
    Outcome,
)
from iopio_async.planning.estimate import Outlook
from iopio_async.wire import messages as msg

PASSED, FAILED, ERROR, NOT_RUN = Outcome.PASSED, Outcome.FAILED, Outcome.ERROR, Outcome.NOT_RUN


def replaced(**changes: object) -> Gone:
    """A process that left well, but for the changes."""
    return msgspec.structs.replace(LEFT_WELL, **changes)


GOOD = Script(passes({"a::x": PASSED}))
BAD = Script(passes({"a::x": FAILED}))
EMPTY = Script(passes({}))
CRASHED = Script(
    (*plan(["a::x", "a::y", "a::z"]), msg.Started(0), msg.Finished(0, PASSED, 0.1), msg.Started(1)),
    ends=Gone(exit_status=ExitStatus(signal=11), duration_s=0.0, stacks="in y"),
)
FOREVER = Script((*plan(["a::x", "a::y"]), msg.Started(0), Hang()))


def outcomes(played: Played, path: str = "a") -> dict[str, Outcome]:
    return {key[0]: test.outcome for key, test in played.stats.modules[path].tests.items()}


def statuses(played: Played) -> dict[str, ModuleStatus | None]:
    return {path: module.status for path, module in played.stats.modules.items()}


def last_word(played: Played, path: str = "a") -> ev.ModuleFinished:
    word = played.stats.modules[path].finished
    assert word is not None
    return word


# -- one module --------------------------------------------------------------------------------


def test_a_passing_module_is_told_event_by_event() -> None:
    played = play(Scenario(scripts={"a": [GOOD]}))

    assert [type(envelope.event) for envelope in played.told] == [
        ev.RunStarted,
        ev.ModulePlanned,
        ev.AttemptStarted,
        ev.TestsCollected,
        ev.TestStarted,
        ev.TestFinished,
        ev.AttemptFinished,
        ev.ModuleFinished,
        ev.RunFinished,
    ]
    assert played.told[5].elapsed_s == 1.0
    assert played.told[-1].event == ev.RunFinished(exit_code=0, duration_s=1.0)


@pytest.mark.parametrize(
    ("script", "status", "exit_code"),
    [
        (GOOD, ModuleStatus.PASSED, 0),
        (BAD, ModuleStatus.FAILED, 1),
        (EMPTY, ModuleStatus.EMPTY, 5),
        (CRASHED, ModuleStatus.CRASHED, 1),
        (FOREVER, ModuleStatus.TIMED_OUT, 1),
        (Script((*plan(["a::x"]), msg.Started(7), Hang())), ModuleStatus.ERROR, 1),
        (Script(plan(["a::x"])[1:]), ModuleStatus.ERROR, 1),
        (replace(GOOD, steps=GOOD.steps[:-1]), ModuleStatus.INCOMPLETE, 1),
        (replace(GOOD, ends=replaced(leaked=("9 (sleep)",))), ModuleStatus.LEAKED, 0),
        (Script(refused="no more processes"), ModuleStatus.ERROR, 1),
    ],
)
def test_how_a_module_ends_decides_how_the_run_ends(
    script: Script, status: ModuleStatus, exit_code: int
) -> None:
    played = play(Scenario(scripts={"a": [script]}))

    assert statuses(played) == {"a": status}
    assert played.stats.exit_code == exit_code


def test_a_run_of_nothing_has_run_nothing() -> None:
    assert play(Scenario(scripts={})).stats.exit_code == 5


def test_a_crash_is_blamed_on_the_test_in_flight_and_the_rest_is_not_run() -> None:
    played = play(Scenario(scripts={"a": [CRASHED]}))

    assert outcomes(played) == {"a::x": PASSED, "a::y": FAILED, "a::z": NOT_RUN}
    [finished] = played.events(ev.AttemptFinished)
    assert isinstance(finished, ev.AttemptFinished)
    assert finished.in_flight == "a::y"
    assert finished.stacks == "in y"


def test_a_module_is_timed_out_by_its_limit() -> None:
    played = play(Scenario(scripts={"a": [FOREVER]}, timeout_s=7.0))

    assert played.lasted_s == 7.0
    assert outcomes(played) == {"a::x": FAILED, "a::y": NOT_RUN}


def test_a_stream_that_is_not_a_worker_s_ends_its_attempt_at_once() -> None:
    script = Script((*plan(["a::x", "a::y"]), msg.Started(0), msg.Finished(5, PASSED, 0), Hang()))
    played = play(Scenario(scripts={"a": [script]}))

    assert played.lasted_s == 0.0
    assert outcomes(played) == {"a::x": FAILED, "a::y": NOT_RUN}
    assert last_word(played).failure == Failure("test 5 was never planned", phase="session")


def test_a_process_that_can_not_be_had_is_an_error_of_its_module_alone() -> None:
    played = play(Scenario(scripts={"a": [Script(refused="too many processes")], "b": [GOOD]}))

    assert statuses(played) == {"a": ModuleStatus.ERROR, "b": ModuleStatus.PASSED}
    failure = last_word(played).failure
    assert failure is not None
    assert failure.message == "too many processes"
    assert last_word(played).attempts == 1


def test_what_a_process_wrote_is_told_at_its_end() -> None:
    ends = replaced(stdout=Captured("out", "", 3, 3), stderr=Captured("err", "", 3, 3))
    played = play(Scenario(scripts={"a": [replace(GOOD, ends=ends)]}))

    captured = played.events(ev.OutputCaptured)
    assert [(event.stream, event.captured.head) for event in captured] == [
        ("stdout", "out"),
        ("stderr", "err"),
    ]


def test_a_slow_module_is_told_each_time_its_time_has_doubled() -> None:
    steps = (*plan(["a::x"]), 7.0, msg.Started(0), 28.0, msg.Finished(0, PASSED, 28.0))
    played = play(Scenario(scripts={"a": [Script((*steps, end(steps)))]}, slow_after_s=5.0))

    assert [
        (envelope.elapsed_s, envelope.event.running_s, envelope.event.test)
        for envelope in played.told
        if isinstance(envelope.event, ev.ModuleSlow)
    ] == [(5.0, 5.0, ""), (10.0, 10.0, "a::x"), (20.0, 20.0, "a::x")]


# -- many modules ------------------------------------------------------------------------------


def test_no_more_run_than_there_are_workers() -> None:
    played = play(Scenario(scripts={path: [GOOD] for path in "abcdefg"}, workers=3))

    assert played.executor.most_running == 3
    assert played.lasted_s == 3.0


def test_a_module_may_take_the_place_of_several_workers() -> None:
    scripts = {path: [GOOD] for path in ("a", "wide", "b")}
    played = play(Scenario(scripts=scripts, workers=2, module_workers={"wide": 9}))

    assert played.most_together("wide", "a") == played.most_together("wide", "b") == 1
    assert played.most_together("a", "b") == 2
    slots = {start.module: start.slot for start in played.events(ev.AttemptStarted)}
    assert slots == {"a": 0, "b": 1, "wide": 0}


#: The limit, what is free, the usual peaks of three modules, how many of them run together.
MEMORY = [
    (None, None, (4, 4, 4), 3),
    (None, 8, (4, 4, 4), 2),
    (None, 100, (4, 4, 4), 3),
    (8, 100, (4, 4, 4), 2),
    (3, 100, (4, 4, 4), 1),
    (3, None, (0, 0, 0), 3),
    (None, 1, (0, 0, 0), 3),
]


@pytest.mark.parametrize(("limit", "free", "peaks", "together"), MEMORY)
def test_no_more_run_than_there_is_memory_for(
    limit: int | None, free: int | None, peaks: tuple[int, ...], together: int
) -> None:
    outlook = Outlook(peaks_bytes=dict(zip("abc", peaks, strict=True)))
    played = play(
        Scenario(
            scripts={path: [GOOD] for path in "abc"},
            workers=3,
            outlook=outlook,
            memory_limit_bytes=limit,
            free_bytes=free,
        )
    )

    assert played.most_together(*"abc") == together
    assert set(statuses(played).values()) == {ModuleStatus.PASSED}


def test_modules_with_the_same_claim_do_not_overlap() -> None:
    claims = dict.fromkeys("abc", (Claim("db"),))
    played = play(Scenario(scripts={path: [GOOD] for path in "abcd"}, claims=claims, workers=4))

    assert played.executor.most_running == 2
    assert played.lasted_s == 3.0


# -- retries -----------------------------------------------------------------------------------


def test_only_what_failed_is_run_again() -> None:
    first = Script(passes({"a::x": PASSED, "a::y": FAILED, "a::z": ERROR}))
    second = Script(passes({"a::y": PASSED, "a::z": FAILED}))
    third = Script(passes({"a::z": PASSED}))
    played = play(Scenario(scripts={"a": [first, second, third]}, retries=2))

    assert [action.selectors for action in played.executor.actions] == [
        (),
        ("a::y", "a::z"),
        ("a::z",),
    ]
    assert last_word(played).status is ModuleStatus.FLAKY
    assert last_word(played).flaky == ("a::y", "a::z")
    assert played.stats.flaky == ["a::y", "a::z"]
    assert outcomes(played) == dict.fromkeys(["a::x", "a::y", "a::z"], PASSED)
    assert played.stats.exit_code == 0


def test_what_fails_to_the_last_is_not_flaky() -> None:
    first = Script(passes({"a::x": FAILED, "a::y": FAILED}))
    second = Script(passes({"a::x": FAILED, "a::y": PASSED}))
    played = play(Scenario(scripts={"a": [first, second]}, retries=1))

    assert last_word(played).status is ModuleStatus.FAILED
    assert last_word(played).flaky == ("a::y",)
    assert played.stats.exit_code == 1


def test_a_test_that_passed_in_between_but_failed_at_last_is_not_flaky() -> None:
    # The second attempt has a note beside its tests, so that the third runs all of them again.
    steps = [
        *plan(["a::x", "a::y"]),
        msg.Started(0),
        msg.Finished(0, PASSED, 0.1),
        msg.Started(1),
        msg.Finished(1, PASSED, 0.1),
        msg.Note(Failure("a broken plugin")),
    ]
    first = Script(passes({"a::x": FAILED, "a::y": FAILED}))
    third = Script(passes({"a::x": FAILED, "a::y": PASSED}))
    scripts = {"a": [first, Script((*steps, end(steps))), third]}
    played = play(Scenario(scripts=scripts, retries=2))

    assert last_word(played).flaky == ("a::y",)
    assert played.executor.actions[2].selectors == ("a::x", "a::y")


def test_a_module_that_is_collected_at_the_second_try_is_well() -> None:
    played = play(Scenario(scripts={"a": [Script(passes({"a": ERROR})), GOOD]}, retries=1))

    assert last_word(played).status is ModuleStatus.FLAKY
    assert outcomes(played) == {"a::x": PASSED}
    assert played.stats.exit_code == 0
    assert played.executor.actions[1].selectors == ()


def test_a_process_that_can_not_be_had_is_tried_again() -> None:
    played = play(Scenario(scripts={"a": [Script(refused="no"), GOOD]}, retries=1))

    assert last_word(played).status is ModuleStatus.FLAKY
    assert last_word(played).attempts == 2


# -- the remainder -----------------------------------------------------------------------------

FOREIGN = Script(passes({"a::x": PASSED}, foreign=True))


@pytest.mark.parametrize(
    ("scenario", "runs"),
    [
        (Scenario(scripts={"a": [FOREIGN], "b": [FOREIGN]}, remainder=True), 1),
        (Scenario(scripts={"a": [GOOD]}, remainder=True), 0),
        (Scenario(scripts={"a": [FOREIGN]}), 0),
        (Scenario(scripts={"a": [GOOD]}, remainder=True, remainder_expected=True), 1),
        (Scenario(scripts={"a": [FOREIGN]}, remainder=True, remainder_expected=True), 1),
    ],
)
def test_the_remainder_runs_once_and_if_there_may_be_one(scenario: Scenario, runs: int) -> None:
    scripts = {**scenario.scripts, REMAINDER_PATH: [GOOD]}
    played = play(replace(scenario, scripts=scripts))

    paths = [path for path, _ in played.executor.started]
    assert paths.count(REMAINDER.path) == runs
    assert (REMAINDER.path in played.stats.modules) == bool(runs)


# -- a limit on failures -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("maxfail", "run"),
    [(0, "abcdef"), (1, "a"), (2, "ab"), (3, "abcd"), (4, "abcde"), (5, "abcdef")],
)
def test_so_many_failures_end_the_run(maxfail: int, run: str) -> None:
    # A crash counts as the one test that it took down; being refused counts as one as well.
    scripts = {
        "a": [BAD],
        "b": [CRASHED],
        "c": [GOOD],
        "d": [Script(refused="no")],
        "e": [BAD],
        "f": [GOOD],
    }
    played = play(Scenario(scripts=scripts, workers=1, maxfail=maxfail))

    statuses_of = statuses(played)
    not_run = [path for path, status in statuses_of.items() if status is ModuleStatus.NOT_RUN]
    assert "".join(path for path in statuses_of if path not in not_run) == run
    assert played.stats.exit_code == 1
    assert (played.stats.cancelled is CancelReason.MAXFAIL) == (0 < maxfail <= 4)


def test_what_a_retry_may_heal_is_no_failure_yet() -> None:
    scripts = {"a": [BAD, GOOD], "b": [BAD, BAD], "c": [GOOD]}
    played = play(Scenario(scripts=scripts, workers=1, maxfail=1, retries=1))

    assert statuses(played) == {
        "a": ModuleStatus.FLAKY,
        "b": ModuleStatus.FAILED,
        "c": ModuleStatus.NOT_RUN,
    }


def test_the_limit_is_minded_as_soon_as_the_test_has_failed() -> None:
    steps = [*plan(["a::x", "a::y"]), msg.Started(0), 1, msg.Finished(0, FAILED, 1), Hang()]
    played = play(Scenario(scripts={"a": [Script(tuple(steps))], "b": [FOREVER]}, maxfail=1))

    assert played.lasted_s == 1.0
    assert statuses(played) == {"a": ModuleStatus.FAILED, "b": ModuleStatus.NOT_RUN}
    assert outcomes(played) == {"a::x": FAILED, "a::y": NOT_RUN}
    assert outcomes(played, "b") == {"a::x": NOT_RUN, "a::y": NOT_RUN}
    assert [attempt.asked_to_stop for attempt in played.executor.attempts] == [1, 1]


# -- cancellation ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "exit_code"),
    [
        (CancelReason.INTERRUPT, 130),
        (CancelReason.TERMINATE, 143),
        (CancelReason.HANGUP, 129),
        (CancelReason.EMBEDDER, 1),
        (CancelReason.INTERNAL, 3),
    ],
)
def test_a_cancelled_run_ends_by_its_reason(reason: CancelReason, exit_code: int) -> None:
    played = play(Scenario(scripts={"a": [FOREVER]}, deeds=[(1.0, cancel(reason))]))

    assert played.told[-1].event == ev.RunFinished(
        exit_code=exit_code, duration_s=1.0, cancelled=reason
    )


def test_a_cancellation_stops_what_runs_and_starts_nothing_more() -> None:
    scripts = {"a": [replace(FOREVER, stop_s=3.0)], "b": [FOREVER], "c": [GOOD], "d": [GOOD]}
    deeds = [(1.0, cancel()), (2.0, cancel(CancelReason.TERMINATE))]
    played = play(Scenario(scripts=scripts, deeds=deeds))

    assert statuses(played) == dict.fromkeys("abcd", ModuleStatus.NOT_RUN)
    assert outcomes(played) == dict.fromkeys(["a::x", "a::y"], NOT_RUN)
    assert played.lasted_s == 4.0
    assert played.stats.cancelled is CancelReason.INTERRUPT
    assert [attempt.asked_to_stop for attempt in played.executor.attempts] == [1, 1]
    assert [last_word(played, path).attempts for path in "abcd"] == [1, 1, 0, 0]


def test_what_runs_may_end_in_its_grace() -> None:
    scripts = {"a": [Script(passes({"a::x": FAILED}, test_s=3.0), stop_s=10.0)]}
    played = play(Scenario(scripts=scripts, deeds=[(1.0, cancel())]))

    assert statuses(played) == {"a": ModuleStatus.FAILED}
    assert played.lasted_s == 3.0


def test_killing_ends_the_grace() -> None:
    scripts = {"a": [replace(FOREVER, stop_s=50.0)]}
    played = play(Scenario(scripts=scripts, deeds=[(1.0, cancel()), (2.0, kill)]))

    assert played.lasted_s == 2.0
    assert statuses(played) == {"a": ModuleStatus.NOT_RUN}


def test_killing_alone_cancels_too() -> None:
    played = play(Scenario(scripts={"a": [FOREVER], "b": [GOOD]}, workers=1, deeds=[(1.0, kill)]))

    assert played.lasted_s == 1.0
    assert statuses(played) == dict.fromkeys("ab", ModuleStatus.NOT_RUN)
    assert played.stats.cancelled is CancelReason.EMBEDDER


def test_a_process_that_comes_to_be_after_the_cancellation_is_not_told() -> None:
    scripts = {"a": [replace(GOOD, spawn_s=2.0, heedless=True)]}
    played = play(Scenario(scripts=scripts, deeds=[(1.0, cancel())]))

    assert played.events(ev.AttemptStarted) == []
    assert last_word(played).attempts == 0
    assert played.lasted_s == 2.0


def test_a_cancellation_does_not_wait_for_processes_to_come() -> None:
    scripts = {"a": [replace(GOOD, spawn_s=2.0)]}
    played = play(Scenario(scripts=scripts, deeds=[(1.0, cancel())]))

    assert played.lasted_s == 1.0
    assert statuses(played) == {"a": ModuleStatus.NOT_RUN}


def test_a_process_that_can_not_be_had_after_the_cancellation_is_no_error() -> None:
    scripts = {"a": [Script(refused="no", spawn_s=2.0, heedless=True)]}
    played = play(Scenario(scripts=scripts, deeds=[(1.0, cancel())]))

    assert statuses(played) == {"a": ModuleStatus.NOT_RUN}


def test_a_failed_module_whose_retry_is_cancelled_has_failed() -> None:
    scripts = {"a": [BAD, replace(GOOD, spawn_s=2.0)], "b": [BAD]}
    played = play(Scenario(scripts=scripts, retries=1, workers=1, deeds=[(2.0, cancel())]))

    assert statuses(played) == {"a": ModuleStatus.FAILED, "b": ModuleStatus.NOT_RUN}
    assert outcomes(played) == {"a::x": FAILED}


def test_a_run_that_is_cancelled_before_it_began_is_told_from_its_beginning() -> None:
    played = play(Scenario(scripts={"a": [GOOD]}, deeds=[(-1.0, cancel())]))

    assert [type(envelope.event) for envelope in played.told][:2] == [
        ev.RunStarted,
        ev.ModulePlanned,
    ]
    assert statuses(played) == {"a": ModuleStatus.NOT_RUN}


def test_a_run_that_is_over_can_not_be_cancelled() -> None:
    deeds = [(1.5, cancel()), (1.6, kill)]
    played = play(Scenario(scripts={"a": [GOOD]}, deeds=deeds, batch_s=1.0))

    assert played.stats.cancelled is None
    assert played.stats.exit_code == 0


# -- the consumer ------------------------------------------------------------------------------


def test_a_slow_consumer_slows_the_tests_and_loses_nothing() -> None:
    tests = {f"a::{number}": PASSED for number in range(50)}
    scripts = {path: [Script(passes(tests, test_s=0.0))] for path in "abc"}
    played = play(Scenario(scripts=scripts, batch_s=1.0, bound=5, timeout_s=None))

    assert played.heard == played.told
    # Beyond the bound, each worker may have put what it had to say at once.
    assert played.most_waiting <= 5 + 2 * 4
    assert played.lasted_s > 3 * 50


def test_a_fast_consumer_slows_nobody() -> None:
    tests = {f"a::{number}": PASSED for number in range(50)}
    played = play(Scenario(scripts={"a": [Script(passes(tests, test_s=0.0))]}))

    assert played.lasted_s == 0.0


@pytest.mark.parametrize(
    "leaving", [{"leaves_after": 4}, {"cut_off_s": 0.5}], ids=["by itself", "cancelled"]
)
def test_a_consumer_that_leaves_ends_everything(leaving: dict[str, float]) -> None:
    scripts = {"a": [FOREVER], "b": [GOOD], "c": [GOOD]}
    played = play(Scenario(scripts=scripts, **{"leaves_after": math.inf, **leaving}))

    assert statuses(played) == dict.fromkeys("abc", ModuleStatus.NOT_RUN)
    assert outcomes(played) == dict.fromkeys(["a::x", "a::y"], NOT_RUN)
    assert played.stats.cancelled is CancelReason.EMBEDDER
    assert played.stats.exit_code == 1


# -- faults ------------------------------------------------------------------------------------


def test_the_books_of_a_broken_run_are_brought_to_a_proper_end() -> None:
    broken = Script(breaks="a bug", spawn_s=1.0)
    played = play(Scenario(scripts={"a": [FOREVER], "b": [broken], "c": [GOOD]}))

    assert played.lasted_s == 1.0
    assert statuses(played) == dict.fromkeys("abc", ModuleStatus.NOT_RUN)
    assert outcomes(played) == dict.fromkeys(["a::x", "a::y"], NOT_RUN)
    assert played.told[-1].event == ev.RunFinished(
        exit_code=3, duration_s=1.0, cancelled=CancelReason.INTERNAL
    )


def test_a_fault_is_a_fault_even_in_a_run_that_was_interrupted() -> None:
    scripts = {"a": [Script(breaks="a bug", spawn_s=2.0, heedless=True)]}
    played = play(Scenario(scripts=scripts, deeds=[(1.0, cancel())]))

    assert played.told[-1].event == ev.RunFinished(
        exit_code=3, duration_s=2.0, cancelled=CancelReason.INTERRUPT
    )


def test_a_warning_of_its_own_is_told() -> None:
    deeds = [(0.5, lambda session: session.warn("no room left"))]
    played = play(Scenario(scripts={"a": [GOOD]}, deeds=deeds))

    assert played.events(ev.WarningIssued) == [
        ev.WarningIssued(message="no room left", category="iopio")
    ]
    assert played.stats.warnings == 1
