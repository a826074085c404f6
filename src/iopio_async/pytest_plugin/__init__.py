"""The pytest plugin: single tests replayed, and timed from session to session, in plain pytest.

Registered by the entry point ``iopio``. It only adds its options, until one of them is given; what
these need is imported then.

=================  ===============================================================================
part               what it is
=================  ===============================================================================
``replay``         ``--cache-tests``: what it takes, and the hook that replays a test
``observing``      the hooks that cut the session's trace into segments
``session``        who is replayed, and whose result is stored
``traces``         the files of the segments
``reports``        reports and warnings ↔ what is stored of them
``telling``        what the user is told at the end
``attribution``    segments of the session's trace ↔ the tests that depend on them
``importing``      which module was asked for by whom, while the process shares all of them
``memos``          what ``functools.lru_cache`` remembers from test to test
``world``          what stored results depend on, as it is now
``selection``      which options of pytest decide what a test does
``performance``    ``--performance-regression``: the hooks, and what the fixtures give
``metrics``        units, and what is a regression
``figures``        what is stored of earlier sessions
=================  ===============================================================================
"""

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from iopio_async.pytest_plugin.performance import Tracker

#: What the mark ``iopio`` may say, for ``--strict-markers``.
_MARK = "iopio(...): what the test asks of iopio: cache, locks, shared, needs, group."


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("iopio", "iopio: results and durations of earlier sessions")
    group.addoption(
        "--cache-tests",
        action="store_true",
        help="replay the results of tests of which nothing has changed since they passed",
    )
    group.addoption(
        "--cache-dir",
        metavar="DIR",
        help="where results are kept (default: .test_cache in the root directory)",
    )
    group.addoption(
        "--performance-regression",
        action="store_true",
        help="compare durations and figures of tests with those of earlier sessions",
    )
    group.addoption(
        "--perf-threshold",
        type=float,
        default=5.0,
        metavar="PERCENT",
        help="tell of what is worse by more than this (default: 5.0)",
    )
    group.addoption(
        "--perf-storage-dir",
        default="performance_history",
        metavar="DIR",
        help="where durations and figures are kept (default: performance_history)",
    )
    group.addoption(
        "--perf-fail-on-regression",
        action="store_true",
        help="with --performance-regression, fail where something has become worse",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Begin to trace before the first file of the project is read."""
    given = early_config.known_args_namespace
    if _is_a_worker():
        return
    if given.cache_tests or given.performance_regression:
        from iopio_async.pytest_plugin.selection import misled

        option = misled(early_config)
        if option:
            raise pytest.UsageError(
                f"pytest takes the directory after {option} for one of tests: write {option}=DIR"
            )
    if early_config.known_args_namespace.cache_tests:
        from iopio_async.pytest_plugin import replay

        replay.begin(early_config)


def _is_a_worker() -> bool:
    """True in a process of ``iopio run``, which has its own cache, and its own durations."""
    return "iopio_async.worker.recorder" in sys.modules


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known; begin to time the tests, if that is asked for."""
    config.addinivalue_line("markers", _MARK)
    if config.option.performance_regression and not _is_a_worker():
        from iopio_async.pytest_plugin import performance

        performance.begin(config)


@pytest.fixture(scope="session")
def performance_tracker(pytestconfig: pytest.Config) -> "Tracker":
    """Takes figures down for the test that runs: see :class:`performance.Tracker`."""
    from iopio_async.pytest_plugin.performance import Recording, Tracker

    tracker = Tracker()
    pytestconfig.pluginmanager.register(Recording(tracker), "iopio-recording")
    return tracker


@pytest.fixture
def perf_test_case(performance_tracker: "Tracker") -> "Tracker":
    """The same, for one test."""
    return performance_tracker
