"""``--cache-tests``: tests of which nothing has changed are reported, not executed.

All files are collected as ever. A test whose stored result holds gets the reports and warnings of
the time when it was executed; all others run in a segment of the trace each. What passes, or skips,
is stored at the end of the session, when nothing of what it read can change any more unseen.

Under pytest-xdist each worker does so for the tests that it is given, and tells how many they were.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from iopio_async import state
from iopio_async.cache.test_results import TestStore
from iopio_async.errors import ConfigurationError, InfrastructureError, UsageError
from iopio_async.project.settings import load_config
from iopio_async.pytest_plugin import reports
from iopio_async.pytest_plugin.attribution import Attribution
from iopio_async.pytest_plugin.importing import Importing
from iopio_async.pytest_plugin.observing import Observing
from iopio_async.pytest_plugin.selection import hindrance
from iopio_async.pytest_plugin.session import Session
from iopio_async.pytest_plugin.telling import Telling
from iopio_async.pytest_plugin.traces import Traces
from iopio_async.pytest_plugin.world import World
from iopio_async.worker.frameworks.pytest_paths import PathsWatch


def begin(config: pytest.Config) -> None:
    """Trace this process from here on, unless others do the work or nothing can be replayed."""
    telling = Telling(config)
    config.pluginmanager.register(telling, "iopio-telling")
    if _distributes(config):
        return
    telling.hindrance = hindrance(config)
    if telling.hindrance:
        return
    root = str(config.rootpath)
    try:
        settings = load_config(invocation_dir=Path(root), flags={}, environ=os.environ)
    except (ConfigurationError, UsageError) as error:
        raise pytest.UsageError(str(error)) from error
    given = config.known_args_namespace.cache_dir
    folder = os.path.abspath(given) if given else state.folder_of(root)
    try:
        if given:
            os.makedirs(os.path.dirname(folder), exist_ok=True)
        world = World(
            settings, root, folder, [*map(str, config.invocation_params.args)], telling.warn
        )
    except (InfrastructureError, OSError) as error:
        telling.warn(f"no test is replayed: {error}")
        return
    traces = Traces(root)
    attribution = Attribution(traces)
    importing = Importing(attribution)
    importing.start()
    config.pluginmanager.register(PathsWatch(frozenset), "iopio-paths")
    store = TestStore(folder, telling.warn, settings.cache_ttl_s)
    session = Session(config, world, store, traces, attribution, telling)
    config.pluginmanager.register(Observing(session, importing), "iopio-observing")
    config.pluginmanager.register(Replaying(session), "iopio-replaying")


def _distributes(config: pytest.Config) -> bool:
    """True in the process of pytest-xdist that only hands tests out."""
    given = config.known_args_namespace
    if hasattr(config, "workerinput") or os.environ.get("PYTEST_XDIST_WORKER"):
        return False
    return bool(getattr(given, "numprocesses", None) or getattr(given, "tx", None))


class Replaying:
    """Reports the tests that need not run."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: Any, nextitem: Any) -> bool | None:
        """Tell again what was told when the test was executed."""
        story = self._session.stories.get(item.nodeid)
        if story is None:
            return None
        self._session.replayed += 1
        hook, config = item.ihook, item.config
        hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for warning in story.warnings:
            config.hook.pytest_warning_recorded.call_historic(
                kwargs={
                    "warning_message": reports.unpacked_warning(warning),
                    "when": "runtest",
                    "nodeid": item.nodeid,
                    "location": warning.location,
                }
            )
        told = [reports.unpacked(config, item, data) for data in story.reports]
        # What was set up for tests that did run, and that the next one does not need.
        call = pytest.CallInfo.from_call(
            lambda: item.session._setupstate.teardown_exact(nextitem),
            when="teardown",
            reraise=(KeyboardInterrupt, pytest.exit.Exception),
        )
        if call.excinfo is not None:
            told = [each for each in told if each.when != "teardown"]
            told.append(hook.pytest_runtest_makereport(item=item, call=call))
        for report in told:
            hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True
