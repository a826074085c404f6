"""Times serial pytest, a process a file, pytest-xdist and iopio over suites of the corpus.

    python benchmarks/serial_vs_parallel.py [NAMES] [--workers 2] [--rounds 3] [--out FILE.md]

All runners take turns within a round, each round starting with another of them, so that a machine
that slows down or a neighbour's load touches all alike. Round 0 warms up (byte code, page cache)
and isn't counted. Before each run the tree is reset, byte code and Hypothesis' database kept. Every
sample carries exit status and counts.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from commands import (
    Finished,
    Target,
    file_command,
    iopio_command,
    pytest_command,
    run,
    run_each,
    run_recorded,
    target_of,
)
from outcomes import module_of, read_report
from suites import (
    DEFAULT_FOLDER,
    SuiteError,
    find_installation,
    installed_suites,
)
from timings import (
    FILES,
    SERIAL,
    XDIST_MODES,
    Sample,
    add_counts,
    markdown,
    parse_summary,
)

#: What a reset leaves in place: compiled test modules, and what Hypothesis computes once a tree.
KEPT = ("__pycache__", ".hypothesis")

#: Runs a target once, and counts.
Runner = Callable[[Target], tuple[Finished, Mapping[str, int]]]


def run_serial(target: Target) -> tuple[Finished, Mapping[str, int]]:
    """Plain pytest."""
    finished = run(target, pytest_command(target))
    return finished, parse_summary(finished.output)


def run_xdist(target: Target, mode: str, workers: int) -> tuple[Finished, Mapping[str, int]]:
    """pytest-xdist with one of its modes."""
    finished = run(target, pytest_command(target, "-n", str(workers), "--dist", mode))
    return finished, parse_summary(finished.output)


def run_files(
    target: Target, modules: Mapping[str, Sequence[str]], workers: int
) -> tuple[Finished, Mapping[str, int]]:
    """A fresh `python -m pytest FILE` for each module, so many at once."""
    commands = [file_command(target, module) for module in modules[target.name]]
    finished, ends = run_each(target, commands, workers)
    return finished, add_counts(parse_summary(end.output) for end in ends)


def run_iopio(
    target: Target, workers: int, options: Sequence[str]
) -> tuple[Finished, Mapping[str, int]]:
    """`iopio run`, whose report, written within the time taken, has the counts.

    Without the cache, so that every round executes everything; a variant may ask for it.
    """
    if "--refresh" not in options:
        options = ["--no-cache", *options]
    with tempfile.TemporaryDirectory(prefix="report-") as folder:
        file = Path(folder) / "report.json"
        finished = run(target, iopio_command(target, workers, file, options))
        try:
            record = read_report(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError):
            return finished, {}
        return finished, Counter(node.outcome for node in record.values())


def modules_of(target: Target) -> tuple[int, list[str]]:
    """The number of tests that pytest selects, and their files in order. Raises SuiteError."""
    target.clean(KEPT)
    finished, record = run_recorded(target, "--collect-only")
    if record is None or not record["collected"]:
        tail = "\n".join(finished.output.splitlines()[-10:])
        raise SuiteError(f"{target.name}: pytest collects nothing:\n{tail}")
    ids = [*record["collected"], *(node_id for node_id, *_ in record["reports"])]
    modules = dict.fromkeys(str(Path(record["rootdir"][0]) / module_of(each)) for each in ids)
    return len(record["collected"]), list(modules)


def version_line(target: Target) -> str:
    """The versions of everything that takes part."""
    code = (
        "import importlib.metadata as m, platform\n"
        "def v(n):\n"
        "    try: return n + ' ' + m.version(n)\n"
        "    except m.PackageNotFoundError: return n + ' missing'\n"
        "print('CPython ' + platform.python_version(), v('pytest'), v('pytest-xdist'),"
        " v('iopio-async'), sep=', ')"
    )
    done = subprocess.run(
        [str(target.python), "-c", code], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown versions"


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def facts_of(
    targets: Sequence[Target], options: argparse.Namespace, runners: Sequence[str]
) -> list[str]:
    """What must be known beside the numbers."""
    now = dt.datetime.now(dt.UTC)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0]
    return [
        (
            f"{now:%Y-%m-%d %H:%M} UTC; {cores} cores ({processor()}), {platform.system()}; "
            f"load before the start {load:.1f}"
        ),
        "; ".join(dict.fromkeys(version_line(target) for target in targets)),
        (
            f"{options.workers} workers, {options.rounds} rounds after one warm-up, interleaved: "
            f"{', '.join(runners)}"
        ),
        *(f"`{name}`: `iopio run {text}`" for name, text in options.variants.items() if text),
    ]


def runners_of(
    options: argparse.Namespace, modules: Mapping[str, Sequence[str]]
) -> dict[str, Runner]:
    """All runners by name, those that weren't asked for left out. Raises SuiteError."""
    every: dict[str, Runner] = {
        SERIAL: run_serial,
        FILES: partial(run_files, modules=modules, workers=options.workers),
        **{m: partial(run_xdist, mode=m, workers=options.workers) for m in XDIST_MODES},
    }
    for name, text in options.variants.items():
        every[name] = partial(run_iopio, workers=options.workers, options=shlex.split(text))
    if not options.runners:
        return every
    names = options.runners.split(",")
    unknown = [name for name in names if name not in every]
    if unknown:
        raise SuiteError(f"unknown runner {', '.join(unknown)}; known: {', '.join(every)}")
    return {name: every[name] for name in names}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    it = argparse.ArgumentParser(prog="serial_vs_parallel.py", description="pytest against iopio")
    it.add_argument("names", nargs="*", metavar="NAME", help="default: all that are installed")
    it.add_argument("--into", type=Path, default=DEFAULT_FOLDER, help="default: .corpus")
    it.add_argument("--workers", type=int, default=2, help="default: 2")
    it.add_argument("--rounds", type=int, default=3, help="counted rounds; default: 3")
    it.add_argument("--runners", help="such as serial,files,load,iopio; default: all")
    it.add_argument(
        "--iopio",
        action="append",
        metavar="[NAME=]OPTIONS",
        help="a variant: 'spawn=--start-method spawn'; may be repeated; default: no options",
    )
    it.add_argument("--out", type=Path, metavar="FILE.md", help="write the tables here")
    it.add_argument("--samples", type=Path, metavar="FILE.json", help="write every sample here")
    return it


def variants_of(texts: Sequence[str] | None) -> dict[str, str]:
    """Names and options of the iopio variants."""
    variants = {}
    for text in texts or ["iopio="]:
        name, equals, rest = text.partition("=")
        named = equals and not name.startswith("-")
        variants[name if named else "iopio"] = rest if named else text
    return variants


def measure(
    targets: Sequence[Target],
    runners: Mapping[str, Runner],
    rounds: int,
    done: Callable[[Sample], None],
) -> None:
    """Runs everything; `done` gets each sample at once."""
    names = list(runners)
    for target in targets:
        for turn in range(rounds + 1):
            shift = turn % len(names)
            for name in names[shift:] + names[:shift]:
                target.clean(KEPT)
                finished, counts = runners[name](target)
                if not counts.get("passed"):
                    tail = " | ".join(finished.output.strip().splitlines()[-4:])
                    print(f"{target.name} {name}: nothing passed: {tail}", file=sys.stderr)
                done(
                    Sample(
                        target.name,
                        name,
                        turn,
                        finished.wall_s,
                        finished.cpu_s,
                        finished.exit_status,
                        dict(counts),
                    )
                )
        target.clean()


def main(arguments: list[str] | None = None) -> int:
    """Measures; returns 2 for a wrong request."""
    options = parser().parse_args(arguments)
    options.variants = variants_of(options.iopio)
    samples: list[Sample] = []
    modules: dict[str, list[str]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    try:
        names = options.names or list(installed_suites(options.into))
        targets = [target_of(find_installation(name, options.into)) for name in names]
        runners = runners_of(options, modules)
        if not targets:
            raise SuiteError("no suite is installed; run: python scripts/corpus.py install")
        for target in targets:
            if set(runners) & set(options.variants):
                iopio_command(target, options.workers, None)
            tests, modules[target.name] = modules_of(target)
            sizes[target.name] = (tests, len(modules[target.name]))
    except SuiteError as error:
        print(f"serial_vs_parallel.py: {error}", file=sys.stderr)
        return 2
    facts = facts_of(targets, options, list(runners))

    def done(sample: Sample) -> None:
        samples.append(sample)
        print(
            f"{sample.suite} round {sample.round} {sample.runner}: {sample.wall_s:.2f} s wall, "
            f"{sample.cpu_s:.2f} s cpu, exit {sample.exit_status}, {dict(sample.counts)}",
            flush=True,
        )
        if options.out:
            options.out.write_text(markdown(samples, list(runners), sizes, facts), encoding="utf-8")
        if options.samples:
            text = json.dumps([asdict(each) for each in samples], indent=1)
            options.samples.write_text(text + "\n", encoding="utf-8")

    measure(targets, runners, options.rounds, done)
    print(markdown(samples, list(runners), sizes, facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
