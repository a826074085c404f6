"""What is told at all, and how paths are spelled."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.worker.tracing.territory import OWN_TREE, Territory, absolute, special

LIBRARY = os.path.dirname(os.__file__)


@pytest.fixture
def territory() -> Territory:
    territory = Territory()
    territory.settle("/project", ("/tmp/run/1",), ("/traces/one",))
    return territory


@pytest.mark.parametrize(
    ("path", "dropped"),
    [
        ("/project/a.py", False),
        ("/tmp/run/1/tmp/x", True),
        ("/tmp/run/2/tmp/x", False),
        (f"{LIBRARY}/os.py", True),
        (f"{LIBRARY}/site-packages/x.py", False),
        (f"{OWN_TREE}/worker/__init__.py", True),
        (sys.executable, True),
        ("/traces/one", True),
        ("/traces/two", False),
        ("/etc/hosts", False),
    ],
)
def test_what_is_dropped(territory: Territory, path: str, dropped: bool) -> None:
    assert territory.drops(path) is dropped


def test_the_way_to_the_private_directory_has_no_status(territory: Territory) -> None:
    for path in ("/", "/tmp", "/tmp/run", "/tmp/run/1"):
        assert territory.drops_status(path)
    assert not territory.drops("/tmp/run")
    assert not territory.drops_status("/elsewhere")


def test_only_what_is_not_there_in_the_runs_own_folder_is_dropped(tmp_path: Path) -> None:
    territory = Territory()
    territory.settle("/project", (str(tmp_path / "1"),))
    (tmp_path / "2").mkdir()
    assert territory.drops_status(str(tmp_path / "pytest.toml"))
    assert not territory.drops(str(tmp_path / "pytest.toml"))
    assert not territory.drops_status(str(tmp_path / "2"))
    assert not territory.drops_status(str(tmp_path / "2" / "missing"))


def test_a_project_that_holds_iopio_itself_is_traced() -> None:
    territory = Territory()
    territory.settle(os.path.dirname(OWN_TREE), ())
    assert not territory.drops(f"{OWN_TREE}/errors.py")


def test_a_project_within_the_library_is_traced() -> None:
    territory = Territory()
    territory.settle(f"{LIBRARY}/test", ())
    assert not territory.drops(f"{LIBRARY}/test/support.py")
    assert territory.drops(f"{LIBRARY}/os.py")


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/project/a.py", True),
        ("/project", False),
        ("/projects/a.py", False),
        ("/project/venv/lib/site-packages/a.py", False),
    ],
)
def test_the_projects_own_files(territory: Territory, path: str, inside: bool) -> None:
    assert territory.inside_project(path) is inside


@pytest.mark.parametrize(
    ("given_path", "told"),
    [
        ("/a/./b//c", "/a/b/c"),
        ("//a", "/a"),
        ("/", "/"),
        (b"/a", "/a"),
        (Path("/a/b"), "/a/b"),
        ("", ""),
        ("/a\0b", ""),
        (object(), ""),
        ("/a/../b", "/b"),
        ("/..", "/"),
        ("/a/..", "/"),
    ],
)
def test_spelling(given_path: object, told: str) -> None:
    assert absolute(given_path) == told


def test_relative_paths_begin_in_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path.resolve()
    monkeypatch.chdir(here)
    assert absolute("x") == f"{here}/x"
    assert absolute(None) == str(here)
    descriptor = os.open(here, os.O_RDONLY)
    monkeypatch.chdir("/")
    assert absolute("x", descriptor) == f"{here}/x"
    assert absolute(descriptor) == str(here)
    os.close(descriptor)
    assert absolute("x", descriptor) == ""


def test_a_parent_behind_a_link_is_where_the_link_leads(tmp_path: Path) -> None:
    here = tmp_path.resolve()
    here.joinpath("deep/er").mkdir(parents=True)
    here.joinpath("link").symlink_to("deep/er")
    assert absolute(f"{here}/link/../x") == f"{here}/deep/x"
    assert absolute(f"{here}/link/..") == f"{here}/deep"
    assert absolute(f"{here}/link/x") == f"{here}/link/x"


@given(st.lists(st.sampled_from(["a", "b", ".", "", "..", "c d"]), max_size=8))
def test_what_is_told_is_absolute_and_normal(parts: list[str]) -> None:
    told = absolute("/nowhere-at-all/" + "/".join(parts))
    assert told == os.path.normpath(told)
    assert told.startswith("/")
    assert not told.startswith("//")


@pytest.mark.parametrize(
    ("path", "verdict"),
    [
        ("/dev/null", "drop"),
        ("/dev/pts/3", "drop"),
        ("/dev/shm/x", None),
        ("/dev/nvidia0", "impure"),
        ("/proc/self/maps", "drop"),
        (f"/proc/{os.getpid()}/stat", "drop"),
        ("/proc/1/stat", "impure"),
        ("/proc", "impure"),
        ("/proc/meminfo", "drop"),
        ("/sys/fs/cgroup/cpu.max", "drop"),
        ("/sys/kernel/x", "impure"),
        ("/procedures", None),
        ("/home/x", None),
    ],
)
def test_devices_and_the_kernels_own_files(path: str, verdict: str | None) -> None:
    assert special(path) == verdict
