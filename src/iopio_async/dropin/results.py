"""One test's result, and the dictionary that a run of them is told as.

The nine keys of the original come first and are always there; what is added is named in
:func:`summary`. Everything is plain data that ``json`` takes as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from iopio_async.model.outcome import Outcome

#: A skip is neither a pass nor a failure; a failure that was expected is counted with the skips.
SKIPS = frozenset({Outcome.SKIPPED, Outcome.XFAILED})
PASSES = frozenset({Outcome.PASSED, Outcome.XPASSED})


@dataclass(slots=True, frozen=True)
class Result:
    """What became of one test.

    ``duration_s`` is how long it took when it was executed, be it now or in an earlier run.
    ``error`` is one line, never empty for a failure; ``text`` has the traceback.
    """

    test: str
    outcome: Outcome
    error: str = ""
    text: str = ""
    reason: str = ""
    cached: bool = False
    duration_s: float = 0.0

    @property
    def failed(self) -> bool:
        """True for whatever is neither a pass nor a skip."""
        return self.outcome not in PASSES | SKIPS

    def as_dict(self) -> dict[str, Any]:
        """The result as an entry of ``results``; times in seconds."""
        return {
            "test": self.test,
            "success": not self.failed,
            "error": (self.error or str(self.outcome)) if self.failed else None,
            "cached": self.cached,
            "execution_time": 0.0 if self.cached else self.duration_s,
            "outcome": str(self.outcome),
            "skip_reason": self.reason if self.outcome in SKIPS else None,
            "traceback": self.text if self.failed else None,
            "recorded_time": self.duration_s,
        }


@dataclass(slots=True)
class Effort:
    """What a run took, as it was measured. Times in seconds."""

    wall_s: float = 0.0
    #: How long the tests' processes (or threads) lived, all together.
    busy_s: float = 0.0
    #: How long looking results up took.
    lookup_s: float = 0.0
    peak_rss_bytes: int = 0
    workers: int = 1

    def add(self, other: "Effort") -> None:
        """Count what another part of the same run took, the wall clock apart."""
        self.busy_s += other.busy_s
        self.lookup_s += other.lookup_s
        self.peak_rss_bytes = max(self.peak_rss_bytes, other.peak_rss_bytes)


def summary(
    results: Sequence[Result], effort: Effort, *, caching: bool, warnings: Sequence[str] = ()
) -> dict[str, Any]:
    """The dictionary of a run; shares are between 0 and 1, times in seconds."""
    total = len(results)
    skipped = sum(result.outcome in SKIPS for result in results)
    failed = sum(result.failed for result in results)
    cached = sum(result.cached for result in results)
    serial_s = sum(result.duration_s for result in results)
    places = min(effort.workers, total - cached)
    efficiency = effort.busy_s / (places * effort.wall_s) if places and effort.wall_s else 0.0
    return {
        "total_tests": total,
        "passed": total - failed - skipped,
        "failed": failed,
        "cached": cached,
        "executed": total - cached,
        "results": [result.as_dict() for result in results],
        "execution_time": effort.wall_s,
        "cache_hits": cached,
        "cache_misses": total - cached if caching else 0,
        "skipped": skipped,
        "errors": sum(result.outcome is Outcome.ERROR for result in results),
        "cache_hit_rate": cached / total if total else 0.0,
        "cache_retrieval_time": effort.lookup_s / cached if cached else 0.0,
        "serial_estimate": serial_s,
        "speedup": serial_s / effort.wall_s if effort.wall_s else 0.0,
        "parallel_efficiency": min(efficiency, 1.0),
        "worker_utilization": min(efficiency * places / effort.workers, 1.0),
        "slowest_test": max(results, key=lambda each: each.duration_s).test if results else None,
        "max_workers": effort.workers,
        "peak_memory_bytes": effort.peak_rss_bytes,
        "warnings": list(warnings),
    }
