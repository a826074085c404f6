"""Walks a real git history commit by commit, in place, and looks for stale results.

    python benchmarks/replay.py walk REPOSITORY --python VENV/bin/python [--commits 100] [--testmon]
    python benchmarks/replay.py build NAME FOLDER [--releases 20]

At each commit, oldest first, `iopio run` with its cache and `iopio run --no-cache` run in the same
tree, one after the other, the first of them in turn. A *stale* result is a test that was replayed
and whose outcome, or existence, differs from the full run's. Where a test differs, its module runs
twice more without the cache: a test that disagrees with itself is *unstable*, and is left out by
its name. pytest-testmon, where asked for, runs with `--testmon` in the same tree; it was *right*
at a commit if what it ran, and what it remembered of the rest, agrees with the full run.

The environment must see the repository's own package as it is in the tree (`pip install -e`, or a
`.pth` file). A commit at which nothing can be imported or collected is skipped, and says so. What
the runs left behind is removed between commits, but caches are not. `build` makes a repository of a
package's releases, one commit each, for a machine that only has a package index.

Exit status: 0 where nothing was stale, 1 where something was, 2 for a wrong request.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from commands import Target, iopio_command, run, run_recorded
from outcomes import broken_modules, fold_reports, function_of, module_of, read_report
from releases import build_repository
from suites import SuiteError, git

#: What is left of a tree between commits, beside what git tracks.
KEPT = (".test_cache", ".testmondata*", "__pycache__", ".hypothesis", "*.egg-info", ".venv", "venv")

#: pytest stops before the first test where a module can't be collected; iopio runs the others.
GO_ON = "--continue-on-collection-errors"

#: Test id → outcome.
Outcomes = dict[str, str]

CACHED = "local_cache"

#: Exit statuses of a run in good order: passed, not all passed, nothing ran.
ORDERLY = (0, 1, 5)


@dataclass
class Full:
    """A report of iopio: outcomes by id, and of each module its source and duration."""

    outcomes: Outcomes
    sources: dict[str, str]
    durations_s: dict[str, float]
    wall_s: float
    broken: list[str]

    @property
    def executed(self) -> list[str]:
        """The modules that ran."""
        return [module for module, source in self.sources.items() if source != CACHED]

    def of(self, module: str) -> Outcomes:
        """The outcomes of a module's tests."""
        return {node: found for node, found in self.outcomes.items() if module_of(node) == module}


@dataclass
class Commit:
    """What came of one commit; seconds are those of the module's attempts in the full run."""

    name: str
    subject: str
    note: str = ""
    modules: int = 0
    modules_run: int = 0
    module_s: float = 0.0
    module_run_s: float = 0.0
    full_wall_s: float = 0.0
    cached_wall_s: float = 0.0
    stale: list[str] = field(default_factory=list)
    unstable: list[str] = field(default_factory=list)
    #: Tests that ran in both runs and ended differently, both times the same way.
    otherwise: list[str] = field(default_factory=list)
    testmon_modules: int | None = None
    testmon_wall_s: float = 0.0
    testmon_missed: list[str] = field(default_factory=list)


class Walk:
    """Holds what is known from commit to commit."""

    def __init__(self, target: Target, workers: int, options: Sequence[str], testmon: bool) -> None:
        self.target = target
        self.workers = workers
        self.options = tuple(options)
        self.testmon = testmon
        #: The same for all runs: a new one each time would be another environment.
        self.temporary = tempfile.TemporaryDirectory(prefix="replay-")
        self.extra = {"TMPDIR": self.temporary.name}
        #: Ids of tests that disagreed with themselves, or of their functions.
        self.unstable: set[str] = set()
        #: What pytest-testmon would say of each test, from the last time that it ran it.
        self.remembered: Outcomes = {}

    def run_iopio(self, *options: str, modules: Sequence[str] = ()) -> Full:
        """Runs iopio; raises SuiteError where it leaves no report."""
        target = self.target
        if modules:
            target = Target(target.name, target.tree, target.python, tuple(modules), target.args)
        with tempfile.TemporaryDirectory(prefix="report-") as folder:
            file = Path(folder) / "report.json"
            command = iopio_command(target, self.workers, file, (*self.options, *options))
            finished = run(target, command, extra=self.extra, timeout_s=1800)
            try:
                document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                tail = "; ".join(finished.output.split("\n")[-4:])
                raise SuiteError(f"no report, exit status {finished.exit_status}: {tail}") from None
        return Full(
            {node: str(found) for node, found in read_report(document).items()},
            {module["path"]: module["source"] for module in document["modules"]},
            {module["path"]: module["duration_s"] for module in document["modules"]},
            finished.wall_s,
            broken_modules(document),
        )

    def visit(self, name: str, cached_first: bool) -> Commit:
        """Checks a commit out and runs everything there."""
        tree = self.target.tree
        git(tree, "checkout", "-q", "--detach", "--force", name)
        git(tree, "clean", "-xffdq", *(word for each in KEPT for word in ("-e", each)))
        commit = Commit(name[:10], git(tree, "log", "-1", "--format=%s", name).strip()[:60])
        try:
            if cached_first:
                cached, full = self.run_iopio(), self.run_iopio("--no-cache")
            else:
                full, cached = self.run_iopio("--no-cache"), self.run_iopio()
        except SuiteError as error:
            commit.note = f"skipped: {error}"
            return commit
        if not any(found in ("passed", "skipped") for found in full.outcomes.values()):
            commit.note = f"skipped: nothing passes; {'; '.join(full.broken[:1])}"
            return commit
        commit.modules, commit.modules_run = len(full.sources), len(cached.executed)
        commit.module_s = sum(full.durations_s.values())
        commit.module_run_s = sum(full.durations_s.get(each, 0.0) for each in cached.executed)
        commit.full_wall_s, commit.cached_wall_s = full.wall_s, cached.wall_s
        self._compare(commit, full, cached)
        if self.testmon:
            self._visit_with_testmon(commit, full)
        return commit

    def _compare(self, commit: Commit, full: Full, cached: Full) -> None:
        """Sorts every difference between the two runs into its kind."""
        differing: dict[str, list[str]] = {}
        for node in sorted({*full.outcomes, *cached.outcomes}):
            known = node in self.unstable or function_of(node) in self.unstable
            if not known and full.outcomes.get(node) != cached.outcomes.get(node):
                differing.setdefault(module_of(node), []).append(node)
        for module, nodes in differing.items():
            try:
                again = [self.run_iopio("--no-cache", modules=[module]) for _ in range(2)]
            except SuiteError:
                again = []
            for node in nodes:
                seen = {full.outcomes.get(node), *(each.outcomes.get(node) for each in again)}
                if cached.sources.get(module) != CACHED:
                    seen.add(cached.outcomes.get(node))
                words = f"{node}: {cached.outcomes.get(node)}, full {full.outcomes.get(node)}"
                if len(seen) > 1:
                    # A parameter may hold the time of day: then it is the function that shifts.
                    name = function_of(node) if None in seen else node
                    if name not in self.unstable:
                        self.unstable.add(name)
                        commit.unstable.append(name)
                elif cached.sources.get(module) == CACHED:
                    commit.stale.append(words)
                else:
                    commit.otherwise.append(words)

    def _visit_with_testmon(self, commit: Commit, full: Full) -> None:
        finished, document = run_recorded(self.target, GO_ON, "--testmon", timeout_s=1800)
        ran = {}
        if document is not None:
            ran = {node: str(found) for node, found in fold_reports(document["reports"]).items()}
        commit.testmon_modules = len({module_of(node) for node in ran})
        commit.testmon_wall_s = finished.wall_s
        self.remembered = {
            node: found for node, found in self.remembered.items() if node in full.outcomes
        } | ran
        if finished.exit_status not in ORDERLY:
            commit.testmon_missed.append(f"all: it ended with {finished.exit_status}")
        commit.testmon_missed += [
            f"{node}: {self.remembered.get(node)}, full {found}"
            for node, found in full.outcomes.items()
            if not {node, function_of(node)} & self.unstable and self.remembered.get(node) != found
        ]


def summary(commits: Sequence[Commit]) -> str:
    """The walk as a few lines."""
    walked = [commit for commit in commits if not commit.note]
    # The first commit fills the caches.
    counted = walked[1:]
    lines = [f"{len(walked)} commits, {len(commits) - len(walked)} skipped"]
    if not counted:
        return lines[0]
    modules = Counter[str]()
    for commit in counted:
        modules += Counter(total=commit.modules, run=commit.modules_run)
    lines.append(f"stale results: {sum(len(commit.stale) for commit in walked)}")
    lines.append(f"unstable tests, left out: {len({n for c in walked for n in c.unstable})}")
    lines.append(f"executed and otherwise all the same: {sum(len(c.otherwise) for c in walked)}")
    lines.append(f"modules run ÷ total: {_share(modules['run'], modules['total'])}")
    module_s = sum(commit.module_s for commit in counted)
    lines.append(
        f"seconds of modules run ÷ total: {_share(sum(c.module_run_s for c in counted), module_s)}"
    )
    wall_s = sum(commit.full_wall_s for commit in counted)
    lines.append(f"wall ÷ full run's: {_share(sum(c.cached_wall_s for c in counted), wall_s)}")
    right = [c for c in counted if c.testmon_modules is not None and not c.testmon_missed]
    if any(commit.testmon_modules is not None for commit in counted):
        lines.append(f"pytest-testmon was right at {len(right)} of {len(counted)} commits; there:")
        total = sum(commit.modules for commit in right)
        ran = sum(commit.testmon_modules or 0 for commit in right)
        own = sum(commit.modules_run for commit in right)
        lines.append(f"  its modules run ÷ total: {_share(ran, total)}")
        lines.append(f"  iopio's modules run ÷ total: {_share(own, total)}")
    return "\n".join(lines)


def _share(part: float, whole: float) -> str:
    return f"{part:.0f} ÷ {whole:.0f} = {part / whole:.3f}" if whole else "–"


def line_of(commit: Commit) -> str:
    """A commit's line."""
    head = f"{commit.name}  {commit.subject:60}"
    if commit.note:
        return f"{head}  {commit.note}"
    line = f"{head}  {commit.modules_run:3}/{commit.modules:3} modules"
    line += f"  {commit.cached_wall_s:6.2f} s of {commit.full_wall_s:6.2f}"
    if commit.testmon_modules is not None:
        missed = f" ({len(commit.testmon_missed)} missed)" if commit.testmon_missed else ""
        line += f"  testmon {commit.testmon_modules:3} in {commit.testmon_wall_s:.2f} s{missed}"
    for label, nodes in (
        ("STALE", commit.stale),
        ("unstable", commit.unstable),
        ("otherwise", commit.otherwise),
    ):
        line += "".join(f"\n    {label} {node}" for node in nodes)
    return line


def walk(options: argparse.Namespace) -> int:
    """Walks the history. Raises SuiteError for a request that can't be met."""
    tree = options.repository.resolve()
    if git(tree, "status", "--porcelain", "--untracked-files=no").strip():
        raise SuiteError(f"{tree} has changes that are not committed; commit or undo them first")
    python = options.python.absolute()
    target = Target(tree.name, tree, python, tuple(options.tests), tuple(options.args or ()))
    head = git(tree, "rev-parse", "--abbrev-ref", "HEAD").strip()
    origin = git(tree, "rev-parse", "HEAD").strip() if head == "HEAD" else head
    history = git(tree, "rev-list", "--first-parent", "--reverse", options.end).split()
    chosen = history[-options.commits - 1 :]
    walker = Walk(target, options.workers, options.iopio or (), options.testmon)
    commits: list[Commit] = []
    began_s = time.monotonic()
    try:
        for number, name in enumerate(chosen):
            commit = walker.visit(name, cached_first=bool(number % 2))
            commits.append(commit)
            print(line_of(commit), flush=True)
            if options.out:
                options.out.write_text(json.dumps([asdict(c) for c in commits], indent=1) + "\n")
    finally:
        git(tree, "checkout", "-q", "--force", origin)
    print(f"\n{summary(commits)}\n{time.monotonic() - began_s:.0f} s")
    return int(any(commit.stale for commit in commits))


def build(options: argparse.Namespace) -> int:
    """Makes a repository of releases."""
    for line in build_repository(options.name, options.folder, options.releases):
        print(line, flush=True)
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    it = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    verbs = it.add_subparsers(required=True)
    walking = verbs.add_parser("walk", help="walk a history and look for stale results")
    walking.add_argument("repository", type=Path)
    walking.add_argument("--python", type=Path, required=True, help="the environment's interpreter")
    walking.add_argument("--commits", type=int, default=100, help="steps; default: 100")
    walking.add_argument("--end", default="HEAD", help="the last commit; default: HEAD")
    walking.add_argument("--tests", nargs="*", default=["tests"], help="default: tests")
    walking.add_argument("--args", nargs="*", help="more for pytest")
    walking.add_argument("--iopio", nargs="*", help="more for iopio run")
    walking.add_argument("--workers", type=int, default=2, help="default: 2")
    walking.add_argument("--testmon", action="store_true", help="run pytest-testmon too")
    walking.add_argument("--out", type=Path, metavar="FILE.json", help="write every commit here")
    walking.set_defaults(run=walk)
    building = verbs.add_parser("build", help="make a repository of a package's releases")
    building.add_argument("name", help="of the package, as the index has it")
    building.add_argument("folder", type=Path)
    building.add_argument("--releases", type=int, default=20, help="the latest; default: 20")
    building.set_defaults(run=build)
    return it


def main(arguments: list[str] | None = None) -> int:
    """Runs the script; returns its exit status."""
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (SuiteError, subprocess.CalledProcessError) as error:
        print(f"replay.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
