"""The last command comes back in its own directory, and nothing else does."""

import json
from pathlib import Path

import pytest

from iopio_async.cli.invocation import Invocation
from iopio_async.cli.last_command import recall_command, remember_command
from iopio_async.model.config import Config

NOTHING = Invocation()


def config_at(root: Path, here: str = "") -> Config:
    return Config(root=str(root), invocation_dir=str(root / here))


def file_of(root: Path) -> Path:
    return root / ".test_cache" / "v1" / "last_command.json"


def test_what_decides_what_is_executed_comes_back(tmp_path: Path) -> None:
    given: dict[str, object] = {
        "paths": ["tests"],
        "keyword": "x",
        "markers": None,
        "framework": "unittest",
        "verbose": 2,
        "report": "r.json",
        "workers": "3",
    }
    invocation = Invocation(("-p", "plugin"), cwd_on_path=True, words=("run", "tests"))
    remember_command(config_at(tmp_path), invocation, given)
    recalled, options = recall_command(config_at(tmp_path), NOTHING)
    assert (recalled.arguments, recalled.cwd_on_path) == (("-p", "plugin"), True)
    assert options == {"paths": ["tests"], "keyword": "x", "framework": "unittest"}


def test_the_latest_counts_and_the_same_is_not_written_again(tmp_path: Path) -> None:
    config = config_at(tmp_path)
    remember_command(config, NOTHING, {"keyword": "a"})
    remember_command(config, NOTHING, {"keyword": "b"})
    assert recall_command(config, NOTHING)[1] == {"keyword": "b"}
    before = file_of(tmp_path).stat().st_ino
    remember_command(config, NOTHING, {"keyword": "b"})
    assert file_of(tmp_path).stat().st_ino == before


def test_from_another_directory_it_is_not_meant(tmp_path: Path) -> None:
    remember_command(config_at(tmp_path), NOTHING, {"keyword": "a"})
    asked = Invocation(("-x",))
    assert recall_command(config_at(tmp_path, "tests"), asked) == (asked, {})


def test_another_folder_has_a_command_of_its_own(tmp_path: Path) -> None:
    elsewhere = Config(
        root=str(tmp_path), invocation_dir=str(tmp_path), cache_dir=str(tmp_path / "other")
    )
    remember_command(elsewhere, NOTHING, {"keyword": "a"})
    assert recall_command(config_at(tmp_path), NOTHING) == (NOTHING, {})
    assert recall_command(elsewhere, NOTHING)[1] == {"keyword": "a"}


@pytest.mark.parametrize(
    "damaged",
    [b"", b"{", b"[]", b"null", b"3", b"{}", b"\xff", b'{"directory": 1}'],
    ids=repr,
)
def test_what_is_damaged_is_nothing(tmp_path: Path, damaged: bytes) -> None:
    remember_command(config_at(tmp_path), NOTHING, {"keyword": "a"})
    file_of(tmp_path).write_bytes(damaged)
    assert recall_command(config_at(tmp_path), NOTHING) == (NOTHING, {})


@pytest.mark.parametrize("field", ["given", "arguments", "cwd_on_path", "directory"])
@pytest.mark.parametrize("value", [None, 3], ids=["missing", "a number"])
def test_what_is_half_there_is_nothing(tmp_path: Path, field: str, value: object) -> None:
    remember_command(config_at(tmp_path), NOTHING, {"keyword": "a"})
    about = json.loads(file_of(tmp_path).read_bytes())
    del about[field]
    if value is not None:
        about[field] = value
    file_of(tmp_path).write_text(json.dumps(about))
    recalled, options = recall_command(config_at(tmp_path), NOTHING)
    if (field, value) == ("cwd_on_path", 3):
        assert options == {"keyword": "a"}
    else:
        assert (recalled, options) == (NOTHING, {})


def test_where_it_can_not_be_noted_nothing_is_lost(tmp_path: Path) -> None:
    (tmp_path / ".test_cache").write_text("")
    remember_command(config_at(tmp_path), NOTHING, {"keyword": "a"})
    assert recall_command(config_at(tmp_path), NOTHING) == (NOTHING, {})
    assert (tmp_path / ".test_cache").read_text() == ""
