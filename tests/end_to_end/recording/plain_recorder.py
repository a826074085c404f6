"""A pytest plugin that writes down every report of a plain run: ``pytest -p plain_recorder``.

It folds nothing. It arrives by PYTHONPATH and takes its traces away before any test is imported.
"""

import json
import os
import sys
from typing import Any

_open, _replace = open, os.replace
_record = os.environ.pop("PLAIN_RECORD", "")
os.environ.pop("PYTHONPATH", None)
_folder = os.path.dirname(os.path.abspath(__file__))
if _folder in sys.path:
    sys.path.remove(_folder)

#: Id, phase, outcome, and whether an expected failure has to do with it.
_rows: list[tuple[str, str, str, bool]] = []


def pytest_runtest_logreport(report: Any) -> None:
    """Note a phase of a test, or one of its sub-tests."""
    is_subtest = "subtest" in type(report).__name__.lower()
    phase = "subtest" if is_subtest else report.when
    _rows.append((report.nodeid, phase, report.outcome, hasattr(report, "wasxfail")))


def pytest_collectreport(report: Any) -> None:
    """Note what could not be collected, or skipped itself as a whole."""
    if report.outcome != "passed":
        _rows.append((report.nodeid, "collect", report.outcome, False))


def pytest_unconfigure() -> None:
    """Write all of it, in one step."""
    if _record:
        with _open(f"{_record}.draft", "w", encoding="utf-8") as draft:
            draft.write(json.dumps(_rows))
        _replace(f"{_record}.draft", _record)
