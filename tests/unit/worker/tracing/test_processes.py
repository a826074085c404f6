"""Programs that are started: which are traced, and what they get for it."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iopio_async.wire.observations import LINK, OPAQUE, PROCESS, READ, TYPE
from iopio_async.worker.tracing import processes
from iopio_async.worker.tracing.processes import INJECT, injected, isolated, prepared
from iopio_async.worker.tracing.settlement import ENVIRONMENT_VARIABLE, settlement

PREFIX = f"{ENVIRONMENT_VARIABLE}=".encode()
FOLDER = os.fsencode(INJECT)


@pytest.fixture(autouse=True)
def python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes._state, "interpreters", {os.path.realpath(sys.executable)})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], False),
        (["script.py", "-I"], False),
        (["-c", "code", "-I"], False),
        (["-m", "module"], False),
        (["-I", "script.py"], True),
        (["-bE"], True),
        (["-S"], True),
        (["-P", "-s", "-u"], False),
        (["-W", "error", "-I"], True),
        (["-Werror", "-I"], True),
        (["-W", "-I", "x.py"], False),
        (["-Xdev", "-m", "x"], False),
        (["-umI"], False),
        (["-"], False),
        (["--", "-I"], False),
        (["--help", "-I"], False),
    ],
)
def test_which_interpreters_would_not_listen(options: list[str], expected: bool) -> None:
    assert isolated([option.encode() for option in options]) is expected


def test_a_path_of_its_own_is_kept_behind_ours() -> None:
    environment = injected([b"A=1", b"PYTHONPATH=/x:/y", PREFIX + b"old"])
    assert environment[:2] == [b"A=1", b"PYTHONPATH=" + FOLDER + b":/x:/y"]
    assert environment[2].startswith(PREFIX + b"1")
    assert len(environment) == 3


def test_that_there_was_no_path_is_told() -> None:
    environment = injected([b"A=1"])
    assert environment[1] == b"PYTHONPATH=" + FOLDER
    assert environment[2] == PREFIX + settlement.spelled(had_path=False).encode()


def test_an_interpreter_is_traced(told: Callable[[], Any]) -> None:
    environment = prepared([sys.executable], [sys.executable, "-c", ""], [b"A=1"])
    assert environment is not None
    assert b"A=1" in environment
    assert [letter for letter, _ in told() if letter == PROCESS] == []


def test_without_an_environment_it_is_the_processs_own(told: Callable[[], Any]) -> None:
    environment = prepared([sys.executable], [sys.executable], None)
    assert environment is not None
    assert {entry.partition(b"=")[0] for entry in environment} >= set(os.environb)


def test_an_isolated_interpreter_can_not_be_traced(told: Callable[[], Any]) -> None:
    assert prepared([sys.executable], ["python", "-I"], []) is None
    assert (PROCESS, (os.fsencode(sys.executable),)) in told()


def test_a_script_is_traced_by_its_first_line(told: Callable[[], Any], tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!{sys.executable} -u\n")
    script.chmod(0o755)
    assert prepared([str(script)], [str(script), "-I"], []) is not None
    assert (READ, (os.fsencode(script),)) in told()
    script.write_text(f"#!{sys.executable} -I\n")
    assert prepared([str(script)], [str(script)], []) is None
    script.write_text("#!/bin/sh\n")
    assert prepared([str(script)], [str(script)], []) is None
    assert (PROCESS, (os.fsencode(script),)) in told()


def test_a_script_that_the_test_made_is_what_runs_it(
    told: Callable[[], Any], tmp_path: Path
) -> None:
    script = tmp_path / "private" / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert prepared([str(script)], ["script"], []) is None
    assert told() == [(PROCESS, (os.fsencode(os.path.realpath("/bin/sh")),))]
    script.write_bytes(b"\x7fELF")
    assert prepared([str(script)], ["script"], []) is None
    assert [letter for letter, _ in told()] == [PROCESS, OPAQUE]


def test_candidates_that_are_missing_are_told(told: Callable[[], Any], tmp_path: Path) -> None:
    missing = str(tmp_path / "bin" / "python")
    assert prepared([missing, sys.executable], ["python"], []) is not None
    assert (TYPE, (os.fsencode(missing),)) in told()
    assert prepared([missing], ["python"], []) is None


def test_a_link_to_the_interpreter_is_told(told: Callable[[], Any], tmp_path: Path) -> None:
    link = tmp_path / "python"
    link.symlink_to(os.path.realpath(sys.executable))
    assert prepared([str(link)], ["python"], []) is not None
    assert (LINK, (os.fsencode(link),)) in told()


def test_filters_read_the_files_that_they_are_given(
    told: Callable[[], Any], tmp_path: Path
) -> None:
    processes.told_process("/bin/cat", [b"-n", b"x", b"/y"], str(tmp_path))
    processes.told_process("/usr/bin/uname")
    processes.told_process(str(tmp_path / "cat"), [b"x"])
    assert told() == [
        (READ, (b"/bin/cat",)),
        (READ, (os.fsencode(tmp_path / "x"),)),
        (READ, (b"/y",)),
        (READ, (b"/usr/bin/uname",)),
        (PROCESS, (os.fsencode(tmp_path / "cat"),)),
    ]


def test_our_folder_holds_nothing_else() -> None:
    assert [name for name in os.listdir(INJECT) if name != "__pycache__"] == ["sitecustomize.py"]
