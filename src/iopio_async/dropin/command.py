"""The command of the original: finds the files of tests in a directory, runs them and sums up.

Exit code 0 says that tests ran and every one of them passed (or was skipped); 1 that one did not,
or that there are none; 2 is a usage error, 3 a failure of iopio or the machine.
"""

import argparse
import json
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from iopio_async.dropin.project import PATTERN, files_of_tests
from iopio_async.dropin.runner import OptimizedTestRunner
from iopio_async.errors import IopioError, UsageError
from iopio_async.model.outcome import ExitCode

_MIB = 1024 * 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    given = _parser().parse_args(arguments)
    try:
        return _run(given)
    except KeyboardInterrupt:
        return 130
    except UsageError as error:
        return _complain(error, ExitCode.USAGE)
    except IopioError as error:
        return _complain(error, ExitCode.INTERNAL)


def _complain(error: IopioError, code: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="optimized_test_runner",
        description="Run the tests of a directory in parallel; those that nothing has changed for "
        "are not run again.",
    )
    add = parser.add_argument
    add("--directory", "-d", default="tests", help="where the tests are (default: %(default)s)")
    add("--pattern", "-p", default=PATTERN, help="which files are tests (default: %(default)s)")
    add("--parallel", "-P", action="store_true", default=True, help="run in parallel (the default)")
    add("--no-parallel", dest="parallel", action="store_false", help="run one file at a time")
    add("--cache", "-c", action="store_true", default=True, help="use results (the default)")
    add("--no-cache", dest="cache", action="store_false", help="run everything, store nothing")
    add("--workers", "-w", type=_workers, metavar="N", help="so many at once (default: the CPUs)")
    add("--verbose", "-v", action="store_true", help="name failures; show what the run took")
    add("--report", "-r", metavar="FILE", help="write the results as JSON")
    add("--list", "-l", action="store_true", help="list the files of tests and run nothing")
    return parser


def _workers(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return number


def _run(given: argparse.Namespace) -> int:
    try:
        files = files_of_tests(given.directory, given.pattern)
    except UsageError as error:
        return _complain(error, ExitCode.NOT_ALL_PASSED)
    if given.list:
        print(f"{len(files)} test files in {given.directory}:")
        for file in files:
            print(f"- {file}")
        return ExitCode.OK
    if given.report is not None and os.path.isdir(given.report):
        raise UsageError(f"{given.report} is a directory", hint="give a file to write")
    runner = OptimizedTestRunner(
        cache_enabled=given.cache, parallel_enabled=given.parallel, max_workers=given.workers
    )
    with warnings.catch_warnings(record=True):
        # They are in the results, too, and shown from there.
        warnings.simplefilter("always")
        results = runner.run_test_directory(given.directory, given.pattern)
    for message in results["warnings"]:
        print(f"warning: {message}", file=sys.stderr)
    print("\n".join(_shown(results, verbose=given.verbose)))
    if given.report is not None:
        _write(given.report, results)
    if not results["total_tests"]:
        print(f"error: no tests found in {given.directory}", file=sys.stderr)
        return ExitCode.NOT_ALL_PASSED
    return ExitCode.NOT_ALL_PASSED if results["failed"] else ExitCode.OK


def _write(file: str, results: dict[str, Any]) -> None:
    try:
        with open(file, "w", encoding="utf-8") as stream:
            json.dump(results, stream, indent=2)
            stream.write("\n")
    except OSError as error:
        raise UsageError(f"{file} can't be written: {error.strerror or error}") from error


def _shown(results: dict[str, Any], *, verbose: bool) -> Iterator[str]:
    if verbose:
        for each in results["results"]:
            if not each["success"]:
                yield f"FAILED {each['test']}: {each['error']}"
    else:
        # What was left without a test has no other place to be named.
        for each in results["results"]:
            if not each["success"] and "::" not in each["test"]:
                yield f"ERROR {each['test']}: {each['error']}"
    yield "Test Execution Summary:"
    yield f"- Total tests: {results['total_tests']}"
    yield f"- Passed: {results['passed']}"
    yield f"- Failed: {results['failed']}"
    if results["skipped"]:
        yield f"- Skipped: {results['skipped']}"
    yield f"- Cached: {results['cached']}"
    yield f"- Executed: {results['executed']}"
    yield f"- Execution time: {results['execution_time']:.2f}s"
    yield f"- Cache hit rate: {results['cache_hit_rate']:.0%}"
    yield f"- Parallel efficiency: {results['parallel_efficiency']:.0%}"
    if verbose:
        yield from _performance(results)


def _performance(results: dict[str, Any]) -> Iterator[str]:
    total = results["total_tests"]
    hits, misses = results["cache_hits"], results["cache_misses"]
    yield ""
    yield "Performance Report:"
    yield "=================="
    yield "Execution Metrics:"
    yield f"- Total execution time: {results['execution_time']:.2f}s"
    yield f"- Serial execution estimate: {results['serial_estimate']:.2f}s"
    yield f"- Speedup factor: {results['speedup']:.2f}x"
    yield f"- Parallel efficiency: {results['parallel_efficiency']:.0%}"
    yield ""
    yield "Cache Metrics:"
    yield f"- Total tests: {total}"
    yield f"- Cache hits: {hits} ({hits / total if total else 0:.0%})"
    yield f"- Cache misses: {misses} ({misses / total if total else 0:.0%})"
    yield f"- Average cache retrieval time: {results['cache_retrieval_time']:.3f}s"
    yield ""
    yield "Worker Metrics:"
    yield f"- Max workers: {results['max_workers']}"
    yield f"- Average utilization: {results['worker_utilization']:.0%}"
    yield f"- Peak memory usage: {results['peak_memory_bytes'] / _MIB:.0f}MB"
    yield f"- Completed tasks: {total}"
    yield f"- Bottleneck: {results['slowest_test']}"
