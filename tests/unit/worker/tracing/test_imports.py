"""What is told of the search for a module."""

from collections.abc import Callable
from pathlib import Path

from iopio_async.wire.observations import FIND, SEARCH
from iopio_async.worker.tracing.imports import searched

Records = list[tuple[bytes, tuple[bytes, ...]]]


def test_a_private_directory_is_no_part_of_a_told_search_path(
    told: Callable[[], Records], tmp_path: Path
) -> None:
    project = str(tmp_path / "project")
    searched("test_inner", [str(tmp_path / "private" / "basetemp"), project])
    (search, (number, *entries)), find = told()
    assert (search, entries) == (SEARCH, [project.encode()])
    assert find == (FIND, (number, b"test_inner"))


def test_a_search_in_nothing_but_private_directories_is_not_told(
    told: Callable[[], Records], tmp_path: Path
) -> None:
    searched("test_inner", [str(tmp_path / "private" / "basetemp")])
    assert told() == []
