"""What is in a directory, and what could be imported from it."""

import importlib.machinery
from pathlib import Path

import pytest

from iopio_async.project.listings import PATH_FILES, Listing, is_cache, scan

EXTENSION = importlib.machinery.EXTENSION_SUFFIXES[0]


def test_types_are_those_of_the_entries_themselves(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")

    assert scan(str(tmp_path)) == {"file": "f", "folder": "d", "link": "l"}


@pytest.mark.parametrize(
    ("types", "name", "found"),
    [
        ({"a": "d", "a.py": "f", f"a{EXTENSION}": "f", "a.pyc": "f"}, "a", 4),
        ({"a": "f"}, "a", 0),
        ({"a.py": "d"}, "a", 0),
        ({"a.py": "l"}, "a", 1),
        ({"a.txt": "f", "a.b.py": "f", "ab.py": "f"}, "a", 0),
        ({"a": "l"}, "a", 1),
        ({"b": "l"}, "b", 0),
        ({"a.pth": "f", "b.pth": "l", "c.py": "f"}, PATH_FILES, 2),
    ],
)
def test_candidates_of_an_import(types: dict[str, str], name: str, found: int) -> None:
    candidates = Listing("/here", types, 0).candidates(name, lambda path: path == "/here/a")

    assert len(candidates) == found
    assert candidates == sorted(candidates)


def test_caches_are_no_part_of_a_digest() -> None:
    base = Listing("/here", {"a": "f"}, 0).digest()

    assert Listing("/here", {"__pycache__": "d", "x.pyc": "f", "a": "f"}, 0).digest() == base
    assert Listing("/here", {"a": "d"}, 0).digest() != base
    assert Listing("/here", {"a": "f", "\udcff": "f"}, 0).digest() != base
    assert Listing("/here", {}, 0, "unreadable: EACCES").digest() == "unreadable: EACCES"
    assert is_cache(".git")
    assert not is_cache("git")
