"""The state of a run as the fold of its events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.model import events as ev
from iopio_async.model.module import Framework
from iopio_async.model.outcome import CancelReason, ExitCode, ModuleStatus, Outcome, Source
from iopio_async.model.stats import RunStats

PASSED, FAILED, ERROR = Outcome.PASSED, Outcome.FAILED, Outcome.ERROR


def fold(*events: ev.AnyEvent, modules: str = "a") -> RunStats:
    stats = RunStats()
    for module in modules:
        stats.apply(ev.ModulePlanned(module=module, framework=Framework.PYTEST))
    for event in events:
        stats.apply(event)
    return stats


def started(attempt: int = 1, module: str = "a") -> ev.AttemptStarted:
    return ev.AttemptStarted(module=module, attempt=attempt, slot=0)


def collected(count: int, attempt: int = 1, *, deselected: int = 0) -> ev.TestsCollected:
    return ev.TestsCollected(module="a", attempt=attempt, count=count, deselected=deselected)


def finished(
    test: str, outcome: Outcome = PASSED, attempt: int = 1, module: str = "a"
) -> ev.TestFinished:
    return ev.TestFinished(module=module, attempt=attempt, id=test, outcome=outcome, duration_s=0.1)


def ended(status: ModuleStatus = ModuleStatus.PASSED, module: str = "a") -> ev.ModuleFinished:
    return ev.ModuleFinished(module=module, status=status)


def test_tests_are_counted_by_their_outcome() -> None:
    stats = fold(*(finished(f"a::{outcome}", outcome) for outcome in Outcome))

    assert stats.outcomes == dict.fromkeys(Outcome, 1)
    assert (stats.passed, stats.failed, stats.total) == (1, 3, 7)


def test_the_last_word_on_a_test_counts() -> None:
    stats = fold(
        started(1),
        finished("a::x", FAILED),
        finished("a::y", PASSED),
        started(2),
        finished("a::x", PASSED, 2),
    )

    assert (stats.passed, stats.failed, stats.total) == (2, 0, 2)
    assert stats.modules["a"].attempts == 2
    assert stats.modules["a"].tests["a::x", 1].attempt == 2


def test_tests_of_the_same_name_stay_apart_in_every_attempt() -> None:
    stats = fold(
        started(1),
        finished("a::x", PASSED),
        finished("a::x", FAILED),
        started(2),
        finished("a::x", FAILED, 2),
        finished("a::x", PASSED, 2),
    )

    tests = stats.modules["a"].tests
    assert {key: test.outcome for key, test in tests.items()} == {
        ("a::x", 1): FAILED,
        ("a::x", 2): PASSED,
    }
    assert (stats.passed, stats.failed) == (1, 1)


def test_what_could_not_be_collected_counts_until_it_is() -> None:
    failed = [started(1), collected(1), finished("a", ERROR), started(2)]

    again = fold(*failed, collected(1, 2), finished("a", ERROR, 2))
    assert (again.failed, again.total) == (1, 1)
    healed = fold(*failed, collected(1, 2), finished("a::x", PASSED, 2))
    assert (healed.failed, healed.total) == (0, 1)
    assert list(healed.modules["a"].tests) == [("a::x", 1)]


def test_a_test_that_did_not_come_back_keeps_its_outcome() -> None:
    stats = fold(
        started(1),
        collected(2),
        finished("a::x", FAILED),
        finished("a::y", FAILED),
        started(2),
        collected(1, 2),
        finished("a::y", PASSED, 2),
    )

    assert (stats.passed, stats.failed) == (1, 1)


def test_deselected_tests_count_once_a_module() -> None:
    stats = fold(
        started(1), started(2), collected(3, 2, deselected=2), collected(1, 3, deselected=4)
    )

    assert stats.deselected == 2


def test_attempts_add_up() -> None:
    first = ev.AttemptFinished(
        module="a",
        attempt=1,
        status=ModuleStatus.FAILED,
        duration_s=1.5,
        cpu_s=0.5,
        peak_rss_bytes=900,
    )
    second = ev.AttemptFinished(
        module="a",
        attempt=2,
        status=ModuleStatus.PASSED,
        duration_s=0.5,
        cpu_s=0.25,
        peak_rss_bytes=700,
    )
    module = fold(started(1), first, started(2), second).modules["a"]

    assert (module.duration_s, module.cpu_s, module.peak_rss_bytes) == (2.0, 0.75, 900)
    assert module.last_attempt is second


def test_modules_are_counted_by_status_and_source() -> None:
    cached = ev.ModuleFinished(
        module="b", status=ModuleStatus.PASSED, source=Source.LOCAL_CACHE, flaky=("b::x",)
    )
    stats = fold(ended(ModuleStatus.CRASHED), cached, modules="abc")

    assert stats.planned == 3
    assert stats.finished_modules == 2
    assert stats.bad_modules == 1
    assert stats.sources == {Source.EXECUTED: 1, Source.LOCAL_CACHE: 1}
    assert stats.flaky == ["b::x"]
    assert stats.modules["b"].status is ModuleStatus.PASSED
    assert stats.modules["b"].finished is cached
    assert stats.modules["c"].status is None


def test_the_run_s_own_events_are_kept() -> None:
    stats = fold(
        ev.RunStarted(
            run_id="r", root="/", modules=1, workers=4, python="3", iopio="1", started_at="now"
        ),
        ev.WarningIssued(message="m", category="iopio"),
        ev.CancellationStarted(reason=CancelReason.HANGUP),
        ev.RunFinished(exit_code=129, duration_s=2.5, cancelled=CancelReason.HANGUP),
    )

    assert (stats.workers, stats.warnings) == (4, 1)
    assert (stats.cancelled, stats.exit_code, stats.duration_s) == (CancelReason.HANGUP, 129, 2.5)


@pytest.mark.parametrize(
    ("events", "verdict"),
    [
        ([], ExitCode.NOTHING_RAN),
        ([ended(ModuleStatus.EMPTY), ended(ModuleStatus.EMPTY, "b")], ExitCode.NOTHING_RAN),
        ([ended(ModuleStatus.EMPTY), ended(ModuleStatus.PASSED, "b")], ExitCode.OK),
        ([finished("a::x", Outcome.SKIPPED), ended()], ExitCode.OK),
        ([finished("a::x", Outcome.XPASSED), ended()], ExitCode.OK),
        ([ended(ModuleStatus.FLAKY), ended(ModuleStatus.LEAKED, "b")], ExitCode.OK),
        *(
            ([ended(status), ended(ModuleStatus.PASSED, "b")], ExitCode.NOT_ALL_PASSED)
            for status in (
                ModuleStatus.FAILED,
                ModuleStatus.ERROR,
                ModuleStatus.TIMED_OUT,
                ModuleStatus.CRASHED,
                ModuleStatus.INCOMPLETE,
                ModuleStatus.NOT_RUN,
            )
        ),
        # A test that is bad makes the run red, whatever is said of its module.
        ([finished("a::x", FAILED), ended()], ExitCode.NOT_ALL_PASSED),
        ([finished("a::x", Outcome.NOT_RUN), ended()], ExitCode.NOT_ALL_PASSED),
    ],
)
def test_the_verdict_is_red_where_anything_is_bad(
    events: list[ev.AnyEvent], verdict: ExitCode
) -> None:
    assert fold(*events, modules="ab").verdict() is verdict


@given(
    st.lists(
        st.one_of(
            st.builds(started, st.integers(1, 3), st.sampled_from("ab")),
            st.builds(
                finished,
                st.sampled_from(["x", "a::x", "a::y"]),
                st.sampled_from(Outcome),
                module=st.sampled_from("ab"),
            ),
            st.builds(collected, st.integers(0, 3), st.integers(1, 3)),
        )
    )
)
def test_the_counts_are_those_of_the_tests(events: list[ev.AnyEvent]) -> None:
    stats = fold(*events, modules="ab")
    tests = [test for module in stats.modules.values() for test in module.tests.values()]

    assert stats.total == len(tests)
    for outcome in Outcome:
        assert stats.outcomes[outcome] == sum(test.outcome is outcome for test in tests)
