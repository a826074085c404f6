"""Results of callables that are stored: when they are believed, and what is seen of them."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from conformance.original import PASSES, RUN, RUNNER, Project

from iopio_async.cache import entries
from iopio_async.model.trace import ActionEntry, StoredResult

HOUR_S = 3600.0


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_only_what_changed_is_executed(project: Project) -> None:
    for name in "abc":
        project.write(f"m_{name}.py", f"def test_{name}(): assert {name!r}\n")
    script = f"""{RUN}
from m_a import test_a
from m_b import test_b
from m_c import test_c
results = run([test_a, test_b, test_c])
"""
    project.results(script)
    project.write("m_b.py", "def test_b(): assert 'bb'\n")
    results = project.results(script)
    assert [(each["test"], each["cached"]) for each in results["results"]] == [
        ("test_a", True),
        ("test_b", False),
        ("test_c", True),
    ]


def test_a_cache_in_a_place_of_its_own(project: Project) -> None:
    script = f"""{RUNNER}{PASSES}
# Full configuration example
runner = OptimizedTestRunner(
    cache_enabled=True,           # Enable caching
    parallel_enabled=True,        # Enable parallel execution
    max_workers=8                 # Use up to 8 workers
)

# Configure cache separately
runner.cache = TestResultCache(cache_dir="./custom_cache_dir")
results = runner.run_tests([test_one, test_two])
results["entries"] = len(TestResultCache(cache_dir="custom_cache_dir")._cache)
results["elsewhere"] = len(TestResultCache()._cache)
"""
    assert project.results(script)["cached"] == 0
    results = project.results(script)
    assert (results["cached"], results["entries"], results["elsewhere"]) == (2, 2, 0)
    assert (project.root / "custom_cache_dir").is_dir()


def test_invalidating_all(project: Project) -> None:
    script = f"""{RUNNER}{PASSES}
runner = OptimizedTestRunner()
counts = [runner.run_tests([test_one, test_two])["cached"] for _ in range(2)]
runner.invalidate_cache()  # Clear all cached results
results = runner.run_tests([test_one, test_two])
results["counts"] = counts
OptimizedTestRunner(cache_enabled=False).invalidate_cache()
"""
    results = project.results(script)
    assert results["counts"] == [0, 2]
    assert results["cached"] == 0


def test_the_cache_as_an_object(project: Project) -> None:
    results = project.results(
        f"""{RUNNER}{PASSES}
cache = TestResultCache()
print(f"Cache directory: {{cache.cache_dir}}")
print(f"Cache size: {{len(cache._cache)}} entries")
results = OptimizedTestRunner().run_tests([test_one, test_two], ["a.py::one", "b.py::two"])
results["size"] = len(cache._cache)
results["folder"] = str(cache.cache_dir)
results["got"] = cache.get_result("a.py::one")["result"]["success"]
cache.put_result("c.py::three", {{"success": False, "error": "no"}})
results["put"] = TestResultCache().get_result("c.py::three")["result"]
results["sizes"] = [len(cache._cache)]
for path in ["a.py::one", "c.py"]:
    cache.invalidate(path)
    results["sizes"].append(len(cache._cache))
results["left"] = [each["test_path"] for each in cache._cache.values()]
try:
    cache._cache["x"] = {{}}
except TypeError as error:
    results["read_only"] = str(error)
"""
    )
    assert results["size"] == results["total_tests"] == 2
    assert results["folder"].endswith(".test_cache")
    assert Path(results["folder"]).parent == project.root
    assert results["got"] is True
    assert results["put"] == {"success": False, "error": "no"}
    assert results["sizes"] == [3, 2, 1]
    assert results["left"] == ["b.py::two"]
    assert "assignment" in results["read_only"]


def test_a_changed_body_helper_global_or_default_is_a_miss(project: Project) -> None:
    project.write("helper.py", "def answer(): return 42\n")
    script = f"""{RUN}
from helper import answer
LIMIT = 1
def make(inner):
    def test_closure(default=1): assert inner
    return test_closure
def test_it(): assert answer() and LIMIT
results = run([test_it, make(1)])
"""
    assert project.results(script)["cached"] == 0
    assert project.results(script)["cached"] == 2
    os.utime(project.root / "helper.py")
    assert project.results(script)["cached"] == 2
    project.write("helper.py", "def answer(): return 43\n")
    assert [each["cached"] for each in project.results(script)["results"]] == [False, True]
    for old, new in [
        ("LIMIT = 1", "LIMIT = 2"),
        ("make(1)", "make(2)"),
        ("default=1", "default=2"),
        ("assert answer()", "assert 0 < answer()"),
    ]:
        script = script.replace(old, new)
        assert project.results(script)["cached"] < 2, new
        assert project.results(script)["cached"] == 2, new


KINDS_OF_THINGS = f"""{RUN}
import abc, collections, dataclasses, enum, functools, re, typing
class Colour(enum.Enum): RED = 1
@dataclasses.dataclass(slots=True)
class Data: x: int = 1
class Named(typing.NamedTuple): a: int
class Base(abc.ABC):
    @abc.abstractmethod
    def value(self): ...
class Derived(Base):
    def value(self): return super().value()
    @functools.cached_property
    def lazy(self): return 2
@functools.lru_cache
def cached(): return 1
pattern = re.compile("x")
groups = collections.defaultdict(list)
def test_enum(): assert Colour.RED
def test_data(): assert Data(1) == Data()
def test_named(): assert Named(1).a
def test_derived(): assert Derived().value() is None and Derived().lazy
def test_cached(): assert cached()
def test_others(): assert pattern.match("x") and not groups
tests = [test_enum, test_data, test_named, test_derived, test_cached, test_others]
results = run(tests)
"""


def test_what_scripts_define_is_carried_and_known_again(project: Project) -> None:
    for cached in (0, 6):
        results = project.results(KINDS_OF_THINGS)
        assert results["warnings"] == []
        assert (results["passed"], results["cached"]) == (6, cached)


def test_failures_are_executed_again(project: Project) -> None:
    script = f"{RUN}\ndef test_bad(): assert 0\nresults = run([test_bad])\n"
    for _ in range(2):
        results = project.results(script)
        assert (results["failed"], results["cached"]) == (1, 0)


@pytest.mark.parametrize("spoilt", ["[]", "{", "\udcff\udcfe"])
def test_a_spoilt_cache(project: Project, spoilt: str) -> None:
    script = f"{RUN}{PASSES}results = run([test_one, test_two])\n"
    project.results(script)
    store = project.root / ".test_cache" / "v1"
    entries = [path for path in (store / "ac").rglob("*") if path.is_file()]
    for path in [*entries, store / "index"]:
        path.write_bytes(spoilt.encode("utf-8", "surrogateescape"))
    results = project.results(script)
    assert results["passed"] == 2
    assert len(results["warnings"]) <= 1
    assert project.results(script)["cached"] == 2


def test_a_cache_that_is_no_folder(project: Project) -> None:
    project.write(".test_cache", json.dumps(["a", "list"]))
    results = project.results(f"{RUN}{PASSES}results = run([test_one, test_two])\n")
    assert (results["passed"], results["cached"]) == (2, 0)
    assert results["warnings"]


def test_two_writers_lose_nothing(project: Project) -> None:
    script = f"{RUN}def make(number):\n    def test_it(): assert number\n    return test_it\n"
    writer = (
        f"{script}import sys\n"
        "results = run([make(n) for n in range(int(sys.argv[1]), int(sys.argv[2]))],"
        "[f'test_{n}' for n in range(int(sys.argv[1]), int(sys.argv[2]))])\n"
    )
    project.write("writer.py", writer)
    results = project.results(
        """\
import subprocess, sys
from test_optimization import TestResultCache
writers = [subprocess.Popen([sys.executable, "writer.py", *each])
           for each in (("1", "9"), ("9", "17"))]
codes = [each.wait() for each in writers]
results = {"codes": codes, "entries": len(TestResultCache()._cache)}
"""
    )
    assert results == {"codes": [0, 0], "entries": 16}


@pytest.mark.parametrize("stored", [False, True])
def test_a_cache_that_can_not_be_written(project: Project, stored: bool) -> None:
    script = f"{RUN}{PASSES}results = run([test_one, test_two])\n"
    folder = project.root / ".test_cache"
    if stored:
        project.results(script)
    else:
        folder.mkdir()
    with read_only(folder):
        results = project.results(script)
        assert (results["passed"], results["cached"]) == (2, 2 if stored else 0)
        project.write("tests/test_a.py", "def test_a(): pass\n")
        said = project.command()
        assert said.code == 0, said.stderr
    for told in (results["warnings"], said.stderr.splitlines()):
        # At most one of the results, and one of the journal, which finds out by itself.
        about = ["journal" in each for each in told]
        assert about
        assert len(about) == len(set(about))
        assert all("Read-only file system" in each for each in told)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing below can be written meanwhile: permissions would not bind the superuser."""
    if subprocess.run(["mount", "--bind", folder, folder], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        with pytest.raises(OSError, match="Read-only"):
            (folder / "probe").touch()
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_results_hold_for_a_day(project: Project, start_method: str) -> None:
    def cached() -> int:
        found = project.results(script, IOPIO_START_METHOD=start_method)["cached"]
        assert isinstance(found, int)
        return found

    script = f"{RUN}{PASSES}results = run([test_one, test_two])\n"
    assert cached() == 0
    # Lifetimes of 18 to 24 hours keep results that were made together from ending together.
    _age(project, 18 * HOUR_S - 60)
    assert cached() == 2
    _age(project, 6 * HOUR_S + 120)
    assert cached() == 0
    lives_s = _lifetimes_s(project)
    assert len(lives_s) == 2
    assert all(18 * HOUR_S <= life_s <= 24 * HOUR_S for life_s in lives_s)
    # A minute before the first one ends, and a minute after that.
    _age(project, min(lives_s) - 60)
    assert cached() == 2
    _age(project, 120)
    assert cached() == sum(life_s > min(lives_s) + 60 for life_s in lives_s)


def _entries(project: Project) -> Iterator[tuple[Path, ActionEntry]]:
    for path in (project.root / ".test_cache" / "v1" / "ac").rglob("*"):
        if path.is_file() and entries.is_digest(path.name):
            entry = entries.decode(path.read_bytes(), path.name)
            assert entry is not None
            yield path, entry


def _lifetimes_s(project: Project) -> list[float]:
    """How long the latest result of each entry holds."""
    results = [max(entry.results, key=_executed_at_s) for _, entry in _entries(project)]
    return [each.expires_at_s - each.executed_at_s for each in results]


def _executed_at_s(result: StoredResult) -> float:
    return result.executed_at_s


def _age(project: Project, seconds: float) -> None:
    """Have everything in the store been made so much earlier."""
    for path, entry in _entries(project):
        older = tuple(
            msgspec.structs.replace(
                each,
                executed_at_s=each.executed_at_s - seconds,
                expires_at_s=each.expires_at_s - seconds,
            )
            for each in entry.results
        )
        path.write_bytes(entries.encode(msgspec.structs.replace(entry, results=older)))
    (project.root / ".test_cache" / "v1" / "index").unlink(missing_ok=True)
