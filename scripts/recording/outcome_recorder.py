"""A pytest plugin that writes down how every node ended: `pytest -p outcome_recorder`.

It knows nothing of iopio and folds nothing: it lists the reports, `outcomes.py` makes outcomes of
them. The file to write is named by IOPIO_RECORD_FILE. The plugin arrives by PYTHONPATH and, once
imported, takes both variables and its path entry away again, so that the tests see the environment
that they would see without it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

_dumps, _replace, _open = json.dumps, os.replace, open
_file = os.environ.pop("IOPIO_RECORD_FILE", "")
_folder = os.path.dirname(os.path.abspath(__file__))
if os.environ.get("PYTHONPATH") == _folder:
    del os.environ["PYTHONPATH"]
if _folder in sys.path:
    sys.path.remove(_folder)

#: [node id, phase, kind] in order; phases: collect, setup, call, teardown, sub.
_reports: list[list[str]] = []
_collected: list[str] = []
_rootdir: list[str] = []


def _kind(report: Any) -> str:
    """The report's outcome in the words of the fold: expected failures told apart."""
    if hasattr(report, "wasxfail") and report.outcome in ("passed", "skipped"):
        return "xpassed" if report.outcome == "passed" else "xfailed"
    return str(report.outcome)


def pytest_runtest_logreport(report: Any) -> None:
    """Notes a test's report; those of sub-tests carry the id of their test."""
    is_sub = type(report).__name__.lower().startswith("subtest")
    _reports.append([report.nodeid, "sub" if is_sub else report.when, _kind(report)])


def pytest_collectreport(report: Any) -> None:
    """Notes a collector that failed or was skipped as a whole."""
    if report.outcome != "passed":
        _reports.append([report.nodeid, "collect", report.outcome])


def pytest_collection_finish(session: Any) -> None:
    """Notes what was selected, deselected items left out."""
    _rootdir[:] = [str(session.config.rootpath)]
    _collected[:] = [item.nodeid for item in session.items]


def pytest_unconfigure() -> None:
    """Writes the record, in one step: an unfinished run leaves none."""
    if not _file:
        return
    document = {"rootdir": _rootdir, "collected": _collected, "reports": _reports}
    with _open(_file + ".draft", "w", encoding="ascii") as draft:
        draft.write(_dumps(document))
    _replace(_file + ".draft", _file)
