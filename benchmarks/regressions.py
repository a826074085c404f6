"""How well regressions are told from noise: the detector on series that are made for it.

Each series is a test's durations, run after run, with normal noise on the logarithm, judged after
each run by what would be kept of it then. A *detection* is an alarm within so many runs after the
change; a *false alarm* one of a series in which nothing changes, a run. What exceeds neither the
threshold nor the noise is shown, and not counted. ``--quick`` looks at fewer series.
"""

import argparse
import math
import random
import sys
from collections.abc import Callable
from typing import NamedTuple

from iopio_async.history.regressions import KEPT_RUNS, judge

THRESHOLD = 0.05
NOISES = (0.05, 0.10, 0.20)

#: Runs before anything changes, and runs within which it has to be found.
BEFORE, WITHIN = 50, 50

#: At least this share of what exceeds threshold and noise is to be found.
WANTED = 0.95

#: At most this share of runs may raise an alarm about nothing.
ALLOWED = 0.01

#: How much slower a run is, by its number after the change.
Shape = Callable[[int], float]

SHAPES: tuple[tuple[str, Shape, float], ...] = (
    ("step of 6 %", lambda after: 1.06 if after >= 0 else 1.0, 0.06),
    ("step of 20 %", lambda after: 1.20 if after >= 0 else 1.0, 0.20),
    ("drift of 20 x 4 %", lambda after: 1.04 ** min(20, max(0, after + 1)), 1.04**20 - 1),
)


class Row(NamedTuple):
    """How one kind of series went."""

    shape: str
    noise: float
    share: float
    lag: float
    bound: str

    @property
    def good(self) -> bool:
        """The bound is kept, if there is one."""
        if self.bound.startswith(">="):
            return self.share >= WANTED
        return not self.bound or self.share <= ALLOWED


def series(rng: random.Random, noise: float, runs: int, shape: Shape) -> list[float]:
    return [shape(run - BEFORE) * math.exp(rng.gauss(0, noise)) for run in range(runs)]


def alarmed(durations: list[float], runs: int) -> bool:
    verdict = judge(durations[max(0, runs - KEPT_RUNS) : runs], threshold=THRESHOLD)
    return verdict is not None and verdict.slower


def detection(name: str, shape: Shape, size: float, noise: float, trials: int) -> Row:
    rng = random.Random(f"{name} {noise}")
    lags = []
    for _ in range(trials):
        durations = series(rng, noise, BEFORE + WITHIN, shape)
        for runs in range(BEFORE + 1, BEFORE + WITHIN + 1):
            if alarmed(durations, runs):
                lags.append(runs - BEFORE)
                break
    lags.sort()
    bound = f">= {WANTED:.0%}" if size > max(THRESHOLD, noise) else ""
    lag = lags[len(lags) // 2] if lags else math.nan
    return Row(name, noise, len(lags) / trials, lag, bound)


def false_alarms(noise: float, trials: int) -> Row:
    rng = random.Random(f"nothing {noise}")
    alarms = judged = 0
    for _ in range(trials):
        durations = series(rng, noise, 3 * BEFORE, lambda _: 1.0)
        for runs in range(1, len(durations) + 1):
            judged += 1
            alarms += alarmed(durations, runs)
    return Row("nothing changes", noise, alarms / judged, math.nan, f"<= {ALLOWED:.0%}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the series")
    trials = 30 if parser.parse_args().quick else 300
    rows = [
        detection(name, shape, size, noise, trials)
        for name, shape, size in SHAPES
        for noise in NOISES
    ]
    rows += [false_alarms(noise, max(10, trials // 3)) for noise in NOISES]
    print("| series | noise | alarms | median lag (runs) | bound |")
    print("|---|--:|--:|--:|---|")
    for row in rows:
        lag = "" if math.isnan(row.lag) else f"{row.lag:.0f}"
        bound = (
            f"{row.bound} {'kept' if row.good else 'MISSED'}"
            if row.bound
            else "not beyond the noise"
        )
        print(f"| {row.shape} | {row.noise:.0%} | {row.share:.2%} | {lag} | {bound} |")
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
