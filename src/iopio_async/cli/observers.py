"""The observers that a configuration names: found before anything starts, made when it has.

A name that leads nowhere is a mistake in the settings. What the factory does that was found is the
observer's own business: it is called on the observer's thread, where it can do no harm.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from operator import attrgetter
from typing import Any

from iopio_async.errors import UsageError
from iopio_async.model.config import Config
from iopio_async.reporting.observers import Factory, Observer, Observers

#: What the extra ``otel`` brings.
_OTEL_MODULES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def load_observers(config: Config) -> Observers:
    """Find all observers that are asked for, and start their threads.

    Raises:
        UsageError: one can't be found.
    """
    factories = [(name, _factory(name, config.root)) for name in config.observers]
    if config.otel:
        _check_otel()
        factories.append(("otel", _open_telemetry))
    return Observers(factories)


def _factory(name: str, root: str) -> Factory:
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise UsageError(
            f"observers: {name!r} names no factory", hint="write it as package.module:name"
        )
    # Last, so that a file of the project hides nothing that is installed.
    added = root not in sys.path
    if added:
        sys.path.append(root)
    try:
        found: Any = attrgetter(attribute)(import_module(module))
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"observers: {name} can't be loaded: {type(error).__name__}: {error}",
            hint="it is imported from what is installed, then from the root directory",
        ) from None
    finally:
        if added:
            sys.path.remove(root)
    if not callable(found):
        raise UsageError(f"observers: {name} is not callable", hint="name what makes the observer")
    factory: Factory = found
    return factory


def _check_otel() -> None:
    for module in _OTEL_MODULES:
        try:
            found = find_spec(module)
        except ImportError:
            found = None
        if found is None:
            raise UsageError(
                f"otel: {module} is not installed", hint="pip install 'iopio-async[otel]'"
            )


def _open_telemetry() -> Observer:
    # Loaded on the observer's thread: the run need not wait.
    from iopio_async.reporting.open_telemetry import OpenTelemetry

    return OpenTelemetry()
