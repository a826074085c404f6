"""Which reporters there are, and what becomes of the exit code."""

import sys

import pytest

from iopio_async.cli.reporters import (
    PIPE_CLOSED,
    console_stream,
    event_stream,
    exit_code_of,
    file_reporters,
)
from iopio_async.model.config import Config
from iopio_async.reporting.fanout import Fault

PLAIN = Config(root="/", invocation_dir="/")
FAULT = Fault("junit", "no space left")


@pytest.mark.parametrize(
    ("config", "is_stdout"),
    [
        (PLAIN, True),
        (Config(root="/", invocation_dir="/", report="report.json"), True),
        (Config(root="/", invocation_dir="/", report="-"), False),
        (Config(root="/", invocation_dir="/", junit_xml="-"), False),
    ],
)
def test_the_console_makes_way_for_a_report(config: Config, is_stdout: bool) -> None:
    assert console_stream(config) is (sys.stdout if is_stdout else sys.stderr)


def test_there_is_no_reporter_unasked() -> None:
    assert event_stream(PLAIN, lambda: None) == ([], None)
    assert file_reporters(PLAIN) == []


def test_each_is_there_if_asked_for() -> None:
    config = Config(root="/", invocation_dir="/", json=True, report="-", junit_xml="-")
    reporters, sink = event_stream(config, lambda: None)
    assert [type(each).__name__ for each in reporters] == ["StreamReporter"]
    assert sink is not None
    names = [type(each).__name__ for each in file_reporters(config)]
    assert names == ["JUnitReporter", "JsonReporter"]
    sink.close()


@pytest.mark.parametrize(
    ("code", "faults", "problem", "pipe_closed", "expected"),
    [
        (0, [], "", False, 0),
        (1, [], "", False, 1),
        (5, [], "", False, 5),
        (0, [FAULT], "", False, 3),
        (1, [FAULT], "", False, 3),
        (0, [], "internal error", False, 3),
        (None, [], "", False, 3),
        (0, [], "", True, PIPE_CLOSED),
        (1, [FAULT], "internal error", True, PIPE_CLOSED),
    ],
)
def test_exit_codes(
    capsys: pytest.CaptureFixture[str],
    code: int | None,
    faults: list[Fault],
    problem: str,
    pipe_closed: bool,
    expected: int,
) -> None:
    assert exit_code_of(code, faults, problem, pipe_closed=pipe_closed) == expected
    told = [
        *(["iopio: error: junit: no space left"] if faults else []),
        *([f"iopio: error: {problem}"] if problem else []),
    ]
    assert capsys.readouterr().err.splitlines() == told


def test_without_a_standard_error_it_is_told_by_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert exit_code_of(0, [FAULT], pipe_closed=False) == 3
