"""Gives the torture tests their projects, with the control run that all others are compared to."""

import contextlib
import ctypes
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37


def _load_harness() -> ModuleType:
    # Test modules are imported without their folder on the path, so siblings are found by file.
    name = "iopio_torture_harness"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("harness.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def harness() -> ModuleType:
    return _load_harness()


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
def control(tmp_path_factory: pytest.TempPathFactory, harness: Any) -> Mapping[str, str]:
    """The control module's outcomes where nothing else runs."""
    project = harness.Project(tmp_path_factory.mktemp("control"), {})
    outcome = project.run(control=False, code=0)
    module = outcome.module(harness.CONTROL)
    assert module.status == "passed"
    assert set(module.tests.values()) == {"passed", "skipped", "xfailed"}
    return dict(module.tests)


@pytest.fixture
def project(tmp_path: Path, control: Mapping[str, str], harness: Any) -> Any:
    return harness.Project(tmp_path, control)


@pytest.fixture
def gates(tmp_path: Path, harness: Any) -> Iterator[Any]:
    """Makes gates by their names."""
    with contextlib.ExitStack() as stack:

        def make(name: str) -> Any:
            gate = harness.Gate(tmp_path / name)
            stack.callback(gate.close)
            return gate

        yield make


@pytest.fixture
def meeting(tmp_path: Path, harness: Any) -> Iterator[Any]:
    meeting = harness.Meeting(tmp_path / "meeting")
    yield meeting
    meeting.close()
