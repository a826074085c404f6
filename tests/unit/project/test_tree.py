"""The user's files as discovery sees them."""

import os
import socket
from pathlib import Path

import pytest

from iopio_async.project import tree as tree_module
from iopio_async.project.tree import Tree, find_module, import_root


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(str(tmp_path))


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_listing_is_sorted_by_name(tree: Tree, tmp_path: Path) -> None:
    for name in ("b.py", "a", "B.py"):
        write(tmp_path / name)

    assert [entry.name for entry in tree.scan(str(tmp_path))] == ["B.py", "a", "b.py"]
    assert tree.scan(str(tmp_path / "gone")) == []


def test_what_a_path_leads_to(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")

    kinds = {
        name: tree.kind(str(tmp_path / name)) for name in (*os.listdir(tmp_path), "none", "a\0b")
    }

    assert kinds == {
        "file": "file",
        "folder": "directory",
        "link": "directory",
        "dangling": "missing",
        "loop": "missing",
        "fifo": "FIFO",
        "socket": "socket",
        "none": "missing",
        "a\0b": "missing",
    }
    assert tree.kind(os.devnull) == "device"


def test_only_regular_files_are_read(tree: Tree, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    write(tmp_path / "file", "text")

    assert tree.read(str(tmp_path / "file")) == b"text"
    assert tree.read(str(tmp_path / "fifo")) == b""
    assert tree.read(str(tmp_path / "none")) == b""


@pytest.mark.parametrize(
    ("content", "encoding", "may_hold"),
    [
        (b"a >>> b", "", True),
        (b"a >> b", "", False),
        (b"a >> \xff", "", False),
        (b"a >> \xff", "utf-8", True),
        (b"a >> \xff", "latin-1", False),
        (">>> a".encode("utf-16"), "utf-16", True),
        (">> a".encode("utf-16"), "utf-16", False),
        (b"a", "no-such-encoding", True),
    ],
)
def test_a_file_is_searched(
    tree: Tree, tmp_path: Path, content: bytes, encoding: str, *, may_hold: bool
) -> None:
    (tmp_path / "file").write_bytes(content)

    assert tree.may_hold(str(tmp_path / "file"), b">>>", encoding=encoding) is may_hold


def test_what_cannot_be_searched_may_hold_anything(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tree.may_hold(str(tmp_path / "none"), b">>>")
    write(tmp_path / "file", "12345")
    monkeypatch.setattr(tree_module, "SEARCHED_BYTES", 4)
    assert tree.may_hold(str(tmp_path / "file"), b">>>")


def test_names_are_relative_to_the_root(tree: Tree, tmp_path: Path) -> None:
    assert tree.name(f"{tmp_path}/a/b.py") == "a/b.py"
    assert tree.name(str(tmp_path)) == "."
    assert tree.name(f"{tmp_path.parent}/c.py") == "../c.py"
    assert Tree("/").name("/a/b") == "a/b"


def test_the_import_root_is_the_first_directory_that_is_no_package(
    tree: Tree, tmp_path: Path
) -> None:
    for name in ("a/b/__init__.py", "a/b/c/__init__.py", "a/b/c/test_x.py", "a/test_y.py"):
        write(tmp_path / name)

    assert import_root(tree, "a/b/c/test_x.py") == str(tmp_path / "a")
    assert import_root(tree, "a/test_y.py") == str(tmp_path / "a")
    assert import_root(tree, str(tmp_path / "a/b/c/test_x.py")) == str(tmp_path / "a")


@pytest.fixture
def search_path(tmp_path: Path) -> list[str]:
    for name in (
        "one/package/__init__.py",
        "one/package/module.py",
        "one/package/folder/inner.py",
        "one/shadowed/inner.py",
        "one/space/left.py",
        "two/space/right.py",
        "two/shadowed.py",
        "two/module.py",
    ):
        write(tmp_path / name)
    return [str(tmp_path / name) for name in ("none", "one", "two")]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("package", "one/package"),
        ("package.module", "one/package/module.py"),
        ("package.folder.inner", "one/package/folder/inner.py"),
        ("module", "two/module.py"),
        ("module.inner", ""),
        ("shadowed", "two/shadowed.py"),
        ("space.left", "one/space/left.py"),
        ("space.right", "two/space/right.py"),
        ("space", ""),
        ("nothing.at.all", ""),
        ("../one/package", ""),
        ("", ""),
        ("package..module", ""),
    ],
)
def test_modules_are_found_without_importing(
    tree: Tree, tmp_path: Path, search_path: list[str], name: str, found: str
) -> None:
    expected = str(tmp_path / found) if found else ""

    assert find_module(tree, name, search_path) == expected


def test_a_namespace_package_is_found_only_where_asked_for(
    tree: Tree, tmp_path: Path, search_path: list[str]
) -> None:
    assert find_module(tree, "space", search_path, namespace_packages=True) == str(
        tmp_path / "one/space"
    )
