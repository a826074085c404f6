"""The original Python API's name for :mod:`iopio_async.dropin`.

PYTEST_DONT_REWRITE: it may be imported before pytest is.
"""

from iopio_async.dropin import (
    OptimizedTestRunner,
    TestDependencyAnalyzer,
    TestParallelExecutor,
    TestResultCache,
    discover_all_tests,
    run_test_directory,
    run_tests_with_optimization,
)

__all__ = [
    "OptimizedTestRunner",
    "TestDependencyAnalyzer",
    "TestParallelExecutor",
    "TestResultCache",
    "discover_all_tests",
    "run_test_directory",
    "run_tests_with_optimization",
]
