"""Has pytest-cov measure each process apart.

Left alone, every process would erase and write the project's one data file. So pytest-cov starts
with a data file in the attempt's private directory, next to which a note says what was asked for:
``python -m iopio_async.worker.coverage`` puts all of that together when the run is over. Nothing of
this is seen by conftests or tests: the variable by which coverage.py learns of its data file is set
only while pytest-cov starts, which is after the plugins are loaded and before the conftests are.
"""

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Generator
from typing import Any

import pytest

from iopio_async.model.action import Action
from iopio_async.wire.contract import COVERAGE_DATA, COVERAGE_DIR, COVERAGE_NOTE

#: By this, coverage.py is told where to keep its data, whatever its configuration says.
_VARIABLE = "COVERAGE_FILE"

#: What one process can't know: whether others import, and execute, what is to be measured.
_SILENCED = ("_warn_no_data", "_warn_unimported_source")

#: What pytest-cov, and then coverage.py, import only when they start.
_ENGINE = ("pytest_cov.engine", "coverage.sqldata", "coverage.tracer", "sqlite3")


def is_asked_for(early_config: pytest.Config) -> bool:
    """True where pytest-cov is about to measure."""
    options = early_config.known_args_namespace
    return bool(getattr(options, "cov_source", None)) and not getattr(options, "no_cov", False)


def load_ahead() -> None:
    """Import what pytest-cov imports when it starts, which it is about to do."""
    for name in _ENGINE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


class Measurement:
    """Leads one session's coverage into the private directory."""

    def __init__(self) -> None:
        self._folder = ""
        self._variable_before: str | None = None

    def begin(self, early_config: pytest.Config, action: Action) -> None:
        """Prepare for pytest-cov's start, if it is about to start."""
        if not is_asked_for(early_config):
            return
        self._folder = os.path.join(action.private_dir, COVERAGE_DIR)
        os.makedirs(self._folder, exist_ok=True)
        self._variable_before = os.environ.get(_VARIABLE)
        os.environ[_VARIABLE] = os.path.join(self._folder, COVERAGE_DATA)

    @pytest.hookimpl
    def pytest_load_initial_conftests(self) -> None:
        """Take the variable away again: pytest-cov comes first here, the conftests come last."""
        if not self._folder:
            return
        if self._variable_before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = self._variable_before

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, Any, Any]:
        """Note what was asked for, before this process is made to report nothing by itself."""
        plugin: Any = config.pluginmanager.get_plugin("_cov")
        controller = getattr(plugin, "cov_controller", None)
        if self._folder and controller is not None:
            for attribute in _SILENCED:
                setattr(controller.cov, attribute, False)
            with open(os.path.join(self._folder, COVERAGE_NOTE), "w", encoding="utf-8") as file:
                json.dump(_note(plugin.options, controller), file)
        return (yield)


def _note(options: Any, controller: Any) -> dict[str, Any]:
    """Options of pytest-cov, and the surroundings in which they are to be understood."""
    asked = {
        name: value
        for name, value in vars(options).items()
        if name.startswith("cov_") or name in {"no_cov_on_fail", "collectonly"}
    }
    if not isinstance(asked.get("cov_report"), dict):
        asked["cov_report"] = dict.fromkeys(asked.get("cov_report") or ())
    return {"options": asked, "directory": controller.topdir, "path": sys.path}
