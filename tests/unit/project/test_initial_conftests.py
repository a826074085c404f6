"""Which conftests pytest loads at its start, compared with pytest's own."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from iopio_async.project.initial_conftests import initial_conftests
from iopio_async.project.pytest_config import locate_pytest_config
from iopio_async.project.tree import Tree

FOLDERS = (".", "tests", "tests/unit", "tests/test_more", "testing", "src", "other/deep")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for folder in FOLDERS:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "conftest.py").write_text("")
        (tmp_path / folder / "test_it.py").write_text("def test_it(): pass\n")
    return tmp_path


def found(project: Path, paths: Sequence[str], arguments: Sequence[str] = ()) -> list[str]:
    config = locate_pytest_config(project, paths, arguments, {})
    conftests = initial_conftests(Tree(config.root), config, str(project), paths)
    return sorted(str(Path(each).parent.relative_to(project)) for each in conftests)


def loaded_by_pytest(
    project: Path, arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """What pytest itself would load for these arguments."""
    monkeypatch.chdir(project)
    from _pytest.config import PytestPluginManager

    manager = PytestPluginManager()
    seen: list[str] = []

    def load(self: object, conftest: Path, *_: object, **__: object) -> object:
        seen.append(str(conftest.parent.relative_to(project)))
        return manager

    monkeypatch.setattr(PytestPluginManager, "_importconftest", load)
    manager._set_initial_conftests(
        args=list(arguments),
        pyargs=False,
        noconftest=False,
        rootpath=project,
        confcutdir=project,
        invocation_dir=project,
        importmode="prepend",
        consider_namespace_packages=False,
    )
    return sorted(set(seen))


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["."], [".", "testing", "tests"]),
        (["tests"], [".", "tests", "tests/test_more"]),
        (["tests/test_it.py"], [".", "tests"]),
        (["tests/unit/test_it.py::test_it[a/b::c]"], [".", "tests", "tests/unit"]),
        (["tests/test_it.py", "tests"], [".", "tests", "tests/test_more"]),
        (["src", "other/deep"], [".", "other/deep", "src"]),
        (["nowhere", "src"], [".", "src"]),
    ],
)
def test_as_pytest_does(
    project: Path, paths: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(project, paths) == expected
    assert loaded_by_pytest(project, paths, monkeypatch) == expected


def test_words_that_may_be_paths_count(project: Path) -> None:
    assert found(project, ["src"], ["--some-option", "tests/unit"]) == [
        ".",
        "src",
        "tests",
        "tests/unit",
    ]


def test_none_above_the_cut_and_none_at_all(project: Path) -> None:
    assert found(project, ["tests/unit"], ["--confcutdir", "tests"]) == ["tests", "tests/unit"]
    assert found(project, ["tests/unit"], ["--noconftest"]) == []
