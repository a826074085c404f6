"""Whole runs of the session, at random: the stream's grammar holds, and nothing is lost.

``fakes.runs`` verifies each run: the events keep the grammar of ``model.events``, the statistics
are their fold, what was consumed is what was told, and no attempt is left.
"""

from dataclasses import replace

from fakes.runs import Scenario, cancel, kill, play
from fakes.strategies import many, scenarios
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.model import events as ev
from iopio_async.model.outcome import BAD_OUTCOMES, BAD_STATUSES, CancelReason, ModuleStatus
from iopio_async.model.stats import RunStats
from iopio_async.orchestration.session import CUT_SHORT_EXIT_CODES

MOMENTS = st.sampled_from([-1, 0, 0.05, 0.3, 0.5, 1, 1.2, 2, 2.6, 3, 5, 10])


def expected_exit_code(stats: RunStats) -> int:
    """The exit code, told from the modules one by one."""
    if stats.cancelled is not None:
        return CUT_SHORT_EXIT_CODES.get(stats.cancelled, 1)
    modules = stats.modules.values()
    tests = [test for module in modules for test in module.tests.values()]
    if any(module.status in BAD_STATUSES for module in modules):
        return 1
    if any(test.outcome in BAD_OUTCOMES for test in tests):
        return 1
    return 5 if all(module.status is ModuleStatus.EMPTY for module in modules) else 0


@many(250)
@given(scenarios(), st.integers(0, 2))
def test_a_run_is_told_in_order_and_in_full(scenario: Scenario, maxfail: int) -> None:
    played = play(replace(scenario, maxfail=maxfail))

    assert played.heard == played.told
    assert played.stats.exit_code == expected_exit_code(played.stats)
    assert played.executor.most_running <= scenario.workers
    assert len(played.executor.started) == len(set(played.executor.started))


@many(250)
@given(
    scenarios(),
    st.lists(
        st.tuples(MOMENTS, st.sampled_from([kill, *(cancel(reason) for reason in CancelReason)])),
        min_size=1,
        max_size=3,
    ),
)
def test_a_run_may_be_cancelled_and_killed_at_any_moment(scenario: Scenario, deeds: list) -> None:
    played = play(replace(scenario, deeds=deeds))

    assert played.heard == played.told
    assert played.stats.exit_code == expected_exit_code(played.stats)


@many(150)
@given(scenarios(), MOMENTS, st.integers(0, 30), st.booleans())
def test_a_consumer_may_leave_at_any_moment(
    scenario: Scenario, at_s: float, batches: int, by_itself: bool
) -> None:
    if by_itself:
        played = play(replace(scenario, leaves_after=batches))
    else:
        played = play(replace(scenario, cut_off_s=max(at_s, 0)))

    assert isinstance(played.told[-1].event, ev.RunFinished)
    assert played.stats.exit_code == expected_exit_code(played.stats)


@many(150)
@given(scenarios(), st.integers(1, 4))
def test_what_comes_of_a_run_does_not_depend_on_the_workers(
    scenario: Scenario, workers: int
) -> None:
    # A slow consumer takes part of the tests' time, so that it may be up earlier.
    scenario = replace(scenario, batch_s=0)
    one, other = play(scenario), play(replace(scenario, workers=workers))

    assert one.finals() == other.finals()
    assert one.stats.exit_code == other.stats.exit_code
