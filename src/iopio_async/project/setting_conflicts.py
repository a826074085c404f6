"""Pairs of settings that can't both be meant: a table, and the check of it.

Only what no reading makes sense of is here. ``--last-failed`` with ``--shard`` is not: of each
shard, what failed is run.
"""

from collections.abc import Callable, Mapping
from itertools import combinations

import msgspec

from iopio_async.errors import ConfigurationError
from iopio_async.project.setting_sources import Given, Origin


class Conflict(msgspec.Struct, frozen=True):
    """Two fields, when they contradict each other, and why."""

    first: str
    second: str
    holds: Callable[[Given, Given], bool]
    reason: str


def _to_stdout(_: Given, second: Given) -> bool:
    return bool(second.value == "-")


def _same_file(first: Given, second: Given) -> bool:
    return bool(first.value == second.value)


def _both(_: Given, __: Given) -> bool:
    return True


def _verbose_flag(_: Given, second: Given) -> bool:
    # A verbosity that a file or the environment prefers in general simply has no effect.
    return second.origin is Origin.FLAG and second.value > 0


def _not_pytest(_: Given, second: Given) -> bool:
    return second.value in {"unittest", "functions"}


def _given_and_not_pytest(first: Given, second: Given) -> bool:
    return first.origin is Origin.FLAG and _not_pytest(first, second)


CONFLICTS = (
    Conflict("json", "report", _to_stdout, "both write to the standard output"),
    Conflict("json", "junit_xml", _to_stdout, "both write to the standard output"),
    *(
        Conflict(first, second, _same_file, "both write to the same place")
        for first, second in combinations(("report", "junit_xml", "trace", "timeline"), 2)
    ),
    Conflict("json", "verbosity", _verbose_flag, "the stream of events is always complete"),
    Conflict("no_cache", "refresh", _both, "one stores results, the other does not"),
    Conflict("no_cache", "audit_percent", _both, "without the cache there are no hits to audit"),
    Conflict("refresh", "audit_percent", _both, "without looking up there are no hits to audit"),
    Conflict("markers", "framework", _not_pytest, "marks are pytest's alone"),
    Conflict("arguments", "framework", _given_and_not_pytest, "the arguments are for pytest"),
)


def check_conflicts(chosen: Mapping[str, Given]) -> None:
    """Check the chosen settings against the table.

    Raises:
        ConfigurationError: two contradict each other; it names both.
    """
    for conflict in CONFLICTS:
        first, second = chosen.get(conflict.first), chosen.get(conflict.second)
        # What is off or empty contradicts nothing.
        if first is None or second is None or not first.value or not second.value:
            continue
        if conflict.holds(first, second):
            shown = f"{second.setting.name} = {second.value}, from {second}"
            other = shown if conflict.second == "framework" else str(second)
            message = f"can't be combined with {other}: {conflict.reason}"
            raise ConfigurationError(message, where=first.where())
