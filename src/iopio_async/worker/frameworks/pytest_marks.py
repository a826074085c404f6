"""The ``iopio`` mark: what a test asks of iopio.

``@pytest.mark.iopio(cache=False)``: the result of the test's module must not be stored.
"""

from typing import Any

import pytest

from iopio_async.wire.observations import IMPURE
from iopio_async.worker.tracing.record import record

DESCRIPTION = "iopio(cache=True): cache=False keeps the module's result from being stored."


class Marks:
    """Registers the mark, and heeds it on the tests that are to run."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Make the mark known to ``--strict-markers``."""
        config.addinivalue_line("markers", DESCRIPTION)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Tell the tracer of a test that is not to be cached."""
        marked = next((item for item in session.items if is_uncacheable(item)), None)
        if marked is not None:
            record.tell_reason(IMPURE, f"{marked.nodeid} is marked cache=False")


def is_uncacheable(item: Any) -> bool:
    """True for a test that is marked ``cache=False``."""
    return any(mark.kwargs.get("cache") is False for mark in item.iter_markers("iopio"))
