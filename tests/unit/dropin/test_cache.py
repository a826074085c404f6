"""The view of the stored results: what is put in, found, and forgotten."""

import os
from pathlib import Path

import pytest

from iopio_async.dropin.cache import TestResultCache

STORED = [
    "tests/test_a.py::test_one",
    "tests/test_a.py::test_one[2]",
    "tests/test_a.py::TestB::test_two",
    "tests/other_test_a.py::test_one",
    "tests/deep/test_a.py::test_one",
    "test_function",
]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestResultCache:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(tmp_path)
    cache = TestResultCache()
    for test in STORED:
        cache.put_result(test, {"success": True, "error": None})
    return cache


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("test_a.py", [3, 5]),
        ("tests/test_a.py", [3, 4, 5]),
        ("./tests/../tests/test_a.py", [3, 4, 5]),
        ("tests/test_a.py::test_one", [2, 3, 4, 5]),
        ("tests/test_a.py::TestB", [0, 1, 3, 4, 5]),
        ("tests/deep", [0, 1, 2, 3, 5]),
        ("tests", [5]),
        ("test_function", [0, 1, 2, 3, 4]),
        ("test_", [0, 1, 2, 3, 4, 5]),
        (None, []),
    ],
)
def test_forgetting(cache: TestResultCache, path: str | None, left: list[int]) -> None:
    cache.invalidate(path)
    kept = {each["test_path"] for each in cache._cache.values()}
    assert kept == {STORED[place] for place in left}


def test_an_absolute_path(cache: TestResultCache) -> None:
    cache.invalidate(str(Path.cwd() / "tests"))
    assert [each["test_path"] for each in cache._cache.values()] == ["test_function"]


def test_arguments_tell_results_apart(cache: TestResultCache) -> None:
    cache.put_result("t", {"success": True}, "one")
    cache.put_result("t", {"success": False}, args="two")
    found = cache.get_result("t", "one")
    assert found is not None
    assert (found["result"], found["test_args"]) == ({"success": True}, "one")
    assert cache.get_result("t") is None
    assert cache.get_result("u") is None


def test_what_is_spoilt_is_not_there(cache: TestResultCache) -> None:
    given = cache.cache_dir / "v1" / "given"
    contents = [b"", b"[]", b"\xff", b'{"path": 1}', b"null"]
    for path, content in zip(sorted(given.iterdir()), contents, strict=False):
        path.write_bytes(content)
    assert len(cache._cache) == 1
    for test in STORED:
        cache.get_result(test)


def test_a_cache_that_is_not_there(tmp_path: Path) -> None:
    cache = TestResultCache(tmp_path / "nowhere")
    assert len(cache._cache) == 0
    cache.invalidate()
    cache.invalidate("test_a.py")
    assert not os.path.exists(cache.cache_dir)
