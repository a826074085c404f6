"""A file that was loaded is looked at again: every way of changing it shows."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from iopio_async.worker.freshness import Freshness, project_files

LATER_NS = 1 << 62


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes a file under the root, and has it count as the source of a module."""

    def load(name: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("VALUE = 1\n")
        module = ModuleType(name)
        module.__file__ = str(file)
        monkeypatch.setitem(sys.modules, f"loaded:{name}", module)
        return file

    return load


def _rewrite(file: Path) -> None:
    file.write_text("VALUE = 12\n")


def _rewrite_in_disguise(file: Path) -> None:
    before = file.stat()
    file.write_text("VALUE = 2\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(file: Path) -> None:
    other = file.with_name("other")
    other.write_text("VALUE = 1\n")
    other.replace(file)


@pytest.mark.parametrize("change", [_rewrite, _rewrite_in_disguise, _replace, Path.unlink])
def test_a_change_shows(
    tmp_path: Path, loaded: Callable[[str], Path], change: Callable[[Path], None]
) -> None:
    file, _ = loaded("conftest.py"), loaded("package/product.py")
    freshness = Freshness(str(tmp_path), LATER_NS)
    assert freshness.changed() == ""
    change(file)
    assert freshness.changed() == str(file)


def test_what_changed_while_it_was_loaded_is_not_believed(
    tmp_path: Path, loaded: Callable[[str], Path]
) -> None:
    file = loaded("conftest.py")
    assert Freshness(str(tmp_path), file.stat().st_mtime_ns).changed() == str(file)
    assert Freshness(str(tmp_path), file.stat().st_mtime_ns + 1).changed() == ""


def test_a_file_that_was_gone_already_is_not_believed(
    tmp_path: Path, loaded: Callable[[str], Path]
) -> None:
    file = loaded("conftest.py")
    file.unlink()
    assert Freshness(str(tmp_path), LATER_NS).changed() == str(file)


def test_only_the_projects_own_files_are_looked_at(
    tmp_path: Path, loaded: Callable[[str], Path]
) -> None:
    own = {str(loaded("project/conftest.py")), str(loaded("project/src/product.py"))}
    loaded("elsewhere.py")
    loaded("project/.venv/lib/python3/site-packages/installed.py")
    loaded("projects/other.py")
    assert set(project_files(str(tmp_path / "project"))) == own
    assert set(project_files(f"{tmp_path / 'project'}/")) == own
