"""How many events a second the orchestrator carries, from the workers' pipes to its consumer.

``python benchmarks/throughput.py [--tests N]``

Runs one module of N parametrised tests by pytest and takes the CPU time of this process alone,
which reads, checks, folds, journals and hands on two events a test; the worker is another process.
It also plans a project of 20,000 modules, without running it.
"""

import argparse
import tempfile
import time
from pathlib import Path

import anyio

from iopio_async import load_config, open_run
from iopio_async.orchestration.preparation import prepare


async def events_and_cpu_s(folder: Path) -> tuple[int, float, float]:
    """Run the project: number of events, CPU seconds of this process, wall seconds."""
    config = load_config(folder, workers=1)
    events, began_s, cpu_began_s = 0, time.perf_counter(), time.process_time()
    async with open_run(config, owns_process=True) as run:
        async for batch in run.batches():
            events += len(batch)
    if run.stats.exit_code:
        raise SystemExit(f"the run ended with {run.stats.exit_code}")
    return events, time.process_time() - cpu_began_s, time.perf_counter() - began_s


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tests", type=int, default=50_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (folder / "test_many.py").write_text(
            "import pytest\n\n"
            f"@pytest.mark.parametrize('number', range({options.tests}))\n"
            "def test_it(number):\n    pass\n",
            encoding="utf-8",
        )
        events, cpu_s, wall_s = anyio.run(events_and_cpu_s, folder)
    print(
        f"{events} events: {events / cpu_s:,.0f} a second of orchestrator CPU ({wall_s:.1f} s wall)"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        for number in range(20_000):
            (folder / f"test_{number:05}.py").write_text(
                "def test_it():\n    pass\n", encoding="utf-8"
            )
        config = load_config(folder)
        began_s = time.process_time()
        modules = len(prepare(config).modules)
        print(f"{modules} modules planned in {time.process_time() - began_s:.2f} s CPU")


if __name__ == "__main__":
    main()
