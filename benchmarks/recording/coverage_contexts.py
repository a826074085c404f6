"""A pytest plugin: `coverage run -m pytest -p coverage_contexts` learns which file runs what.

Each test's lines are recorded under the path of its module; what runs outside of tests has none.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

#: Not among the project's own dependencies: whoever measures has it.
_coverage: Any = importlib.import_module("coverage")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: Any) -> Iterator[None]:
    """Switches the context for the length of a test."""
    measuring = _coverage.Coverage.current()
    if measuring is not None:
        measuring.switch_context(item.nodeid.partition("::")[0])
    result = yield
    if measuring is not None:
        measuring.switch_context("")
    return result
