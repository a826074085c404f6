"""Samples of timed test runs, and the tables made of them. Pure: the clock and the runs are the
caller's.

A run counts only for what it executed: each sample carries its exit status and how many tests
passed, and a runner whose passed tests fall short of the serial run's gets no ratio, so that a
broken run can't look fast.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

#: The runner that everything is held against.
SERIAL = "serial"
FILES = "files"
#: pytest-xdist's ways to deal tests out; the best of them is the one to beat.
XDIST_MODES = ("load", "loadfile", "worksteal")

#: A runner that passes less than this share of what the serial run passes is broken, not fast.
#: Isolation itself changes the outcome of up to 2.5 % of a suite's tests in the corpus.
SOUND_SHARE = 0.95

_COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed|deselected)\b")
_SUMMARY = re.compile(r"\b(?:\d+ \w+|no tests (?:ran|collected))(?:, \d+ [\w ]+)* in \d+[.\d]*s")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def parse_summary(output: str) -> dict[str, int]:
    """The counts of pytest's last summary line, such as {"passed": 3}; empty without one."""
    for line in reversed(_COLOUR.sub("", output).splitlines()):
        if not _SUMMARY.search(line):
            continue
        counts: Counter[str] = Counter()
        for number, word in _COUNT.findall(line):
            counts["error" if word == "errors" else word] += int(number)
        return dict(counts)
    return {}


def add_counts(many: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of several runs' counts."""
    total: Counter[str] = Counter()
    for counts in many:
        total.update(counts)
    return dict(total)


@dataclass(frozen=True)
class Sample:
    """One timed run of a suite."""

    suite: str
    runner: str
    #: 0 is the warm-up, which isn't counted.
    round: int
    wall_s: float
    cpu_s: float
    exit_status: int
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Cell:
    """What a runner did with a suite over all counted rounds."""

    wall_s: float
    cpu_s: float
    rounds: int
    spread: float
    exits: tuple[int, ...]
    #: The fewest of all rounds.
    passed: int
    failed: int

    def describe(self) -> str:
        """Exit statuses and counts, "0: 2434" or "1: 2373 (61 not)"."""
        exits = ",".join(str(status) for status in self.exits)
        return f"{exits}: {self.passed}" + (f" ({self.failed} not)" if self.failed else "")


def summarise(samples: Sequence[Sample]) -> dict[str, dict[str, Cell]]:
    """Medians by suite and runner; warm-up rounds left out."""
    groups: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.round > 0:
            groups[sample.suite, sample.runner].append(sample)
    cells: dict[str, dict[str, Cell]] = defaultdict(dict)
    for (suite, runner), group in groups.items():
        walls = [sample.wall_s for sample in group]
        cells[suite][runner] = Cell(
            wall_s=median(walls),
            cpu_s=median(sample.cpu_s for sample in group),
            rounds=len(group),
            spread=(max(walls) - min(walls)) / median(walls) if median(walls) else 0.0,
            exits=tuple(sorted({sample.exit_status for sample in group})),
            passed=min(sample.counts.get("passed", 0) for sample in group),
            failed=max(
                sample.counts.get("failed", 0) + sample.counts.get("error", 0) for sample in group
            ),
        )
    return dict(cells)


def is_sound(cells: Mapping[str, Cell], runner: str) -> bool:
    """Whether the runner did the suite's work, as far as counts tell."""
    if runner not in cells:
        return False
    if SERIAL not in cells:
        return True
    return cells[runner].passed >= SOUND_SHARE * cells[SERIAL].passed


def rival_wall_s(cells: Mapping[str, Cell], rival: str) -> float | None:
    """The wall time of a rival that did the work; "xdist" is the best of its modes."""
    names = XDIST_MODES if rival == "xdist" else (rival,)
    walls = [cells[name].wall_s for name in names if is_sound(cells, name)]
    return min(walls, default=None)


def ratio(cells: Mapping[str, Cell], runner: str, rival: str) -> float | None:
    """The runner's wall time ÷ the rival's; None where either is missing or broken."""
    rival_s = rival_wall_s(cells, rival)
    if rival_s is None or not rival_s or not is_sound(cells, runner):
        return None
    return cells[runner].wall_s / rival_s


def geometric_mean(values: Iterable[float]) -> float | None:
    """The geometric mean; None of nothing."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs)) if logs else None


def row(cells: Iterable[str]) -> str:
    """A Markdown table's line."""
    return "| " + " | ".join(cells) + " |"


def grid(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join([row(head), row(rule), *(row(line) for line in body)])


def number(value: float | None, digits: int = 2) -> str:
    """A number for a table; a dash for none."""
    return "–" if value is None else f"{value:.{digits}f}"


def markdown(
    samples: Sequence[Sample],
    runners: Sequence[str],
    sizes: Mapping[str, tuple[int, int]],
    facts: Sequence[str],
) -> str:
    """The whole result as Markdown: facts, wall times with ratios, CPU times, counts.

    `sizes` maps suites to (tests, modules); runners that are not serial, files or a mode of xdist
    get ratios.
    """
    table = summarise(samples)
    own = [name for name in runners if name not in (SERIAL, FILES, *XDIST_MODES)]
    rivals = (SERIAL, "xdist", FILES)
    pairs = [(name, rival) for name in own for rival in rivals]

    def size(suite: str) -> list[str]:
        return [suite, *(str(number) for number in sizes.get(suite, ("?", "?")))]

    def column(runner: str, attribute: str, cells: Mapping[str, Cell]) -> str:
        cell = cells.get(runner)
        if cell is None:
            return "–"
        broken = "" if is_sound(cells, runner) else " (broken)"
        return f"{getattr(cell, attribute):.2f}{broken}"

    ratios = {
        suite: [ratio(cells, name, rival) for name, rival in pairs]
        for suite, cells in table.items()
    }
    means = [
        geometric_mean(r for r in column if r is not None)
        for column in zip(*ratios.values(), strict=True)
    ]
    head = ["suite", "tests", "modules", *runners]
    walls = [
        [
            *size(suite),
            *(column(runner, "wall_s", cells) for runner in runners),
            *(number(value) for value in ratios[suite]),
        ]
        for suite, cells in table.items()
    ]
    if own and table:
        blanks = [""] * (len(head) - 1)
        walls.append(["geometric mean", *blanks, *(number(value) for value in means)])
    cpus = [
        [*size(suite), *(column(runner, "cpu_s", cells) for runner in runners)]
        for suite, cells in table.items()
    ]
    ends = [
        [suite, *(cells[r].describe() if r in cells else "–" for r in runners)]
        for suite, cells in table.items()
    ]
    spreads = [
        [suite, *(f"{cells[r].spread:.0%}" if r in cells else "–" for r in runners)]
        for suite, cells in table.items()
    ]
    return (
        "\n\n".join(
            [
                "\n".join(f"- {fact}" for fact in facts),
                "Wall time, median, in seconds, and ratios (less than 1: iopio is faster):",
                grid([*head, *(f"{name} ÷ {rival}" for name, rival in pairs)], walls),
                "CPU time (user and system, all processes), median, in seconds:",
                grid(head, cpus),
                "Exit statuses and tests passed (not: failures and errors):",
                grid(["suite", *runners], ends),
                "Spread of the wall times, (slowest − fastest) ÷ median:",
                grid(["suite", *runners], spreads),
            ]
        )
        + "\n"
    )
