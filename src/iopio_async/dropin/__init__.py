"""The original API: what ``test_optimization`` and ``optimized_test_runner`` offer, built on iopio.

It is a front end like the command: everything runs by the embedding API. ``runner`` is the runner,
``processes`` and ``threads`` carry its tests out, ``parcels`` and ``fingerprint`` are how callables
travel and are told apart, ``discovery`` makes callables of files, ``cache`` is a view of the stored
results, ``results`` what is told in the end, and ``command`` the command.
"""

from iopio_async.dropin.cache import TestResultCache
from iopio_async.dropin.discovery import discover_all_tests
from iopio_async.dropin.runner import (
    OptimizedTestRunner,
    TestDependencyAnalyzer,
    TestParallelExecutor,
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
