"""How well a run used its machine and its cache, in figures: worked out from spans, at the end.

A module that was executed counts with the time of its attempts; one that was recalled with the time
that it took when it was executed. Together that is the *serial estimate*: about what the run would
have taken in one process after another, had nothing been remembered. What single modules take is
measured while others run beside them, so on a busy machine the estimate is too high rather than too
low. A module that was split, or that takes several workers, is known by its first slot alone, so
utilisation counts at most what its process times add up to.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

import msgspec

from iopio_async.model.spans import AttemptSpan, QueuePoint, RunSpans
from iopio_async.model.stats import RunStats

#: So many of the longest are named.
NAMED = 5

#: So many points tell how the queue went; runs with more are thinned out.
QUEUE_POINTS = 500

#: Clocks and the loop's turns: an end within this of a start may have been its cause.
_SLACK_S = 0.002


class Named(msgspec.Struct, frozen=True):
    """A module or test, and how long it took."""

    name: str
    duration_s: float


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """How long things took: their number, the sum, the usual figures, and the longest."""

    count: int = 0
    total_s: float = 0.0
    mean_s: float = 0.0
    median_s: float = 0.0
    p95_s: float = 0.0
    max_s: float = 0.0
    longest: tuple[Named, ...] = ()


class WorkerShare(msgspec.Struct, frozen=True, kw_only=True):
    """What one slot did: ``utilisation`` is its busy share of the time of execution."""

    slot: int
    modules: int
    tests: int
    busy_s: float
    utilisation: float


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """Modules that wait for their turn; ``over_time`` is (seconds, waiting, running)."""

    peak: int = 0
    mean: float = 0.0
    over_time: tuple[tuple[float, int, int], ...] = ()


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt on the critical path; ``waited_s`` passed after the one before it had ended."""

    module: str
    attempt: int
    slot: int
    begin_s: float
    end_s: float
    waited_s: float


class CacheFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How the cache did; ``None`` is what nobody has measured.

    ``lookup_s`` is what it took to find out what need not run, ``retrieval_s`` that time a hit.
    ``expires_in_s`` is how long the first of the recalled results still holds.
    """

    enabled: bool | None = None
    hits: int = 0
    misses: int = 0
    hit_ratio: float | None = None
    miss_ratio: float | None = None
    lookup_s: float | None = None
    retrieval_s: float | None = None
    saved_s: float = 0.0
    size_bytes: int | None = None
    ttl_s: float | None = None
    expires_in_s: float | None = None


class CacheFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What only the command knows of the cache: see :class:`CacheFigures`."""

    enabled: bool | None = None
    lookup_s: float | None = None
    size_bytes: int | None = None
    ttl_s: float | None = None
    expires_in_s: float | None = None


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """All figures of a run; the README's table of keys says what each of them is."""

    duration_s: float
    execution_s: float
    executed_s: float
    serial_estimate_s: float
    speedup: float | None
    parallel_speedup: float | None
    parallel_efficiency: float | None
    utilisation: float | None
    cpu_s: float
    peak_rss_bytes: int
    peak_rss_module: str
    concurrent_peak_rss_bytes: int
    completed_modules: int
    completed_tests: int
    max_workers: int
    workers: tuple[WorkerShare, ...]
    queue: Queue
    critical_path: tuple[Step, ...]
    critical_path_s: float
    bottleneck: Named | None
    tail_s: float
    modules: Durations
    tests: Durations
    cache: CacheFigures


def measure(spans: RunSpans, stats: RunStats, facts: CacheFacts | None = None) -> Metrics:
    """The figures of a run."""
    attempts = spans.attempts
    begin_s = min((each.begin_s for each in attempts), default=0.0)
    end_s = max((each.end_s for each in attempts), default=0.0)
    execution_s = end_s - begin_s
    executed_s = sum(each.duration_s for each in attempts)
    saved_s = sum(each.duration_s for each in spans.recalled)
    shares = _shares(attempts, spans.workers, execution_s)
    path = critical_path(attempts)
    longest = max(path, key=lambda step: step.end_s - step.begin_s, default=None)
    heaviest = max(attempts, key=lambda each: each.peak_rss_bytes, default=None)
    parallel = _ratio(executed_s, execution_s)
    busy_s = sum(share.busy_s for share in shares)
    return Metrics(
        duration_s=spans.duration_s,
        execution_s=_tidy(execution_s),
        executed_s=_tidy(executed_s),
        serial_estimate_s=_tidy(executed_s + saved_s),
        speedup=_ratio(executed_s + saved_s, spans.duration_s),
        parallel_speedup=parallel,
        parallel_efficiency=None if parallel is None else _ratio(parallel, spans.workers),
        utilisation=_ratio(busy_s, execution_s * spans.workers),
        cpu_s=_tidy(sum(each.cpu_s for each in attempts)),
        peak_rss_bytes=heaviest.peak_rss_bytes if heaviest else 0,
        peak_rss_module=heaviest.module if heaviest and heaviest.peak_rss_bytes else "",
        concurrent_peak_rss_bytes=max((at[1] for at in memory_over_time(attempts)), default=0),
        completed_modules=stats.finished_modules,
        completed_tests=stats.total,
        max_workers=spans.workers,
        workers=shares,
        queue=_queue(spans.queue, spans.duration_s),
        critical_path=path,
        critical_path_s=_tidy(sum(step.end_s - step.begin_s for step in path)),
        bottleneck=Named(longest.module, _tidy(longest.end_s - longest.begin_s))
        if longest
        else None,
        tail_s=_tidy(_tail_s(attempts, spans.workers, end_s)),
        modules=_durations(_by_module(attempts).items()),
        tests=_durations(
            (test_id, test.duration_s)
            for module in stats.modules.values()
            for (test_id, _), test in module.tests.items()
        ),
        cache=_cache(len(spans.recalled), len(_by_module(attempts)), saved_s, facts),
    )


def critical_path(attempts: Sequence[AttemptSpan]) -> tuple[Step, ...]:
    """The chain of attempts that decided when the run ended, each begun as another had ended.

    Followed from the last one to end: what began right after another had ended, most likely waited
    for it, be it for the slot, for memory, or for something that only one may use.
    """
    if not attempts:
        return ()
    by_end = sorted(attempts, key=lambda each: (each.end_s, each.slot))
    ends = [each.end_s for each in by_end]
    current = by_end[-1]
    chain: list[AttemptSpan] = [current]
    while (place := bisect_right(ends, current.begin_s + _SLACK_S)) > 0:
        # Nothing precedes itself, however short it was.
        candidates = [
            each
            for each in by_end[max(0, place - 64) : place]
            if each is not current and each.begin_s < current.begin_s
        ]
        if not candidates:
            break
        latest_s = candidates[-1].end_s
        near = [each for each in candidates if each.end_s >= latest_s - _SLACK_S]
        current = next((each for each in near if each.slot == chain[-1].slot), near[-1])
        chain.append(current)
    chain.reverse()
    steps = []
    before_s = chain[0].begin_s
    for each in chain:
        steps.append(
            Step(
                module=each.module,
                attempt=each.attempt,
                slot=each.slot,
                begin_s=each.begin_s,
                end_s=each.end_s,
                waited_s=_tidy(max(0.0, each.begin_s - before_s)),
            )
        )
        before_s = each.end_s
    return tuple(steps)


def memory_over_time(attempts: Iterable[AttemptSpan]) -> list[tuple[float, int]]:
    """The sum of the peaks of all that runs, in bytes, from each moment on: an upper bound."""
    changes: dict[float, int] = {}
    for each in attempts:
        if each.peak_rss_bytes:
            changes[each.begin_s] = changes.get(each.begin_s, 0) + each.peak_rss_bytes
            changes[each.end_s] = changes.get(each.end_s, 0) - each.peak_rss_bytes
    points, total = [], 0
    for at_s in sorted(changes):
        total += changes[at_s]
        points.append((at_s, total))
    return points


def _shares(
    attempts: Sequence[AttemptSpan], workers: int, execution_s: float
) -> tuple[WorkerShare, ...]:
    slots = range(max(workers, *(each.slot + 1 for each in attempts)) if attempts else workers)
    by_slot: dict[int, list[AttemptSpan]] = {slot: [] for slot in slots}
    for each in attempts:
        by_slot[each.slot].append(each)
    shares = []
    for slot, own in by_slot.items():
        # What the other parts of a split module did was done in other slots, nobody says which.
        busy_s = sum(
            min(each.duration_s, each.parts * each.wall_s) if each.parts > 1 else each.wall_s
            for each in own
        )
        shares.append(
            WorkerShare(
                slot=slot,
                modules=len({each.module for each in own}),
                tests=sum(len(each.tests) for each in own),
                busy_s=_tidy(busy_s),
                utilisation=min(1.0, _ratio(busy_s, execution_s) or 0.0),
            )
        )
    return tuple(shares)


def _queue(points: Sequence[QueuePoint], duration_s: float) -> Queue:
    if not points:
        return Queue()
    ends = [*(point.at_s for point in points[1:]), max(duration_s, points[-1].at_s)]
    area = sum(
        point.waiting * (end_s - point.at_s) for point, end_s in zip(points, ends, strict=True)
    )
    stride = -(-len(points) // QUEUE_POINTS)
    kept = [*points[:-1:stride], points[-1]]
    return Queue(
        peak=max(point.waiting for point in points),
        mean=_ratio(area, ends[-1] - points[0].at_s) or 0.0,
        over_time=tuple((point.at_s, point.waiting, point.running) for point in kept),
    )


def _tail_s(attempts: Sequence[AttemptSpan], workers: int, end_s: float) -> float:
    """How long the run went on after the first of its workers had nothing more to do."""
    last_ends: dict[int, float] = {}
    for each in attempts:
        last_ends[each.slot] = max(last_ends.get(each.slot, 0.0), each.end_s)
    if len(last_ends) < workers or not last_ends:
        # Some slot was never needed, so nobody was short of work.
        return 0.0
    return end_s - min(last_ends.values())


def _by_module(attempts: Iterable[AttemptSpan]) -> dict[str, float]:
    taken_s: dict[str, float] = {}
    for each in attempts:
        taken_s[each.module] = taken_s.get(each.module, 0.0) + each.duration_s
    return taken_s


def _durations(pairs: Iterable[tuple[str, float]]) -> Durations:
    ordered = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
    if not ordered:
        return Durations()
    values_s = [value_s for _, value_s in ordered]
    return Durations(
        count=len(ordered),
        total_s=_tidy(sum(values_s)),
        mean_s=_tidy(sum(values_s) / len(values_s)),
        median_s=_tidy((values_s[(len(values_s) - 1) // 2] + values_s[len(values_s) // 2]) / 2),
        p95_s=_tidy(values_s[len(values_s) // 20]),
        max_s=_tidy(values_s[0]),
        longest=tuple(Named(name, _tidy(value_s)) for name, value_s in ordered[:NAMED]),
    )


def _cache(hits: int, misses: int, saved_s: float, facts: CacheFacts | None) -> CacheFigures:
    facts = facts or CacheFacts()
    off = facts.enabled is False
    return CacheFigures(
        enabled=facts.enabled,
        hits=hits,
        misses=0 if off else misses,
        hit_ratio=None if off else _ratio(hits, hits + misses),
        miss_ratio=None if off else _ratio(misses, hits + misses),
        lookup_s=facts.lookup_s,
        retrieval_s=_ratio(facts.lookup_s, hits) if facts.lookup_s is not None else None,
        saved_s=_tidy(saved_s),
        size_bytes=facts.size_bytes,
        ttl_s=facts.ttl_s,
        expires_in_s=facts.expires_in_s,
    )


def _ratio(part: float, whole: float) -> float | None:
    return _tidy(part / whole) if whole > 0 else None


def _tidy(value: float) -> float:
    return round(value, 6)
