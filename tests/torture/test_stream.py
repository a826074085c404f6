"""Tests that get at the result stream, or strain it: cases 10-14, 21, 27 and 28."""

from typing import NamedTuple

import pytest
from torture.harness import Project
from torture.processes import peak_rss_bytes
from torture.sources import ALL_PASSED, LOST, between

#: How a test finds the descriptor that nobody gave it: a pipe, open for writing, out of the way.
HEAD = """\
import fcntl, os, signal, stat, sys, time
def result_descriptor():
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            is_pipe = stat.S_ISFIFO(os.fstat(number).st_mode)
            access = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
        except OSError:
            continue
        if number >= 64 and is_pipe and access == os.O_WRONLY:
            return number
"""


def with_stream(body: str) -> str:
    """A module of three tests, the second of which does this to its stream."""
    return between(body, HEAD)


CLOSES_012 = "for number in range(3):\n    os.close(number)"


@pytest.mark.parametrize("options", [(), ("--", "-s")], ids=["captured", "not captured"])
def test_10_standard_descriptors_may_be_closed(project, gates, options):
    gate = gates("gate")
    source = with_stream(f"os.write(1, b'last words')\n{CLOSES_012}")
    project.write("test_it.py", f"{source}def test_goes_on():\n    {gate.wait}\n")
    with project.start(*options) as live:
        # By now it is known that the streams have ended, and the process has not.
        live.until("test_started", id="test_it.py::test_goes_on")
        gate.open()
        outcome = live.rest()
    project.check(outcome, code=0)
    module = outcome.module("test_it.py")
    assert module.verdict == ("passed", ALL_PASSED | {"test_goes_on": "passed"})
    if options:
        assert module.stdout.startswith("last words")
        assert "[closed here by the process itself" in module.stdout
        assert module.stdout_bytes == len("last words")


def test_11_all_other_descriptors_closed(project):
    project.write("test_it.py", with_stream("os.closerange(3, 1 << 16)"))
    outcome = project.run(code=1, again=True)
    module = outcome.module("test_it.py")
    assert module.status == "incomplete"
    assert module.tests == LOST
    assert module.in_flight == "test_it.py::test_it"


def test_12_no_frame_gets_into_a_file_of_the_same_number(project):
    project.write(
        "test_it.py",
        with_stream(
            """\
number = result_descriptor()
os.close(number)
file = os.open("mine.txt", os.O_WRONLY | os.O_CREAT)
os.dup2(file, number)
os.write(number, b"mine")"""
        ),
    )
    module = project.run(code=1, again=True).module("test_it.py")
    assert module.status == "incomplete"
    assert module.tests == LOST
    assert (project.root / "mine.txt").read_bytes() == b"mine"


class Forgery(NamedTuple):
    """What a test writes into the stream, and what is said of it."""

    body: str
    message: str


MESSAGES = """\
from iopio_async.model.outcome import Outcome
from iopio_async.wire import messages as msg
from iopio_async.wire.codec import encode_message
from iopio_async.wire.frames import frame
def write(*told):
    os.write(result_descriptor(), b"".join(frame(encode_message(one)) for one in told))
    signal.pause()
"""

#: Cases 13 and 14.
FORGERIES = {
    "13_garbage": Forgery("os.write(result_descriptor(), b'garbage' * 1000)", "a frame claims"),
    "13_no_message": Forgery("os.write(result_descriptor(), frame(b'{}'))", "holds no message"),
    "13_wrong_type": Forgery(
        "os.write(result_descriptor(), frame(b'\\x93\\x03\\xa1x\\xa1y'))", "holds no message"
    ),
    "13_duplicate": Forgery(
        "write(msg.Finished(0, Outcome.PASSED, 0.0))", "test_before finished twice"
    ),
    "13_never_planned": Forgery("write(msg.Started(3))", "test 3 was never planned"),
    "13_negative": Forgery("write(msg.Started(-1))", "test -1 was never planned"),
    "13_second_plan": Forgery("write(msg.Plan(('x',), True))", "planned twice"),
    "13_second_greeting": Forgery("write(msg.Hello(1, 1))", "greeted twice"),
    "13_early_end": Forgery(
        "write(*[msg.Finished(index, Outcome.PASSED, 0.0) for index in (1, 2)], "
        "msg.End(3, 0, 0))\nos._exit(0)",
        "closing counts do not agree",
    ),
    "13_own_outcome": Forgery(
        "write.__globals__['signal'] = __import__('types').SimpleNamespace(pause=int)\n"
        "write(msg.Finished(1, Outcome.PASSED, 0.0))\nassert False",
        "test_it finished twice",
    ),
    "14_four_gigabytes": Forgery(
        "os.write(result_descriptor(), b'\\xff' * 4)\nsignal.pause()", "a frame claims 4294967295"
    ),
    "14_just_too_long": Forgery(
        "os.write(result_descriptor(), b'\\x01\\x00\\x00\\x01')\nsignal.pause()",
        "a frame claims 16777217 bytes",
    ),
}


@pytest.fixture(scope="module")
def forgeries(tmp_path_factory, control):
    project = Project(tmp_path_factory.mktemp("forgeries"), control)
    for name, forgery in FORGERIES.items():
        project.write(f"test_{name}.py", MESSAGES + with_stream(forgery.body))
    return project.run("--workers=3", code=1, again=True)


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_streams_are_refused(forgeries, name):
    module = forgeries.module(f"test_{name}.py")
    assert module.status == "error"
    assert FORGERIES[name].message in module.message
    assert module.tests["test_before"] == "passed"
    # Whatever the forged message said of its own test, the run is red.
    assert module.tests["test_after"] in {"not-run", "passed"}


def test_14_what_is_killed_in_the_middle_of_a_frame_has_crashed(project):
    project.write(
        "test_it.py",
        with_stream(
            "os.write(result_descriptor(), b'\\0\\0\\1\\0..')\nos.kill(os.getpid(), signal.SIGKILL)"
        ),
    )
    module = project.run(code=1).module("test_it.py")
    assert module.status == "crashed"
    assert module.tests == LOST


def test_14_a_stream_that_is_cut_is_no_pass(project):
    project.write(
        "test_it.py",
        HEAD + "import atexit\ndef test_it():\n"
        "    atexit.register(os.write, result_descriptor(), bytes(3))\n",
    )
    module = project.run(code=1).module("test_it.py")
    assert module.status == "error"
    assert "cut in the middle" in module.message


def test_21_whatever_is_patched_the_outcome_is_right(project):
    project.write(
        "test_it.py",
        """\
import builtins, os, sys, threading, time
def broken(*_, **__):
    raise RuntimeError("patched")
now = time.monotonic
def spend():
    end = now() + 0.25
    while now() < end:
        pass
def test_before(): pass
def test_it():
    for name in ("time", "monotonic", "perf_counter", "sleep", "time_ns", "perf_counter_ns"):
        setattr(time, name, broken)
    # What pytest itself needs as it goes on (os.fstat, os.stat) would end a plain run, too.
    for name in ("write", "read", "_exit", "kill", "pipe"):
        setattr(os, name, broken)
    sys.exit = broken
    builtins.open = broken
    spend()
def test_after():
    assert False, "as planned"
""",
    )
    module = project.run(code=1, again=True).module("test_it.py")
    assert module.status == "failed"
    assert module.tests == ALL_PASSED | {"test_after": "failed"}
    assert "as planned" in module.test("test_after")["failures"][0]["message"]
    assert 0.25 <= module.test("test_it")["duration_s"] < 0.25 + 10


@pytest.mark.slow
def test_27_a_hundred_thousand_tests_have_an_outcome_each(project, gates, record_property):
    count = 100_000
    gate = gates("gate")
    project.write("test_gate.py", f"def test_it():\n    {gate.wait}\n")
    project.write(
        "test_it.py",
        "import pytest\n"
        f"@pytest.mark.parametrize('number', range({count}))\n"
        "def test_it(number): pass\n",
    )
    # What pytest does beside calling each test takes most of the time: leave some of it out.
    plugins = ("logging", "warnings", "faulthandler", "unraisableexception", "threadexception")
    options = ["--", "-s", *(f"-pno:{plugin}" for plugin in plugins)]
    with project.start("test_it.py", "test_gate.py", *options) as live:
        live.until("test_started", module="test_gate.py")
        collected = live.until("tests_collected", module="test_it.py")
        finished = live.until("module_finished", module="test_it.py")
        peak_bytes = peak_rss_bytes(live.pid)
        gate.open()
        outcome = live.rest()
    project.check(outcome, timeout_s=120, control=False, code=0)
    module = outcome.module("test_it.py")
    assert module.status == "passed"
    assert module.tests == {f"test_it[{number}]": "passed" for number in range(count)}
    assert peak_bytes <= 150 * 1024**2 + 1024 * count
    seconds = finished["at_s"] - collected["at_s"]
    record_property("events_per_s", round(2 * count / seconds))
    record_property("orchestrator_peak_mib", round(peak_bytes / 1024**2))
    record_property("wall_s", round(outcome.wall_s, 1))
    print(f"{2 * count / seconds:.0f} events/s, {peak_bytes / 1024**2:.0f} MiB, {outcome.wall_s=}")


def test_28_ids_in_the_order_of_a_set(project):
    project.write(
        "test_it.py",
        "import pytest\n"
        "@pytest.mark.parametrize('word', {f'word{number}' for number in range(100)})\n"
        "def test_it(word): pass\n",
    )
    first, second = (project.run(code=0).module("test_it.py") for _ in range(2))
    assert first.status == "passed"
    assert list(first.tests) == list(second.tests)
    assert len(first.tests) == 100


def test_28_duplicate_ids_are_told_apart(project):
    project.write(
        "conftest.py",
        "import pytest\n"
        "def pytest_pycollect_makeitem(collector, name, obj):\n"
        "    if name == 'test_twin':\n"
        "        make = pytest.Function.from_parent\n"
        "        return [make(collector, name=name, callobj=one) for one in obj]\n",
    )
    project.write(
        "test_it.py",
        "import pytest\n"
        "def passes(): pass\n"
        "def fails(): assert False\n"
        "def skips(): pytest.skip('so')\n"
        "test_twin = (passes, fails, skips)\n",
    )
    module = project.run(code=1, again=True).module("test_it.py")
    assert [(event["id"], event["outcome"]) for event in module.finished] == [
        ("test_it.py::test_twin", "passed"),
        ("test_it.py::test_twin", "failed"),
        ("test_it.py::test_twin", "skipped"),
    ]
