"""Coverage of the isolated processes, where ``coverage run`` measures the process that starts them.

coverage.py measures a process from its start where a variable names a configuration. So while
tests run, that variable is set, to the settings of the measurement in progress with data files in a
folder apart; afterwards their data is added to that measurement. Stored results cover nothing, so
none is used meanwhile. Nothing of coverage.py is imported unless it is measuring already.
"""

import configparser
import contextlib
import glob
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

#: By this, coverage.py learns in a new process that it is to measure, and how.
_VARIABLE = "COVERAGE_PROCESS_START"

#: The settings of a measurement that decide what is measured.
_OPTIONS = ("branch", "source", "source_pkgs", "include", "omit", "plugins", "relative_files")


@contextlib.contextmanager
def measured(warnings: list[str]) -> Iterator[bool]:
    """Have the processes that are started within measured as this one is; False if it is not.

    ``warnings`` gets to know if they could not be.
    """
    module: Any = sys.modules.get("coverage")
    current: Any = module.Coverage.current() if hasattr(module, "Coverage") else None
    if current is None:
        yield False
        return
    with tempfile.TemporaryDirectory(prefix="iopio-coverage-") as folder:
        file = os.path.join(folder, "coverage.ini")
        _write(file, current, os.path.join(folder, "data"))
        before = os.environ.get(_VARIABLE)
        os.environ[_VARIABLE] = file
        try:
            yield True
        finally:
            if before is None:
                del os.environ[_VARIABLE]
            else:
                os.environ[_VARIABLE] = before
            found = sorted(glob.glob(os.path.join(glob.escape(folder), "data.*")))
            for path in found:
                data = module.CoverageData(path)
                data.read()
                current.get_data().update(data)
        if not found:
            warnings.append("coverage has no data of the tests' processes: it takes version 7.10")


def _write(file: str, current: Any, data_file: str) -> None:
    parser = configparser.RawConfigParser()
    parser["run"] = {"data_file": _escaped(data_file), "parallel": "true"}
    for name in _OPTIONS:
        value = current.get_option(f"run:{name}")
        if isinstance(value, list | tuple):
            value = "\n".join(_escaped(str(each)) for each in value)
        if value:
            parser["run"][name] = str(value)
    with open(file, "w", encoding="utf-8") as stream:
        parser.write(stream)


def _escaped(text: str) -> str:
    """A text that coverage.py does not take for one with variables in it."""
    return text.replace("$", "$$")
