"""The dictionary of results: its sums, whatever the tests' outcomes are."""

import json

from hypothesis import given
from hypothesis import strategies as st

from iopio_async.dropin.results import Effort, Result, summary
from iopio_async.model.outcome import Outcome

RESULTS = st.lists(
    st.builds(
        Result,
        test=st.text(),
        outcome=st.sampled_from(Outcome),
        error=st.text(),
        cached=st.booleans(),
        duration_s=st.floats(0, 1e6),
    )
)


@given(RESULTS, st.integers(1, 64), st.floats(0, 1e6), st.booleans())
def test_the_sums_are_right(
    results: list[Result], workers: int, wall_s: float, caching: bool
) -> None:
    told = summary(results, Effort(wall_s=wall_s, workers=workers), caching=caching)
    assert told["total_tests"] == told["passed"] + told["failed"] + told["skipped"]
    assert told["total_tests"] == told["cached"] + told["executed"] == len(told["results"])
    assert told["cache_hits"] == told["cached"]
    assert told["cache_misses"] == (told["executed"] if caching else 0)
    assert told["failed"] == sum(not each["success"] for each in told["results"])
    assert all(each["error"] for each in told["results"] if not each["success"])
    assert all(each["error"] is None for each in told["results"] if each["success"])
    assert 0 <= told["parallel_efficiency"] <= 1
    assert 0 <= told["worker_utilization"] <= 1
    assert json.loads(json.dumps(told)) == told


def test_figures() -> None:
    results = [
        Result("a", Outcome.PASSED, duration_s=3.0),
        Result("b", Outcome.PASSED, duration_s=1.0, cached=True),
    ]
    effort = Effort(wall_s=4.0, workers=2, lookup_s=0.5, peak_rss_bytes=7)
    effort.add(Effort(busy_s=2.0, peak_rss_bytes=5))
    told = summary(results, effort, caching=True)
    assert (told["serial_estimate"], told["speedup"]) == (4.0, 1.0)
    assert (told["parallel_efficiency"], told["worker_utilization"]) == (0.5, 0.25)
    assert (told["cache_retrieval_time"], told["peak_memory_bytes"]) == (0.5, 7)
    assert (told["cache_hit_rate"], told["slowest_test"]) == (0.5, "a")
