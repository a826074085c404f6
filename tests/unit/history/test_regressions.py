"""What counts as slower: steps and drifts, and not noise."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.history.regressions import KEPT_RUNS, MIN_BASELINE_RUNS, judge, median, spread


def steady(runs: int, value_s: float = 1.0) -> list[float]:
    """Runs that differ by one percent, back and forth."""
    return [value_s * (1.01 if run % 2 else 1.0) for run in range(runs)]


def is_slower(durations_s: list[float], threshold: float = 0.05) -> bool:
    verdict = judge(durations_s, threshold=threshold)
    return verdict is not None and verdict.slower


@pytest.mark.parametrize("runs", range(MIN_BASELINE_RUNS + 3))
def test_few_runs_tell_nothing(runs: int) -> None:
    assert judge(steady(runs), threshold=0.05) is None


def test_one_slow_run_raises_no_alarm() -> None:
    assert not is_slower([*steady(20), 50.0])
    assert not is_slower([*steady(20), 50.0, 1.0, 1.0])


def test_two_slow_runs_of_three_do() -> None:
    assert is_slower([*steady(20), 1.2, 1.0, 1.2])
    verdict = judge([*steady(20), 1.2, 1.2, 1.2], threshold=0.05)
    assert verdict is not None
    assert verdict.slower
    assert verdict.runs == 3
    assert verdict.change == pytest.approx(0.19, abs=0.02)
    assert verdict.before_s == pytest.approx(1.005, abs=0.006)
    assert verdict.now_s == pytest.approx(1.2)


@pytest.mark.parametrize(("step", "fires"), [(1.06, True), (1.05, False), (1.04, False)])
def test_the_threshold_is_strict(step: float, fires: bool) -> None:
    assert is_slower([1.0] * 20 + [step] * 5) is fires


def test_a_higher_threshold_silences() -> None:
    durations = [1.0] * 20 + [1.06] * 5
    assert is_slower(durations)
    assert not is_slower(durations, threshold=0.10)


def test_a_slow_drift_is_found_though_no_step_is() -> None:
    durations = steady(20)
    for _ in range(20):
        assert durations[-1] * 1.04 / durations[-1] < 1.05
        durations.append(durations[-1] * 1.04)
    assert is_slower(durations)


def test_what_is_faster_or_as_before_is_not_slower() -> None:
    assert not is_slower(steady(60))
    assert not is_slower([*steady(30), *steady(10, 0.5)])


def test_a_change_that_nobody_would_notice_is_none() -> None:
    assert not is_slower([0.001] * 20 + [0.002] * 20)


def test_the_more_is_judged_the_surer_it_has_to_be() -> None:
    rng = random.Random(3)
    durations = [math.exp(rng.gauss(0, 0.05)) for _ in range(30)]
    durations += [1.11 * math.exp(rng.gauss(0, 0.05)) for _ in range(6)]
    alone = judge(durations, threshold=0.05)
    together = judge(durations, threshold=0.05, judged=10**9)
    assert alone is not None
    assert together is not None
    assert (alone.slower, together.slower) == (True, False)


def test_lasting_noise_is_noise() -> None:
    # Neighbours are alike, but the level wanders all the time.
    wandering = [1.0 + 0.2 * math.sin(run / 4) for run in range(43)]
    assert not is_slower(wandering)


samples = st.lists(st.integers(1, 100).map(float), max_size=KEPT_RUNS)


@given(samples, st.floats(0.001, 1000))
def test_the_unit_of_time_does_not_matter(durations_s: list[float], factor: float) -> None:
    one = judge(durations_s, threshold=0.05, min_effect_s=0.0)
    other = judge([factor * each for each in durations_s], threshold=0.05, min_effect_s=0.0)
    if one is None or other is None:
        assert one is other
    else:
        assert one.slower == other.slower
        assert one.change == pytest.approx(other.change, rel=1e-6, abs=1e-6)


@given(samples)
def test_one_more_run_alone_never_raises_an_alarm(durations_s: list[float]) -> None:
    """What holds of any steady past, whatever the last run took."""
    past = [1.0] * MIN_BASELINE_RUNS + [1.0] * len(durations_s)
    assert not is_slower([*past, *durations_s[:1]])


def test_the_middle_and_the_spread() -> None:
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert median([4.0, 1.0]) == 2.5
    assert spread([1.0, 1.0, 1.1, 0.9]) == pytest.approx(0.05)
