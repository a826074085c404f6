"""Figures of tests from session to session: which way is worse, and what is a regression; pure.

The latest figure is compared with the median of those of earlier sessions, so that what creeps up
is found although no single step of it is worth a word. It takes a change for the worse that exceeds
the threshold, strictly, and three times the noise of the earlier figures, as soon as there are
enough of them to tell it; the noise is told by ``history.regressions``.
"""

from collections.abc import Sequence
from typing import NamedTuple

from iopio_async.errors import UsageError
from iopio_async.history.regressions import median, noise

#: Units, and whether more of them is better.
UNITS = {
    "seconds": False,
    "ms": False,
    "us": False,
    "MB": False,
    "tokens-per-second": True,
    "requests-per-second": True,
}

#: So many earlier figures make up the baseline, the latest.
BASELINE_FIGURES = 10

#: With so many of them their noise can be told.
TELLING_FIGURES = 4

#: A change counts where it is so many times the noise.
NOISES = 3.0

#: A test whose duration changes by less is of no interest, nor is a function's that was measured.
MIN_EFFECT_S = 0.005
MIN_MEASURED_S = 0.000_01

#: Rounding must not make more than the threshold of just the threshold.
_ROUNDING = 1e-9


class Metric(NamedTuple):
    """A figure that a test recorded."""

    name: str
    value: float
    unit: str


class Regression(NamedTuple):
    """``change`` is 0.06 for six percent worse than ``before``, from ``sessions`` of them."""

    test: str
    metric: str
    unit: str
    before: float
    now: float
    change: float
    sessions: int


def metric(name: str, value: float, unit: str) -> Metric:
    """A figure, if it is one.

    Raises:
        UsageError: the unit is unknown, or the value no finite number that is above zero.
    """
    if unit not in UNITS:
        raise UsageError(
            f"metric {name!r}: unknown unit {unit!r}", hint=f"use one of {', '.join(UNITS)}"
        )
    number = float(value)
    if not 0 < number < float("inf"):
        raise UsageError(
            f"metric {name!r}: {value!r} can't be compared", hint="record a number above zero"
        )
    return Metric(name, number, unit)


def least_effect(unit: str, *, of_test: bool) -> float:
    """What a figure has to change by, in its unit, to be of any interest."""
    if of_test:
        return MIN_EFFECT_S
    return MIN_MEASURED_S if unit == "seconds" else 0.0


def baseline(earlier: Sequence[float]) -> float:
    """What a figure is compared with: the median of the latest."""
    return median(earlier[-BASELINE_FIGURES:])


def worse_by(earlier: Sequence[float], now: float, *, more_is_better: bool) -> float:
    """How much worse a figure is than the median of the earlier ones, as a share of that."""
    before = baseline(earlier)
    return (before - now if more_is_better else now - before) / before


def is_regression(
    earlier: Sequence[float],
    now: float,
    *,
    threshold: float,
    more_is_better: bool = False,
    min_effect: float = 0.0,
) -> bool:
    """Say whether a figure is a regression; ``threshold`` is a share, strictly exceeded."""
    if not earlier:
        return False
    known = earlier[-BASELINE_FIGURES:]
    change = worse_by(known, now, more_is_better=more_is_better)
    if change <= threshold + _ROUNDING or change * baseline(known) < min_effect:
        return False
    return len(known) < TELLING_FIGURES or change > NOISES * noise(known)
