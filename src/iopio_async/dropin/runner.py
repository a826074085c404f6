"""The runner: callables and files in, one dictionary of results out.

Everything goes through :meth:`OptimizedTestRunner.run_tests`, files as well (see ``discovery``), so
whoever overrides it sees every run. Callables run in processes of their own; what can't be carried
into one runs in a thread of this process, with a warning that says why, and is not cached.
"""

import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from iopio_async.dropin.cache import TestResultCache
from iopio_async.dropin.discovery import FileTest
from iopio_async.dropin.measured import measured
from iopio_async.dropin.processes import Ran, run_files, run_functions
from iopio_async.dropin.project import (
    PATTERN,
    check_workers,
    default_workers,
    files_of_tests,
    project_root,
    settings,
)
from iopio_async.dropin.resources import Resources
from iopio_async.dropin.results import Effort, Result, summary
from iopio_async.dropin.threads import Call, run_in_threads
from iopio_async.model.outcome import Outcome
from iopio_async.project.tree import Tree

TestFunction = Callable[[], Any]


class TestParallelExecutor:
    """Runs callables at the same time, without any cache."""

    __test__ = False

    def __init__(self, max_workers: int | None = None, use_processes: bool = True) -> None:
        self.max_workers = check_workers(max_workers)
        self.use_processes = use_processes

    def run_tests_parallel(
        self, test_functions: Sequence[TestFunction]
    ) -> list[tuple[TestFunction, dict[str, Any], float]]:
        """Each callable with its result (``success``, ``error``) and how many seconds it took."""
        runner = OptimizedTestRunner(
            cache_enabled=False, max_workers=self.max_workers, use_processes=self.use_processes
        )
        functions = list(test_functions)
        names = [str(place) for place in range(len(functions))]
        told = runner.run_tests(functions, names)["results"]
        return [
            (function, {"success": each["success"], "error": each["error"]}, each["execution_time"])
            for function, each in zip(functions, told, strict=True)
        ]


class TestDependencyAnalyzer:
    """Says which resources files of tests touch outside of themselves."""

    __test__ = False

    def analyze_dependencies(self, test_files: Sequence[str]) -> dict[str, list[str]]:
        """The resources of each file, by name; two files that share one may not overlap."""
        root = project_root()
        tree = Tree(root)
        paths = {file: tree.name(os.path.abspath(file)) for file in test_files}
        claims = Resources(root).of_files(list(paths.values()))
        return {
            file: list(dict.fromkeys(claim.resource for claim in claims[path]))
            for file, path in paths.items()
        }


class OptimizedTestRunner:
    """Runs tests in parallel, and only those whose stored results do not hold.

    ``cache`` is where results are kept, or ``None``; it may be replaced. ``use_processes`` false
    runs callables in threads of this process, where nothing can be isolated or cached.
    """

    def __init__(
        self,
        cache_enabled: bool = True,
        parallel_enabled: bool = True,
        max_workers: int | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        use_processes: bool = True,
    ) -> None:
        workers = check_workers(max_workers)
        self.cache_enabled = cache_enabled
        self.parallel_enabled = parallel_enabled
        self.use_processes = use_processes
        self.cache = TestResultCache(cache_dir) if cache_enabled else None
        self.executor = TestParallelExecutor(workers, use_processes) if parallel_enabled else None
        self.dependency_analyzer = TestDependencyAnalyzer()

    @property
    def max_workers(self) -> int:
        """How many tests run at once, at most."""
        if not self.parallel_enabled:
            return 1
        return default_workers() if self.executor is None else self.executor.max_workers

    def run_tests(
        self, test_functions: Sequence[TestFunction], test_paths: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Run callables; ``test_paths`` are their names in the results.

        Raises:
            ValueError: there are not as many names as callables.
            UsageError: the project's configuration is at fault.
        """
        began_s = time.perf_counter()
        functions = list(test_functions)
        names = _names(functions, test_paths)
        run = _Run(self, functions, names)
        results = run.results()
        run.effort.wall_s = time.perf_counter() - began_s
        told = list(dict.fromkeys(run.warnings))
        for message in told:
            warnings.warn(message, RuntimeWarning, stacklevel=_depth_of_caller())
        return summary(results, run.effort, caching=self.cache is not None, warnings=told)

    def run_test_files(self, test_files: Sequence[str | os.PathLike[str]]) -> dict[str, Any]:
        """Run all tests of these files, each file in a process of its own."""
        return self._run_files([os.fspath(file) for file in test_files], "")

    def run_test_directory(
        self, directory_path: str | os.PathLike[str], pattern: str = PATTERN
    ) -> dict[str, Any]:
        """Run all files below a directory that the pattern matches.

        Raises:
            UsageError: there is no such directory.
        """
        directory = os.fspath(directory_path)
        return self._run_files(files_of_tests(directory, pattern), directory)

    def _run_files(self, files: Sequence[str], directory: str) -> dict[str, Any]:
        root = os.path.abspath(directory) if directory else ""
        tests = [FileTest(file, directory=root) for file in files]
        return self.run_tests(tests, list(files))

    def invalidate_cache(self, test_path: str | None = None) -> None:
        """Forget the stored results of a test, file or directory, or all; nothing without cache."""
        if self.cache is not None:
            self.cache.invalidate(test_path)


class _Run:
    """One call of ``run_tests``."""

    def __init__(
        self, runner: OptimizedTestRunner, functions: Sequence[TestFunction], names: Sequence[str]
    ) -> None:
        self.effort = Effort(workers=runner.max_workers)
        self.warnings: list[str] = []
        self._runner = runner
        self._functions = functions
        self._names = names
        self._results: dict[int, list[Result]] = {}
        self._cache_dir = None if runner.cache is None else str(runner.cache.cache_dir)

    def results(self) -> list[Result]:
        """Run everything; all results in the order of what was given."""
        calls: dict[int, Call] = {}
        files: dict[str, dict[int, FileTest]] = {}
        for place, function in enumerate(self._functions):
            problem = _problem(function)
            if problem:
                self._results[place] = [Result(self._names[place], Outcome.ERROR, error=problem)]
            elif isinstance(function, FileTest):
                files.setdefault(function.directory, {})[place] = function
            else:
                calls[place] = Call(self._names[place], function)
        root = project_root() if calls or files else ""
        with measured(self.warnings) as measuring:
            if measuring:
                self._cache_dir = None
            for directory, found in files.items():
                self._run_files(found, directory, root)
            if calls:
                self._run_calls(calls, root)
        return [result for place in sorted(self._results) for result in self._results[place]]

    def _run_calls(self, calls: dict[int, Call], root: str) -> None:
        threaded = calls
        if self._runner.use_processes:
            config = settings(workers=self._runner.max_workers, cache_dir=self._cache_dir)
            ran = run_functions(calls, config)
            self._take(ran)
            threaded = {place: calls[place] for place in ran.unpacked}
            for place, why in ran.unpacked.items():
                self.warnings.append(f"{calls[place].name} runs in a thread, not isolated: {why}")
        if threaded:
            workers = self._runner.max_workers
            results, effort, doubts = run_in_threads(
                list(threaded.values()), workers=workers, root=root
            )
            self.effort.add(effort)
            self.warnings += doubts
            self._results.update(
                {place: [result] for place, result in zip(threaded, results, strict=True)}
            )

    def _run_files(self, found: dict[int, FileTest], directory: str, root: str) -> None:
        wanted = {place: each.path for place, each in found.items()}
        inside = not directory or f"{directory}/".startswith(f"{root}/")
        first: dict[str, int] = {}
        for place, path in wanted.items():
            first.setdefault(path, place)
        here = os.getcwd()
        named = [directory] if directory else list(first)
        config = settings(
            workers=self._runner.max_workers,
            cache_dir=self._cache_dir,
            paths=[os.path.relpath(path, here) for path in named],
            root=root if inside else "",
        )
        ran = run_files({place: path for path, place in first.items()}, directory, config)
        self._take(ran)
        for place, each in found.items():
            whole = ran.results[first[each.path]]
            self._results[place] = _of_test(each, whole) if each.name else whole

    def _take(self, ran: Ran) -> None:
        self._results.update(ran.results)
        self.effort.add(ran.effort)
        self.warnings += ran.warnings


def _depth_of_caller() -> int:
    """How many calls lead from the one that calls this to one that is not in this file."""
    depth = 1
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
        depth += 1
    return depth


def _names(functions: Sequence[object], paths: Sequence[str] | None) -> list[str]:
    """The names under which callables are told: their own, and more where these are the same."""
    if paths is not None:
        given = [str(path) for path in paths]
        if len(given) != len(functions):
            raise ValueError(f"{len(functions)} test functions, but {len(given)} test paths")
        return given
    short = [str(getattr(function, "__name__", function)) for function in functions]
    counts = Counter(short)
    names: list[str] = []
    seen: Counter[str] = Counter()
    for function, name in zip(functions, short, strict=True):
        if counts[name] > 1 or isinstance(function, FileTest):
            name = _qualified(function, name)  # noqa: PLW2901 - the same name, in full
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def _qualified(function: object, name: str) -> str:
    if isinstance(function, FileTest):
        return repr(function)[1:-1]
    module = getattr(function, "__module__", None) or "?"
    return f"{module}.{getattr(function, '__qualname__', name)}"


def _problem(function: object) -> str:
    """Why something is no test, or ``""``."""
    if isinstance(function, type):
        return f"{function.__qualname__} is a class: give its methods, or run its file"
    if not callable(function):
        return f"{function!r} is not a test function: it can't be called"
    return ""


def _of_test(test: FileTest, results: Sequence[Result]) -> list[Result]:
    """The results of one test of a file, each of its parameters; else what hit the whole file."""
    suffix = f"::{test.name}"
    own = [each for each in results if each.test.partition("[")[0].endswith(suffix)]
    return own or [each for each in results if "::" not in each.test] or [_absent(test)]


def _absent(test: FileTest) -> Result:
    return Result(repr(test)[1:-1], Outcome.ERROR, error="there was no such test when it was run")


def run_tests_with_optimization(
    test_functions: Sequence[TestFunction],
    test_paths: Sequence[str] | None = None,
    cache_enabled: bool = True,
    parallel_enabled: bool = True,
    max_workers: int | None = None,
) -> dict[str, Any]:
    """Run callables, each in a process of its own, unless their stored results hold."""
    runner = OptimizedTestRunner(cache_enabled, parallel_enabled, max_workers)
    return runner.run_tests(test_functions, test_paths)


def run_test_directory(
    directory_path: str | os.PathLike[str],
    cache_enabled: bool = True,
    parallel_enabled: bool = True,
    max_workers: int | None = None,
) -> dict[str, Any]:
    """Run the tests of a directory and all below it, each file in a process of its own.

    Raises:
        UsageError: there is no such directory.
    """
    return OptimizedTestRunner(cache_enabled, parallel_enabled, max_workers).run_test_directory(
        directory_path
    )
