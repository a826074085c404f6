"""``pytest --performance-regression``: durations and figures of tests from session to session."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from end_to_end import sides

TESTS = """\
import os

VALUE = float(os.environ.get("VALUE", "100"))


def test_latency(perf_test_case):
    perf_test_case.record_metric("latency", VALUE, "ms")


def test_rate(performance_tracker):
    performance_tracker.record_metric("rate", 1e6 / VALUE, "requests-per-second")


def test_function(perf_test_case):
    measured = perf_test_case.measure_function_performance(sorted, [2, 1], iterations=3)
    assert measured.result == [1, 2]
    assert 0 <= measured.fastest_s <= measured.median_s <= measured.slowest_s


def test_plain():
    pass
"""

PLUGINS = ("-p", "no:cacheprovider", "-p", "iopio_async.pytest_plugin")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test_it.py").write_text(TESTS)
    return tmp_path


def run(folder: Path, *words: str, value: float = 100.0) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *PLUGINS, "--performance-regression", *words],
        cwd=folder,
        env=sides.environment({"VALUE": str(value), "COLUMNS": "200"}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=sides.GIVEN_UP_S,
        check=False,
    )
    assert "INTERNALERROR" not in ended.stdout + ended.stderr, ended.stdout + ended.stderr
    return ended


LATENCY = "test_it.py::test_latency: latency 100 to 106 ms, 6.0% worse than in 1 session before"


def test_what_became_worse_is_named(folder: Path) -> None:
    assert "iopio: no performance regression in 4 tests" in run(folder).stdout
    ended = run(folder, value=106.0)
    assert LATENCY in ended.stdout.splitlines()
    assert (
        "test_it.py::test_rate: rate 1e+04 to 9434 requests-per-second, 5.7% worse" in ended.stdout
    )
    assert ended.returncode == 0


@pytest.mark.parametrize(
    ("value", "words"),
    [(105.0, ()), (104.0, ()), (90.0, ()), (106.0, ("--perf-threshold", "10"))],
)
def test_what_did_not_is_not(folder: Path, value: float, words: tuple[str, ...]) -> None:
    run(folder)
    assert "latency" not in run(folder, *words, value=value).stdout


def test_a_session_fails_where_asked_to(folder: Path) -> None:
    words = ("--perf-fail-on-regression", "--perf-storage-dir=kept", "--perf-threshold=5.0")
    assert run(folder, *words).returncode == 0
    ended = run(folder, *words, value=106.0)
    assert (ended.returncode, LATENCY in ended.stdout) == (1, True)
    (file,) = (folder / "kept").iterdir()
    tests = json.loads(file.read_text())["tests"]
    assert tests["test_it.py::test_latency"]["latency"] == {"unit": "ms", "values": [100.0, 106.0]}
    assert len(tests["test_it.py::test_plain"]["duration"]["values"]) == 2


def test_workers_of_xdist_send_their_figures(folder: Path) -> None:
    pytest.importorskip("xdist")
    words = ("-p", "xdist", "-n2")
    run(folder, *words)
    assert LATENCY in run(folder, *words, value=106.0).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--perf-threshold=-1",), "--perf-threshold -1.0 is no percentage"),
        (("--perf-threshold=much",), "invalid float value"),
        (("--perf-storage-dir=test_it.py",), "Not a directory"),
    ],
)
def test_bad_input_is_named(folder: Path, words: tuple[str, ...], said: str) -> None:
    ended = run(folder, *words)
    assert ended.returncode == 4
    assert said in ended.stdout + ended.stderr


def test_an_unknown_unit_fails_the_test(folder: Path) -> None:
    (folder / "test_it.py").write_text(TESTS.replace('"ms"', '"parsecs"'))
    ended = run(folder)
    assert "metric 'latency': unknown unit 'parsecs'" in ended.stdout
    assert ended.returncode == 1


def test_the_fixtures_are_there_without_comparing(folder: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *PLUGINS],
        cwd=folder,
        env=sides.environment({}),
        capture_output=True,
        text=True,
        timeout=sides.GIVEN_UP_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert not (folder / "performance_history").exists()
