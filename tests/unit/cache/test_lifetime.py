"""How long results hold: by their keys, and never longer for a wrong date."""

import math

import pytest
from fakes.results import HOUR_S, NOW_S, key

from iopio_async.cache.lifetime import DEFAULT_TTL_S, expires_at_s, holds, lifetime_s


def test_a_day_is_between_eighteen_hours_and_twenty_four() -> None:
    lifetimes_h = [lifetime_s(key(number)) / HOUR_S for number in range(500)]

    assert 18 <= min(lifetimes_h) < 18.5
    assert 23.5 < max(lifetimes_h) <= 24


def test_it_is_the_same_each_time_and_scales_with_the_setting() -> None:
    assert lifetime_s(key()) == lifetime_s(key())
    assert lifetime_s(key(), DEFAULT_TTL_S / 24) == pytest.approx(lifetime_s(key()) / 24)
    assert lifetime_s(key(), 0.0) == 0.0


def test_it_counts_from_the_execution() -> None:
    assert expires_at_s(key(), NOW_S) == NOW_S + lifetime_s(key())


@pytest.mark.parametrize(
    ("executed_at_s", "expires_at", "expected"),
    [
        (NOW_S, NOW_S + 1, True),
        (NOW_S - HOUR_S, NOW_S + 1, True),
        (NOW_S - HOUR_S, NOW_S, False),
        # Longer than the setting allows now.
        (NOW_S - 2 * HOUR_S, NOW_S + HOUR_S, False),
        # Dated 2099 and 1970.
        (NOW_S + 1, NOW_S + 2, False),
        (4_070_908_800.0, 4_070_908_801.0, False),
        (0.0, 4_070_908_800.0, False),
        (math.nan, NOW_S + 1, False),
        (NOW_S, math.nan, False),
        (-math.inf, math.inf, False),
        (math.inf, math.inf, False),
    ],
)
def test_what_holds(executed_at_s: float, expires_at: float, expected: bool) -> None:
    assert holds(executed_at_s, expires_at, now_s=NOW_S, longest_s=2 * HOUR_S) is expected
