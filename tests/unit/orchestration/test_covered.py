"""What was covered comes back as it was packed, and nothing else is unpacked."""

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iopio_async.errors import InfrastructureError
from iopio_async.orchestration.coverage import Coverage
from iopio_async.orchestration.covered import packed, restore

names = st.text("abcdef.0", min_size=1, max_size=8).filter(lambda name: name not in {".", ".."})


def lay_out(folder: Path, files: dict[str, bytes]) -> str:
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return str(folder)


def content(folder: str) -> dict[str, bytes]:
    return {name: Path(folder, name).read_bytes() for name in os.listdir(folder)}


@settings(max_examples=25)
@given(st.lists(st.dictionaries(names, st.binary(max_size=50), max_size=3), max_size=3))
def test_it_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, contents: list[dict[str, bytes]]
) -> None:
    tmp_path = tmp_path_factory.mktemp("covered")
    folders = [lay_out(tmp_path / f"{at}", files) for at, files in enumerate(contents)]
    coverage = Coverage((), {}, str(tmp_path))
    restore({"a": packed(folders), "b": packed(folders)}, str(tmp_path / "new"), coverage)
    for path in ("a", "b"):
        assert [content(folder) for folder in coverage.folders_of(path)] == contents


def test_the_same_files_make_the_same_blob(tmp_path: Path) -> None:
    one = lay_out(tmp_path / "one", {"a": b"1", "b": b"2"})
    other = lay_out(tmp_path / "other", {"b": b"2", "a": b"1"})
    assert packed([one]) == packed([other])


def test_a_name_leads_nowhere_else(tmp_path: Path) -> None:
    coverage = Coverage((), {}, str(tmp_path))
    blob = msgspec.msgpack.encode([{"../../outside": b"x", "/outside": b"y"}])
    restore({"a": blob}, str(tmp_path / "new"), coverage)
    (folder,) = coverage.folders_of("a")
    assert list(content(folder)) == ["outside"]
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("blob", [b"", b"x", b"\xff" * 9, msgspec.msgpack.encode({"a": 1})])
def test_what_was_not_packed_is_told(tmp_path: Path, blob: bytes) -> None:
    with pytest.raises(InfrastructureError, match="the stored coverage of a can't be used") as told:
        restore({"a": blob}, str(tmp_path), Coverage((), {}, str(tmp_path)))
    assert "--refresh" in told.value.hint


def test_what_can_not_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        packed([str(tmp_path / "none")])
