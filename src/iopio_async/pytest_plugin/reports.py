"""Reports and warnings of a test ↔ what is stored of them."""

import sys
import warnings
from typing import Any

import pytest

from iopio_async.cache.test_results import RecordedWarning
from iopio_async.pytest_plugin.performance import REPLAYED


def packed(config: pytest.Config, report: pytest.TestReport) -> dict[str, Any]:
    """A report as pytest and its plugins serialise it."""
    data: dict[str, Any] = config.hook.pytest_report_to_serializable(config=config, report=report)
    return data


def packed_warning(
    issued: warnings.WarningMessage, location: tuple[str, int, str] | None
) -> RecordedWarning:
    """A warning, its category by name; ``location`` is as pytest gives it."""
    category = issued.category
    return RecordedWarning(
        category.__module__,
        category.__qualname__,
        str(issued.message),
        issued.filename,
        issued.lineno,
        location,
    )


def unpacked(config: pytest.Config, item: pytest.Item, data: dict[str, Any]) -> Any:
    """The report of a test that may have moved in its file since."""
    report: Any = config.hook.pytest_report_from_serializable(config=config, data=dict(data))
    moved = (item.location[1] or 0) - int(report.location[1] or 0)
    if isinstance(report.longrepr, list):
        path, line, reason = report.longrepr
        report.longrepr = (path, line + moved, reason)
    report.location = item.location
    setattr(report, REPLAYED, True)
    for name in ("sections", "user_properties"):
        setattr(report, name, [tuple(each) for each in getattr(report, name)])
    return report


def unpacked_warning(recorded: RecordedWarning) -> warnings.WarningMessage:
    """The warning, of its own category where that is known in this process."""
    category: Any = sys.modules.get(recorded.module)
    for name in recorded.category.split("."):
        category = getattr(category, name, None)
    if not (isinstance(category, type) and issubclass(category, Warning)):
        category = UserWarning
    try:
        message = category(recorded.text)
    except TypeError:
        message = UserWarning(recorded.text)
    return warnings.WarningMessage(message, category, recorded.file, recorded.line)
