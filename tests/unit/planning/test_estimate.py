"""What modules are expected to take, in which order they start, and when a run will be over."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.analysis.outline import Outline
from iopio_async.model.module import TestModule
from iopio_async.model.outcome import BAD_STATUSES, ModuleStatus
from iopio_async.planning.estimate import (
    BYTES_A_TEST,
    OVERRUN_SHARE,
    PEAK_STEPS,
    SECONDS_A_BYTE,
    ModuleSummary,
    expected_durations_s,
    ordered,
    outlook,
    remaining_s,
    rounded_up,
    weight_bytes,
)


def module(path: str, size_bytes: int = 1000) -> TestModule:
    return TestModule(path=path, size_bytes=size_bytes)


def took(duration_s: float, status: ModuleStatus = ModuleStatus.PASSED) -> ModuleSummary:
    return ModuleSummary(duration_s=duration_s, status=status)


def paths(modules: tuple[TestModule, ...]) -> list[str]:
    return [each.path for each in modules]


# -- expectation -------------------------------------------------------------------------------


def test_a_module_takes_what_it_took() -> None:
    assert expected_durations_s([module("a")], {"a": took(7.0), "b": took(1.0)}) == {"a": 7.0}


def test_without_any_history_bytes_count() -> None:
    expected = expected_durations_s([module("a", 1000), module("b", 3000)], {})

    assert expected == {
        "a": pytest.approx(1000 * SECONDS_A_BYTE),
        "b": pytest.approx(3000 * SECONDS_A_BYTE),
    }


def test_the_pace_is_the_middle_one_of_the_modules_of_this_run() -> None:
    modules = [module("a"), module("b"), module("c", 500), module("new", 2000)]
    summaries = {"a": took(1.0), "b": took(100.0), "c": took(1.0), "elsewhere": took(1e6)}

    assert expected_durations_s(modules, summaries)["new"] == pytest.approx(4.0)


def test_a_module_that_never_ran_clean_is_estimated() -> None:
    summaries = {"a": took(2.0), "b": ModuleSummary(status=ModuleStatus.TIMED_OUT)}

    expected = expected_durations_s([module("a"), module("b", 3000)], summaries)

    assert expected["b"] == pytest.approx(6.0)


def test_modules_without_bytes_tell_no_pace() -> None:
    modules = [module("<items>", 0), module("b"), module("<more>", 0)]

    expected = expected_durations_s(modules, {"<items>": took(50.0)})

    assert expected == {"<items>": 50.0, "b": pytest.approx(1000 * SECONDS_A_BYTE), "<more>": 0.0}


def test_an_outline_weighs_as_much_as_the_bytes() -> None:
    few, many = Outline(tests=0), Outline(tests=20)

    assert weight_bytes(module("a")) == 1000
    assert weight_bytes(module("a"), few) == 500
    assert weight_bytes(module("a"), many) == 500 + 10 * BYTES_A_TEST


def test_outlines_count_for_those_that_have_a_history_too() -> None:
    outlines = {"a": Outline(tests=4), "b": Outline(tests=8)}
    modules = [module("a", 2000), module("b", 4000)]

    expected = expected_durations_s(modules, {"a": took(3.0)}, outlines)

    assert expected["b"] == pytest.approx(6.0)


# -- order -------------------------------------------------------------------------------------


def test_the_longest_starts_first_whatever_order_they_come_in() -> None:
    modules = [module("a"), module("b"), module("c"), module("d", 10)]
    summaries = {"a": took(1.0), "b": took(5.0), "c": took(1.0)}

    for each in permutations(modules):
        assert paths(ordered(each, summaries)) == ["b", "a", "c", "d"]


@pytest.mark.parametrize("status", sorted(BAD_STATUSES))
def test_those_that_failed_come_first_where_that_is_wanted(status: ModuleStatus) -> None:
    modules = [module("a"), module("b"), module("c"), module("d")]
    summaries = {
        "a": took(9.0),
        "b": took(1.0, status),
        "c": took(2.0, status),
        "d": took(3.0, ModuleStatus.FLAKY),
    }

    assert paths(ordered(modules, summaries)) == ["a", "d", "c", "b"]
    assert paths(ordered(modules, summaries, failed_first=True)) == ["c", "b", "a", "d"]


def test_the_order_follows_the_outlines() -> None:
    modules = [module("a", 2000), module("b", 1000)]

    assert paths(ordered(modules, {}, outlines={"b": Outline(tests=50)})) == ["b", "a"]


# -- time left ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waiting_s", "running_s", "workers", "left_s"),
    [
        ([], [], 2, 0.0),
        ([1.0, 1.0, 1.0, 1.0], [], 2, 2.0),
        ([1.0, 9.0], [], 2, 9.0),
        ([], [(5.0, 2.0)], 4, 3.0),
        ([2.0], [(5.0, 2.0)], 4, 3.0),
        ([2.0], [(5.0, 2.0)], 1, 5.0),
        # The one that waits starts after the shorter one of those that run.
        ([4.0], [(5.0, 2.0), (5.0, 4.0)], 2, 5.0),
        # What takes longer than it should goes on for a while.
        ([], [(1.0, 10.0)], 2, 10.0 * OVERRUN_SHARE),
        ([], [(0.0, 0.0)], 2, 0.0),
    ],
)
def test_the_time_left(
    waiting_s: list[float],
    running_s: list[tuple[float, float]],
    workers: int,
    left_s: float,
) -> None:
    longest_s = max(waiting_s, default=0.0)

    assert remaining_s(sum(waiting_s), longest_s, running_s, workers) == pytest.approx(left_s)


# -- what is expected of a run -----------------------------------------------------------------


def test_who_takes_several_slots_counts_as_so_much_longer() -> None:
    modules = [module("a"), module("b"), module("c")]
    summaries = {"a": took(9.0), "b": took(1.0), "c": took(5.0)}

    assert paths(ordered(modules, summaries, slots={"b": 2})) == ["a", "c", "b"]
    assert paths(ordered(modules, summaries, slots={"b": 6, "c": 2})) == ["c", "a", "b"]


def test_the_outlook_says_how_much_of_it_is_known() -> None:
    modules = [module("a"), module("b")]
    known = {"a": took(3.0), "b": took(1.0)}

    assert outlook(modules, known).known_share == 1.0
    assert outlook(modules, {"a": took(3.0)}).known_share == pytest.approx(0.5)
    assert outlook(modules, {}).known_share == 0.0
    assert outlook([], {}).known_share == 0.0
    assert outlook(modules, known, whole=False).known_share == 0.0
    assert outlook(modules, known, slots={"a": 2}).slots == {"a": 2}


def test_of_modules_that_run_in_part_the_duration_is_not_known() -> None:
    part = TestModule(path="a", size_bytes=1000, selectors=("a::x",))

    assert outlook([part, module("b")], {"a": took(3.0), "b": took(1.0)}).known_share == 0.25


def test_peaks_are_those_that_are_known() -> None:
    summaries = {"a": ModuleSummary(peak_rss_bytes=100 << 20), "b": took(1.0)}

    assert outlook([module("a"), module("b")], summaries).peaks_bytes == {"a": 100 << 20}


@given(st.integers(1, 1 << 45))
def test_peaks_are_rounded_up_by_little(peak_bytes: int) -> None:
    rounded = rounded_up(peak_bytes)

    assert peak_bytes <= rounded <= peak_bytes * (1 + 1 / PEAK_STEPS)
    assert rounded_up(rounded) == rounded


def test_there_are_few_different_peaks() -> None:
    assert len({rounded_up(each << 16) for each in range(1 << 10, 1 << 11)}) <= PEAK_STEPS + 1
