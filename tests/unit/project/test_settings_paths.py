"""Paths on the command line that exist, and suggestions for those that don't."""

import os

import pytest

from iopio_async.errors import UsageError
from iopio_async.project.given_paths import check_given_paths


@pytest.fixture
def tree(tmp_path):
    for name in ("tests/unit/test_alpha.py", "tests/unit/test_beta.py", "tests/[x]/test_c.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "tests/gone.py").symlink_to("nowhere")
    (tmp_path / "tests/loop").symlink_to("loop")
    return tmp_path


def check(tree, *paths, here=""):
    check_given_paths(paths, invocation_dir=str(tree / here), root=str(tree))


def refused(tree, path, here=""):
    with pytest.raises(UsageError) as caught:
        check(tree, path, here=here)
    return caught.value.message, caught.value.hint


@pytest.mark.parametrize(
    "path",
    [
        ".",
        "tests",
        "tests/",
        "./tests/unit/../unit/test_alpha.py",
        "tests/unit/test_alpha.py::TestB::test_c[1-2]",
        "tests/unit/test_alpha.py::test_c[a::b/c]",
        "tests/unit/test_alpha.py::",
        "tests/[x]/test_c.py::test_d[1]",
        "tests/unit/test_alpha.py/",
        "/",
    ],
)
def test_that_exist(tree, path):
    assert check(tree, path) is None


def test_absolute_ones(tree):
    assert check(tree, f"{tree}/tests/unit/test_alpha.py::test_x", here="tests") is None


SUGGESTIONS = {
    "tets": "did you mean tests?",
    "tests/unti": "did you mean tests/unit?",
    "tets/unit/test_alpha.py": "did you mean tests/unit/test_alpha.py?",
    "tets/unit/test_nothing.py": "did you mean tests?",
    "tests/unit/test_alfa.py::TestB::test_c[1]": (
        "did you mean tests/unit/test_alpha.py::TestB::test_c[1]?"
    ),
    "qqqqqq/x": "",
    "tests/unit/qqqqq.txt": "",
    "something_else": "to select tests by name: -k something_else",
    "tests/gone.py": "it is a symbolic link to nothing",
}


@pytest.mark.parametrize(("path", "hint"), SUGGESTIONS.items())
def test_suggestions(tree, path, hint):
    message, given = refused(tree, path)
    assert message == f"no such file or directory: {path.partition('::')[0]}"
    assert given == hint


def test_paths_relative_to_the_root(tree):
    _, hint = refused(tree, "tests/unit/test_beta.py::test_x", here="tests/unit")
    assert hint == (
        "paths are relative to the current directory: did you mean test_beta.py::test_x?"
    )


def test_control_characters_are_escaped(tree):
    assert refused(tree, "a\x1b[31m")[0] == r"no such file or directory: 'a\x1b[31m'"


def test_absolute_suggestions(tree):
    assert refused(tree, f"{tree}/tests/unti")[1] == f"did you mean {tree}/tests/unit?"


@pytest.mark.parametrize("path", ["", "::test_x", "a\0b"])
def test_what_is_no_path(tree, path):
    assert refused(tree, path)[0] == f"not a path: {path!r}"


def test_a_selection_in_a_directory(tree):
    message, _ = refused(tree, "tests::TestA")
    assert message == "tests is a directory: ::TestA can be selected in a file only"


def test_what_the_system_refuses(tree):
    assert refused(tree, "tests/loop")[0].endswith("too many levels of symbolic links")
    assert refused(tree, "x" * 5000)[0].endswith("file name too long")


def test_a_name_that_is_not_utf_8(tree):
    name = os.fsdecode(b"test_\xff.py")
    (tree / name).touch()
    assert check(tree, name) is None
