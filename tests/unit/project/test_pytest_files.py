"""The files that configure pytest: which sections count, and what is refused at which line."""

import os
from pathlib import Path

import pytest

from iopio_async.errors import ConfigurationError
from iopio_async.project import pytest_files
from iopio_async.project.pytest_files import LOADERS_BY_NAME, find, load_named, parse_ini


def test_ini_sections_comments_and_continuations() -> None:
    text = """\ufeff# comment
[pytest]  # comment
python_files = a.py
    b.py
  ; comment

    c.py
key: value
empty =
url = http://x:80/  # kept
[other]
x=1
"""
    assert parse_ini(text, "f") == {
        "pytest": {
            "python_files": "a.py\nb.py\nc.py",
            "key": "value",
            "empty": "",
            "url": "http://x:80/  # kept",
        },
        "other": {"x": "1"},
    }


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("[pytest]\noops\n", 2, "neither"),
        ("x = 1\n", 1, "before any section"),
        ("[a]\n\n[a]\n", 3, "twice"),
        ("[a]\nx=1\nx=2\n", 3, "twice"),
        ("[]\n", 1, "empty section name"),
        ("[a]\n  x\n", 2, "continues nothing"),
        ("[a\n", 1, "continues nothing"),
    ],
)
def test_malformed_ini(text: str, line: int, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        parse_ini(text, "some.ini")
    assert caught.value.where == f"some.ini:{line}"


CONFIGURING = [
    ("pytest.ini", "", {}),
    ("pytest.ini", "[other]\nx=1\n", {}),
    ("pytest.ini", "[pytest]\nx=1\n", {"x": "1"}),
    (".pytest.ini", "[pytest]\nx=1\n", {"x": "1"}),
    ("tox.ini", "[pytest]\nx=1\n", {"x": "1"}),
    ("setup.cfg", "[tool:pytest]\nx=1\n", {"x": "1"}),
    ("pytest.toml", "", {}),
    (".pytest.toml", "[pytest]\nx=[1]\n", {"x": [1]}),
    ("pyproject.toml", "[tool.pytest.ini_options]\nx=1\ny=['a']\n", {"x": "1", "y": ["a"]}),
    ("pyproject.toml", "[tool.pytest.ini_options]\n", {}),
    ("pyproject.toml", "[tool.pytest]\nx=1\n", {"x": 1}),
]


@pytest.mark.parametrize(("name", "text", "values"), CONFIGURING)
def test_files_that_configure(
    tmp_path: Path, name: str, text: str, values: dict[str, object]
) -> None:
    (tmp_path / name).write_text(text)

    section = LOADERS_BY_NAME[name](tmp_path / name)

    assert section is not None
    assert section.values == values


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tox.ini", "[tox]\nx=1\n"),
        ("setup.cfg", "[metadata]\nname=x\n"),
        ("pyproject.toml", "[project]\nname='x'\n"),
        ("pyproject.toml", "[tool.pytest]\n"),
    ],
)
def test_files_that_do_not(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)

    assert LOADERS_BY_NAME[name](tmp_path / name) is None


REFUSED = [
    ("pyproject.toml", "[project]\nname = = 1\n", 2, "not valid TOML"),
    ("pyproject.toml", "[project]\nname = [1,\n", 2, "not valid TOML"),
    ("pyproject.toml", "[tool]\npytest = 1\n", 2, "not a table"),
    ("pyproject.toml", "tool = 1\n", 1, "not a table"),
    ("pyproject.toml", "[tool.pytest]\nx=1\n[tool.pytest.ini_options]\ny=1\n", 3, "exclude"),
    ("pyproject.toml", "x = " + "[" * 3000, 1, "nested too deeply"),
    ("pytest.toml", "a = 1\n", 1, "outside of any table"),
    ("setup.cfg", "[metadata]\nx=1\n[pytest]\ny=1\n", 3, r"\[pytest\]"),
]


@pytest.mark.parametrize(("name", "text", "line", "problem"), REFUSED)
def test_refused_at_its_line(tmp_path: Path, name: str, text: str, line: int, problem: str) -> None:
    path = tmp_path / name
    path.write_text(text)

    with pytest.raises(ConfigurationError, match=problem) as caught:
        LOADERS_BY_NAME[name](path)
    assert caught.value.where == f"{path}:{line}"


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "pytest.ini"
    path.write_bytes(b"[pytest]\nx = \xff\n")

    with pytest.raises(ConfigurationError, match="not valid UTF-8") as caught:
        LOADERS_BY_NAME["pytest.ini"](path)
    assert caught.value.where == f"{path}:2"


def test_a_file_too_large_to_be_a_configuration_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "tox.ini"
    with path.open("wb") as file:
        file.truncate(1 << 30)

    with pytest.raises(ConfigurationError, match="is too large"):
        LOADERS_BY_NAME["tox.ini"](path)


def test_the_strongest_file_of_the_nearest_directory_wins(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    (tmp_path / "pytest.ini").write_text("")
    (below / "tox.ini").write_text("[pytest]\n")
    (below / "setup.cfg").write_text("[tool:pytest]\n")

    found = find((below,))

    assert found is not None
    assert found[0] == below / "tox.ini"


def test_a_pyproject_without_settings_marks_the_root_but_gives_way(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    (below / "pyproject.toml").write_text("[project]\nname='x'\n")

    assert find((below,)) == (below / "pyproject.toml", None)

    (tmp_path / "pytest.ini").write_text("")
    found = find((below,))
    assert found is not None
    assert found[0] == tmp_path / "pytest.ini"


def test_a_fifo_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pytest.ini")
    (tmp_path / "tox.ini").write_text("[pytest]\n")

    found = find((tmp_path,))

    assert found is not None
    assert found[0] == tmp_path / "tox.ini"
    assert load_named(tmp_path / "pytest.ini") is None


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("any.ini", "[pytest]\nx=1\n", {"x": "1"}),
        ("any.cfg", "[tool:pytest]\nx=1\n", {"x": "1"}),
        ("any.toml", "[pytest]\nx=1\n", {"x": 1}),
        ("any.toml", "[tool.pytest.ini_options]\nx=1\n", {"x": "1"}),
        ("pytest.ini", "[pytest]\nx=1\n", {"x": "1"}),
    ],
)
def test_a_named_file_may_have_any_name(
    tmp_path: Path, name: str, text: str, values: dict[str, object]
) -> None:
    (tmp_path / name).write_text(text)

    section = load_named(tmp_path / name)

    assert section is not None
    assert section.values == values


def test_a_named_device_is_no_configuration() -> None:
    assert load_named(Path(os.devnull)) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [("nope.ini", "no such file"), ("folder", "a directory"), ("conf.yaml", "of this kind")],
)
def test_a_named_file_that_is_no_configuration(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "conf.yaml").write_text("")

    with pytest.raises(ConfigurationError, match=problem) as caught:
        load_named(tmp_path / name)
    assert caught.value.where == "-c/--config-file"


def test_the_two_styles_exclude_each_other_in_a_named_file(tmp_path: Path) -> None:
    path = tmp_path / "any.toml"
    path.write_text("[tool.pytest]\nx=1\n[pytest]\ny=1\n")

    with pytest.raises(ConfigurationError, match="exclude each other"):
        pytest_files.load_named(path)
