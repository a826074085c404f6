"""The rows of the matrix that concern a whole project, each in a project of its own.

A row runs, is replayed after something harmless, and runs again after its change, to the outcome
that plain pytest comes to. Two rows live at a time, whichever are selected.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from cache_matrix.life import findings
from cache_matrix.lone_rows import ROWS
from cache_matrix.naming_rows import ROWS as NAMING_ROWS
from cache_matrix.row import Row
from cache_matrix.world import START_METHODS

#: The findings about a row, by the start method and its name.
Lives = dict[tuple[str, str], Future[list[str]]]


@pytest.fixture(scope="module")
def lives(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lives]:
    """The lives of all selected rows, begun in the order in which they are asked for."""
    with ThreadPoolExecutor(2) as pool:
        begun: Lives = {}
        for item in request.session.items:
            parameters = getattr(item, "callspec", None)
            if item.path == request.path and parameters is not None:
                method, row = parameters.params["method"], parameters.params["row"]
                folder = tmp_path_factory.mktemp("b")
                begun[method, row.name] = pool.submit(
                    lambda *details: list(findings(*details)), folder, method, row
                )
        yield begun
        for future in begun.values():
            future.cancel()


#: How a process came about hardly matters to those about paths.
SELECTED = [
    *((method, row) for method in START_METHODS for row in ROWS),
    *(("forkserver", row) for row in NAMING_ROWS),
]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "row"), SELECTED, ids=str)
def test_row(method: str, row: Row, lives: Lives) -> None:
    assert lives[method, row.name].result() == []
