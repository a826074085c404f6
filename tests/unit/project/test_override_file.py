"""Overrides are added to a configuration file without disturbing what is there, or not at all."""

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.errors import ConfigurationError, IopioError, UsageError
from iopio_async.planning.overrides import matches
from iopio_async.project.override_file import (
    SharingOverride,
    add_overrides,
    file_to_write,
)

ONE = SharingOverride("tests/test_a.py", ("path:x", "port:1"), ("db",), {"gpu": 2})
TWO = SharingOverride("tests/test_b.py", ("path:x",))

ADDED = """\
[[tool.iopio.overrides]]
paths = ["tests/test_a.py"]
locks = ["path:x", "port:1"]
shared = ["db"]
needs = { "gpu" = 2 }

[[tool.iopio.overrides]]
paths = ["tests/test_b.py"]
locks = ["path:x"]
"""


def add(file: Path, *overrides: SharingOverride) -> str:
    return add_overrides(file, overrides, invocation_dir=str(file.parent))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# Nothing yet.\n",
        '[project]\nname = "it"  # kept\n\n\n[tool.iopio]\nworkers = 2',
        '[[tool.iopio.overrides]]\npaths = ["x"]\nretries = 1\n\n[tool.other]\na = [\n  1,\n]\n',
    ],
)
def test_what_is_there_stays_as_it_is(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(text)

    added = add(file, ONE, TWO)

    assert added == ADDED
    assert file.read_text().startswith(text)
    assert file.read_text().endswith(ADDED)
    last = tomllib.loads(file.read_text())["tool"]["iopio"]["overrides"][-2:]
    assert [each["locks"] for each in last] == [["path:x", "port:1"], ["path:x"]]


def test_a_file_of_its_own_needs_no_tool_table(tmp_path: Path) -> None:
    file = tmp_path / "iopio.toml"
    file.write_text("workers = 3\n")

    add(file, TWO)

    assert tomllib.loads(file.read_text())["overrides"] == [
        {"paths": ["tests/test_b.py"], "locks": ["path:x"]}
    ]


def test_line_ends_permissions_and_links_stay(tmp_path: Path) -> None:
    file, link = tmp_path / "real.toml", tmp_path / "pyproject.toml"
    file.write_bytes(b"[tool.iopio]\r\nworkers = 2\r\n")
    file.chmod(0o640)
    link.symlink_to(file.name)

    add(link, TWO)

    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert file.read_bytes().count(b"\n") == file.read_bytes().count(b"\r\n") == 6
    assert sorted(os.listdir(tmp_path)) == ["pyproject.toml", "real.toml"]


@pytest.mark.parametrize(
    "text",
    [
        '[tool.iopio]\noverrides = [{ paths = ["x"], retries = 1 }]\n',
        "[tool]\niopio = { workers = 2 }\n",
        "tool = { iopio = { workers = 2 } }\n",
    ],
)
def test_what_can_not_be_added_to_is_refused_and_stays(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(text)

    with pytest.raises(ConfigurationError, match="can't be added at its end") as refused:
        add(file, TWO)

    assert "[[tool.iopio.overrides]]" in refused.value.hint
    assert file.read_text() == text


def test_a_file_that_is_gone_meanwhile(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        add(tmp_path / "pyproject.toml", TWO)


def test_a_module_that_toml_has_no_name_for(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.touch()
    for module in ("tests/a\\b.py", "tests/\udcff.py"):
        with pytest.raises(UsageError, match="can't be named in a configuration file"):
            add(file, TWO, TWO._replace(module=module))
    assert file.read_text() == ""


def test_where_there_is_no_file_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no configuration file to write to"):
        file_to_write("", str(tmp_path))

    (tmp_path / "pyproject.toml").touch()
    assert file_to_write("", str(tmp_path)) == tmp_path / "pyproject.toml"
    other = tmp_path / "other.toml"
    other.touch()
    assert file_to_write(str(other), str(tmp_path)) == other


_NAMES = st.text(min_size=1).filter(lambda name: "/" not in name and name not in {".", ".."})


@given(_NAMES, st.lists(st.text(), max_size=3))
def test_any_name_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, name: str, locks: list[str]
) -> None:
    file = tmp_path_factory.mktemp("any") / "pyproject.toml"
    file.touch()
    module = f"tests/{name}.py"
    try:
        add(file, SharingOverride(module, tuple(locks)))
    except IopioError:
        assert "\\" in name or any("\ud800" <= char <= "\udfff" for char in "".join([name, *locks]))
        return
    (override,) = tomllib.loads(file.read_text(encoding="utf-8"))["tool"]["iopio"]["overrides"]
    assert override["locks"] == locks
    assert matches(override["paths"][0], module)
    assert not matches(override["paths"][0], "tests/another.py") or name == "another"
