"""Callables in processes and threads: what becomes of them there, and what they leave alone."""

import os
import signal
from pathlib import Path

import pytest
from conformance.original import RUN, RUNNER, TELL, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_what_ends_its_process_fails_alone(project: Project) -> None:
    script = f"""{RUN}
import os, signal, sys
def test_leaves(): os._exit(3)
def test_dies(): os.kill(os.getpid(), signal.SIGSEGV)
def test_exits(): sys.exit(0)
def test_good(): pass
results = run([test_leaves, test_dies, test_exits, test_good])
"""
    for cached in (0, 1):
        results = project.results(script)
        assert (results["passed"], results["failed"], results["cached"]) == (1, 3, cached)
        leaves, dies, exits, good = results["results"]
        assert "exit code 3" in leaves["error"]
        assert "SIGSEGV" in dies["error"]
        assert "SystemExit" in exits["error"]
        assert good["success"]


def test_what_hangs_is_ended_with_all_that_it_started(project: Project) -> None:
    project.write("pyproject.toml", "[tool.iopio]\ntimeout = '2s'\n")
    results = project.results(
        f"""{RUN}
def test_hangs():
    import os, signal, subprocess, sys
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    with open("pids", "w") as file:
        file.write(f"{{os.getpid()}} {{child.pid}}")
    signal.pause()
def test_good(): pass
results = run([test_hangs, test_good])
"""
    )
    hangs, good = results["results"]
    assert (hangs["success"], good["success"]) == (False, True)
    assert hangs["error"]
    pids = [int(pid) for pid in (project.root / "pids").read_text().split()]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, signal.SIG_DFL)


def test_skips_coroutines_and_fixtures(project: Project) -> None:
    results = project.results(
        f"""{RUN}
import asyncio, unittest
class SkipTestException(Exception): pass
class Later(SkipTestException): pass
def test_pytest_skip():
    import pytest
    pytest.skip("by pytest")
def test_unittest_skip(): raise unittest.SkipTest("by unittest")
def test_own_skip(): raise Later("by itself")
async def test_awaited():
    await asyncio.sleep(0)
async def test_awaited_and_fails():
    await asyncio.sleep(0)
    assert False
class Methods:
    def setup_method(self, method): self.value = method.__name__
    def test_method(self): assert self.value == "test_method"
class Case(unittest.TestCase):
    def setUp(self): self.value = 2
    def test_case(self): self.assertEqual(self.value, 2)
results = run([test_pytest_skip, test_unittest_skip, test_own_skip, test_awaited,
               test_awaited_and_fails, Methods().test_method, Case("test_case").test_case])
"""
    )
    assert [each["outcome"] for each in results["results"]] == [
        *(["skipped"] * 3),
        *("passed", "failed", "passed", "passed"),
    ]
    reasons = [each["skip_reason"] for each in results["results"][:3]]
    assert reasons == ["by pytest", "by unittest", "by itself"]


INTERVALS = """
import time
def record(name, pause=0.5):
    from pathlib import Path
    begin = time.monotonic()
    time.sleep(pause)
    Path(f"interval-{name}").write_text(f"{begin} {time.monotonic()}")
def test_first():
    open("shared.txt", "a").close()
    record("first")
def test_second():
    open("shared.txt", "a").close()
    record("second")
def test_else():
    record("else", 1.0)
"""


@pytest.mark.parametrize("use_processes", [True, False])
def test_who_shares_a_resource_does_not_overlap(project: Project, use_processes: bool) -> None:
    results = project.results(
        f"{RUNNER}{INTERVALS}"
        f"runner = OptimizedTestRunner(False, True, 3, use_processes={use_processes})\n"
        "results = runner.run_tests([test_first, test_second, test_else])\n"
    )
    assert results["passed"] == 3, results
    first, second, other = (
        [float(each) for each in (project.root / f"interval-{name}").read_text().split()]
        for name in ("first", "second", "else")
    )
    assert first[1] <= second[0] or second[1] <= first[0]
    assert other[0] < max(first[1], second[1])
    assert min(first[0], second[0]) < other[1]


def test_threads_keep_claims_on_the_process_apart(project: Project) -> None:
    results = project.results(
        f"""{RUNNER}
import os, threading
inside = []
def visit(name):
    inside.append(name)
    assert inside == [name]
    threading.Event().wait(0.1)
    inside.remove(name)
def test_one():
    os.environ["COLOUR"] = "red"
    visit("one")
def test_two():
    os.environ["COLOUR"] = "blue"
    visit("two")
results = OptimizedTestRunner(max_workers=2, use_processes=False).run_tests([test_one, test_two])
"""
    )
    assert (results["passed"], results["cached"]) == (2, 0), results


def test_what_can_not_be_carried_runs_in_a_thread(project: Project) -> None:
    said = project.script(
        f"""{RUN}
import threading
lock = threading.Lock()
def test_lock():
    with lock:
        pass
def test_good(): pass
results = run([test_lock, test_good])
"""
        + TELL
    )
    assert said.results["passed"] == 2
    (warning,) = said.results["warnings"]
    assert "test_lock runs in a thread" in warning
    assert "cannot pickle" in warning
    assert "RuntimeWarning: test_lock runs in a thread" in said.stderr


def test_a_module_that_runs_its_own_tests_when_it_is_imported(project: Project) -> None:
    project.write(
        "unguarded.py",
        f"{RUN}open('bodies', 'a').write('body ')\ndef test_it(): pass\nresults = run([test_it])\n",
    )
    results = project.results("from unguarded import results\n")
    assert results["passed"] == 1
    assert (project.root / "bodies").read_text() == "body "


def test_functions_of_a_file_that_was_loaded_by_hand(project: Project) -> None:
    project.write(
        "elsewhere/tests_of_it.py",
        "def yes(): return True\ndef test_it(): assert yes()\n",
    )
    script = f"""{RUN}
import importlib.util, sys
spec = importlib.util.spec_from_file_location("by_hand", "elsewhere/tests_of_it.py")
module = importlib.util.module_from_spec(spec)
if REGISTERED:
    sys.modules["by_hand"] = module
spec.loader.exec_module(module)
results = run([module.test_it])
"""
    for registered in ("True", "False"):
        results = project.results(script.replace("REGISTERED", registered))
        assert (results["passed"], results["warnings"]) == (1, [])


def test_a_caller_that_has_an_event_loop(project: Project) -> None:
    results = project.results(
        f"""{RUN}
import asyncio
def test_it(): pass
async def main(): return run([test_it])
results = asyncio.run(main())
"""
    )
    assert results["passed"] == 1


def test_an_executor(project: Project) -> None:
    results = project.results(
        """\
from test_optimization import TestParallelExecutor
def test_good(): pass
def test_bad(): raise ValueError("Test error")
told = TestParallelExecutor(max_workers=2).run_tests_parallel([test_bad, test_good])
results = {"told": [(f.__name__, r, s >= 0) for f, r, s in told],
           "most": TestParallelExecutor().max_workers}
"""
    )
    assert results["told"] == [
        ["test_bad", {"success": False, "error": "ValueError: Test error"}, True],
        ["test_good", {"success": True, "error": None}, True],
    ]
    assert 1 <= results["most"] <= 8
