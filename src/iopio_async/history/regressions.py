"""Has something become slower? Judged from its last durations by robust statistics; pure.

The latest runs are compared with those before them, in several windows: three runs show a big step
at once, forty a small one for sure. The *shift* between the two is the middle of all differences of
one and the other (the estimate of Hodges and Lehmann), of logarithms, since noise grows with
what is measured. The *noise* is told by median absolute deviations: of neighbouring runs, which a
step or a drift hardly changes, and of what is left of the earlier runs beside their trend, which
sees noise that lasts. It takes a shift beyond the threshold, and beyond what such noise makes of
nothing once in a hundred times, for all windows and all series that are judged together.

At least two of the latest three runs are behind every verdict: one noisy run raises no alarm. A
drift is found where the windows have drifted apart, even if no step of it is worth a word.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

#: The numbers of latest runs that are compared with up to :data:`BASELINE_RUNS` before them.
WINDOWS = (3, 6, 12, 24, 40)
BASELINE_RUNS = 40

#: With fewer runs before them nothing is known.
MIN_BASELINE_RUNS = 6

#: Runs that are worth keeping.
KEPT_RUNS = WINDOWS[-1] + BASELINE_RUNS

#: How often an alarm may be false, where nothing has changed: once in so many judgements.
FALSE_ALARMS = 0.01

#: Less noise than this is not believed: clocks and loads are not that steady.
MIN_NOISE = 0.005

#: A change by less time than this is of no interest, however sure.
MIN_EFFECT_S = 0.005

#: The standard error of the shift, by that of a difference of means.
_INEFFICIENCY = 1.023

#: Few runs tell little of the noise: the bar is higher by so much, divided by their number.
_CAUTION = 2.0

#: The standard deviation of normal noise, by its median absolute deviation.
_MAD_TO_SIGMA = 1.4826

_TINY_S = 1e-6


class Verdict(NamedTuple):
    """What came of a comparison: ``change`` is 0.2 for a fifth slower, ``runs`` the window.

    ``score`` is the shift by its standard error.
    """

    slower: bool
    before_s: float
    now_s: float
    change: float
    score: float
    runs: int


def judge(
    durations_s: Sequence[float],
    *,
    threshold: float,
    judged: int = 1,
    min_effect_s: float = MIN_EFFECT_S,
) -> Verdict | None:
    """Compare the latest of ``durations_s`` (oldest first) with those before; ``None`` if too few.

    ``threshold`` is a share: 0.05 for five percent, strictly exceeded. ``judged`` series are judged
    together. The verdict is that of the shortest window that shows a regression, or else of the
    longest that there is.
    """
    # Its import takes longer than all that a run without this does.
    from statistics import NormalDist

    logs = [math.log(max(each, _TINY_S)) for each in durations_s]
    bar = NormalDist().inv_cdf(1 - FALSE_ALARMS / (len(WINDOWS) * max(1, judged)))
    verdict = None
    for runs in WINDOWS:
        before, latest = logs[-runs - BASELINE_RUNS : -runs], logs[-runs:]
        if len(before) < MIN_BASELINE_RUNS or len(latest) < runs:
            break
        verdict = _compared(before, latest, threshold, bar, min_effect_s)
        if verdict.slower:
            break
    return verdict


def _compared(
    before: Sequence[float],
    latest: Sequence[float],
    threshold: float,
    bar: float,
    min_effect_s: float,
) -> Verdict:
    before_s, now_s = math.exp(median(before)), math.exp(median(latest))
    rough = math.log(now_s / before_s)
    limit = math.log1p(threshold)
    # The exact shift takes long, and is never far from the rough one.
    shift = rough if rough < limit / 4 else _shift(before, latest)
    error = _noise(before, latest) * _INEFFICIENCY
    error *= math.sqrt(1 / len(before) + 1 / len(latest))
    score = shift / error
    # Rounding must not make more than the threshold of just the threshold.
    beyond = shift > limit + 1e-9 and before_s * math.expm1(shift) >= min_effect_s
    return Verdict(
        slower=beyond and score > bar * (1 + _CAUTION / len(before)),
        before_s=before_s,
        now_s=now_s,
        change=math.expm1(shift),
        score=score,
        runs=len(latest),
    )


def spread(durations_s: Sequence[float]) -> float:
    """How far runs usually are from their median, as a share of it."""
    middle = median(durations_s)
    return median([abs(each - middle) for each in durations_s]) / max(middle, _TINY_S)


def median(values: Sequence[float]) -> float:
    """The middle of some values.

    Raises:
        IndexError: there are none.
    """
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _shift(before: Sequence[float], latest: Sequence[float]) -> float:
    return median([one - other for one in latest for other in before])


def noise(values: Sequence[float]) -> float:
    """The standard deviation of a run, as a share, by what at least three earlier ones took."""
    return _noise([math.log(max(each, _TINY_S)) for each in values], ())


def _noise(before: Sequence[float], latest: Sequence[float]) -> float:
    """The standard deviation of a run, as a share: the larger of the two ways to see it."""
    steps = [abs(after - each) for each, after in pairwise([*before, *latest])]
    of_steps = median(steps) / math.sqrt(2)
    return max(MIN_NOISE, _MAD_TO_SIGMA * max(of_steps, _beside_trend(before)))


def _beside_trend(values: Sequence[float]) -> float:
    """The median deviation from a line through the middles of the first and last third."""
    third = len(values) // 3
    slope = (median(values[-third:]) - median(values[:third])) / (len(values) - third)
    rest = [each - slope * place for place, each in enumerate(values)]
    middle = median(rest)
    return median([abs(each - middle) for each in rest])
