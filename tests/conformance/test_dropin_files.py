"""The original's Python API with files and directories."""

from pathlib import Path

import pytest
from conformance.original import RUNNER, Project

DIRECTORY = "from test_optimization import run_test_directory\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def outcomes(results: dict[str, object]) -> dict[str, str]:
    told = results["results"]
    assert isinstance(told, list)
    return {each["test"]: each["outcome"] for each in told}


def test_the_example_of_a_directory(project: Project) -> None:
    project.write("tests/unit/test_a.py", "def test_a(): pass\n")
    project.write("tests/unit/deep/test_b.py", "def test_b(): pass\n")
    project.write("tests/unit/helper.py", "def test_not_me(): assert 0\n")
    said = project.script(
        """\
from test_optimization import run_test_directory

# Run all tests in a directory with optimization
results = run_test_directory(
    directory_path="./tests/unit",
    cache_enabled=True,
    parallel_enabled=True,
    max_workers=6
)

print(f"Directory test results: {results['passed']}/{results['total_tests']} passed")
"""
    )
    assert said.stdout == "Directory test results: 2/2 passed\n"
    assert said.stderr == ""


@pytest.mark.parametrize("plugin", ["", "import pytest\npytestmark = pytest.mark.filterwarnings\n"])
def test_spellings_of_a_directory_share_their_results(project: Project, plugin: str) -> None:
    project.write("d/test_a.py", f"{plugin}def test_a(): pass\n")
    for directory, cached in (("./d", 0), ("d", 1), (str(project.root / "d"), 1), ("d/../d/", 1)):
        results = project.results(f"{DIRECTORY}results = run_test_directory({directory!r})")
        assert (results["passed"], results["cached"]) == (1, cached), directory


def test_files_of_the_same_name_stay_apart(project: Project) -> None:
    project.write("a/test_same.py", "def test_it(): pass\n")
    project.write("b/test_same.py", "def test_it(): assert 0\n")
    for _ in range(2):
        results = project.results(f"{DIRECTORY}results = run_test_directory('.')")
        assert outcomes(results) == {
            "a/test_same.py::test_it": "passed",
            "b/test_same.py::test_it": "failed",
        }


def test_invalidating_one_file(project: Project) -> None:
    for name in ("specific_test_file", "test_specific_test_file", "other"):
        project.write(f"tests/{name}.py", "def test_a(): pass\ndef test_b(): pass\n")
    script = f"""{RUNNER}
files = ["tests/specific_test_file.py", "tests/test_specific_test_file.py", "tests/other.py"]
runner = OptimizedTestRunner()
runner.run_test_files(files)
sizes = [len(runner.cache._cache)]
runner.invalidate_cache(test_path="specific_test_file.py")
sizes.append(len(runner.cache._cache))
results = runner.run_test_files(files)
results["sizes"] = sizes
"""
    results = project.results(script)
    assert results["sizes"] == [6, 4]
    assert {each["test"] for each in results["results"] if not each["cached"]} == {
        "tests/specific_test_file.py::test_a",
        "tests/specific_test_file.py::test_b",
    }


def test_results_are_in_the_order_of_the_files(project: Project) -> None:
    for name in "cab":
        project.write(f"test_{name}.py", f"def test_{name}(): pass\n")
    results = project.results(
        f"{RUNNER}results = OptimizedTestRunner().run_test_files("
        "['test_c.py', 'test_a.py', 'test_b.py', 'test_a.py'])\n"
    )
    assert [each["test"] for each in results["results"]] == [
        *("test_c.py::test_c", "test_a.py::test_a", "test_b.py::test_b", "test_a.py::test_a"),
    ]


def test_a_changed_body_or_helper_is_a_miss(project: Project) -> None:
    project.write("tests/test_a.py", "from helper import yes\ndef test_a(): assert yes()\n")
    project.write("helper.py", "def yes(): return 1\n")
    script = f"{DIRECTORY}results = run_test_directory('tests')"
    assert [project.results(script)["cached"] for _ in range(2)] == [0, 1]
    (project.root / "tests/test_a.py").touch()
    assert project.results(script)["cached"] == 1
    project.write("helper.py", "def yes(): return 2\n")
    assert [project.results(script)["cached"] for _ in range(2)] == [0, 1]
    project.write("tests/test_a.py", "from helper import yes\ndef test_a(): assert 1 < yes()\n")
    assert [project.results(script)["cached"] for _ in range(2)] == [0, 1]


def test_a_file_that_can_not_be_imported(project: Project) -> None:
    project.write("tests/test_bad.py", "import surely_not_there\ndef test_a(): pass\n")
    project.write("tests/test_worse.py", "def test_a(:\n")
    project.write("tests/test_good.py", "def test_a(): pass\n")
    results = project.results(f"{DIRECTORY}results = run_test_directory('tests')")
    assert outcomes(results) == {
        "tests/test_bad.py": "error",
        "tests/test_good.py::test_a": "passed",
        "tests/test_worse.py": "error",
    }
    bad, _, worse = results["results"]
    assert "surely_not_there" in bad["error"]
    assert "SyntaxError" in worse["error"]


def test_a_crash_costs_its_own_file(project: Project) -> None:
    project.write(
        "tests/test_crash.py",
        "import os\ndef test_a(): pass\ndef test_b(): os._exit(3)\ndef test_c(): pass\n",
    )
    project.write("tests/test_good.py", "def test_a(): pass\n")
    for cached in (0, 1):
        results = project.results(f"{DIRECTORY}results = run_test_directory('tests')")
        told = outcomes(results)
        assert told["tests/test_crash.py::test_a"] == told["tests/test_good.py::test_a"] == "passed"
        assert told["tests/test_crash.py::test_b"] not in {"passed", "skipped"}
        assert (results["failed"], results["cached"]) == (2, cached)
        assert all(each["error"] for each in results["results"] if not each["success"])


KINDS = """\
import asyncio, sys, unittest
class SkipTestException(Exception): pass
def test_exits(): sys.exit(0)
def test_own_skip(): raise SkipTestException("by itself")
def test_unittest_skip(): raise unittest.SkipTest("by unittest")
def test_pytest_skip():
    import pytest
    pytest.skip("by pytest")
async def test_awaited(): await asyncio.sleep(0)
async def test_awaited_and_fails():
    await asyncio.sleep(0)
    assert False
class TestMethods:
    def setup_method(self): self.value = 1
    def test_method(self): assert self.value
class TestCase(unittest.TestCase):
    def setUp(self): self.value = 1
    def test_case(self): assert self.value
"""


@pytest.mark.parametrize("configured", [False, True])
def test_all_kinds_of_tests(project: Project, configured: bool) -> None:
    project.write("tests/test_kinds.py", KINDS)
    if configured:
        project.write("pytest.ini", "[pytest]\n")
        project.write("tests/conftest.py", "")
    told = outcomes(project.results(f"{DIRECTORY}results = run_test_directory('tests')"))
    assert {name.partition("::")[2]: outcome for name, outcome in told.items()} == {
        "test_exits": "failed",
        "test_own_skip": "skipped",
        "test_unittest_skip": "skipped",
        "test_pytest_skip": "skipped",
        "test_awaited": "passed",
        "test_awaited_and_fails": "failed",
        "TestMethods::test_method": "passed",
        "TestCase::test_case": "passed",
    }


def test_what_is_written_for_pytest_is_run_by_it(project: Project) -> None:
    project.write(
        "tests/test_fixtures.py",
        "import pytest\n"
        "@pytest.mark.parametrize('number', [1, 2])\n"
        "def test_number(number, tmp_path): assert number and tmp_path.is_dir()\n"
        "@pytest.mark.xfail\n"
        "def test_expected(): assert 0\n",
    )
    results = project.results(f"{DIRECTORY}results = run_test_directory('tests')")
    assert outcomes(results) == {
        "tests/test_fixtures.py::test_number[1]": "passed",
        "tests/test_fixtures.py::test_number[2]": "passed",
        "tests/test_fixtures.py::test_expected": "xfailed",
    }
    assert (results["passed"], results["skipped"], results["failed"]) == (2, 1, 0)


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_files_of_several_frameworks_run_at_the_same_time(
    project: Project, start_method: str
) -> None:
    project.write("tests/test_plain.py", "def test_a(): pass\n")
    project.write(
        "tests/test_pytest.py",
        "import pytest\n@pytest.mark.parametrize('n', [1, 2])\ndef test_b(n): assert n\n",
    )
    results = project.results(
        f"{DIRECTORY}results = run_test_directory('tests')", IOPIO_START_METHOD=start_method
    )
    assert outcomes(results) == {
        "tests/test_plain.py::test_a": "passed",
        "tests/test_pytest.py::test_b[1]": "passed",
        "tests/test_pytest.py::test_b[2]": "passed",
    }


INTERVAL = """\
import time
from pathlib import Path
def test_it():
    {touch}
    begin = time.monotonic()
    time.sleep({pause})
    Path("interval-{name}").write_text(f"{{begin}} {{time.monotonic()}}")
"""


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_files_that_share_a_resource_do_not_overlap(project: Project, start_method: str) -> None:
    touch = 'open("shared.txt", "a").close()'
    for name, text, pause in (
        ("first", touch, 0.5),
        ("second", touch, 0.5),
        ("else", "pass", 1.5),
    ):
        source = INTERVAL.format(touch=text, pause=pause, name=name)
        project.write(f"tests/test_{name}.py", source)
    results = project.results(
        f"{DIRECTORY}results = run_test_directory('tests', cache_enabled=False, max_workers=3)",
        IOPIO_START_METHOD=start_method,
    )
    assert results["passed"] == 3, results
    first, second, other = (
        [float(each) for each in (project.root / f"interval-{name}").read_text().split()]
        for name in ("first", "second", "else")
    )
    assert first[1] <= second[0] or second[1] <= first[0]
    assert other[0] < max(first[1], second[1])
    assert min(first[0], second[0]) < other[1]


def test_the_example_of_discovery(project: Project) -> None:
    project.write(
        "tests/test_a.py", "def test_a(): pass\nclass TestB:\n    def test_b(self): pass\n"
    )
    project.write("tests/test_c.py", "def test_c():\n    assert 0\n")
    project.write("src/__init__.py", "")
    project.write("src/inference_pio/__init__.py", "")
    project.write(
        "src/inference_pio/test_discovery.py",
        "from test_optimization import discover_all_tests\n",
    )
    said = project.script(
        """\
from test_optimization import OptimizedTestRunner
from src.inference_pio.test_discovery import discover_all_tests

# Discover all tests in the project
test_functions = discover_all_tests()

# Run with optimization
runner = OptimizedTestRunner(
    cache_enabled=True,
    parallel_enabled=True,
    max_workers=4
)

results = runner.run_tests(test_functions)
print(f"Test execution completed: {results['passed']}/{results['total_tests']} passed")
print([function.__name__ for function in test_functions])
print([each["test"] for each in results["results"]])
try:
    test_functions[-1]()
except AssertionError as error:
    print(error)
"""
    )
    assert said.stdout.splitlines() == [
        "Test execution completed: 2/3 passed",
        "['test_discovery.py', 'test_a', 'test_b', 'test_c']",
        str(
            ["tests/test_a.py::test_a", "tests/test_a.py::TestB::test_b", "tests/test_c.py::test_c"]
        ),
        "AssertionError: assert 0",
    ]


def test_what_files_touch(project: Project) -> None:
    project.write("test_a.py", "def test_a():\n    open('/srv/shared', 'w')\n")
    project.write("test_b.py", "def test_b(): pass\n")
    results = project.results(
        """\
from test_optimization import TestDependencyAnalyzer
results = TestDependencyAnalyzer().analyze_dependencies(["test_a.py", "./test_b.py"])
"""
    )
    assert results == {"test_a.py": ["path:/srv/shared"], "./test_b.py": []}
