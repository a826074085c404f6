"""What does a run cost in which nothing has changed?

    python benchmarks/no_change.py --python VENV/bin/python [--modules 500] [--rounds 7]

Makes a project of so many test modules and source files, each module importing its share of them,
runs everything once (which takes a while), and then times, in turn:

- `receipt`: the same `iopio run` again, which may answer from the receipt of the whole run;
- `another line`: `iopio run` with a report to write, a command line that has no receipt: each
  module's inputs are checked and its events replayed;
- `import pytest`: `python -c "import pytest"`, the measure for both;
- `git status` of the same tree, all of which is committed;
- `testmon`: `pytest --testmon` with nothing changed, after a first run of its own.

Each round starts with another of them; the first isn't counted. A run that passes anything but all
tests ends the benchmark. Needs pytest-testmon in the environment, or `--without testmon`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from commands import Finished, Target, iopio_command, pytest_command, run
from suites import SuiteError, git

MEASURE = "import pytest"
GIT, TESTMON, RECEIPT, NO_RECEIPT = "git status", "testmon", "receipt", "another line"

#: How many source files a package holds; each imports the next within its own package.
PACKAGE_FILES = 100

SOURCE = '''\
"""Source file {number}."""
{imports}

LIMIT = {number}


def compute(value: int) -> int:
    """A function, so that there is something to execute."""
    return value + LIMIT


class Shape{number}:
    """A class, so that there is something to define."""

    size = LIMIT

    def area(self, factor: int = 2) -> int:
        """A method."""
        return self.size * factor
'''

AUTHOR = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")


def padding(bytes_wanted: int) -> str:
    """Comment lines of about so many bytes: real files are larger than these would be."""
    line = (
        "# What a real module says about itself takes room, and all of it is read and digested.\n"
    )
    return line * (bytes_wanted // len(line))


def make_project(root: Path, modules: int, sources: int, inputs: int, source_bytes: int) -> None:
    """Writes the project and commits it: test modules in `tests`, source files in packages."""
    filler = padding(source_bytes)
    packages = max(1, sources // PACKAGE_FILES)
    for number in range(sources):
        folder = root / "src" / f"package_{number % packages}"
        folder.mkdir(parents=True, exist_ok=True)
        text = SOURCE.format(number=number, imports="import os" if number % 2 else "")
        (folder / f"source_{number}.py").write_text(text + filler)
    for number in range(packages):
        (root / "src" / f"package_{number}" / "__init__.py").write_text("")
    tests = root / "tests"
    tests.mkdir()
    (root / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["src"]\n')
    (root / ".gitignore").write_text(".test_cache/\n__pycache__/\n.pytest_cache/\n.testmondata*\n")
    for module in range(modules):
        # Neighbouring modules share most of what they import, as they do in real projects.
        wanted = [(module * sources // modules + step) % sources for step in range(inputs)]
        imports = [f"import package_{each % packages}.source_{each} as s{each}" for each in wanted]
        body = f"    assert s{wanted[0]}.compute(1) == {wanted[0] + 1}\n"
        (tests / f"test_module_{module}.py").write_text(
            "\n".join(imports) + f"\n\n\ndef test_computes() -> None:\n{body}"
            f"\n\ndef test_area() -> None:\n    assert s{wanted[0]}.Shape{wanted[0]}().area(1)"
            f" == {wanted[0]}\n"
        )
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, *AUTHOR, "commit", "-q", "-m", "all")


def check(finished: Finished, passed: int, label: str) -> Finished:
    """Raises SuiteError where a run did not pass all that it should."""
    if finished.exit_status != 0 or (passed and f"{passed} passed" not in finished.output):
        tail = finished.output[-800:]
        raise SuiteError(f"{label}: exit status {finished.exit_status}, expected a pass:\n{tail}")
    return finished


class Bench:
    """The commands, by name, in one tree."""

    def __init__(self, target: Target, modules: int, workers: int, without: Sequence[str]) -> None:
        self.target = target
        self.tests = 2 * modules
        self.workers = workers
        self.report = target.tree.parent / "report.json"
        # The same for all runs: a new one each time would be another environment.
        temporary = target.tree.parent / "temporary"
        temporary.mkdir(exist_ok=True)
        # The database of pytest-testmon comes and goes in the root: that would change others.
        database = str(target.tree.parent / "testmondata")
        self.extra = {"TMPDIR": str(temporary), "TESTMON_DATAFILE": database}
        every = {
            MEASURE: self.import_pytest,
            GIT: self.git_status,
            RECEIPT: self.receipt,
            NO_RECEIPT: self.no_receipt,
            TESTMON: self.testmon,
        }
        self.runners = {name: each for name, each in every.items() if name not in without}

    def run(self, command: Sequence[str]) -> Finished:
        """Runs a command in the tree."""
        return run(self.target, command, extra=self.extra)

    def receipt(self) -> Finished:
        """The plain command, as it was run before."""
        command = iopio_command(self.target, self.workers, None)
        return check(self.run(command), self.tests, RECEIPT)

    def no_receipt(self) -> Finished:
        """A command line that no run before had: the report's name is new each time."""
        report = self.report.with_name(f"report-{time.monotonic_ns()}.json")
        command = iopio_command(self.target, self.workers, report)
        finished = check(self.run(command), self.tests, NO_RECEIPT)
        sources = json.loads(report.read_text(encoding="utf-8"))["summary"]["sources"]
        report.unlink()
        if sources["executed"]:
            raise SuiteError(f"{NO_RECEIPT}: {sources['executed']} modules were executed")
        return finished

    def import_pytest(self) -> Finished:
        """The interpreter and one import."""
        return check(self.run([str(self.target.python), "-c", MEASURE]), 0, MEASURE)

    def git_status(self) -> Finished:
        """What git takes to see that nothing has changed."""
        return check(self.run(["git", "status", "--porcelain"]), 0, GIT)

    def testmon(self) -> Finished:
        """The peer, with its database in place; it exits with 5 or 0 where it selects nothing."""
        finished = self.run(pytest_command(self.target, "--testmon", "-q"))
        if finished.exit_status not in (0, 5) or " passed" in finished.output:
            raise SuiteError(f"{TESTMON} ran something:\n{finished.output[-800:]}")
        return finished

    def warm_up(self) -> Iterator[str]:
        """The first runs, which execute everything."""
        began_s = time.perf_counter()
        first = check(
            self.run(iopio_command(self.target, self.workers, None)),
            self.tests,
            "first run",
        )
        yield f"first run: {first.wall_s:.1f} s"
        if TESTMON in self.runners:
            command = pytest_command(self.target, "--testmon", "-q")
            check(self.run(command), self.tests, "testmon's first run")
            yield f"testmon's first run: {time.perf_counter() - began_s - first.wall_s:.1f} s"

    def measure(self, rounds: int) -> dict[str, list[float]]:
        """Wall seconds by name, a round at a time."""
        walls: dict[str, list[float]] = {name: [] for name in self.runners}
        names = list(self.runners)
        for number in range(rounds + 1):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                wall_s = self.runners[name]().wall_s
                if number:
                    walls[name].append(wall_s)
        return walls


def table(walls: dict[str, list[float]]) -> str:
    """Medians, spreads and ratios as Markdown."""
    measure_s = median(walls[MEASURE])
    lines = [
        f"| command | median ms | fastest | slowest | ÷ `{MEASURE}` |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, samples in walls.items():
        middle_s = median(samples)
        cells = [1000 * middle_s, 1000 * min(samples), 1000 * max(samples)]
        numbers = " | ".join(f"{cell:.0f}" for cell in cells)
        lines.append(f"| {name} | {numbers} | {middle_s / measure_s:.2f} |")
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    it = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    it.add_argument("--python", type=Path, default=Path(sys.executable))
    it.add_argument("--modules", type=int, default=500)
    it.add_argument("--sources", type=int, default=5000)
    it.add_argument("--inputs", type=int, default=300, help="source files a module; default: 300")
    it.add_argument("--source-bytes", type=int, default=7000, help="more in each; default: 7000")
    it.add_argument("--rounds", type=int, default=7)
    it.add_argument("--workers", type=int, default=2)
    it.add_argument("--without", action="append", default=[], help="such as testmon")
    it.add_argument("--folder", type=Path, help="where the project is made, and left; empty or new")
    return it


def main() -> int:
    """Makes the project, measures and prints."""
    options = parser().parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="no-change-"))
    root = folder / "project"
    try:
        if not root.exists():
            sizes = (options.modules, options.sources, options.inputs, options.source_bytes)
            make_project(root, *sizes)
        target = Target("no-change", root, options.python.absolute(), ("tests",))
        bench = Bench(target, options.modules, options.workers, options.without)
        print(
            f"{options.modules} modules, {options.sources} source files, {options.inputs} inputs a "
            f"module, {options.rounds} rounds, load {os.getloadavg()[0]:.1f}"
        )
        for line in bench.warm_up():
            print(line, flush=True)
        print(table(bench.measure(options.rounds)))
    except SuiteError as error:
        print(f"no_change.py: {error}", file=sys.stderr)
        return 1
    finally:
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
