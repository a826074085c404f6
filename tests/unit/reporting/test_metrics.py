"""The figures of a run: from the story, and from attempts made up for one question each."""

from itertools import pairwise
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.model import events as ev
from iopio_async.model.outcome import Outcome
from iopio_async.model.spans import AttemptSpan, RunSpans, TestSpan, fold
from iopio_async.model.stats import RunStats
from iopio_async.reporting.metrics import (
    QUEUE_POINTS,
    CacheFacts,
    Metrics,
    critical_path,
    measure,
    memory_over_time,
)


def span(module: str, slot: int, begin_s: float, end_s: float, **fields: object) -> AttemptSpan:
    return AttemptSpan(module, 1, slot, begin_s, end_s, duration_s=end_s - begin_s, **fields)


def run_of(*attempts: AttemptSpan, workers: int = 2) -> RunSpans:
    started = ev.RunStarted(
        run_id="r", root="/", modules=0, workers=workers, python="", iopio="", started_at=""
    )
    end_s = max((each.end_s for each in attempts), default=0.0)
    finished = ev.RunFinished(exit_code=0, duration_s=end_s)
    return RunSpans(started=started, finished=finished, attempts=list(attempts), last_s=end_s)


def measured(*attempts: AttemptSpan, workers: int = 2) -> Metrics:
    return measure(run_of(*attempts, workers=workers), RunStats())


@pytest.fixture
def of_story(story: ModuleType) -> Metrics:
    envelopes = story.tell()
    *_, (_, stats) = story.play(envelopes)
    return measure(fold(envelopes), stats)


def test_the_story(of_story: Metrics) -> None:
    assert of_story.duration_s == 12.25
    assert of_story.serial_estimate_s == pytest.approx(13.79)
    assert of_story.executed_s == pytest.approx(10.79)
    assert of_story.speedup == pytest.approx(13.79 / 12.25, abs=1e-6)
    assert of_story.completed_modules == 16
    assert of_story.completed_tests == 95
    assert of_story.max_workers == 2
    assert of_story.peak_rss_bytes == 45 << 20
    assert of_story.cache.hits == 2
    assert of_story.cache.misses == 14
    assert of_story.cache.hit_ratio == 0.125
    assert of_story.cache.miss_ratio == 0.875
    assert of_story.cache.saved_s == 3.0
    assert of_story.cache.size_bytes is None
    assert of_story.queue.peak == 14
    assert of_story.modules.longest[0].name == "tests/test_slow.py"


def test_speedup_efficiency_and_utilisation() -> None:
    metrics = measured(span("a", 0, 1.0, 3.0), span("b", 1, 1.0, 2.0))
    assert metrics.execution_s == 2.0
    assert metrics.executed_s == 3.0
    assert metrics.speedup == 1.0
    assert metrics.parallel_speedup == 1.5
    assert metrics.parallel_efficiency == 0.75
    assert metrics.utilisation == 0.75
    assert [(each.slot, each.busy_s, each.utilisation) for each in metrics.workers] == [
        (0, 2.0, 1.0),
        (1, 1.0, 0.5),
    ]
    assert metrics.tail_s == 1.0


def test_nothing_executed_has_no_efficiency() -> None:
    metrics = measured()
    assert metrics.parallel_efficiency is None
    assert metrics.utilisation is None
    assert metrics.critical_path == ()
    assert metrics.bottleneck is None
    assert [share.busy_s for share in metrics.workers] == [0.0, 0.0]


def test_the_critical_path_follows_who_waited_for_whom() -> None:
    metrics = measured(
        span("first", 0, 0.0, 2.0),
        span("beside", 1, 0.0, 1.0),
        span("beside too", 1, 1.0, 1.5),
        span("after first", 1, 2.001, 5.0),
        span("last in its slot", 0, 2.0, 3.0),
    )
    assert [(step.module, step.slot) for step in metrics.critical_path] == [
        ("first", 0),
        ("after first", 1),
    ]
    assert metrics.critical_path_s == pytest.approx(4.999)
    assert metrics.bottleneck is not None
    assert metrics.bottleneck.name == "after first"


def test_the_critical_path_prefers_the_own_slot() -> None:
    path = critical_path([span("a", 0, 0.0, 1.0), span("b", 1, 0.0, 1.0), span("c", 0, 1.0, 2.0)])
    assert [step.module for step in path] == ["a", "c"]


def test_time_spent_waiting_for_memory_is_told() -> None:
    path = critical_path([span("a", 0, 0.0, 1.0), span("b", 0, 1.5, 2.0)])
    assert [step.waited_s for step in path] == [0.0, 0.5]


times = st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 3))


@given(st.lists(st.tuples(times, times, st.integers(0, 3)), max_size=30))
def test_a_critical_path_goes_forward_and_ends_last(rows: list[tuple[float, float, int]]) -> None:
    attempts = [
        span(str(number), slot, min(one, two), max(one, two))
        for number, (one, two, slot) in enumerate(rows)
    ]
    path = critical_path(attempts)
    assert bool(path) == bool(attempts)
    for before, after in pairwise(path):
        assert before.begin_s < after.begin_s
        assert before.end_s <= after.begin_s + 0.0021
    if path:
        assert path[-1].end_s == max(each.end_s for each in attempts)
    metrics = measured(*attempts, workers=4)
    assert all(0.0 <= share.utilisation <= 1.0 for share in metrics.workers)
    assert metrics.tail_s >= 0.0


def test_memory_is_the_sum_of_what_runs() -> None:
    points = memory_over_time(
        [
            span("a", 0, 0.0, 2.0, peak_rss_bytes=10),
            span("b", 1, 1.0, 3.0, peak_rss_bytes=5),
            span("c", 0, 2.0, 3.0, peak_rss_bytes=7),
        ]
    )
    assert points == [(0.0, 10), (1.0, 15), (2.0, 12), (3.0, 0)]


def test_a_long_queue_is_thinned_out_but_keeps_its_end(story: ModuleType) -> None:
    spans = RunSpans()
    for number in range(3 * QUEUE_POINTS):
        event = ev.ModulePlanned(module=str(number), framework="pytest")
        spans.apply(ev.Envelope(number, float(number), event))
    over_time = measure(spans, RunStats()).queue.over_time
    assert len(over_time) <= QUEUE_POINTS + 1
    assert over_time[-1][1] == 3 * QUEUE_POINTS


def test_distribution_of_tests_by_worker() -> None:
    tests = [TestSpan(name, Outcome.PASSED, 0.0, 0.1) for name in "xyz"]
    metrics = measured(span("a", 0, 0.0, 1.0, tests=tests), span("b", 1, 0.0, 1.0))
    assert [(each.modules, each.tests) for each in metrics.workers] == [(1, 3), (1, 0)]


def test_a_cache_that_is_off_has_no_ratios() -> None:
    metrics = measure(run_of(span("a", 0, 0.0, 1.0)), RunStats(), CacheFacts(enabled=False))
    assert metrics.cache.enabled is False
    assert (metrics.cache.misses, metrics.cache.hit_ratio) == (0, None)


def test_retrieval_is_the_look_up_by_hit(story: ModuleType) -> None:
    envelopes = story.tell()
    facts = CacheFacts(enabled=True, lookup_s=0.5, size_bytes=7, ttl_s=60.0, expires_in_s=30.0)
    cache = measure(fold(envelopes), RunStats(), facts).cache
    assert (cache.lookup_s, cache.retrieval_s) == (0.5, 0.25)
    assert (cache.size_bytes, cache.ttl_s, cache.expires_in_s) == (7, 60.0, 30.0)
