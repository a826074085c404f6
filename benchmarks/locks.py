"""Does what shares a resource ever overlap? Many runs of ``tests/end_to_end/sharing.py``.

``python benchmarks/locks.py [--runs N] [--without N]``

Forty modules, ten of which share a port, a database and a file, by eight workers. With locks no run
may fail and no two modules of one resource may overlap, while unrelated ones do; without them, runs
fail. Prints one line for each kind of run and exits with 1 where that is not so.
"""

import argparse
import socket
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from end_to_end import sharing  # type: ignore[import-not-found]  # noqa: E402


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure(folder: Path, runs: int, *words: str) -> tuple[int, int]:
    """Runs that failed, and pairs of modules that overlapped and should not have."""
    failed = conflicts = together = 0
    durations_s: list[float] = []
    for _ in range(runs):
        ran = sharing.run(folder, "--no-cache", *words)
        failed += ran.code != 0
        conflicts += len(ran.conflicts())
        together += any(one.resource != two.resource for one, two in ran.overlaps())
        durations_s.append(max(span.ended_s for span in ran.spans))
    print(
        f"{' '.join(words) or 'with locks'}: {runs} runs, {failed} failed, {conflicts} conflicting "
        f"overlaps; unrelated modules overlapped in {together}; "
        f"median {statistics.median(durations_s):.2f} s"
    )
    return failed, conflicts


def main() -> None:
    """Measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--without", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        suite = sharing.lay_out(Path(folder, "suite"), port=free_port())
        locked = measure(suite, options.runs)
        unlocked = measure(suite, options.without, "--no-locks")
    sys.exit(locked != (0, 0) or 0 in unlocked)


if __name__ == "__main__":
    main()
