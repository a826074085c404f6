"""Puts together what the processes of a run have measured: ``python -m … ORDER RESULT``.

Runs once, when all modules are done, in a process of the tests' interpreter. ORDER is a JSON file:
the ``folders`` that the attempts left, each with a note of what was asked of pytest-cov and perhaps
a data file, and whether any test ``failed``. All data goes where pytest-cov would have put it, and
pytest-cov's own engine makes the reports. RESULT is what it wrote (``text``), and ``failed`` if the
total is below what is required.
"""

import argparse
import glob
import importlib
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from iopio_async.wire.contract import COVERAGE_DATA, COVERAGE_NOTE


def main(arguments: list[str]) -> None:
    """Carry out the order."""
    order_file, result_file = (Path(argument).resolve() for argument in arguments)
    order = json.loads(order_file.read_bytes())
    notes = [note for folder in order["folders"] if (note := Path(folder, COVERAGE_NOTE)).is_file()]
    text, failed = "", False
    if notes:
        asked = json.loads(notes[0].read_bytes())
        began_s = min(note.stat().st_mtime for note in notes)
        text, failed = _conclude(asked, order["folders"], began_s, tests_failed=order["failed"])
    result_file.write_text(json.dumps({"text": text, "failed": failed}), encoding="utf-8")


def _conclude(
    asked: dict[str, Any], folders: Sequence[str], began_s: float, *, tests_failed: bool
) -> tuple[str, bool]:
    """Combine and report; what pytest-cov says of it, and whether too little is covered."""
    os.chdir(asked["directory"])
    # Where the measured packages, and plugins of coverage.py, were found by the tests.
    sys.path[:] = asked["path"]
    # What may not be installed here is not there for type checkers either.
    engine: Any = importlib.import_module("pytest_cov.engine")
    options = argparse.Namespace(**asked["options"])
    controller = engine.Central(options, None, None)
    controller.cov = _combined(options, folders, began_s)
    controller.node_descs.add(controller.get_node_desc(sys.platform, sys.version_info))
    wanted = options.cov_report or options.cov_fail_under
    if not wanted or (tests_failed and options.no_cov_on_fail):
        return "", False
    return _report(controller, options)


def _combined(options: argparse.Namespace, folders: Sequence[str], began_s: float) -> Any:
    """All data in the project's data file, as a coverage object to report on."""
    coverage: Any = importlib.import_module("coverage")
    measuring = {
        "source": options.cov_source,
        "branch": options.cov_branch,
        "config_file": options.cov_config,
    }
    data_file = os.path.abspath(coverage.Coverage(**measuring).config.data_file)
    cov = coverage.Coverage(data_file=data_file, **measuring)
    paths = [
        path
        for folder in folders
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), f"{COVERAGE_DATA}*")))
    ]
    # Processes that tests have started may have written beside the project's file; and pytest-cov
    # begins by erasing, which it could not do here before anything had run.
    for path in sorted(glob.glob(f"{glob.escape(data_file)}.*")):
        if options.cov_append or not cov.config.parallel or os.stat(path).st_mtime >= began_s:
            paths.append(path)
        else:
            os.unlink(path)
    if not options.cov_append:
        Path(data_file).unlink(missing_ok=True)
    cov.load()
    if paths:
        cov.combine(paths)
    cov.save()
    return cov


def _report(controller: Any, options: argparse.Namespace) -> tuple[str, bool]:
    """Make all reports; their text, with the verdict on the total."""
    exceptions: Any = importlib.import_module("coverage.exceptions")
    results: Any = importlib.import_module("coverage.results")
    stream = io.StringIO()
    try:
        total = controller.summary(stream)
    except exceptions.CoverageException as error:
        stream.write(f"coverage can't be reported: {error}\n")
        total = 0.0
    required, precision = options.cov_fail_under, getattr(options, "cov_precision", 0) or 0
    if required is None or options.collectonly:
        return stream.getvalue(), False
    failed = bool(results.should_fail_under(total, required, precision))
    if required > 0:
        word = "not reached" if failed else "reached"
        stream.write(f"required coverage of {required} % {word}: {total:.{max(2, precision)}f} %\n")
    return stream.getvalue(), failed


if __name__ == "__main__":
    main(sys.argv[1:])
