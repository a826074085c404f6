"""Simulates the scheduler on recorded runs: how long is a run, against the shortest possible?

    iopio run --report first.json
    iopio run --report second.json
    python benchmarks/makespan.py first.json second.json [--workers 2,4,8] [--out FILE.md]

The modules of a report take the times that they took, in the real scheduler, with simulated time.
Of several reports of one project the last one is simulated, and the ones before it are the history
that its plan is made from; a report that is alone is its own history.

No run is shorter than its longest chunk that can't be divided, or than its total divided by the
workers; starting more processes is free in that bound. The table shows the ratio to it of:

``found``     the order in which the modules were found
``sizes``     the order by static estimate, as in a first run (where the sources are still there)
``history``   longest first
``chunks``    longest first, with long modules split

``--wide N`` lets every N-th module, by the hash of its path, take two workers: ``found`` to
``history`` are then the ratios of that, and nothing is split.
"""

from __future__ import annotations

import argparse
import datetime as dt
import heapq
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from iopio_async.model.module import TestModule
from iopio_async.model.outcome import ModuleStatus
from iopio_async.planning.chunks import LongModule, plan_chunks, shortest_s, worth_splitting
from iopio_async.planning.estimate import ModuleSummary, ordered
from iopio_async.planning.room import Need
from iopio_async.planning.scheduler import Scheduler, Start

#: What a process costs at least, where a module's tests account for all of its time.
OVERHEAD_S = 0.02


class ReportError(Exception):
    """A file is not a report that can be used."""


@dataclass(frozen=True)
class Recording:
    """What one run took: modules in the order in which they were planned, and their tests."""

    root: str
    durations_s: Mapping[str, float]
    tests_s: Mapping[str, Mapping[str, float]]

    def long_module(self, path: str, whole_s: float) -> LongModule:
        """A module for the planner."""
        tests = tuple(self.tests_s.get(path, {}).items())
        return LongModule(tests=tests, whole_s=whole_s, overhead_s=OVERHEAD_S)


def read_recording(file: Path) -> Recording:
    """The recording in a JSON report. Raises ReportError."""
    try:
        report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        durations_s = {
            module["path"]: float(module["duration_s"])
            for module in report["modules"]
            if module["duration_s"] > 0
        }
        tests_s: dict[str, dict[str, float]] = {}
        for test in report["tests"]:
            of_module = tests_s.setdefault(test["module"], {})
            of_module[test["id"]] = of_module.get(test["id"], 0.0) + float(test["duration_s"])
        root = str(report["summary"]["root"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReportError(f"{file} is no report of iopio: {error!r}") from error
    if not durations_s:
        raise ReportError(f"{file}: no module ran")
    return Recording(root, durations_s, tests_s)


def simulate(
    pieces: Sequence[tuple[TestModule, float]],
    workers: int,
    slots: Mapping[str, int] | None = None,
) -> float:
    """The seconds that the real scheduler takes for modules with these durations, in order."""
    scheduler = Scheduler(workers)
    durations_s = {}
    for module, duration_s in pieces:
        scheduler.add(module, need=Need((slots or {}).get(module.path, 1)))
        durations_s[module.path] = duration_s
    ends: list[tuple[float, str]] = []
    now_s = 0.0
    while True:
        for instruction in scheduler.decide():
            if isinstance(instruction, Start):
                heapq.heappush(ends, (now_s + durations_s[instruction.path], instruction.path))
        if not ends:
            return now_s
        now_s, path = heapq.heappop(ends)
        scheduler.ended(path, ModuleStatus.PASSED)


def median(figures: Iterable[float]) -> float:
    """The middle one, or the mean of the two in the middle."""
    each = sorted(figures)
    return (each[(len(each) - 1) // 2] + each[len(each) // 2]) / 2


@dataclass(frozen=True)
class Row:
    """The makespans of one project with so many workers, in seconds; ``None``: not known."""

    suite: str
    modules: int
    tests: int
    history: int
    workers: int
    total_s: float
    bound_s: float
    found_s: float
    sizes_s: float | None
    history_s: float
    chunks_s: float
    #: Modules that were split, with the number of their chunks.
    split: Mapping[str, int]


class Project:
    """The recordings of one project: the last is what happens, the others are what is known."""

    def __init__(self, recordings: Sequence[Recording], wide: int = 0) -> None:
        *earlier, self.truth = recordings
        self._slots = {
            path: 2 for path in self.truth.durations_s if wide and crc32(path.encode()) % wide == 0
        }
        self._splits = not wide
        self.known = earlier or [self.truth]
        self.history = len(earlier)
        self.name = Path(self.truth.root).name
        if self.name == "tree":
            self.name = Path(self.truth.root).parent.name
        self._sources = {path: _source(self.truth.root, path) for path in self.truth.durations_s}

    def row(self, workers: int) -> Row:
        """Simulate all variants."""
        truth_s = self.truth.durations_s
        modules = [TestModule(path=path) for path in truth_s]
        summaries = self._summaries()
        pieces, summaries_of_pieces, split = self._pieces(modules, summaries, workers)
        slots = {path: min(number, workers) for path, number in self._slots.items()}
        total_s = sum(each * slots.get(path, 1) for path, each in truth_s.items())
        least_s = max(
            shortest_s(self.truth.long_module(path, whole_s)) if self._splits else whole_s
            for path, whole_s in truth_s.items()
        )

        def run_s(order: Iterable[TestModule], durations_s: Mapping[str, float]) -> float:
            timed = [(module, durations_s[module.path]) for module in order]
            return simulate(timed, workers, slots)

        return Row(
            suite=self.name,
            modules=len(modules),
            tests=sum(map(len, self.truth.tests_s.values())),
            history=self.history,
            workers=workers,
            total_s=total_s,
            bound_s=max(least_s, total_s / workers),
            found_s=run_s(modules, truth_s),
            sizes_s=self._sizes_s(workers, slots),
            history_s=run_s(ordered(modules, summaries, slots=slots), truth_s),
            chunks_s=run_s(
                ordered(
                    [TestModule(path=path) for path in pieces], summaries_of_pieces, slots=slots
                ),
                pieces,
            ),
            split=split,
        )

    def _summaries(self) -> dict[str, ModuleSummary]:
        paths = {path for recording in self.known for path in recording.durations_s}
        return {
            path: ModuleSummary(
                duration_s=median(
                    each.durations_s[path] for each in self.known if path in each.durations_s
                )
            )
            for path in paths
        }

    def _sizes_s(self, workers: int, slots: Mapping[str, int]) -> float | None:
        if not all(self._sources.values()):
            return None
        modules = [
            TestModule(path=path, size_bytes=len(source or b""))
            for path, source in self._sources.items()
        ]
        order = ordered(modules, {}, slots=slots)
        timed = [(each, self.truth.durations_s[each.path]) for each in order]
        return simulate(timed, workers, slots)

    def _pieces(
        self,
        modules: Sequence[TestModule],
        summaries: Mapping[str, ModuleSummary],
        workers: int,
    ) -> tuple[dict[str, float], dict[str, ModuleSummary], dict[str, int]]:
        """What is run, with true durations and expected ones: modules, or chunks in their place."""
        latest = self.known[-1]
        expected_s = {
            module.path: summaries[module.path].duration_s or 0.0
            for module in modules
            if module.path in summaries
        }
        candidates = {
            path: latest.long_module(path, expected_s[path])
            for path in worth_splitting(expected_s, workers)
            if path in latest.tests_s and self._splits
        }
        others_s = [each for path, each in expected_s.items() if path not in candidates]
        planned = plan_chunks(candidates, others_s, workers)
        pieces = {
            path: duration_s
            for path, duration_s in self.truth.durations_s.items()
            if path not in planned
        }
        expected = {path: summaries[path] for path in pieces if path in summaries}
        for path, chunks in planned.items():
            left_s = dict(self.truth.tests_s.get(path, {}))
            beyond_s = max(self.truth.durations_s[path] - sum(left_s.values()), OVERHEAD_S)
            for number, chunk in enumerate(chunks, 1):
                name = f"{path} ({number} of {len(chunks)})"
                taken_s = sum(left_s.pop(test, 0.0) for test in chunk.tests)
                if number == len(chunks):
                    # The last chunk runs whatever the plan did not know of.
                    taken_s += sum(left_s.values())
                pieces[name] = beyond_s + taken_s
                expected[name] = ModuleSummary(duration_s=chunk.expected_s)
        return pieces, expected, {path: len(chunks) for path, chunks in planned.items()}


def _source(root: str, path: str) -> bytes | None:
    try:
        return Path(root, path).read_bytes()
    except OSError:
        return None


def markdown(rows: Sequence[Row], facts: Sequence[str]) -> str:
    """The table."""
    lines = [
        "# Makespan: the scheduler in simulated time, against the shortest run possible",
        "",
        *(f"- {fact}" for fact in facts),
        "",
        (
            "| suite | modules | tests | history | workers | serial s | bound s "
            "| found | sizes | history | chunks | split |"
        ),
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        ratios = [
            "–" if each is None else f"{each / row.bound_s:.3f}"
            for each in (row.found_s, row.sizes_s, row.history_s, row.chunks_s)
        ]
        split = ", ".join(f"{Path(path).name} in {count}" for path, count in row.split.items())
        cells = [
            row.suite,
            str(row.modules),
            str(row.tests),
            str(row.history) if row.history else "itself",
            str(row.workers),
            f"{row.total_s:.1f}",
            f"{row.bound_s:.2f}",
            *ratios,
            split,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    worst = max(rows, key=lambda row: row.chunks_s / row.bound_s)
    lines += [
        "",
        (
            f"Furthest from the bound: {worst.suite} with {worst.workers} workers, "
            f"{worst.chunks_s / worst.bound_s:.3f}."
        ),
    ]
    return "\n".join(lines) + "\n"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    it = argparse.ArgumentParser(prog="makespan.py", description="simulates recorded runs")
    it.add_argument("reports", nargs="+", type=Path, metavar="REPORT.json")
    it.add_argument("--workers", default="2,4,8", metavar="N,...", help="default: 2,4,8")
    it.add_argument("--wide", type=int, default=0, metavar="N", help="every N-th takes two workers")
    it.add_argument("--out", type=Path, metavar="FILE.md", help="write the table here")
    return it


def main(arguments: list[str] | None = None) -> int:
    """Simulates; returns 2 for a wrong request."""
    options = parser().parse_args(arguments)
    try:
        workers = [int(text) for text in options.workers.split(",")]
        if min(workers) < 1:
            raise ReportError(f"--workers {options.workers}: there is no run without a worker")
        by_root: dict[str, list[Recording]] = {}
        for file in options.reports:
            recording = read_recording(file)
            by_root.setdefault(os.path.normpath(recording.root), []).append(recording)
    except (ReportError, ValueError) as error:
        print(f"makespan.py: {error}", file=sys.stderr)
        return 2
    rows = []
    for recordings in by_root.values():
        project = Project(recordings, options.wide)
        rows += [project.row(each) for each in workers]
    facts = [
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC; CPython {platform.python_version()}",
        "columns `found` to `chunks`: simulated time ÷ bound",
        *([f"one module in {options.wide} takes two workers"] if options.wide else []),
    ]
    table = markdown(rows, facts)
    print(table, end="")
    if options.out:
        options.out.write_text(table, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
