"""Gives the matrix's tests their worlds; a table's runs are made once for all of its rows."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

pytest.register_assert_rewrite("cache_matrix.mutations", "cache_matrix.world")

from cache_matrix.batch import Batch  # noqa: E402 - assertions first
from cache_matrix.row import Row  # noqa: E402
from cache_matrix.world import START_METHODS, World  # noqa: E402

Batches = Callable[[str, str, Sequence[Row]], Batch]


@pytest.fixture(scope="session")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Batches:
    """The runs of a table's rows, by the table's name and a start method."""
    made: dict[tuple[str, str], Batch | BaseException] = {}

    def batch_of(name: str, method: str, rows: Sequence[Row]) -> Batch:
        if (name, method) not in made:
            # A short name: sockets that tests make below it must not get too long a path.
            folder = tmp_path_factory.mktemp("b")
            try:
                made[name, method] = Batch(folder, method, rows)
            except Exception as error:  # Told by each of the rows.
                made[name, method] = error
        batch = made[name, method]
        if isinstance(batch, BaseException):
            raise batch
        return batch

    return batch_of


@pytest.fixture(params=START_METHODS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path, request.param)
