"""Gives the torture tests their projects, with the control run that all others are compared to."""

import contextlib
import ctypes
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("torture.harness", "torture.outcome", "torture.processes")

from torture.harness import CONTROL, Project  # noqa: E402 - assertions first
from torture.processes import Gate, Meeting  # noqa: E402

_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37


@pytest.fixture(scope="session", autouse=True)
def _adopts_orphans() -> Iterator[None]:
    """Whatever a run leaves behind becomes a child of this process, and is seen."""
    libc = ctypes.CDLL(None)
    before = ctypes.c_int()
    libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    libc.prctl(_PR_SET_CHILD_SUBREAPER, before.value, 0, 0, 0)


@pytest.fixture(scope="session")
def control(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The control module's outcomes where nothing else runs."""
    project = Project(tmp_path_factory.mktemp("control"), {})
    outcome = project.run(control=False, code=0)
    module = outcome.module(CONTROL)
    assert module.status == "passed"
    assert set(module.tests.values()) == {"passed", "skipped", "xfailed"}
    return dict(module.tests)


@pytest.fixture
def project(tmp_path: Path, control: Mapping[str, str]) -> Any:
    return Project(tmp_path, control)


@pytest.fixture
def gates(tmp_path: Path) -> Iterator[Any]:
    """Makes gates by their names."""
    with contextlib.ExitStack() as stack:

        def make(name: str) -> Any:
            gate = Gate(tmp_path / name)
            stack.callback(gate.close)
            return gate

        yield make


@pytest.fixture
def meeting(tmp_path: Path) -> Iterator[Any]:
    meeting = Meeting(tmp_path / "meeting")
    yield meeting
    meeting.close()
