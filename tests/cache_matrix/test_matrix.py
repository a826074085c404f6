"""The mutation matrix: each input of a test, and what happens when it changes and when it doesn't.

``pytest tests/cache_matrix`` under each interpreter that is to be proven. Each row's verdict comes
from its table's runs, of which there are four for each start method.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from cache_matrix import (
    distribution_rows,
    file_rows,
    function_rows,
    import_rows,
    process_rows,
    status_rows,
    surroundings_rows,
    testmon_rows,
)
from cache_matrix.row import Row
from cache_matrix.world import START_METHODS

TABLES: dict[str, Sequence[Row]] = {
    "imports": import_rows.ROWS,
    "files": file_rows.ROWS,
    "status": status_rows.ROWS,
    "surroundings": surroundings_rows.ROWS,
    "processes": process_rows.ROWS,
    "distributions": distribution_rows.ROWS,
    "functions": function_rows.ROWS,
    "testmon": testmon_rows.ROWS,
}


#: The tables that are judged by every run of the tests; what an input is hardly depends on how a
#: process came about, nor, functions apart, on the version of Python.
FAST = ("functions", "testmon")


def _parameters() -> list[Any]:
    return [
        pytest.param(
            method,
            table,
            row,
            id=f"{method}-{table}-{row.name}",
            marks=[] if method == "forkserver" and table in FAST else [pytest.mark.slow],
        )
        for method in START_METHODS
        for table, rows in TABLES.items()
        for row in rows
    ]


@pytest.mark.parametrize(("method", "table", "row"), _parameters())
def test_row(method: str, table: str, row: Row, batches: Callable[..., Any]) -> None:
    batch = batches(table, method, TABLES[table])
    assert list(batch.findings(row)) == []


@pytest.mark.parametrize("table", TABLES)
def test_names_are_unique(table: str) -> None:
    names = [row.name for row in TABLES[table]]
    assert len(set(names)) == len(names)
