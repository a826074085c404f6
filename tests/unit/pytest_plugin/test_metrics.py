"""What is a regression of a figure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.errors import UsageError
from iopio_async.pytest_plugin.metrics import (
    UNITS,
    is_regression,
    least_effect,
    metric,
    worse_by,
)


@pytest.mark.parametrize(
    ("now", "threshold", "regression"),
    [(106.0, 0.05, True), (105.0, 0.05, False), (104.0, 0.05, False), (106.0, 0.1, False)],
)
def test_beyond_the_threshold(now: float, threshold: float, *, regression: bool) -> None:
    assert is_regression([100.0], now, threshold=threshold) is regression


@given(st.floats(0.001, 1e6), st.sampled_from([0.05, 0.1, 0.5]))
def test_just_the_threshold_is_not_beyond_it(before: float, threshold: float) -> None:
    assert not is_regression([before], before * (1 + threshold), threshold=threshold)
    assert is_regression([before], before * (1.001 + threshold), threshold=threshold)


def test_of_a_rate_less_is_worse() -> None:
    assert worse_by([100.0], 94.0, more_is_better=True) == pytest.approx(0.06)
    assert is_regression([100.0], 94.0, threshold=0.05, more_is_better=True)
    assert not is_regression([100.0], 106.0, threshold=0.05, more_is_better=True)


def test_without_an_earlier_session_there_is_none() -> None:
    assert not is_regression([], 1e9, threshold=0.0)


def test_one_noisy_session_before_raises_no_alarm() -> None:
    assert is_regression([100.0] * 8 + [20.0, 100.0], 120.0, threshold=0.05)
    assert not is_regression([100.0, 80.0, 120.0, 90.0, 110.0], 115.0, threshold=0.05)


def test_what_creeps_up_is_found() -> None:
    figures = [1.04**session for session in range(20)]
    found = [
        session
        for session in range(1, 20)
        if is_regression(figures[:session], figures[session], threshold=0.05)
    ]
    assert 1 not in found
    assert found[-8:] == list(range(12, 20))


def test_a_change_of_no_interest() -> None:
    least = least_effect("seconds", of_test=True)
    assert not is_regression([0.010], 0.014, threshold=0.05, min_effect=least)
    assert is_regression([0.100], 0.110, threshold=0.05, min_effect=least)
    assert least_effect("ms", of_test=False) == 0


@pytest.mark.parametrize("unit", UNITS)
def test_units(unit: str) -> None:
    assert metric("latency", 3, unit) == ("latency", 3.0, unit)


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (1.0, "parsecs", "unknown unit 'parsecs'"),
        (0.0, "ms", "0.0 can't be compared"),
        (-1.0, "ms", "-1.0 can't be compared"),
        (float("nan"), "ms", "nan can't be compared"),
        (float("inf"), "ms", "inf can't be compared"),
    ],
)
def test_what_is_no_figure(value: float, unit: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        metric("latency", value, unit)
