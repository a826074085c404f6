"""Parcels: what their files are called, and what becomes of them."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.dropin import parcels
from iopio_async.dropin.parcels import NotPackedError, Parcel, name_of, pack, tidy


def unpacked(parcel: Parcel, folder: Path) -> dict[str, Any]:
    """What the parcel's module holds once it is executed."""
    import sys

    before = list(sys.path)
    file = folder / parcel.file_name
    parcel.write(str(file))
    space: dict[str, Any] = {}
    try:
        exec(file.read_text(encoding="utf-8"), space)
        assert sys.path == list(parcel.search_path)
    finally:
        sys.path[:] = before
    return space


@given(st.text())
def test_a_name_is_found_in_the_path(name: str) -> None:
    surrogates = any("\ud800" <= char <= "\udfff" for char in name)
    if surrogates:
        return
    parcel = pack(name, print, ["/a"])
    assert len(os.fsencode(parcel.file_name)) < 200
    assert "/" not in parcel.file_name
    found = name_of(f".test_cache/v1/functions/{parcel.file_name}")
    assert found is not None
    assert name.startswith(found)
    assert found == name or len(parcel.file_name) > 100
    again = name_of(f".test_cache/v1/functions/2{parcels.AGAIN}{parcel.file_name}")
    assert again == found


@pytest.mark.parametrize("path", ["tests/test_a.py", "functions/a.py", "x/functions/a-b.py", ""])
def test_other_paths_have_none(path: str) -> None:
    assert name_of(path) is None


def test_the_file_is_called_by_all_that_matters() -> None:
    def function() -> None:
        pass

    names = {
        pack("a", function, ["/a"]).file_name,
        pack("b", function, ["/a"]).file_name,
        pack("a", function, ["/b"]).file_name,
        pack("a", lambda: None, ["/a"]).file_name,
    }
    assert len(names) == 4
    assert pack("a", function, ["/a"]).file_name in names


def test_a_function_arrives(tmp_path: Path) -> None:
    value = ["seen"]
    space = unpacked(pack("it", lambda: value, ["/a"]), tmp_path)
    assert space[parcels.FUNCTION]() == ["seen"]


class Methods:
    def setUp(self) -> None:
        self.seen = ["setUp"]

    def setup_method(self, method: Any) -> None:
        self.seen.append(method.__name__)

    def check(self) -> list[str]:
        return self.seen


def test_code_keeps_the_name_of_its_file(tmp_path: Path) -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile("def outer():\n    return lambda: 1\n", "/its/file.py", "exec"), space)
    arrived = unpacked(pack("outer", space["outer"], []), tmp_path)[parcels.FUNCTION]
    assert arrived.__code__.co_filename == "/its/file.py"
    assert arrived().__code__.co_filename == "/its/file.py"


def test_the_fixtures_of_a_method_arrive(tmp_path: Path) -> None:
    space = unpacked(pack("it", Methods().check, ["/a"]), tmp_path)
    space["setup_function"]()
    assert space[parcels.FUNCTION]() == ["setUp", "check"]
    space["teardown_function"]()


def test_what_can_not_be_serialised_says_so() -> None:
    lock = threading.Lock()
    with pytest.raises(NotPackedError, match="cannot pickle"):
        pack("it", lambda: lock, [])


def test_old_files_are_removed(tmp_path: Path) -> None:
    for name in ("old", "young"):
        (tmp_path / name).touch()
    os.utime(tmp_path / "old", (1.0, 1.0))
    tidy(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["young"]
