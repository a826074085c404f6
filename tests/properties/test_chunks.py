"""Laws of splitting: nothing is lost, nothing torn apart, and the run never gets longer by it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain

import pytest
from fakes.strategies import many
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.planning.chunks import (
    LongModule,
    class_of,
    makespan_s,
    plan_chunks,
    split,
    worth_splitting,
)

NAMES = ("test_a", "test_b[{}]", "A::test_a", "A::Inner::test_b[{}]", "B::test_c", "B::test_d[{}]")


NAMES_OF_MANY_CLASSES = (*NAMES, *(f"Class{number}::test" for number in range(6)))


@st.composite
def long_modules(draw: st.DrawFn, max_tests: int = 30, *, free: bool = False) -> LongModule:
    """A module of tests in classes or not, some of which share fixtures, in any order.

    A free one costs nothing to split, and its classes and fixtures are many.
    """
    keys = st.integers(0, 9 if free else 3)
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from(NAMES_OF_MANY_CLASSES if free else NAMES),
                st.just(1.0) if free else st.one_of(st.just(0.0), st.floats(0.001, 5.0)),
                st.one_of(st.none(), keys) if free else st.one_of(*[st.none()] * 3, keys),
            ),
            min_size=4 if free else 0,
            max_size=max_tests,
        )
    )
    unique = {
        f"m.py::{name.format('')}{number if '[' not in name else f'[{number}]'}": (taken_s, key)
        for number, (name, taken_s, key) in enumerate(drawn)
    }
    tests = [(test, taken_s) for test, (taken_s, _) in unique.items()]
    tests_s = sum(taken_s for _, taken_s in tests)
    beyond_s = 0.0 if free else draw(st.floats(0.0, 5.0))
    return LongModule(
        tests=tests,
        whole_s=tests_s if free else tests_s * draw(st.floats(0.5, 1.0)) + beyond_s,
        overhead_s=0.0 if free else draw(st.floats(0.0, 2.0)),
        together={test: key for test, (_, key) in unique.items() if key is not None},
    )


def check(module: LongModule, chunks: Sequence[Sequence[str]]) -> None:
    """Every test is in one chunk, in order, beside all that it must not be separated from."""
    places = {test: place for place, (test, _) in enumerate(module.tests)}
    assert Counter(chain.from_iterable(chunks)) == Counter(list(places))
    where = {}
    for number, chunk in enumerate(chunks):
        assert chunk
        assert list(chunk) == sorted(chunk, key=places.__getitem__)
        where |= dict.fromkeys(chunk, number)
    groups: dict[object, set[int]] = {}
    for test, number in where.items():
        if class_of(test):
            groups.setdefault(class_of(test), set()).add(number)
        if test in module.together:
            groups.setdefault(module.together[test], set()).add(number)
    assert all(len(numbers) == 1 for numbers in groups.values())


@many(600)
@given(
    long_modules() | long_modules(free=True),
    st.integers(1, 6),
    st.just(0.0) | st.floats(0.0, 30.0),
    st.floats(0.0, 1.0),
)
def test_a_split_is_a_partition_that_tears_nothing_apart(
    module: LongModule, workers: int, others_total_s: float, longest_share: float
) -> None:
    chunks = split(
        module.tests,
        whole_s=module.whole_s,
        overhead_s=module.overhead_s,
        workers=workers,
        others_total_s=others_total_s,
        others_longest_s=others_total_s * longest_share,
        together=module.together,
    )

    if chunks:
        assert len(chunks) > 1
        check(module, chunks)


def run_s(
    modules: Mapping[str, LongModule], others_s: Sequence[float], workers: int
) -> tuple[float, float, int]:
    """What the run takes with its modules whole and with them in chunks, and the chunks' number."""
    planned = plan_chunks(modules, others_s, workers)
    whole_s = [module.whole_s for module in modules.values()]
    for name, chunks in planned.items():
        check(modules[name], [chunk.tests for chunk in chunks])
    pieces_s = [module.whole_s for name, module in modules.items() if name not in planned]
    for chunks in planned.values():
        pieces_s += [chunk.expected_s for chunk in chunks]
    return (
        makespan_s([*whole_s, *others_s], workers),
        makespan_s([*pieces_s, *others_s], workers),
        sum(map(len, planned.values())),
    )


@many(400)
@given(
    st.lists(long_modules() | long_modules(free=True), max_size=4),
    st.lists(st.floats(0.01, 10.0), max_size=20),
    st.integers(1, 6),
)
def test_a_run_is_never_longer_for_its_chunks(
    modules: list[LongModule], others_s: list[float], workers: int
) -> None:
    named = {f"m{number}": module for number, module in enumerate(modules)}

    whole_s, split_s, chunks = run_s(named, others_s, workers)

    # Short modules count as filler, which leaves a little to chance.
    slack_s = (sum(others_s) + sum(module.whole_s for module in modules)) / workers * 0.03
    assert split_s <= whole_s + (slack_s if chunks else 0.0) + 1e-9


@many(400)
@given(long_modules(), st.integers(2, 6))
def test_a_module_alone_is_split_for_more_than_a_process_costs(
    module: LongModule, workers: int
) -> None:
    chunks = plan_chunks({"m": module}, [], workers).get("m", ())

    if chunks:
        takes_s = makespan_s([chunk.expected_s for chunk in chunks], workers)
        given_s = sum(taken_s for _, taken_s in module.tests)
        beyond_s = max(module.overhead_s, module.whole_s - given_s)
        assert module.whole_s - takes_s > beyond_s
        assert sum(chunk.expected_s for chunk in chunks) == pytest.approx(
            module.whole_s + (len(chunks) - 1) * beyond_s
        )


@many(200)
@given(st.integers(2, 8), st.integers(4, 40), st.floats(0.0, 50.0))
def test_free_tests_come_out_within_a_tenth_of_the_best(
    workers: int, tests_a_worker: int, others_s: float
) -> None:
    count = workers * tests_a_worker
    tests = [(f"m.py::test[{number}]", 1.0) for number in range(count)]
    module = LongModule(tests=tests, whole_s=float(count), overhead_s=0.0)
    others = [others_s / 400] * 400

    _, split_s, _ = run_s({"m": module}, others, workers)

    best_s = (count + others_s) / workers
    assert split_s <= best_s * 1.1 + 1.0


@many(200)
@given(
    st.lists(long_modules(12), min_size=2, max_size=4),
    st.lists(st.floats(0.01, 10.0), max_size=10),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_the_plan_does_not_depend_on_the_order_of_the_modules(
    modules: list[LongModule], others_s: list[float], workers: int, random: object
) -> None:
    named = {f"m{number}": module for number, module in enumerate(modules)}
    mixed, others = list(named.items()), list(others_s)
    random.shuffle(mixed)  # type: ignore[attr-defined]

    assert plan_chunks(dict(mixed), others, workers) == plan_chunks(named, others_s, workers)


@many(300)
@given(st.dictionaries(st.text(max_size=3), st.floats(0.0, 50.0), max_size=20), st.integers(1, 6))
def test_whoever_makes_a_run_long_is_worth_a_look(
    durations_s: dict[str, float], workers: int
) -> None:
    names = worth_splitting(durations_s, workers)

    assert [durations_s[name] for name in names] == sorted(
        (durations_s[name] for name in names), reverse=True
    )
    share_s = sum(durations_s.values()) / workers
    if makespan_s(durations_s.values(), workers) > share_s * 1.1 + 1e-9:
        assert max(durations_s, key=durations_s.__getitem__) in {
            name for name, each in durations_s.items() if each == durations_s[names[0]]
        }
