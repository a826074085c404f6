"""``--performance-regression``: every test is timed, and compared with earlier sessions.

The fixtures take further figures down. A worker of pytest-xdist sends them along with the reports;
the process that gets all reports compares and stores.
"""

import os
import time
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

import pytest

from iopio_async.errors import UsageError
from iopio_async.history import machine
from iopio_async.history.regressions import median
from iopio_async.pytest_plugin.figures import DURATION, Figures
from iopio_async.pytest_plugin.metrics import (
    UNITS,
    Metric,
    Regression,
    baseline,
    is_regression,
    least_effect,
    metric,
    worse_by,
)
from iopio_async.reporting.wording import counted

#: Attributes of reports: figures that the test recorded, and that it was not executed.
FIGURES, REPLAYED = "iopio_figures", "iopio_replayed"

#: How often a function is called to measure it, unless told otherwise.
ITERATIONS = 10


class Measured(NamedTuple):
    """How long the calls of a function took, in seconds, and what the last one returned."""

    result: Any
    median_s: float
    fastest_s: float
    slowest_s: float


class Tracker:
    """The fixture ``performance_tracker``: takes figures down for the test that runs."""

    def __init__(self) -> None:
        self.recorded: list[Metric] = []

    def record_metric(self, name: str, value: float, unit: str = "seconds") -> None:
        """Take a figure down, to be compared with those of the same test in earlier sessions.

        Raises:
            UsageError: the unit is unknown, or the value no finite number that is above zero.
        """
        self.recorded.append(metric(name, value, unit))

    def measure_function_performance(
        self,
        fn: Callable[..., Any],
        *args: Any,
        iterations: int = ITERATIONS,
        name: str | None = None,
        **kwargs: Any,
    ) -> Measured:
        """Call ``fn`` some times, and take the median of its durations down.

        Raises:
            UsageError: ``iterations`` is less than one.
        """
        if iterations < 1:
            raise UsageError(
                f"iterations is {iterations}", hint="a function is called at least once"
            )
        taken_s: list[float] = []
        result = None
        for _ in range(iterations):
            began_s = time.perf_counter()
            result = fn(*args, **kwargs)
            taken_s.append(time.perf_counter() - began_s)
        taken_s.sort()
        middle_s = median(taken_s)
        shown = name or str(getattr(fn, "__name__", "function"))
        self.record_metric(shown, max(middle_s, 1e-9), "seconds")
        return Measured(result, middle_s, taken_s[0], taken_s[-1])

    def take(self) -> list[Metric]:
        """What was taken down since the last time."""
        taken, self.recorded = self.recorded, []
        return taken


class Recording:
    """Sends along what the tests of this process take down."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, Any, Any]:
        """Put the figures into the report."""
        report = yield
        setattr(report, FIGURES, [list(each) for each in self._tracker.take()])
        return report


class Comparing:
    """Compares what all reports say with earlier sessions.

    Raises:
        UsageError: what is stored can't be used.
    """

    def __init__(
        self, folder: str, *, threshold: float, fails: bool, workers: int, is_replaying: bool
    ) -> None:
        here = machine.current(workers=workers, traced=is_replaying)
        self._figures = Figures(folder, here.id, here.label)
        self._threshold = threshold
        self._fails = fails
        self._now: dict[tuple[str, str], tuple[float, str]] = {}
        self._found: list[Regression] = []
        self._fault = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Take the figures of a test that was executed, and passed."""
        if getattr(report, REPLAYED, False) or not report.passed:
            return
        if report.when == "call":
            self._now[report.nodeid, DURATION] = (report.duration, "seconds")
        for name, value, unit in getattr(report, FIGURES, ()):
            self._now[report.nodeid, name] = (value, unit)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Compare, and store."""
        for (test, name), (value, unit) in self._now.items():
            earlier = self._figures.of(test, name, unit)
            more_is_better = UNITS.get(unit, False)
            if is_regression(
                earlier,
                value,
                threshold=self._threshold,
                more_is_better=more_is_better,
                min_effect=least_effect(unit, of_test=name == DURATION),
            ):
                change = worse_by(earlier, value, more_is_better=more_is_better)
                before = baseline(earlier)
                self._found.append(
                    Regression(test, name, unit, before, value, change, len(earlier))
                )
        try:
            self._figures.add(self._now)
        except (OSError, UsageError) as error:
            self._fault = f"figures of this session are not kept: {error}"
        if self._found and self._fails and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Name what has become worse."""
        if self._fault:
            terminalreporter.write_line(f"iopio: warning: {self._fault}")
        if not self._found:
            tests = counted(len({test for test, _ in self._now}), "test")
            terminalreporter.write_line(f"iopio: no performance regression in {tests}")
            return
        terminalreporter.section("performance regressions")
        for each in sorted(self._found, key=lambda found: -found.change):
            sessions = counted(each.sessions, "session")
            terminalreporter.write_line(
                f"{each.test}: {each.metric} {each.before:.4g} to {each.now:.4g} {each.unit}, "
                f"{each.change:.1%} worse than in {sessions} before"
            )


def begin(config: pytest.Config) -> None:
    """Time the tests of this session, unless that is another process's concern."""
    option = config.option
    if not 0 <= option.perf_threshold < float("inf"):
        raise pytest.UsageError(f"--perf-threshold {option.perf_threshold} is no percentage")
    if hasattr(config, "workerinput"):
        return
    folder = os.path.join(str(config.invocation_params.dir), option.perf_storage_dir)
    try:
        comparing = Comparing(
            folder,
            threshold=option.perf_threshold / 100,
            fails=option.perf_fail_on_regression,
            workers=len(getattr(option, "tx", None) or ()),
            is_replaying=bool(option.cache_tests),
        )
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error
    config.pluginmanager.register(comparing, "iopio-comparing")
