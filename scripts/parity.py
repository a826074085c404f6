"""Compares `iopio run` with plain `pytest`, node id by node id, in a clean tree each.

    python scripts/parity.py NAME [NAME ...] [--workers 1,2,4] [--repeat 2] [--start-method spawn]
    python scripts/parity.py --all
    python scripts/parity.py --tree DIR --python VENV/bin/python --tests tests

Plain pytest runs twice, iopio `--repeat` times for each number of workers. Where a node differs,
its module is run alone by plain pytest: if that ends as under iopio, isolation itself is the cause,
and the node is named as such; otherwise it DIFFERS. Ids and outcomes in which pytest's own two runs
disagree are listed as unstable. Exit status: 0 where nothing DIFFERS, 1 where something does or a
run broke, 2 for a wrong request.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from commands import Finished, Target, iopio_command, run, run_recorded, target_of
from outcomes import (
    Difference,
    Record,
    broken_modules,
    compare,
    fold_reports,
    judge,
    module_of,
    read_report,
)
from suites import DEFAULT_FOLDER, SuiteError, find_installation, installed_suites, load_suites

#: pytest stops before the first test where a module can't be collected; iopio runs the others.
GO_ON = "--continue-on-collection-errors"

#: Exit statuses of a run in good order: passed, not all passed, nothing ran.
ORDERLY = (0, 1, 5)


@dataclass(frozen=True)
class Row:
    """One iopio run beside pytest's."""

    suite: str
    workers: int
    repetition: int
    nodes: int
    equal: int
    isolation: tuple[Difference, ...]
    unstable: tuple[str, ...]
    differing: tuple[str, ...]
    pytest_s: float
    iopio_s: float
    exits: str

    @property
    def ok(self) -> bool:
        """Whether nothing differs without a proven cause."""
        return not self.differing


@dataclass
class Plain:
    """What plain pytest does with a target: two runs, and single modules on demand."""

    target: Target
    timeout_s: float
    records: list[dict[str, Any]] = field(default_factory=list)
    runs: list[Finished] = field(default_factory=list)
    alone: dict[str, Record | None] = field(default_factory=dict)

    def run_twice(self) -> None:
        """Runs the whole target twice. Raises SuiteError where a run leaves no record."""
        for _ in range(2):
            self.target.clean()
            finished, document = run_recorded(self.target, GO_ON, timeout_s=self.timeout_s)
            if document is None:
                tail = "\n".join(finished.output.splitlines()[-15:])
                raise SuiteError(
                    f"{self.target.name}: plain pytest left no record "
                    f"(exit status {finished.exit_status}):\n{tail}"
                )
            self.runs.append(finished)
            self.records.append(document)

    def run_alone(self, module: str) -> Record | None:
        """The record of `pytest MODULE`, run once and remembered; None where it left none."""
        if module not in self.alone:
            self.target.clean()
            root = Path(self.records[0]["rootdir"][0])
            _, document = run_recorded(
                self.target, GO_ON, tests=[str(root / module)], timeout_s=self.timeout_s
            )
            self.alone[module] = document and fold_reports(document["reports"])
        return self.alone[module]


def run_iopio(
    target: Target, workers: int, options: Sequence[str], timeout_s: float, keep: Path | None
) -> tuple[Finished, dict[str, Any] | None]:
    """Runs iopio in a clean tree; returns its end and its report, None where it wrote none."""
    target.clean()
    with tempfile.TemporaryDirectory(prefix="report-") as folder:
        file = (keep or Path(folder)) / f"{target.name}-{workers}.json"
        file.unlink(missing_ok=True)
        command = iopio_command(target, workers, file, options)
        finished = run(target, command, timeout_s=timeout_s)
        if keep:
            file.with_suffix(".log").write_text(finished.output, encoding="utf-8")
        try:
            document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return finished, None
        return finished, document


def faults_of(finished: Finished, iopio: Record) -> list[str]:
    """What is wrong with an iopio run beside its outcomes."""
    if finished.exit_status not in ORDERLY:
        return [f"iopio ended with exit status {finished.exit_status}"]
    good = ("passed", "skipped", "xfailed", "xpassed")
    red = any(node.outcome not in good for node in iopio.values())
    if red != (finished.exit_status == 1):
        return [f"iopio's exit status {finished.exit_status} contradicts its own report"]
    return []


def compare_once(plain: Plain, workers: int, repetition: int, options: argparse.Namespace) -> Row:
    """One iopio run, compared; differences explained where a lone module explains them."""
    target = plain.target
    finished, report = run_iopio(
        target, workers, options.iopio_options, options.timeout, options.keep
    )
    first, second = (fold_reports(document["reports"]) for document in plain.records)
    pytest_s = plain.runs[-1].wall_s
    exits = f"{plain.runs[0].exit_status}/{finished.exit_status}"
    if report is None:
        tail = " | ".join(finished.output.strip().splitlines()[-5:])
        broken = (f"no report from iopio, exit status {finished.exit_status}: {tail}",)
        return Row(
            target.name,
            workers,
            repetition,
            len(first),
            0,
            (),
            (),
            broken,
            pytest_s,
            finished.wall_s,
            exits,
        )
    iopio = read_report(report)
    comparison = compare(first, second, iopio)
    modules = sorted({module_of(each.node_id) for each in comparison.differences})
    verdict = judge(comparison.differences, first, {m: plain.run_alone(m) for m in modules})
    unstable = {*comparison.unstable, *(each.node_id for each in verdict.unstable)}
    faults = [
        *faults_of(finished, iopio),
        *broken_modules(report),
        *map(str, verdict.unexplained),
    ]
    return Row(
        target.name,
        workers,
        repetition,
        len(first),
        comparison.equal,
        verdict.isolation,
        tuple(sorted(unstable)),
        tuple(faults),
        pytest_s,
        finished.wall_s,
        exits,
    )


def show(row: Row, limit: int) -> None:
    """Prints one run: a line, then what isn't equal."""
    print(
        f"{row.suite} --workers {row.workers} run {row.repetition}: {row.nodes} nodes, "
        f"{row.equal} equal, {len(row.isolation)} isolation, {len(row.unstable)} unstable, "
        f"{len(row.differing)} DIFFERS; pytest {row.pytest_s:.1f} s, iopio {row.iopio_s:.1f} s, "
        f"exit {row.exits}",
        flush=True,
    )
    for module, count in sorted(Counter(module_of(d.node_id) for d in row.isolation).items()):
        print(f"  isolation: proven by `pytest {module}` for {count} nodes:")
        for each in [d for d in row.isolation if module_of(d.node_id) == module][:limit]:
            print(f"    {each}")
        if count > limit:
            print(f"    ... and {count - limit} more")
    for label, lines in (("unstable", row.unstable), ("DIFFERS", row.differing)):
        for line in lines[:limit]:
            print(f"  {label}: {line}")
        if len(lines) > limit:
            print(f"  {label}: ... and {len(lines) - limit} more")
    sys.stdout.flush()


def table(rows: Sequence[Row]) -> str:
    """All runs in one table."""
    lines = [
        (
            f"{'suite':<14}{'workers':>8}{'run':>4}{'nodes':>8}{'equal':>8}{'isolat.':>8}"
            f"{'unstable':>9}{'DIFFERS':>8}{'pytest s':>10}{'iopio s':>9}"
        )
    ]
    lines += [
        f"{r.suite:<14}{r.workers:>8}{r.repetition:>4}{r.nodes:>8}{r.equal:>8}"
        f"{len(r.isolation):>8}{len(r.unstable):>9}{len(r.differing):>8}"
        f"{r.pytest_s:>10.1f}{r.iopio_s:>9.1f}"
        for r in rows
    ]
    return "\n".join(lines)


def targets_of(options: argparse.Namespace) -> list[Target]:
    """The targets that the command line asks for. Raises SuiteError."""
    if options.tree:
        if options.names or options.all:
            raise SuiteError("--tree stands alone: give neither names nor --all")
        python = Path(options.python or sys.executable).absolute()
        tree = options.tree.resolve()
        if not tree.is_dir() or not python.exists():
            raise SuiteError(f"no such folder or interpreter: {tree}, {python}")
        tests = tuple(word for text in options.tests or [] for word in shlex.split(text))
        args = tuple(word for text in options.args or [] for word in shlex.split(text))
        return [Target(tree.name, tree, python, tests, args, cleanable=options.clean)]
    if options.all:
        names = list({**load_suites(), **installed_suites(options.into)})
    else:
        names = options.names
    if not names:
        raise SuiteError("name a suite, or give --all, or --tree DIR")
    return [target_of(find_installation(name, options.into)) for name in names]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    it = argparse.ArgumentParser(prog="parity.py", description="pytest's outcomes against iopio's")
    it.add_argument("names", nargs="*", metavar="NAME|PATH", help="installed suites")
    it.add_argument("--all", action="store_true", help="every suite of the corpus")
    it.add_argument("--into", type=Path, default=DEFAULT_FOLDER, help="default: .corpus")
    it.add_argument("--workers", default="1,2,4", help="default: 1,2,4")
    it.add_argument("--repeat", type=int, default=2, help="iopio runs a number of workers")
    it.add_argument("--start-method", choices=("spawn", "forkserver"), help="passed to iopio")
    it.add_argument(
        "--iopio-arg", action="append", default=[], metavar="WORDS", help="more for `iopio run`"
    )
    it.add_argument("--timeout", type=float, default=3600.0, metavar="S", help="of one run")
    it.add_argument("--limit", type=int, default=10, help="lines of a kind; default: 10")
    it.add_argument("--keep", type=Path, metavar="DIR", help="keep iopio's reports and output")
    tree = it.add_argument_group("any folder")
    tree.add_argument("--tree", type=Path, metavar="DIR")
    tree.add_argument("--python", help="an interpreter whose environment has pytest and iopio")
    tree.add_argument("--tests", action="append", metavar="WORDS", help="paths for both")
    tree.add_argument("--args", action="append", metavar="WORDS", help="more for pytest, both")
    tree.add_argument(
        "--clean",
        action="store_true",
        help="the tree is a git repository: reset it before each run",
    )
    return it


def main(arguments: list[str] | None = None) -> int:
    """Compares; returns the exit status."""
    options = parser().parse_args(arguments)
    options.iopio_options = [word for text in options.iopio_arg for word in shlex.split(text)]
    if options.start_method:
        options.iopio_options += ["--start-method", options.start_method]
    rows: list[Row] = []
    broken = False
    try:
        workers = [int(number) for number in options.workers.split(",")]
        targets = targets_of(options)
        for target in targets:
            iopio_command(target, 1, None)
    except (SuiteError, ValueError) as error:
        print(f"parity.py: {error}", file=sys.stderr)
        return 2
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    for target in targets:
        plain = Plain(target, options.timeout)
        try:
            plain.run_twice()
            for number in workers:
                for repetition in range(1, options.repeat + 1):
                    rows.append(compare_once(plain, number, repetition, options))
                    show(rows[-1], options.limit)
        except (SuiteError, ValueError) as error:
            print(f"parity.py: {error}", file=sys.stderr)
            broken = True
        finally:
            target.clean()
    if len(rows) > 1:
        print(table(rows))
    return 1 if broken or not all(row.ok for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
