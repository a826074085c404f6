import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from iopio_async.model.action import Action
from iopio_async.worker.frameworks.loading import Selection, load_module, name_parts


@pytest.fixture(autouse=True)
def _own_imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "path_importer_cache", {})
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(path: str, text: str = "") -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    return write


def _action(root: Path, path: str, import_root: str = "") -> Action:
    return Action(path=path, root=str(root), invocation_dir=str(root), import_root=import_root)


@pytest.mark.parametrize(
    ("file", "root", "parts"),
    [
        ("/p/tests/test_a.py", "/p", ["tests", "test_a"]),
        ("/p/tests/test_a.py", "/p/tests", ["test_a"]),
        ("/p/tests/__init__.py", "/p", ["tests"]),
        ("/p/__init__.py", "/p", ["__init__"]),
        ("/p/v1.2/test_a.py", "/p", ["v1.2", "test_a"]),
        ("/q/test_a.py", "/p", ["..", "q", "test_a"]),
    ],
)
def test_names(file: str, root: str, parts: list[str]) -> None:
    assert name_parts(file, root) == parts


def test_relative_imports_work(tmp_path: Path, write: Callable[..., Path]) -> None:
    write("iopio_pkg/__init__.py")
    write("iopio_pkg/sub/__init__.py")
    write("iopio_pkg/values.py", "VALUE = 3\n")
    write("iopio_pkg/sub/test_a.py", "from ..values import VALUE\n")
    module = load_module(_action(tmp_path, "iopio_pkg/sub/test_a.py", str(tmp_path)))
    assert (module.__name__, module.VALUE) == ("iopio_pkg.sub.test_a", 3)
    assert sys.path[0] == str(tmp_path)


def test_without_an_import_root_it_is_the_folder_above_the_packages(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    write("src/iopio_pkg/__init__.py")
    write("src/iopio_pkg/test_a.py")
    module = load_module(_action(tmp_path, "src/iopio_pkg/test_a.py"))
    assert module.__name__ == "iopio_pkg.test_a"
    assert sys.path[0] == str(tmp_path / "src")


def test_an_import_root_that_is_on_the_path_stays_where_it_is(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    write("iopio_test_a.py")
    sys.path.append(str(tmp_path))
    before = list(sys.path)
    load_module(_action(tmp_path, "iopio_test_a.py", str(tmp_path)))
    assert sys.path == before


@pytest.mark.parametrize("path", ["v1.2/test_a.py", "with-hyphen/test_a.py", "json.py"])
def test_names_that_cannot_be_imported_are_loaded_from_their_file(
    path: str, tmp_path: Path, write: Callable[..., Path]
) -> None:
    import json

    file = write(path, "import sys\nVALUE = 3\nASELF = sys.modules[__name__]\n")
    module: Any = load_module(_action(tmp_path, path, str(tmp_path)))
    assert (module.__file__, module.VALUE) == (str(file), 3)
    assert module.ASELF is module
    assert sys.modules["json"] is json


def test_a_package_of_the_same_name_elsewhere_hides_nothing(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    write("elsewhere/iopio_tests/__init__.py")
    file = write("project/iopio_tests/test_a.py", "VALUE = 3\n")
    sys.path.insert(0, str(tmp_path / "elsewhere"))
    sys.path.append(str(tmp_path / "project"))
    root = tmp_path / "project"
    module: Any = load_module(_action(root, "iopio_tests/test_a.py", str(root)))
    assert (module.__file__, module.VALUE) == (str(file), 3)


def test_errors_of_the_module_pass_through(tmp_path: Path, write: Callable[..., Path]) -> None:
    write("iopio_pkg/__init__.py", "import iopio_not_there\n")
    write("iopio_pkg/test_a.py", "VALUE = 3\n")
    with pytest.raises(ModuleNotFoundError, match="iopio_not_there"):
        load_module(_action(tmp_path, "iopio_pkg/test_a.py", str(tmp_path)))


def test_a_module_that_failed_is_not_left_behind(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    write("v1.2/test_a.py", "raise ValueError('broken')\n")
    before = set(sys.modules)
    with pytest.raises(ValueError, match="broken"):
        load_module(_action(tmp_path, "v1.2/test_a.py", str(tmp_path)))
    assert set(sys.modules) == before


@pytest.mark.parametrize(
    ("keyword", "matches"),
    [("", True), ("test_b", True), ("C.test", True), ("c.test", False), ("t.py::C::*", True)],
)
def test_keywords_are_parts_or_globs_of_either_name(keyword: str, matches: bool) -> None:
    action = Action(path="t.py", root="/", invocation_dir="/", keyword=keyword)
    assert Selection(action).matches("t.py::C::test_b", "t.C.test_b") is matches


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("t.py::C::test_b", True),
        ("t.py::C", True),
        ("t.py", True),
        ("t.py::C::test", False),
        ("t.py::D", False),
    ],
)
def test_selectors_are_whole_ids_or_what_encloses_them(selector: str, selected: bool) -> None:
    action = Action(path="t.py", root="/", invocation_dir="/", selectors=(selector,))
    assert Selection(action).selected("t.py::C::test_b") is selected
