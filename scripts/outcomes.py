"""How each node of a run ended, and whether two runs agree. Pure: values in, values out.

A *record* maps pytest node ids to how they ended and how often they ran. Plain pytest is run twice;
where the two runs disagree, ids or outcomes are *unstable* and no other run can be held against
them. What iopio did otherwise is a difference; a difference whose module, run alone by pytest, ends
as under iopio is caused by isolation itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

#: A node's outcome is the worst of its reports; later is worse. A call that failed stays failed
#: when the teardown breaks too.
SEVERITY = ("passed", "skipped", "xfailed", "xpassed", "error", "failed")

#: How a module may end that pytest's outcomes have no word for: always wrong beside a plain run.
BROKEN_MODULES = ("error", "timed out", "crashed", "incomplete", "not-run")

#: (phase, kind of report) → what the report says about the node; what is missing says nothing.
MEANING = {
    ("collect", "failed"): "error",
    ("collect", "skipped"): "skipped",
    ("setup", "failed"): "error",
    ("setup", "skipped"): "skipped",
    ("setup", "xfailed"): "xfailed",
    ("call", "passed"): "passed",
    ("call", "failed"): "failed",
    ("call", "skipped"): "skipped",
    ("call", "xfailed"): "xfailed",
    ("call", "xpassed"): "xpassed",
    ("teardown", "failed"): "error",
    ("sub", "failed"): "failed",
}


@dataclass(frozen=True)
class Node:
    """How a node ended, and how often it was started."""

    outcome: str
    times: int = 1

    def __str__(self) -> str:
        return self.outcome if self.times < 2 else f"{self.outcome} (ran {self.times} times)"


Record = Mapping[str, Node]
ABSENT = Node("absent", 0)


def worst(outcomes: Iterable[str]) -> str:
    """The worst of some outcomes; 'not-run' where there is none, an unknown word as it is."""
    ranked = list(outcomes)
    unknown = [outcome for outcome in ranked if outcome not in SEVERITY]
    if unknown:
        return unknown[0]
    return max(ranked, key=SEVERITY.index, default="not-run")


def fold_reports(reports: Iterable[Iterable[str]]) -> dict[str, Node]:
    """Folds the recorder's [node id, phase, kind] rows into a record.

    What a plugin announces to run again doesn't count: neither its outcome nor as a start.
    """
    meanings: dict[str, list[str]] = defaultdict(list)
    times: Counter[str] = Counter()
    for node_id, phase, kind in reports:
        if kind == "rerun":
            meanings[node_id].clear()
            times[node_id] = 0
            continue
        times[node_id] += phase in ("setup", "collect")
        meaning = MEANING.get((phase, kind))
        meanings[node_id] += [meaning] if meaning else []
    return {node_id: Node(worst(found), times[node_id]) for node_id, found in meanings.items()}


def read_report(document: Mapping[str, Any]) -> dict[str, Node]:
    """Reads `iopio run --report`'s JSON document. Raises ValueError on another schema version."""
    if document.get("schema_version") != 1:
        raise ValueError(f"unknown schema_version {document.get('schema_version')!r} in the report")
    entries: dict[str, list[str]] = defaultdict(list)
    for test in document["tests"]:
        entries[test["id"]].append(test["outcome"])
    return {node_id: Node(worst(found), len(found)) for node_id, found in entries.items()}


def broken_modules(document: Mapping[str, Any]) -> list[str]:
    """The modules of a report that ended as no plain run would, with what is known of why."""
    lines = []
    for module in document["modules"]:
        if module["status"] in BROKEN_MODULES:
            message = (module.get("failure") or {}).get("message", "")
            why = f": {message}" if message else ""
            lines.append(f"module {module['path']} ended as {module['status']}{why}")
    return lines


def module_of(node_id: str) -> str:
    """The file of a node id."""
    return node_id.split("::", 1)[0]


def function_of(node_id: str) -> str:
    """A node id without its parameters: what stays when a parameter contains the time of day."""
    return node_id.split("[", 1)[0]


@dataclass(frozen=True)
class Difference:
    """One node that iopio ended otherwise than pytest."""

    node_id: str
    expected: Node
    got: Node

    def __str__(self) -> str:
        return f"{self.node_id}: pytest {self.expected}, iopio {self.got}"


@dataclass(frozen=True)
class Comparison:
    """One iopio run beside two plain ones."""

    equal: int
    unstable: tuple[str, ...]
    differences: tuple[Difference, ...]


def tally(record: Record, node_ids: Iterable[str]) -> Counter[Node]:
    """How many of these nodes ended in which way."""
    return Counter(record[node_id] for node_id in node_ids)


def compare(first: Record, second: Record, iopio: Record) -> Comparison:
    """Compares a run of iopio with two runs of pytest, node by node.

    An id that only one of the plain runs has is matched by its function: iopio's ids of that
    function beyond the stable ones must be as many, and have ended alike, as either plain run's.
    """
    equal = 0
    unstable: set[str] = set()
    differences: list[Difference] = []
    loose: dict[str, tuple[list[str], list[str], list[str]]] = defaultdict(lambda: ([], [], []))
    for node_id in sorted({*first, *second, *iopio}):
        one, two = first.get(node_id, ABSENT), second.get(node_id, ABSENT)
        got = iopio.get(node_id, ABSENT)
        if one == two and one is not ABSENT and got is not ABSENT:
            equal += one == got
            differences += [Difference(node_id, one, got)] if one != got else []
        elif ABSENT not in (one, two, got):
            # Both plain runs know it and disagree: either of their outcomes is right.
            unstable.add(node_id)
            differences += [Difference(node_id, one, got)] if got not in (one, two) else []
        else:
            for column, record in enumerate((first, second, iopio)):
                loose[function_of(node_id)][column].extend([node_id] if node_id in record else [])
    for ones, twos, gots in loose.values():
        shifting = set(ones) != set(twos)
        got_tally = tally(iopio, gots)
        if shifting and got_tally in (tally(first, ones), tally(second, twos)):
            unstable.update(ones, twos, gots)
            continue
        unstable.update(set(ones) ^ set(twos))
        for node_id in sorted({*ones, *gots}):
            expected, got = first.get(node_id, ABSENT), iopio.get(node_id, ABSENT)
            if expected != got:
                differences.append(Difference(node_id, expected, got))
    return Comparison(equal, tuple(sorted(unstable)), tuple(differences))


@dataclass(frozen=True)
class Verdict:
    """A comparison's differences, sorted by their cause."""

    isolation: tuple[Difference, ...]
    unstable: tuple[Difference, ...]
    unexplained: tuple[Difference, ...]


def judge(
    differences: Iterable[Difference], plain: Record, alone: Mapping[str, Record | None]
) -> Verdict:
    """Sorts differences by what pytest does with each module alone.

    `alone` maps modules to the record of `pytest MODULE`, None where that left no record. Ids that
    shift between pytest's own runs (the alone run is a third sample) are unstable where functions
    have as many new ids, with equal outcomes, alone as under iopio.
    """
    by_function: dict[str, list[Difference]] = defaultdict(list)
    for difference in differences:
        by_function[function_of(difference.node_id)].append(difference)
    isolation: list[Difference] = []
    unstable: list[Difference] = []
    unexplained: list[Difference] = []
    for function, group in by_function.items():
        record = alone.get(module_of(function))
        if record is None:
            unexplained += group
            continue
        extra = Counter(d.got for d in group if d.expected == ABSENT)
        new = tally(record, (i for i in record if function_of(i) == function and i not in plain))
        for difference in group:
            same = record.get(difference.node_id, ABSENT) == difference.got
            vanished = difference.got == ABSENT
            if same and not (vanished and new):
                isolation.append(difference)
            elif new and extra == new and (same or difference.expected == ABSENT):
                unstable.append(difference)
            else:
                unexplained.append(difference)
    return Verdict(tuple(isolation), tuple(unstable), tuple(unexplained))
