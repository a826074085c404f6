"""The original's Python API with callables: its examples as written, and what they promise."""

from pathlib import Path

import pytest
from conformance.original import PASSES, RUN, TELL, Project

#: The API example of the original's documentation.
EXAMPLE = """\
from test_optimization import run_tests_with_optimization

# Define your test functions
def test_example():
    assert 1 + 1 == 2

def test_another():
    assert "hello".upper() == "HELLO"

# Run with optimization
results = run_tests_with_optimization(
    test_functions=[test_example, test_another],
    test_paths=["test_example", "test_another"],
    cache_enabled=True,
    parallel_enabled=True,
    max_workers=4
)

print(f"Passed: {results['passed']}/{results['total_tests']}")
print(f"Execution time: {results['execution_time']:.2f}s")
print(f"Cached: {results['cached']} tests")
"""

NINE_KEYS = {
    "total_tests",
    "passed",
    "failed",
    "cached",
    "executed",
    "results",
    "execution_time",
    "cache_hits",
    "cache_misses",
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_the_example_of_the_api(project: Project, start_method: str) -> None:
    script = f"open('bodies', 'a').write('body ')\n{EXAMPLE}"
    first = project.script(script, IOPIO_START_METHOD=start_method)
    assert "Passed: 2/2\n" in first.stdout
    assert "Cached: 0 tests\n" in first.stdout
    again = project.script(script, IOPIO_START_METHOD=start_method)
    assert "Passed: 2/2\n" in again.stdout
    assert "Cached: 2 tests\n" in again.stdout
    assert (project.root / "bodies").read_text() == "body body "
    assert first.stderr == again.stderr == ""


def test_the_example_under_the_spawn_method_of_multiprocessing(project: Project) -> None:
    said = project.script(
        f"import multiprocessing\nmultiprocessing.set_start_method('spawn')\n{EXAMPLE}"
    )
    assert "Passed: 2/2\n" in said.stdout
    assert said.stdout.count("Cached") == 1


def test_the_example_at_a_prompt(project: Project) -> None:
    said = project.python("-c", EXAMPLE)
    assert "Passed: 2/2\n" in said.stdout, said.stderr
    assert "Cached: 2 tests\n" in project.python("-c", EXAMPLE).stdout


def test_closures_and_lambdas(project: Project) -> None:
    results = project.results(
        f"""{RUN}
def make(number):
    def test_closure():
        assert number == 3
    return test_closure

results = run([make(3), lambda: None], ["test_closure", "test_lambda"])
"""
    )
    assert (results["passed"], results["total_tests"]) == (2, 2)


def test_the_results_dictionary(project: Project) -> None:
    results = project.results(
        f"""{RUN}
import unittest
def test_good(): pass
def test_bad(): assert [] == [1]
def test_skipped(): raise unittest.SkipTest("later")
results = run([test_good, test_bad, test_skipped])
"""
    )
    assert results.keys() >= NINE_KEYS
    counts = [results[key] for key in ("total_tests", "passed", "failed", "skipped")]
    assert counts == [3, 1, 1, 1]
    assert results["cached"] + results["executed"] == 3
    assert (results["cache_hits"], results["cache_misses"]) == (0, 3)
    assert [each["success"] for each in results["results"]] == [True, False, True]
    good, bad, skipped = results["results"]
    assert good["error"] is None
    assert "assert [] == [1]" in bad["error"]
    assert skipped["skip_reason"] == "later"
    for each in results["results"]:
        assert each.keys() >= {"test", "success", "error", "cached", "execution_time"}


def test_hits_and_misses_keep_the_order(project: Project) -> None:
    script = f"""{RUN}
def test_a(): assert True
def test_b(): assert VALUE
def test_c(): assert True
VALUE = 0
"""
    project.results(f"{script}results = run([test_a, test_c])")
    results = project.results(f"{script}VALUE = 1\nresults = run([test_a, test_b, test_c])")
    assert [each["test"] for each in results["results"]] == ["test_a", "test_b", "test_c"]
    assert [each["success"] for each in results["results"]] == [True, True, True]


def test_tests_of_the_same_name_stay_apart(project: Project) -> None:
    project.write("one.py", "def test_same():\n    open('ones', 'a').write('x')\n")
    project.write("two.py", "def test_same():\n    open('twos', 'a').write('x')\n    assert 0\n")
    results = project.results(
        f"{RUN}\nimport one, two\nresults = run([one.test_same, two.test_same])\n"
    )
    assert [each["test"] for each in results["results"]] == ["one.test_same", "two.test_same"]
    assert [each["success"] for each in results["results"]] == [True, False]
    assert (project.root / "ones").read_text() == (project.root / "twos").read_text() == "x"


def test_an_ellipsis_for_the_functions(project: Project) -> None:
    said = project.script(
        """\
from test_optimization import run_tests_with_optimization

results = run_tests_with_optimization(
    test_functions=[...],
    cache_enabled=True,
    parallel_enabled=True
)

print(f"Cache hits: {results['cache_hits']}")
print(f"Cache misses: {results['cache_misses']}")
print(f"Parallel efficiency: {results['executed'] / results['total_tests']:.2%}")
"""
        + TELL
    )
    assert said.stdout.startswith("Cache hits: 0\nCache misses: 1\nParallel efficiency: 100.00%\n")
    (only,) = said.results["results"]
    assert not only["success"]
    assert "Ellipsis is not a test function" in only["error"]


MONITORED = """\
from test_optimization import OptimizedTestRunner, run_test_directory

class MonitoredTestRunner(OptimizedTestRunner):
    def run_tests(self, test_functions, test_paths=None):
        import time
        start_time = time.time()

        results = super().run_tests(test_functions, test_paths)

        end_time = time.time()
        total_time = end_time - start_time

        # Send metrics to monitoring system
        self.send_metrics({
            'execution_time': total_time,
            'tests_passed': results['passed'],
            'tests_failed': results['failed'],
            'cache_hits': results['cache_hits'],
            'cache_misses': results['cache_misses']
        })

        return results

    def send_metrics(self, metrics):
        sent.append(metrics)

sent = []
"""

FIVE_KEYS = {"execution_time", "tests_passed", "tests_failed", "cache_hits", "cache_misses"}


@pytest.mark.parametrize(
    "call",
    [
        "run_tests([test_one, test_two])",
        "run_test_files(['tests/test_it.py'])",
        "run_test_directory('tests')",
    ],
)
def test_a_monitored_runner(project: Project, call: str) -> None:
    project.write("tests/test_it.py", PASSES)
    results = project.results(
        f"{MONITORED}{PASSES}results = MonitoredTestRunner().{call}\nresults['sent'] = sent\n"
    )
    (metrics,) = results["sent"]
    assert metrics.keys() == FIVE_KEYS
    assert (metrics["tests_passed"], metrics["cache_misses"]) == (2, 2)


@pytest.mark.parametrize(("factor", "fires"), [(1000.0, False), (1e-6, True)])
def test_the_regression_function(project: Project, factor: float, fires: bool) -> None:
    said = project.script(
        f"""\
def get_baseline_execution_time():
    return {factor}

def monitor_performance_regressions():
    from test_optimization import run_tests_with_optimization

    baseline_time = get_baseline_execution_time()
    current_results = run_tests_with_optimization([...])
    current_time = current_results['execution_time']

    if current_time > baseline_time * 1.1:  # 10% slower
        print(f"Performance regression detected: {{current_time:.2f}}s vs {{baseline_time:.2f}}s")

monitor_performance_regressions()
"""
    )
    assert said.stdout.startswith("Performance regression detected: ") is fires
