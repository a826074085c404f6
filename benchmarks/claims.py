"""How well static analysis knows what tests share: precision, recall, time, and real suites.

``python benchmarks/claims.py [--corpus FOLDER] [SUITE ...]``

The labelled set in ``tests/claims_set`` gives precision and recall over its claims. The rules were
written with it in view: its figures say that nothing is broken, and not how well the rules do
elsewhere. For that there is the held-out set below it, labelled before any of it was analysed: the
figures of the first time stand in ``FIRST_MEETING``, beside those of today, of rules that were
widened because of it.

Of each suite of the corpus every claim between processes is listed with its evidence and a verdict
from ``VERDICTS``, which was reached by reading the code at the evidence of at least one of the
claims that a row of the table covers; one that nobody has judged is OPEN. What a suite shares
without a claim is not counted.
"""

import argparse
import sys
import time
from fnmatch import fnmatchcase
from pathlib import Path

from iopio_async.analysis.claims import read_facts, tells
from iopio_async.model.module import Claim
from iopio_async.planning.claims import claims_of
from iopio_async.planning.sources import Sources, glimpsed_imports
from iopio_async.planning.spread import binding, spread

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "claims_set"))

from labelled import read_cases  # type: ignore[import-not-found]  # noqa: E402

#: Suite, glob of resources, glob of modes, and the verdict on all claims that match.
VERDICTS: tuple[tuple[str, str, str, str], ...] = (
    ("docutils", "path:docutils/__init__.py", "shared", "true: read for the header of the run"),
    ("docutils", "path:docutils/writers/*", "shared", "true: a style sheet is read"),
    ("docutils", "path:test/data/*", "shared", "true: expected data is read"),
    ("docutils", "path:test/functional/expected/*", "shared", "true: expected output is read"),
    ("docutils", "path:test/functional/input/*", "shared", "true: input is read"),
    ("docutils", "path:test/functional/output/*", "exclusive", "true: output in the tree"),
    ("docutils", "path:test/test_parsers/*", "shared", "true: a table is read"),
    ("docutils", "path:functional/tests", "shared", "true: its files are listed and read"),
    ("docutils", "path:functional/output", "shared", "weak: its files are listed, and deleted"),
    ("docutils", "path:record.rst", "exclusive", "true: written to the working directory"),
    ("docutils", "path:мир.rst", "shared", "idle: tried at import; nobody writes it"),
    ("sqlite-utils", "path:docs/cli.rst", "shared", "true: documentation is read"),
    ("tomlkit", "path:tests/*", "shared", "true: expected data is read"),
    ("tomlkit", "path:tests/examples/example.toml", "*", "true: written by one, read by another"),
    ("typer", "path:tests/assets/*", "shared", "true: expected output is read"),
    ("typer", "path:~/*", "exclusive", "true: start-up files of shells are written and restored"),
    ("jinja2", "path:tests/res/templates/test.html", "exclusive", "true: its time is changed"),
    ("packaging", "path:*/does-not-exist", "shared", "idle: tried, and isn't there"),
    ("packaging", "path:tests/*", "shared", "true: expected data is read"),
    ("pandas", "mysql://localhost:3306/pandas", "exclusive", "true: tables are made and dropped"),
    ("pandas", "postgresql://*/pandas", "exclusive", "true: tables are made and dropped"),
    ("pandas", "path:pandas/tests/io", "shared", "wide: files of a folder below it are listed"),
    ("pandas", "path:~/.pyiceberg.yaml", "exclusive", "true: written for the catalogue"),
)
#: How the rules did on the held-out set before anything was changed because of it.
FIRST_MEETING = (
    "45 cases, 46 claims: 25 right, 3 too many, 21 missing: precision 0.893, recall 0.543"
)


def sources_in(files: dict[str, bytes]) -> Sources:
    return Sources(
        files,
        lambda path: read_facts(files[path]),
        tells=lambda path: tells(files[path]),
        imports_of=lambda path: glimpsed_imports(files[path]),
    )


def labelled(name: str, folder: Path) -> None:
    """Print precision and recall of a set, and each claim that is too many or missing."""
    right = extra = missing = 0
    cases = read_cases(folder)
    for case in cases:
        sources = sources_in({path: text.encode() for path, text in case.files.items()})
        for module in case.modules:
            found = {
                (claim.resource, claim.mode.value, claim.scope.value)
                for claim in claims_of(sources, module).claims
            }
            expected = case.expected.get(module, set())
            right += len(found & expected)
            extra += len(found - expected)
            missing += len(expected - found)
            for sign, labels in (("+", found - expected), ("-", expected - found)):
                for label in sorted(labels):
                    print(f"  {sign} {case.name}: {module}: {' '.join(label)}")
    print(
        f"{name}: {len(cases)} cases, {sum(len(case.files) for case in cases)} files, "
        f"{right + missing} claims: precision {right / (right + extra):.3f}, "
        f"recall {right / (right + missing):.3f}"
    )


def verdict_on(suite: str, claim: Claim) -> str:
    for name, resource, mode, verdict in VERDICTS:
        if (
            name == suite
            and fnmatchcase(claim.resource, resource)
            and fnmatchcase(claim.mode.value, mode)
        ):
            return verdict
    return "OPEN"


def suite(folder: Path) -> None:
    """Print a suite's claims, once each with the number of modules, and what they cost."""
    tree = folder / "tree"
    files = {
        str(path.relative_to(tree)): path.read_bytes()
        for path in tree.rglob("*.py")
        if not {"venv", ".git", "node_modules"} & set(path.relative_to(tree).parts)
    }
    modules = [
        path
        for path in sorted(files)
        if path.rpartition("/")[2].startswith("test_") or path.endswith("_test.py")
    ]
    began_s = time.process_time()
    sources = sources_in(files)
    claims = {path: claims_of(sources, path).machine for path in modules}
    analysis_s = time.process_time() - began_s
    bound = sum(1 for each in binding(spread(claims)).values() if each)
    rows: dict[tuple[str, str], list[Claim]] = {}
    for each in claims.values():
        for claim in each:
            rows.setdefault((claim.resource, claim.mode.value), []).append(claim)
    print(
        f"## {folder.name}: {len(modules)} modules, {len(files)} files, "
        f"{analysis_s:.2f} s CPU cold; "
        f"{len(rows)} claims; {bound} modules may wait for another\n"
    )
    if rows:
        print("| resource | mode | modules | evidence | verdict |\n|---|---|---|---|---|")
    for (resource, mode), same in sorted(rows.items()):
        where = same[0].evidence[0]
        print(
            f"| {resource} | {mode} | {len(same)} | {where} | {verdict_on(folder.name, same[0])} |"
        )
    print()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("suites", nargs="*")
    parser.add_argument("--corpus", type=Path, default=ROOT / ".corpus")
    options = parser.parse_args()
    folder = ROOT / "tests" / "claims_set"
    labelled("labelled set", folder)
    print(f"held-out set, first meeting (a record, not measured by this run): {FIRST_MEETING}")
    labelled("held-out set, seen since", folder / "held_out")
    print()
    for folder in sorted(options.corpus.iterdir()) if options.corpus.is_dir() else ():
        if (folder / "tree").is_dir() and (not options.suites or folder.name in options.suites):
            suite(folder)


if __name__ == "__main__":
    main()
