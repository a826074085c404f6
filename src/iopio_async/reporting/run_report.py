"""A run's metrics in words: what ``iopio report`` prints.

Every function is pure and returns whole lines.
"""

from collections.abc import Iterator, Sequence

from iopio_async.model.spans import RunSpans
from iopio_async.model.stats import RunStats
from iopio_async.reporting import wording
from iopio_async.reporting.escape import escape_line
from iopio_async.reporting.metrics import Durations, Metrics

#: So many steps of the critical path are listed, the longest of them.
STEPS_LISTED = 10


def report(spans: RunSpans, stats: RunStats, metrics: Metrics) -> str:
    """All that is worth reading of one run."""
    rows = list(_rows(stats, metrics))
    width = max(len(name) for name, _ in rows)
    lines = [_head(spans), *(f"  {name:<{width}}  {told}" for name, told in rows)]
    lines += _section("critical path", _steps(metrics))
    lines += _section("workers", _workers(metrics))
    lines += _section("longest modules", _longest(metrics.modules))
    lines += _section("longest tests", _longest(metrics.tests))
    return "\n".join(lines) + "\n"


def overview(runs: Sequence[tuple[RunSpans, RunStats, Metrics]]) -> str:
    """A line for each run, under a heading."""
    table = [("run", "started (UTC)", "result", "tests", "bad", "modules", "cached", "time", "×")]
    for spans, stats, metrics in runs:
        started = spans.started
        table.append(
            (
                started.run_id if started else "?",
                started.started_at[:16].replace("T", " ") if started else "?",
                "cut off" if stats.exit_code is None else f"exit {stats.exit_code}",
                str(stats.total),
                str(stats.failed),
                str(len(stats.modules)),
                str(metrics.cache.hits),
                wording.seconds(metrics.duration_s),
                "" if metrics.speedup is None else f"{metrics.speedup:.1f}",
            )
        )
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = []
    for row in table:
        cells = [
            cell.ljust(width) if column < 3 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip() + "\n")
    return "".join(lines)


def _head(spans: RunSpans) -> str:
    started = spans.started
    if started is None:
        return "a run of which only a part is known"
    at = started.started_at[:19].replace("T", " ")
    return f"run {started.run_id}, {at} UTC (iopio {started.iopio}, Python {started.python})"


def _rows(stats: RunStats, metrics: Metrics) -> Iterator[tuple[str, str]]:
    counts = [
        wording.tallied(stats.outcomes[outcome], word)
        for outcome, word, _ in wording.TALLY
        if stats.outcomes[outcome]
    ]
    ended = "cut off" if stats.exit_code is None else f"exit code {stats.exit_code}"
    yield "result", f"{', '.join(counts) or 'no tests ran'}; {ended}"
    yield "modules", f"{metrics.completed_modules} of {len(stats.modules)} completed"
    told = f"{wording.seconds(metrics.duration_s)}; one after another"
    told += f" about {wording.seconds(metrics.serial_estimate_s)}"
    if metrics.speedup is not None:
        told += f": {metrics.speedup:.1f} times as fast"
    yield "time", told
    if metrics.parallel_efficiency is not None and metrics.utilisation is not None:
        told = f"{metrics.max_workers}, {_percent(metrics.utilisation)} busy"
        told += f", efficiency {_percent(metrics.parallel_efficiency)}"
        if metrics.tail_s >= 0.01:
            told += f"; not all had work in the last {wording.seconds(metrics.tail_s)}"
        yield "workers", told
        yield "queue", f"{metrics.queue.peak} waiting at most, {metrics.queue.mean:.1f} on average"
    if metrics.bottleneck is not None:
        named = f"{escape_line(metrics.bottleneck.name)}, "
        named += f"{wording.seconds(metrics.bottleneck.duration_s)} of a critical path of "
        yield "bottleneck", named + wording.seconds(metrics.critical_path_s)
    if metrics.peak_rss_bytes:
        told = f"{wording.size(metrics.peak_rss_bytes)} in {escape_line(metrics.peak_rss_module)}"
        told += f"; at most {wording.size(metrics.concurrent_peak_rss_bytes)} at once"
        yield "memory", told
    cache = metrics.cache
    if cache.hit_ratio is not None:
        told = f"{wording.counted(cache.hits, 'hit')}, {cache.misses} executed"
        told += f" ({_percent(cache.hit_ratio)}); {wording.seconds(cache.saved_s)} saved"
        yield "cache", told


def _steps(metrics: Metrics) -> list[str]:
    steps = metrics.critical_path
    listed = sorted(steps, key=lambda step: step.begin_s - step.end_s)[:STEPS_LISTED]
    lines = []
    for step in sorted(listed, key=lambda step: step.begin_s):
        again = f", attempt {step.attempt}" if step.attempt > 1 else ""
        lines.append(
            f"{wording.seconds(step.end_s - step.begin_s):>12}  {escape_line(step.module)}"
            f"  (worker {step.slot}, from {wording.seconds(step.begin_s)}{again})"
        )
    if len(steps) > len(listed):
        lines.append(f"{'':>12}  and {len(steps) - len(listed)} shorter ones")
    return lines


def _workers(metrics: Metrics) -> list[str]:
    if not metrics.completed_modules or metrics.utilisation is None:
        return []
    return [
        f"{share.slot:>12}  {_percent(share.utilisation)} busy, "
        f"{wording.counted(share.modules, 'module')}, {wording.counted(share.tests, 'test')}"
        for share in metrics.workers
    ]


def _longest(durations: Durations) -> list[str]:
    return [
        f"{wording.seconds(named.duration_s):>12}  {escape_line(named.name)}"
        for named in durations.longest
        if named.duration_s > 0
    ]


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", title, *lines] if lines else []


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
