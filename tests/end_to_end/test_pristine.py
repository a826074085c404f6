"""What one module does to its process is not there for the next, however that was started.

Each row of :data:`STATES` is a piece of a process's state: how to look at it, and what a test may
do to it. In one run, every module looks at all of them first, and then changes them all. What a
module finds has to be what the first one found, and what it finds in a fresh interpreter.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from end_to_end import sides

import iopio_async

METHODS = ("spawn", "forkserver")
MODULES = ("test_1.py", "test_2.py", "test_3.py")


class State(NamedTuple):
    """An expression for what is seen of it; statements that change that, if a test can."""

    look: str
    change: str = ""


#: The list in ``worker.pristine``, and what else belongs to a process.
STATES = {
    "process group and session": State("os.getpid() == os.getpgrp() == os.getsid(0)"),
    "cookie in the environment's block": State(
        "f\"IOPIO_ATTEMPT_ID={os.environ['IOPIO_ATTEMPT_ID']}\".encode()"
        " in open('/proc/self/environ', 'rb').read().split(b'\\0')"
    ),
    "descriptors": State("descriptors()", "os.dup2(os.open(os.devnull, os.O_RDONLY), 40)"),
    "temporary directory": State(
        "tempfile.gettempdir() == os.environ['TMPDIR'], tempfile.template",
        "tempfile.tempdir = '/'",
    ),
    "main thread": State("threading.main_thread().native_id == os.getpid()"),
    "threads": State(
        "[thread.name for thread in threading.enumerate()]",
        "threading.Thread(target=threading.Event().wait, daemon=True).start()",
    ),
    "hash seed": State("hash('text')"),
    "working directory": State("os.getcwd()", "os.chdir('/')"),
    "umask": State("umask()", "os.umask(0o777)"),
    "signal handlers": State(
        "[(number.name, handler(number)) for number in signal.Signals]",
        "signal.signal(signal.SIGUSR1, signal.SIG_IGN)\n"
        "    signal.signal(signal.SIGINT, lambda *_: None)",
    ),
    "signal masks": State(
        "sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))",
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})",
    ),
    "timers": State(
        "signal.getitimer(signal.ITIMER_REAL)", "signal.setitimer(signal.ITIMER_REAL, 1e6)"
    ),
    "sys.path": State("sys.path", "sys.path.insert(0, '/nowhere')"),
    "sys.meta_path": State("kinds(sys.meta_path)", "sys.meta_path.append(object())"),
    "sys.argv": State("sys.argv", "sys.argv.append('more')"),
    "standard input": State(
        "os.readlink('/proc/self/fd/0'), type(sys.stdin).__name__, type(sys.__stdin__).__name__",
        "os.dup2(os.open('/', os.O_RDONLY), 0)",
    ),
    "standard output": State(
        "type(sys.stdout).__name__, sys.__stdout__.encoding, sys.__stdout__.line_buffering",
        "sys.__stdout__.reconfigure(encoding='latin-1')",
    ),
    "logging": State(
        "(logging.root.level, kinds(logging.root.handlers), logging.root.manager.disable,"
        " logging.getLogger('product').level, logging.getLevelName(35), logging.raiseExceptions)",
        "logging.basicConfig(level=1, force=True); logging.disable(50)\n"
        "    logging.getLogger('product').setLevel(7); logging.addLevelName(35, 'MINE')",
    ),
    "warnings filters": State(
        "warnings.filters, warnings.showwarning.__name__",
        "warnings.filters.insert(0, ('ignore', None, Warning, None, 0))",
    ),
    "exit handlers": State("atexit._ncallbacks()", "atexit.register(int)"),
    "environment": State(
        "sorted(item for item in os.environ.items() if item[0] not in OWN)",
        "os.environ['CHANGED'] = '1'; del os.environ['LANG']",
    ),
    "time zone": State("time.tzname", "os.environ['TZ'] = 'XYZ-3'; time.tzset()"),
    "locale": State(
        "locale.setlocale(locale.LC_ALL), locale.getpreferredencoding(False)",
        "locale.setlocale(locale.LC_ALL, 'C')",
    ),
    "collector": State(
        "gc.isenabled(), gc.get_threshold(), gc.get_debug(), kinds(gc.callbacks)",
        "gc.disable(); gc.set_threshold(7, 7, 7); gc.callbacks.append(print)",
    ),
    "faulthandler": State("faulthandler.is_enabled()", "faulthandler.disable()"),
    "multiprocessing": State(
        "(multiprocessing.get_start_method(allow_none=True), multiprocessing.active_children(),"
        " multiprocessing.current_process().name, multiprocessing.Process().name,"
        " multiprocessing.util._finalizer_registry, multiprocessing.parent_process(),"
        " multiprocessing.util._logger)",
        "multiprocessing.set_start_method('spawn'); multiprocessing.get_logger()",
    ),
    "asyncio": State(
        "(type(policy()).__name__, asyncio.events._get_running_loop(), loop())",
        "asyncio.set_event_loop_policy(OtherPolicy())\n"
        "    asyncio.set_event_loop(asyncio.new_event_loop())",
    ),
    "coverage and tracing": State(
        "sys.gettrace(), sys.getprofile(), threading.gettrace()",
        "sys.setprofile(lambda *_: None); threading.settrace(print)",
    ),
    "hooks": State(
        "[hook.__name__ for hook in (sys.excepthook, sys.displayhook, sys.breakpointhook)]",
        "sys.excepthook = print",
    ),
    "interpreter's settings": State(
        "(sys.getrecursionlimit(), sys.getswitchinterval(), sys.dont_write_bytecode,"
        " sys.get_int_max_str_digits(), sys.flags, sys.warnoptions)",
        "sys.setrecursionlimit(900); sys.setswitchinterval(1); sys.dont_write_bytecode ^= True",
    ),
    "limits": State(
        "[resource.getrlimit(number) for number in range(16)], os.nice(0)",
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.nice(1)",
    ),
    "decimal context": State("repr(decimal.getcontext())", "decimal.getcontext().prec = 3"),
    "garbage and memory": State("gc.garbage, len(gc.get_objects()) > 1000", "gc.garbage.append(1)"),
}

#: What has to be another one each time.
SURPRISES = ("random.random()", "next(tempfile._RandomNameSequence())", "numpy_random()")

MODULE = """\
import asyncio, atexit, decimal, faulthandler, gc, importlib, locale, logging, multiprocessing
import multiprocessing.util, os, pathlib, random, resource, signal, sys, tempfile, threading, time
import warnings

import pytest

#: Another one for each module by design.
OWN = {"TMPDIR", "IOPIO_RUN_ID", "IOPIO_SLOT", "IOPIO_ATTEMPT_ID", "PYTEST_CURRENT_TEST"}

class OtherPolicy(asyncio.DefaultEventLoopPolicy):
    pass

def kinds(found):
    return [getattr(each, "__name__", type(each).__name__) for each in found]

def umask():
    found = os.umask(0)
    os.umask(found)
    return found

def handler(number):
    found = signal.getsignal(number)
    return getattr(found, "__name__", str(found))

def policy():
    return asyncio.get_event_loop_policy()

def loop():
    return policy()._local._loop

def numpy_random():
    return sys.modules["numpy.random"].random()

def descriptors():
    # The worker's own are from 64 on.
    found = {}
    for name in os.listdir("/proc/self/fd"):
        if int(name) < 64:
            try:
                target = os.readlink(f"/proc/self/fd/{name}")
            except OSError:
                continue
            known = ("pipe:", "/dev/", "/memfd:")
            found[int(name)] = next((kind for kind in known if target.startswith(kind)), "file")
    # Captured output is kept in files, which have names of another kind where they were copied.
    return {number: "file" if kind == "/memfd:" else kind for number, kind in found.items()}

def look():
    return {LOOKS}

def test_looks(record_property):
    for name, seen in look().items():
        record_property(name, seen)
    words = open("/proc/self/cmdline", "rb").read().split(b"\\0")
    record_property("forked", str(b"--serve" in words))

def test_is_surprised(record_property):
    for text in {SURPRISES}:
        record_property(text, repr(eval(text)))

def test_imports_what_came_late():
    number = int(__name__.rpartition("_")[2])
    for earlier in range(1, number):
        assert importlib.import_module(f"late_{earlier}").VALUE == earlier
    pathlib.Path(__file__).with_name(f"late_{number}.py").write_text(f"VALUE = {number}\\n")

def test_changes():
    before = look()
    random.seed(1)
    sys.modules["numpy.random"].seed(1)
{CHANGES}
    after = look()
    changed = {name for name in before if before[name] != after[name]}
    assert sorted({CHANGING} - changed) == [], "these tests test nothing"
"""

#: Stands in for the one with a generator that goes on as it is after a fork.
NUMPY_RANDOM = """\
import os, random as python
_generator = python.Random(7)
def seed(value=None):
    _generator.seed(value)
def random():
    return _generator.random()
seed(None)
"""


def _module() -> str:
    looks = ", ".join(f"{name!r}: repr(({state.look}))" for name, state in STATES.items())
    changes = "\n".join(f"    {state.change}" for state in STATES.values() if state.change)
    changing = {name for name, state in STATES.items() if state.change}
    return (
        MODULE.replace("{LOOKS}", f"{{{looks}}}")
        .replace("{CHANGES}", changes)
        .replace("{CHANGING}", repr(changing))
        .replace("{SURPRISES}", repr(SURPRISES))
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, dict[str, str]]]:
    """Start method → module → what its tests told."""
    told = {}
    for method in METHODS:
        folder = tmp_path_factory.mktemp("pristine") / "project"
        (folder / "numpy").mkdir(parents=True)
        (folder / "pyproject.toml").write_text("")
        (folder / "numpy" / "__init__.py").write_text("")
        (folder / "numpy" / "random.py").write_text(NUMPY_RANDOM)
        # Loaded by the server, where there is one.
        (folder / "conftest.py").write_text("import numpy.random\n")
        for module in MODULES:
            (folder / module).write_text(_module())
        told[method] = _run(folder, method)
    return told


def _run(folder: Path, method: str) -> dict[str, dict[str, str]]:
    report = folder / "report.json"
    words = ["run", "--workers=1", f"--start-method={method}", f"--report={report}"]
    finished = subprocess.run(
        [sys.executable, "-m", "iopio_async", *words],
        cwd=folder,
        env=sides.environment(
            {
                "LANG": "C.UTF-8",
                "LC_ALL": "",
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PYTHONPATH": str(Path(iopio_async.__file__).parents[1]),
            }
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=sides.GIVEN_UP_S,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
    tests: list[dict[str, Any]] = json.loads(report.read_bytes())["tests"]
    told: dict[str, dict[str, str]] = {module: {} for module in MODULES}
    for test in tests:
        module = test["id"].partition("::")[0]
        for name, value in test.get("properties", ()):
            told[module][name] = value.replace(str(folder), "")
    return told


def test_start_methods_are_what_they_are_called(
    found: dict[str, dict[str, dict[str, str]]],
) -> None:
    for method, forked in (("spawn", "False"), ("forkserver", "True")):
        assert {found[method][module]["forked"] for module in MODULES} == {forked}


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("method", METHODS)
def test_every_module_finds_the_same(
    found: dict[str, dict[str, dict[str, str]]], method: str, name: str
) -> None:
    states = {module: found[method][module][name] for module in MODULES}
    assert set(states.values()) == {states[MODULES[0]]}


@pytest.mark.parametrize("name", STATES)
def test_a_forked_process_is_like_a_fresh_one(
    found: dict[str, dict[str, dict[str, str]]], name: str
) -> None:
    assert found["forkserver"][MODULES[-1]][name] == found["spawn"][MODULES[-1]][name]


@pytest.mark.parametrize("name", SURPRISES)
@pytest.mark.parametrize("method", METHODS)
def test_chance_is_another_one_each_time(
    found: dict[str, dict[str, dict[str, str]]], method: str, name: str
) -> None:
    assert len({found[method][module][name] for module in MODULES}) == len(MODULES)
