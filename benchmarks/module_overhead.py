"""What a process a module costs: many trivial modules, and many that import something dear.

``python benchmarks/module_overhead.py [--modules N] [--rounds N] [--imports numpy,pandas]``

Makes a throw-away project of N modules with one test each and runs it, in turns, by one pytest
process, by pytest-xdist where it is installed, and by ``iopio run`` with each start method; all
with two workers and the interpreter that runs this script. Prints medians: wall, CPU of all
processes, and the CPU that a module costs beyond the one process that runs all.
"""

import argparse
import importlib.util
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

SINGLE = "pytest, one process"


def make_project(folder: Path, modules: int, imports: Sequence[str]) -> None:
    """Write the project: its modules import ``imports`` and do nothing."""
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (folder / "tests").mkdir()
    head = "".join(f"import {name}\n" for name in imports)
    for number in range(modules):
        text = f"{head}\n\ndef test_{number}():\n    assert True\n"
        (folder / "tests" / f"test_{number:04}.py").write_text(text, encoding="utf-8")


def commands() -> dict[str, list[str]]:
    """The runners by name."""
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    iopio = [sys.executable, "-m", "iopio_async", "run", "-q", "--no-cache", "--workers", "2"]
    iopio += ["--start-method"]
    found = {SINGLE: pytest}
    if importlib.util.find_spec("xdist") is not None:
        found["pytest -n 2"] = [*pytest, "-n", "2"]
    return {**found, "iopio, forkserver": [*iopio, "forkserver"], "iopio, spawn": [*iopio, "spawn"]}


def timed(command: Sequence[str], folder: Path, modules: int) -> tuple[float, float]:
    """Wall and CPU seconds of a run that passes all modules' tests."""
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    before, began_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    finished = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    wall_s, after = time.perf_counter() - began_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    if f"{modules} passed" not in finished.stdout:
        raise SystemExit(f"{' '.join(command)} did not pass all:\n{finished.stdout}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall_s, cpu_s


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--modules", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--imports", default="", help="comma-separated modules to import in each")
    options = parser.parse_args()
    imports = [name for name in options.imports.split(",") if name]
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in commands()}
    with tempfile.TemporaryDirectory() as folder:
        make_project(Path(folder), options.modules, imports)
        for number in range(options.rounds + 1):
            for name, command in commands().items():
                sample = timed(command, Path(folder), options.modules)
                # The first round warms up.
                if number:
                    samples[name].append(sample)
    single_cpu_s = median(cpu_s for _, cpu_s in samples[SINGLE])
    print(f"{options.modules} modules importing {', '.join(imports) or 'nothing'}, 2 workers")
    print("| runner | wall s | CPU s | CPU ms a module beyond one process |\n|---|--:|--:|--:|")
    for name, rows in samples.items():
        wall_s, cpu_s = median(wall for wall, _ in rows), median(cpu for _, cpu in rows)
        beyond_ms = 1000 * (cpu_s - single_cpu_s) / options.modules
        print(f"| {name} | {wall_s:.2f} | {cpu_s:.2f} | {beyond_ms:.1f} |")


if __name__ == "__main__":
    main()
