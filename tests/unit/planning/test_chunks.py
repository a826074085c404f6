"""Which modules are split, and into which tests."""

import pytest

from iopio_async.planning.chunks import (
    Chunk,
    LongModule,
    class_of,
    makespan_s,
    plan_chunks,
    shortest_s,
    split,
    worth_splitting,
)


def some_tests(
    count: int, duration_s: float = 1.0, name: str = "m.py::test"
) -> list[tuple[str, float]]:
    return [(f"{name}_{number}", duration_s) for number in range(count)]


def module(count: int, overhead_s: float = 0.5, duration_s: float = 1.0) -> LongModule:
    tests = some_tests(count, duration_s)
    return LongModule(tests=tests, whole_s=count * duration_s + overhead_s, overhead_s=overhead_s)


def sizes(chunks: tuple[tuple[str, ...], ...]) -> list[int]:
    return [len(chunk) for chunk in chunks]


# -- one module --------------------------------------------------------------------------------


def test_a_module_that_is_the_whole_run_is_dealt_out_to_all_workers() -> None:
    tests = some_tests(12)

    chunks = split(tests, whole_s=12.5, overhead_s=0.5, workers=4, others_total_s=0.0)

    assert sizes(chunks) == [3, 3, 3, 3]
    assert [test for chunk in chunks for test in chunk] == [test for test, _ in tests]


@pytest.mark.parametrize(
    ("others_total_s", "chunks"),
    [(0.0, 2), (8.0, 2), (12.3, 0), (100.0, 0)],
)
def test_a_module_is_split_only_where_it_outlasts_the_rest(
    others_total_s: float, chunks: int
) -> None:
    found = split(
        some_tests(12), whole_s=12.5, overhead_s=0.5, workers=2, others_total_s=others_total_s
    )

    assert len(found) == chunks


def test_there_are_no_more_chunks_than_it_takes() -> None:
    # Two workers are busy with the rest for as long as two halves take.
    chunks = split(some_tests(12), whole_s=12.5, overhead_s=0.5, workers=4, others_total_s=13.0)

    assert len(chunks) == 2


def test_one_worker_gains_nothing() -> None:
    assert split(some_tests(12), whole_s=12.0, overhead_s=0.0, workers=1, others_total_s=5.0) == ()


def test_a_longer_module_elsewhere_makes_splitting_pointless() -> None:
    def chunks(others_longest_s: float) -> int:
        found = split(
            some_tests(12),
            whole_s=12.5,
            overhead_s=0.5,
            workers=8,
            others_total_s=20.0,
            others_longest_s=others_longest_s,
        )
        return len(found)

    assert chunks(12.4) == 0
    assert chunks(6.5) == 2
    assert chunks(1.0) > 2


@pytest.mark.parametrize(
    ("overhead_s", "chunks"), [(0.1, 2), (3.0, 2), (4.0, 0), (6.0, 0), (100.0, 0)]
)
def test_a_saving_below_the_overhead_is_none(overhead_s: float, chunks: int) -> None:
    found = split(
        some_tests(8),
        whole_s=8.0 + overhead_s,
        overhead_s=overhead_s,
        workers=2,
        others_total_s=0.0,
    )

    assert len(found) == chunks


def test_what_the_tests_do_not_account_for_is_overhead() -> None:
    def chunks(whole_s: float) -> int:
        found = split(some_tests(8), whole_s=whole_s, overhead_s=0.1, workers=2, others_total_s=0.0)
        return len(found)

    assert chunks(8.5) == 2
    assert chunks(16.0) == 0


def test_tests_that_took_longer_than_the_module_are_scaled_down() -> None:
    given = LongModule(tests=some_tests(4, 10.0), whole_s=5.0, overhead_s=1.0)

    chunks = plan_chunks({"m": given}, [], 2)["m"]

    assert [chunk.expected_s for chunk in chunks] == [pytest.approx(3.0), pytest.approx(3.0)]


@pytest.mark.parametrize("tests", [[], some_tests(1, 8.0), some_tests(5, 0.0)])
def test_what_can_not_be_divided_stays_whole(tests: list[tuple[str, float]]) -> None:
    assert split(tests, whole_s=9.0, overhead_s=0.1, workers=4, others_total_s=0.0) == ()


def test_uneven_tests_are_dealt_out_by_time() -> None:
    tests = [*some_tests(8, 0.5, "m.py::test_short"), *some_tests(2, 4.0, "m.py::test_long")]

    chunks = split(tests, whole_s=12.1, overhead_s=0.1, workers=3, others_total_s=0.0)

    assert sizes(chunks) == [8, 1, 1]


# -- what stays together -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "found"),
    [
        ("t/test_a.py::test_b", ""),
        ("t/test_a.py::test_b[x::y]", ""),
        ("t/test_a.py::A::test_b", "t/test_a.py::A"),
        ("t/test_a.py::A::test_b[x]", "t/test_a.py::A"),
        ("t/test_a.py::A::B::test_b", "t/test_a.py::A"),
        ("t/[x]/test_a.py::A::test_b", "t/[x]/test_a.py::A"),
        ("README.txt::README.txt", ""),
        ("odd", ""),
    ],
)
def test_the_class_of_a_test(test: str, found: str) -> None:
    assert class_of(test) == found


def test_a_class_stays_together_even_where_others_stand_between() -> None:
    tests = [
        ("m.py::A::test_1", 1.0),
        ("m.py::test_2", 1.0),
        ("m.py::A::test_3", 1.0),
        ("m.py::A::Inner::test_4", 1.0),
        ("m.py::test_5", 1.0),
        ("m.py::test_6", 1.0),
    ]

    chunks = split(tests, whole_s=6.1, overhead_s=0.1, workers=2, others_total_s=0.0)

    assert chunks == (
        ("m.py::A::test_1", "m.py::A::test_3", "m.py::A::Inner::test_4"),
        ("m.py::test_2", "m.py::test_5", "m.py::test_6"),
    )


def test_a_module_of_one_class_stays_whole() -> None:
    tests = some_tests(10, name="m.py::TestAll::test")

    assert split(tests, whole_s=10.0, overhead_s=0.0, workers=2, others_total_s=0.0) == ()


def test_parameters_of_one_test_may_be_separated() -> None:
    tests = [(f"m.py::test[{number}]", 1.0) for number in range(10)]

    chunks = split(tests, whole_s=10.1, overhead_s=0.1, workers=2, others_total_s=0.0)

    assert sizes(chunks) == [5, 5]


def test_tests_that_share_a_fixture_stay_together() -> None:
    tests = some_tests(6)
    shared = {tests[0][0]: "db", tests[1][0]: "net", tests[4][0]: "db"}

    chunks = split(
        tests, whole_s=6.1, overhead_s=0.1, workers=3, others_total_s=0.0, together=shared
    )

    assert chunks == (
        ("m.py::test_0", "m.py::test_4"),
        ("m.py::test_1", "m.py::test_2"),
        ("m.py::test_3", "m.py::test_5"),
    )


@pytest.mark.parametrize(
    "held",
    [
        {"A": [1], "B": [2], "C": [1, 2]},
        {"A": [1], "B": [1, 2], "C": [2]},
        # The last class joins the first one to those that had found each other before.
        {"A": [1], "B": [2], "C": [2, 3], "D": [1, 3]},
    ],
)
def test_a_class_may_tie_fixtures_together(held: dict[str, list[int]]) -> None:
    shared = {f"m.py::{name}::test_{key}": key for name, keys in held.items() for key in keys}
    # Between any two of the tests there is one that is free to go elsewhere.
    tests = []
    for number, test in enumerate(shared):
        tests += [(test, 1.0), (f"m.py::test_free_{number}", 1.0)]

    chunks = split(
        tests,
        whole_s=2.0 * len(shared),
        overhead_s=0.0,
        workers=2,
        others_total_s=0.0,
        together=shared,
    )

    assert chunks == (tuple(shared), tuple(test for test, _ in tests if test not in shared))


def test_tests_of_one_id_stay_together() -> None:
    tests = [("m.py::same", 1.0), ("m.py::other", 1.0), ("m.py::same", 1.0), ("m.py::last", 1.0)]

    chunks = split(tests, whole_s=4.1, overhead_s=0.1, workers=2, others_total_s=0.0)

    assert chunks == (("m.py::same", "m.py::same"), ("m.py::other", "m.py::last"))


def test_the_longest_unit_bounds_the_longest_chunk() -> None:
    tests = [*some_tests(3, 2.0, "m.py::A::test"), *some_tests(4)]

    assert shortest_s(LongModule(tests=tests, whole_s=11.0, overhead_s=0.5)) == pytest.approx(7.0)
    assert shortest_s(LongModule(tests=[], whole_s=11.0, overhead_s=0.5)) == 11.0


# -- a run -------------------------------------------------------------------------------------


def test_equally_long_modules_are_split_where_they_do_not_come_out_even() -> None:
    modules = {name: module(10) for name in ("a", "b", "c")}

    chunks = plan_chunks(modules, [], 2)

    # The best is half of all; one of the three in two does it.
    assert {name: len(each) for name, each in chunks.items()} == {"c": 2}


def test_splitting_one_of_two_long_modules_would_not_help() -> None:
    chunks = plan_chunks({"a": module(10), "b": module(10)}, [], 4)

    assert {name: len(each) for name, each in chunks.items()} == {"a": 2, "b": 2}


@pytest.mark.parametrize(
    ("modules", "workers", "most_chunks", "longest_s"),
    [
        ({"a": module(28, 0.5), "b": module(17, 0.1, 2.0)}, 4, 7, 16.61),
        ({"a": module(18, 2.0, 0.5), "b": module(25, 0.5)}, 8, 8, 5.51),
    ],
)
def test_few_chunks_do_as_well_as_many(
    modules: dict[str, LongModule], workers: int, most_chunks: int, longest_s: float
) -> None:
    chunks = [chunk for each in plan_chunks(modules, [], workers).values() for chunk in each]

    assert len(chunks) <= most_chunks
    assert makespan_s([chunk.expected_s for chunk in chunks], workers) <= longest_s


def test_chunks_tell_what_they_are_expected_to_take() -> None:
    chunks = plan_chunks({"m": module(4, overhead_s=0.25)}, [], 2)

    assert chunks["m"] == (
        Chunk(("m.py::test_0", "m.py::test_1"), 2.25),
        Chunk(("m.py::test_2", "m.py::test_3"), 2.25),
    )


def test_small_modules_fill_gaps() -> None:
    assert plan_chunks({"m": module(10)}, [0.1] * 110, 2) == {}


def test_only_long_modules_are_worth_a_look() -> None:
    others = {f"m{number}": 0.1 for number in range(100)}

    assert worth_splitting(others | {"a": 5.0, "b": 5.0}, 2) == ()
    assert worth_splitting(others | {"a": 20.0, "b": 30.0}, 2) == ()
    assert worth_splitting(others | {"a": 20.0, "b": 60.0, "c": 20.0}, 2) == ("b", "a", "c")
    assert worth_splitting({}, 2) == ()


@pytest.mark.parametrize(
    ("durations_s", "workers", "filler_s", "expected_s"),
    [
        ([], 2, 0.0, 0.0),
        ([3.0, 3.0, 2.0, 2.0, 2.0], 2, 0.0, 7.0),
        ([5.0, 1.0], 2, 2.0, 5.0),
        ([5.0, 1.0], 2, 6.0, 6.0),
        ([1.0, 2.0], 8, 0.0, 2.0),
    ],
)
def test_the_makespan(
    durations_s: list[float], workers: int, filler_s: float, expected_s: float
) -> None:
    assert makespan_s(durations_s, workers, filler_s) == pytest.approx(expected_s)
