"""The project around a run: files, workers, and who runs what."""

from pathlib import Path

import pytest

from iopio_async.dropin.project import (
    MOST_WORKERS,
    check_workers,
    files_of_tests,
    glob_of,
    settings,
    with_frameworks,
)
from iopio_async.errors import UsageError
from iopio_async.planning.overrides import matches, settings_for


@pytest.mark.parametrize("workers", [0, -1, True, "4", 1.5])
def test_workers_that_are_none(workers: int) -> None:
    with pytest.raises(ValueError, match="must be a positive number"):
        check_workers(workers)


def test_workers() -> None:
    assert check_workers(100) == 100
    assert 1 <= check_workers(None) <= MOST_WORKERS


def test_files_of_a_directory(tmp_path: Path) -> None:
    for name in (
        *("b/test_x.py", "a/test_y.py", "test_z.py", "a/helper.py", "test_z.txt"),
        *(".hidden/test_h.py", "venv/test_v.py", "venv/pyvenv.cfg", "__pycache__/test_c.py"),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = [Path(path).relative_to(tmp_path).as_posix() for path in files_of_tests(str(tmp_path))]
    assert found == ["test_z.py", "a/test_y.py", "b/test_x.py"]
    assert files_of_tests(str(tmp_path), "a/*") == [
        str(tmp_path / "a/helper.py"),
        str(tmp_path / "a/test_y.py"),
    ]
    with pytest.raises(UsageError, match="not a directory"):
        files_of_tests(str(tmp_path / "test_z.py"))


@pytest.mark.parametrize("path", ["tests/test_a.py", "a[1]/x*y?.py", "[a].py"])
def test_a_glob_for_one_path(path: str) -> None:
    assert matches(glob_of(path), path)
    assert not matches(glob_of(path), path.replace("*", "z").replace("[", "(") + "x")


@pytest.mark.parametrize(
    ("source", "alone", "among_pytest"),
    [
        ("def test_a(): pass\n", "functions", "pytest"),
        ("async def test_a(): pass\n", "functions", "functions"),
        ("def test_a(): raise SkipTestException\n", "functions", "functions"),
        ("def test_a(tmp_path): pass\n", "pytest", "pytest"),
        ("class TestA:\n    def test_a(self, tmp_path): pass\n", "pytest", "pytest"),
        ("import pytest\n@pytest.mark.slow\ndef test_a(): pass\n", "pytest", "pytest"),
        ("import pytest\ndef test_a(): pytest.skip()\n", "functions", "pytest"),
        ("def load_tests(*_): pass\n", "unittest", "pytest"),
    ],
)
def test_who_runs_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, alone: str, among_pytest: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_a.py").write_text(source)
    for expected in (alone, among_pytest):
        config = settings(workers=1, cache_dir=None)
        config = with_frameworks(config, [str(tmp_path / "tests/test_a.py")])
        assert settings_for(config, "tests/test_a.py").framework == expected
        (tmp_path / "tests/conftest.py").touch()


def test_the_projects_choice_of_a_framework_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IOPIO_FRAMEWORK", "unittest")
    config = settings(workers=1, cache_dir=None)
    assert with_frameworks(config, [str(tmp_path / "test_a.py")]) == config
