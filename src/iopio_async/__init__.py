"""iopio runs each Python test module in a process of its own, as many at once as may overlap.

The public surface for embedding programs::

    from iopio_async import load_config, open_run

    async with open_run(load_config(".", workers=8)) as run:
        async for envelope in run:
            ...
    print(run.stats.passed)

pytest rewrites the assertions of whatever comes with one of its plugins, and warns where it is too
late for that, as it is in each worker; there are none here to rewrite: PYTEST_DONT_REWRITE.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from iopio_async.version import __version__

if TYPE_CHECKING:
    from iopio_async.errors import ConfigurationError, InfrastructureError, IopioError, UsageError
    from iopio_async.model.config import Config
    from iopio_async.model.events import Envelope
    from iopio_async.model.stats import RunStats
    from iopio_async.orchestration.embedding import Run, load_config, open_run, run_tests
    from iopio_async.reporting.observers import Observer

__all__ = [
    "Config",
    "ConfigurationError",
    "Envelope",
    "InfrastructureError",
    "IopioError",
    "Observer",
    "Run",
    "RunStats",
    "UsageError",
    "__version__",
    "load_config",
    "open_run",
    "run_tests",
]

#: Where each public name lives. Imported on first use: a worker must not pay for the orchestrator.
_HOMES = {
    "Config": "iopio_async.model.config",
    "ConfigurationError": "iopio_async.errors",
    "Envelope": "iopio_async.model.events",
    "InfrastructureError": "iopio_async.errors",
    "IopioError": "iopio_async.errors",
    "Observer": "iopio_async.reporting.observers",
    "Run": "iopio_async.orchestration.embedding",
    "RunStats": "iopio_async.model.stats",
    "UsageError": "iopio_async.errors",
    "load_config": "iopio_async.orchestration.embedding",
    "open_run": "iopio_async.orchestration.embedding",
    "run_tests": "iopio_async.orchestration.embedding",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
