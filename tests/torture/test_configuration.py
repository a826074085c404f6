"""Settings that can't be meant: cases 75-80. All of them end with 2, before anything is started."""

import os
from typing import NamedTuple

import pytest
from torture.harness import NOISE_S, Live


class Refused(NamedTuple):
    """Settings, and what is said of them."""

    toml: str
    arguments: tuple[str, ...]
    said: tuple[str, ...]
    variable: tuple[str, str] = ("UNUSED", "")


def in_file(lines: str, *said: str) -> Refused:
    return Refused(f"[tool.iopio]\n{lines}\n", (), said)


def flags(*arguments: str, said: tuple[str, ...]) -> Refused:
    return Refused("", arguments, said)


REFUSED = {
    "75_wrong_type": in_file("workers = 2\nmaxfail = 'many'", "pyproject.toml:3", "maxfail"),
    "75_nan": in_file("timeout = nan", "pyproject.toml:2", "timeout"),
    "75_infinite": in_file("grace = inf", "pyproject.toml:2", "grace"),
    "75_negative": in_file("timeout = -1", "pyproject.toml:2", "timeout"),
    "75_negative_text": in_file("timeout = '-1s'", "pyproject.toml:2", "timeout"),
    "75_boolean": in_file("workers = true", "pyproject.toml:2", "workers"),
    "75_table": in_file("testpaths = {a = 1}", "pyproject.toml:2", "testpaths"),
    "75_not_a_table": Refused("[tool]\niopio = 1\n", (), ("pyproject.toml:2", "expected a table")),
    "75_no_toml": in_file("workers = = 2", "pyproject.toml:2", "TOML"),
    "75_override": in_file(
        "[[tool.iopio.overrides]]\npaths = ['*']\ntimeout = nan", "pyproject.toml:4", "timeout"
    ),
    "75_flag": flags("--timeout=-5s", said=("--timeout",)),
    "75_flag_nan": flags("--grace=nan", said=("--grace",)),
    "75_variable": Refused("", (), ("IOPIO_TIMEOUT",), ("IOPIO_TIMEOUT", "soon")),
    "76_unknown_key": in_file(
        "\ntimout = '5s'", "pyproject.toml:3", "timout", "did you mean timeout"
    ),
    "76_unknown_in_override": in_file(
        "[[tool.iopio.overrides]]\npaths = ['*']\nretrys = 1", "pyproject.toml:4", "retries"
    ),
    "76_unknown_flag": flags("--timeot=5s", said=("--timeot", "--timeout")),
    "77_exitfirst_maxfail": flags("-x", "--maxfail=3", said=("-x", "--maxfail")),
    "77_quiet_verbose": flags("-q", "-v", said=("-q", "-v")),
    "77_json_report": flags("--json", "--report=-", said=("--json", "--report")),
    "77_two_on_stdout": flags("--report=-", "--junit-xml=-", said=("--report", "--junit-xml")),
    "77_one_file": flags("--report=x", "--junit-xml=x", said=("--report", "--junit-xml")),
    "77_json_verbose": flags("--json", "-v", said=("--json", "-v")),
    "77_marks": flags("-m", "slow", "--framework=unittest", said=("-m", "framework")),
    "78_path": flags("tests/test_contrl.py", said=("tests/test_contrl.py",)),
    "78_suggestion": flags(
        "test_contrl.py", said=("test_contrl.py", "did you mean test_control.py")
    ),
    "78_node_id": flags("nowhere.py::test_it", said=("nowhere.py",)),
    "78_directory": flags("--rootdir=nowhere", said=("nowhere",)),
    "78_config": flags("--config=nowhere.toml", said=("--config", "nowhere.toml")),
    "78_testpaths": in_file("testpaths = ['nowhere']", "pyproject.toml:2", "nowhere"),
    "79_none": flags("--workers=0", said=("--workers",)),
    "79_negative": flags("--workers=-1", said=("--workers",)),
    "79_in_file": in_file("workers = 0", "pyproject.toml:2", "workers"),
}


@pytest.fixture
def tripwire(project):
    """A project whose tests would leave a trace."""
    project.write("test_it.py", "open('trace', 'w').close()\ndef test_it(): pass\n")
    yield project
    assert not (project.root / "trace").exists()
    assert not (project.root / ".test_cache").exists()
    assert os.listdir(project.temporary) == []


def check_refused(project, *arguments, env=None, said=()):
    # Not the harness' own arguments: some of these cases contradict them.
    words = ["-m", "iopio_async", "run", *arguments]
    with Live(project, [], program=words, env=env) as live:
        outcome = live.rest()
    assert outcome.code == 2, outcome.stderr
    assert outcome.stdout == b""
    assert outcome.stderr.startswith("iopio: error: ")
    assert "Traceback" not in outcome.stderr
    assert outcome.wall_s <= 1.0 + NOISE_S / 2
    for part in said:
        assert part in outcome.stderr
    return outcome


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tripwire, name):
    case = REFUSED[name]
    tripwire.write("pyproject.toml", case.toml)
    check_refused(tripwire, *case.arguments, env=dict([case.variable]), said=case.said)


def test_79_far_too_many_workers_are_clamped(project):
    outcome = project.run("--workers=1000000000", code=0)
    assert outcome.events[0]["workers"] < 10_000
    (warning,) = outcome.warnings
    assert "workers" in warning


def test_80_a_pipe(tripwire):
    (tripwire.root / "pyproject.toml").unlink()
    os.mkfifo(tripwire.root / "pyproject.toml")
    check_refused(tripwire, said=("pyproject.toml", "pipe"))


def test_80_a_pipe_that_is_given(tripwire):
    os.mkfifo(tripwire.root / "iopio.toml")
    check_refused(tripwire, "--config=iopio.toml", said=("iopio.toml", "pipe"))


def test_80_a_device_without_an_end(tripwire):
    check_refused(tripwire, "--config=/dev/zero", said=("/dev/zero", "device"))


def test_80_a_gigabyte(tripwire):
    with (tripwire.root / "pyproject.toml").open("wb") as file:
        file.truncate(1024**3)
    check_refused(tripwire, said=("pyproject.toml", "too large"))


#: Case 80: what is nested so deeply that a parser gives up, or takes for ever.
DEEP = {
    "arrays": "[tool.iopio]\nenv = " + "[" * 100_000 + "]" * 100_000 + "\n",
    "tables": "[tool.iopio]\nenv = " + "{a = " * 50_000 + "1" + "}" * 50_000 + "\n",
    "dotted": "[tool.iopio]\n" + ".".join(["a"] * 100_000) + " = 1\n",
    "headers": "[tool.iopio]\n[" + ".".join(["a"] * 100_000) + "]\n",
}


@pytest.mark.parametrize("name", DEEP)
def test_80_nested_deeply(tripwire, name):
    tripwire.write("pyproject.toml", DEEP[name])
    check_refused(tripwire, said=("pyproject.toml:2",))


def test_80_not_text(tripwire):
    tripwire.write("pyproject.toml", b"[tool.iopio]\nworkers = '\xff'\n")
    check_refused(tripwire, said=("pyproject.toml:2", "UTF-8"))
