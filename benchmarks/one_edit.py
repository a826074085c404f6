"""What does an edit to one function cost, and is any failure missed?

    python benchmarks/one_edit.py [NAME ...] [--rounds 5] [--into .corpus] [--out FILE.md]

The file and the function are chosen by rule, from one run of plain pytest under coverage:

- *the file* is the source file of the project, outside of its tests, whose number of test modules
  that execute some function of it is nearest to the median over all such files (ties: by name);
- *the function* is its first with a body of three statements or more that tests execute, and
  nothing else: no import does.

Two edits are made. The first puts a statement without effect at the head of the body: `iopio run`
and `pytest --testmon` are timed on it in turn, each from the state that a full run of the unedited
tree left behind (the cache, the database), put back before every sample. The second makes the
function raise: the tests that fail under plain pytest and did not before must fail under both.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from commands import Finished, Target, iopio_command, pytest_command, run, run_recorded, target_of
from outcomes import fold_reports, module_of, read_report
from suites import DEFAULT_FOLDER, SuiteError, find_installation, installed_suites
from timings import geometric_mean, grid

RECORDING = Path(__file__).resolve().parent / "recording"

#: Prints {file: {line: [contexts]}} of a coverage data file.
EXTRACT = """\
import coverage, json, sys
data = coverage.CoverageData(sys.argv[1])
data.read()
print(json.dumps({f: data.contexts_by_lineno(f) for f in data.measured_files()}))
"""

#: What each tool remembers from run to run.
STATES = (".test_cache", ".testmondata", ".testmondata-shm", ".testmondata-wal")

GO_ON = "--continue-on-collection-errors"
BAD = ("failed", "error")


@dataclass(frozen=True)
class Place:
    """Where the edit goes: before ``line`` of the file, with that line's indentation."""

    file: Path
    function: str
    line: int
    indentation: str
    modules: int

    def put(self, statement: str) -> str:
        """Puts a statement there; returns the file's text as it was."""
        text = self.file.read_text(encoding="utf-8")
        lines = text.splitlines(keepends=True)
        lines.insert(self.line - 1, f"{self.indentation}{statement}\n")
        self.file.write_text("".join(lines), encoding="utf-8")
        return text


@dataclass
class Result:
    """What came of one suite."""

    name: str
    place: str = ""
    modules: int = 0
    iopio_s: list[float] = field(default_factory=list)
    testmon_s: list[float] = field(default_factory=list)
    iopio_modules: int = 0
    testmon_modules: int = 0
    failing: int = 0
    iopio_missed: list[str] = field(default_factory=list)
    testmon_missed: list[str] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        """The wall time of iopio ÷ pytest-testmon's."""
        return median(self.iopio_s) / median(self.testmon_s) if self.testmon_s else None


def is_test(file: Path) -> bool:
    """Whether a file belongs to the tests."""
    return (
        file.name.startswith("test_")
        or file.stem.endswith("_test")
        or file.name == "conftest.py"
        or not {"tests", "test", "testing"}.isdisjoint(file.parts)
    )


def measure(target: Target) -> dict[Path, dict[int, list[str]]]:
    """Which test modules executed which lines, by source file. Raises SuiteError."""
    with tempfile.TemporaryDirectory(prefix="edit-") as folder:
        data = Path(folder) / "data"
        options = ["-m", "coverage", "run", "--rcfile=/dev/null", f"--source={target.tree}"]
        command = [str(target.python), *options, f"--data-file={data}", "-m", "pytest"]
        extra = {"PYTHONPATH": str(RECORDING)}
        plugin = ["-p", "coverage_contexts", *target.args]
        finished = run(target, [*command, *plugin, *target.tests], extra=extra)
        done = run(target, [str(target.python), "-c", EXTRACT, str(data)])
    try:
        document = json.loads(done.output.splitlines()[-1])
    except (ValueError, IndexError):
        tail = f"{finished.output[-400:]}\n{done.output[-400:]}"
        raise SuiteError(f"{target.name}: no coverage data:\n{tail}") from None
    return {
        Path(name): {int(line): contexts for line, contexts in lines.items()}
        for name, lines in document.items()
    }


def functions_of(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """All functions of a source, in its order, by qualified names."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            yield from functions_of(node, f"{prefix}{node.name}.")
        elif not isinstance(node, ast.expr):
            yield from functions_of(node, prefix)


def body_of(function: ast.FunctionDef) -> list[ast.stmt]:
    """The statements of a function less its docstring."""
    return function.body[1:] if ast.get_docstring(function) is not None else function.body


def choose(target: Target, lines_of: dict[Path, dict[int, list[str]]]) -> Place:
    """The file and the function, by the rule. Raises SuiteError where nothing fits."""
    users: dict[Path, set[str]] = {}
    for file, lines in lines_of.items():
        if is_test(file.relative_to(target.tree)):
            continue
        used = {context for contexts in lines.values() for context in contexts if context}
        if used:
            users[file] = used
    if not users:
        raise SuiteError(f"{target.name}: tests execute no source file of the project")
    middle = median(len(used) for used in users.values())
    for file in sorted(users, key=lambda each: (abs(len(users[each]) - middle), str(each))):
        text = file.read_text(encoding="utf-8")
        lines = lines_of[file]
        for name, function in functions_of(ast.parse(text)):
            body = body_of(function)
            contexts = lines.get(body[0].lineno, []) if len(body) >= 3 else []
            # The empty context is whatever happens outside of tests.
            if not contexts or "" in contexts:
                continue
            source = text.splitlines()[body[0].lineno - 1]
            if source[: body[0].col_offset].strip():
                continue
            indentation = source[: body[0].col_offset]
            return Place(file, name, body[0].lineno, indentation, len(users[file]))
    raise SuiteError(f"{target.name}: no function fits the rule")


class Bench:
    """The two tools over one suite, with their states put aside and back."""

    def __init__(self, target: Target, workers: int, room: Path) -> None:
        self.target = target
        self.workers = workers
        self.room = room
        self.report = room / "report.json"
        (room / "tmp").mkdir()
        # The same for every run: a new one each time would be a new environment.
        self.extra = {"TMPDIR": str(room / "tmp")}

    def iopio(self) -> Finished:
        """`iopio run`."""
        command = iopio_command(self.target, self.workers, self.report)
        return run(self.target, command, extra=self.extra)

    def testmon(self) -> Finished:
        """`pytest --testmon`."""
        return run(self.target, pytest_command(self.target, "--testmon"), extra=self.extra)

    def save(self) -> None:
        """Puts both tools' states aside."""
        for name in STATES:
            path, aside = self.target.tree / name, self.room / name
            if path.is_dir():
                shutil.copytree(path, aside)
            elif path.exists():
                shutil.copy2(path, aside)

    def restore(self) -> None:
        """Puts them back."""
        for name in STATES:
            path, aside = self.target.tree / name, self.room / name
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            if aside.is_dir():
                shutil.copytree(aside, path)
            elif aside.exists():
                shutil.copy2(aside, path)

    def document(self) -> dict[str, object]:
        """The latest report of iopio."""
        found: dict[str, object] = json.loads(self.report.read_text(encoding="utf-8"))
        return found

    def executed(self) -> int:
        """How many modules the latest run of iopio executed."""
        modules = json.loads(self.report.read_text(encoding="utf-8"))["modules"]
        return sum(module["source"] == "executed" for module in modules)


def failing(outcomes: dict[str, str]) -> set[str]:
    """The ids that failed."""
    return {node for node, found in outcomes.items() if found in BAD}


def recorded(target: Target, *options: str) -> dict[str, str]:
    """The outcomes of a plain run with these options. Raises SuiteError."""
    finished, document = run_recorded(target, GO_ON, *options)
    if document is None:
        raise SuiteError(f"{target.name}: no record of pytest:\n{finished.output[-400:]}")
    return {node: found.outcome for node, found in fold_reports(document["reports"]).items()}


def missed(bench: Bench, place: Place, result: Result) -> None:
    """Makes the function raise, and sees who notices."""
    before = recorded(bench.target)
    bench.restore()
    text = place.put('raise RuntimeError("one edit")')
    try:
        expected = failing(recorded(bench.target)) - failing(before)
        bench.iopio()
        nodes = read_report(bench.document())
        ours = failing({node: found.outcome for node, found in nodes.items()})
        theirs = failing(recorded(bench.target, "--testmon"))
    finally:
        place.file.write_text(text, encoding="utf-8")
    # A module that can't be imported fails as a whole, by whatever name.
    broken = {node for node in ours if "::" not in node}
    result.failing = len(expected)
    result.iopio_missed = sorted(node for node in expected - ours if module_of(node) not in broken)
    result.testmon_missed = sorted(expected - theirs)


def examine(target: Target, workers: int, rounds: int) -> Result:
    """Measures one suite. Raises SuiteError."""
    target.clean()
    place = choose(target, measure(target))
    target.clean()
    where = place.file.relative_to(target.tree)
    result = Result(target.name, f"{where}: {place.function} ({place.modules} modules)")
    with tempfile.TemporaryDirectory(prefix="edit-") as folder:
        bench = Bench(target, workers, Path(folder))
        for prime in (bench.iopio, bench.testmon):
            prime()
        # Once more: both have learned something of the tree that the first run left behind.
        bench.iopio()
        bench.testmon()
        modules = bench.document()["modules"]
        result.modules = len(modules) if isinstance(modules, list) else 0
        bench.save()
        tools = {"iopio": bench.iopio, "testmon": bench.testmon}
        samples: dict[str, list[float]] = defaultdict(list)
        for number in range(rounds + 1):
            names = sorted(tools, reverse=bool(number % 2))
            for name in names:
                bench.restore()
                # Byte code of the edited file is never there already.
                text = place.put(f"_ = {random.getrandbits(60)}")
                try:
                    finished = tools[name]()
                finally:
                    place.file.write_text(text, encoding="utf-8")
                if number:
                    samples[name].append(finished.wall_s)
                elif name == "iopio":
                    result.iopio_modules = bench.executed()
        result.iopio_s, result.testmon_s = samples["iopio"], samples["testmon"]
        bench.restore()
        text = place.put("_ = 0")
        try:
            result.testmon_modules = len(set(map(module_of, recorded(target, "--testmon"))))
        finally:
            place.file.write_text(text, encoding="utf-8")
        missed(bench, place, result)
    target.clean()
    return result


def table(results: list[Result]) -> str:
    """The results as Markdown."""
    head = ["suite", "edit", "modules", "iopio ran", "testmon ran", "iopio s", "testmon s"]
    head += ["ratio", "failing", "iopio missed", "testmon missed"]
    rows = [
        [
            *(each.name, f"`{each.place}`", str(each.modules)),
            *(str(each.iopio_modules), str(each.testmon_modules)),
            *(f"{median(each.iopio_s):.2f}", f"{median(each.testmon_s):.2f}"),
            *(f"{each.ratio:.2f}", str(each.failing)),
            *(str(len(each.iopio_missed)), str(len(each.testmon_missed))),
        ]
        for each in results
    ]
    mean = geometric_mean(each.ratio for each in results if each.ratio)
    ending = f"\n\ngeometric mean of the ratios: {mean:.2f}\n" if mean else "\n"
    return grid(head, rows) + ending


def main() -> int:
    """Runs the script; returns its exit status."""
    it = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    it.add_argument("names", nargs="*", metavar="NAME", help="default: all that are installed")
    it.add_argument("--into", type=Path, default=DEFAULT_FOLDER, help="default: .corpus")
    it.add_argument("--rounds", type=int, default=5)
    it.add_argument("--workers", type=int, default=2)
    it.add_argument("--out", type=Path, metavar="FILE.md")
    options = it.parse_args()
    results = []
    broken = False
    for name in options.names or list(installed_suites(options.into)):
        try:
            target = target_of(find_installation(name, options.into))
            results.append(examine(target, options.workers, options.rounds))
        except SuiteError as error:
            print(f"one_edit.py: {error}", file=sys.stderr)
            broken = True
            continue
        for node in results[-1].iopio_missed:
            print(f"{name}: iopio missed {node}")
        print(table(results[-1:]), flush=True)
    if options.out and results:
        options.out.write_text(table(results), encoding="utf-8")
    print(table(results))
    return int(broken or any(each.iopio_missed for each in results))


if __name__ == "__main__":
    raise SystemExit(main())
