"""Modules that run in parts, at random: told as one attempt, no test lost, none told twice.

``fakes.runs`` verifies the grammar of every run. A module is split at random places; its parts are
in good order, or lose their process at any message, and come and go in any order.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
from fakes.executor import LEFT_WELL, Script, Step, end, plan
from fakes.runs import Played, Scenario, cancel, kill, play
from fakes.strategies import many
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.execution.ports import Gone
from iopio_async.model import events as ev
from iopio_async.model.config import ModuleSettings
from iopio_async.model.module import Claim, Framework, ModuleKind, TestModule
from iopio_async.model.outcome import (
    BAD_OUTCOMES,
    BAD_STATUSES,
    ExitStatus,
    ModuleStatus,
    Outcome,
)
from iopio_async.orchestration.units import in_order
from iopio_async.planning.estimate import ModuleSummary
from iopio_async.planning.parts import Part, Recorded, may_be_split, plan_parts
from iopio_async.wire import messages as msg

SEGFAULT = Gone(exit_status=ExitStatus(signal=11), duration_s=0.0)
OUTCOMES = (Outcome.PASSED, Outcome.SKIPPED, Outcome.XFAILED)


@dataclass(frozen=True)
class Split:
    """A module in parts. ``shares`` says of each test which part runs it."""

    ids: Sequence[str]
    outcomes: Sequence[Outcome]
    shares: Sequence[int]
    parts: Sequence[Script]


def part_script(
    ids: Sequence[str], outcomes: Sequence[Outcome], own: set[int], cut: int | None, spawn_s: float
) -> Script:
    """What a part does that runs these of all tests, up to a message where it crashes."""
    elsewhere = [(index, index + 1) for index in range(len(ids)) if index not in own]
    steps: list[Step] = [*plan(ids, elsewhere=elsewhere)]
    for index in sorted(own):
        steps += [msg.Started(index), 1.0, msg.Finished(index, outcomes[index], 1.0)]
    bad = any(outcomes[index] in BAD_OUTCOMES for index in own)
    steps.append(end(steps, int(bad) if own else 5))
    if cut is None:
        return Script(tuple(steps), spawn_s=spawn_s)
    return Script(tuple(steps[: cut % len(steps)]), ends=SEGFAULT, spawn_s=spawn_s)


@st.composite
def splits(draw: st.DrawFn, path: str = "a", *, sound: bool = False) -> Split:
    """A module of a few tests, in two or three parts, all of them in good order if sound."""
    count = draw(st.integers(1, 6))
    names = draw(st.lists(st.integers(0, 4), min_size=count, max_size=count))
    ids = [f"{path}::test_{name}" for name in sorted(names)]
    outcomes = draw(
        st.lists(
            st.sampled_from(OUTCOMES if sound else [*OUTCOMES, Outcome.FAILED, Outcome.ERROR]),
            min_size=count,
            max_size=count,
        )
    )
    parts = draw(st.integers(2, 3))
    by_id = {test: draw(st.integers(0, parts - 1)) for test in ids}
    shares = [by_id[test] for test in ids]
    cuts = st.just(None) if sound else st.sampled_from([None, None, None, 0, 1, 2, 3, 4, 7])
    return Split(
        ids,
        outcomes,
        shares,
        [
            part_script(
                ids,
                outcomes,
                {index for index, share in enumerate(shares) if share == number},
                draw(cuts),
                draw(st.sampled_from([0, 0, 0.5])),
            )
            for number in range(parts)
        ],
    )


def whole(split: Split) -> Script:
    """The module in one process, with the same outcomes."""
    return part_script(split.ids, split.outcomes, set(range(len(split.ids))), None, 0)


def told(played: Played, path: str, attempt: int) -> Counter[str]:
    return Counter(
        event.id
        for event in played.events(ev.TestFinished)
        if event.module == path and event.attempt == attempt
    )


@many(400)
@given(splits(), splits("b"), st.integers(1, 3), st.integers(0, 2), st.integers(0, 2))
def test_a_module_in_parts_is_told_as_one(
    one: Split, other: Split, workers: int, retries: int, maxfail: int
) -> None:
    played = play(
        Scenario(
            scripts={"a": [whole(one)], "b": [whole(other)]},
            parts={"a": one.parts, "b": other.parts},
            workers=workers,
            retries=retries,
            maxfail=maxfail,
        )
    )

    for path, split in (("a", one), ("b", other)):
        first = [e for e in played.events(ev.AttemptStarted) if e.module == path and e.parts > 1]
        assert len(first) <= 1
        collected = played.events(ev.TestsCollected)
        planned = any((e.module, e.attempt) == (path, 1) for e in collected)
        if planned:
            assert told(played, path, 1) == Counter(split.ids)


@many(300)
@given(splits(sound=True), st.integers(1, 3))
def test_parts_in_good_order_are_as_good_as_the_whole(split: Split, workers: int) -> None:
    parts = play(Scenario(scripts={"a": []}, parts={"a": split.parts}, workers=workers))
    alone = play(Scenario(scripts={"a": [whole(split)]}, workers=workers))

    assert parts.finals() == alone.finals()
    assert parts.stats.exit_code == alone.stats.exit_code
    assert parts.stats.outcomes == alone.stats.outcomes
    assert parts.stats.modules["a"].duration_s == len(split.ids)


@many(300)
@given(splits(), st.integers(1, 3))
def test_a_failure_that_others_may_have_prevented_is_tried_as_a_whole(
    split: Split, workers: int
) -> None:
    healthy = replace(split, outcomes=[Outcome.PASSED] * len(split.ids))
    played = play(
        Scenario(scripts={"a": [whole(healthy)] * 2}, parts={"a": split.parts}, workers=workers)
    )

    module = played.stats.modules["a"]
    if module.attempts == 2:
        assert module.status is ModuleStatus.FLAKY
        assert played.session.collected["a"].whole
        assert played.stats.exit_code == 0
    else:
        bad = {outcome in BAD_OUTCOMES for outcome in played.stats.outcomes.elements()}
        assert (module.status in BAD_STATUSES) == (True in bad or module.status.value == "crashed")


@many(200)
@given(
    splits(),
    st.lists(
        st.tuples(st.sampled_from([-1, 0, 0.5, 1, 1.5, 2.5, 4]), st.sampled_from([cancel(), kill])),
        min_size=1,
        max_size=2,
    ),
    st.integers(1, 3),
)
def test_a_run_with_parts_may_be_cancelled_at_any_moment(
    split: Split, deeds: list, workers: int
) -> None:
    played = play(
        Scenario(
            scripts={"a": [whole(split)]}, parts={"a": split.parts}, workers=workers, deeds=deeds
        )
    )

    assert played.heard == played.told


@many(100)
@given(splits(), st.sampled_from([0, 0.5, 1, 1.5, 2.5, 4]), st.integers(1, 2))
def test_a_run_with_parts_may_be_abandoned_at_any_moment(
    split: Split, at_s: float, workers: int
) -> None:
    played = play(
        Scenario(
            scripts={"a": [whole(split)]},
            parts={"a": split.parts},
            workers=workers,
            cut_off_s=at_s,
        )
    )

    assert isinstance(played.told[-1].event, ev.RunFinished)


def test_what_the_processes_did_not_agree_on_is_run_as_a_whole() -> None:
    ids = ["a::x", "a::y"]
    # Each leaves the second test to the other.
    parts = [
        Script((*(steps := [*plan(ids, elsewhere=[(1, 2)]), *ran(0)]), end(steps))),
        Script((*(steps := [*plan(ids, elsewhere=[(0, 2)])]), end(steps, 5))),
    ]
    full: list[Step] = [*plan(ids), *ran(0), *ran(1)]
    played = play(
        Scenario(scripts={"a": [Script((*full, end(full)))] * 2}, parts={"a": parts}, workers=2)
    )

    module = played.stats.modules["a"]
    assert (module.status, module.attempts) == (ModuleStatus.FLAKY, 2)
    first, _ = played.events(ev.AttemptFinished)
    assert first.failure.message == "its processes did not collect the same tests: a::y"
    assert played.session.collected["a"].whole


def ran(index: int) -> list[Step]:
    return [msg.Started(index), msg.Finished(index, Outcome.PASSED, 1.0)]


def test_what_all_parts_see_is_told_once() -> None:
    ids = ["a", "a::x", "a::y"]
    warned = msg.Warned("careful", "UserWarning", "", "a.py", 1)

    def part(own: int, other: int) -> Script:
        steps: list[Step] = [
            warned,
            *plan(ids, elsewhere=[(other, other + 1)], collectors=1, deselected=3),
            msg.Started(0),
            msg.Finished(0, Outcome.SKIPPED, 0.0),
            *ran(own),
        ]
        steps.insert(0, steps.pop(1))
        return Script((*steps, end(steps)), ends=LEFT_WELL)

    played = play(Scenario(scripts={"a": []}, parts={"a": [part(1, 2), part(2, 1)]}))

    assert told(played, "a", 1) == Counter(ids)
    assert len(played.events(ev.WarningIssued)) == 1
    assert len(played.events(ev.TestsCollected)) == 1
    assert played.stats.deselected == 3


# -- which modules are split -------------------------------------------------------------------

SETTINGS = ModuleSettings(
    timeout_s=None, slow_after_s=60.0, retries=0, framework=None, group=None, env={}
)
GREEN = ModuleSummary(duration_s=10.0, status=ModuleStatus.PASSED, tests=9)


@many(200)
@given(
    st.lists(st.floats(0.01, 20.0), min_size=1, max_size=8),
    st.integers(2, 40),
    st.integers(1, 4),
    st.floats(0.0, 3.0),
)
def test_parts_run_each_test_once_and_new_ones_too(
    durations_s: list[float], tests: int, workers: int, shared_s: float
) -> None:
    modules = [TestModule(path=f"m{number}") for number in range(len(durations_s))]
    expected_s = {module.path: s for module, s in zip(modules, durations_s, strict=True)}

    def recorded(path: str) -> Recorded:
        each_s = expected_s[path] / tests
        names = [f"{path}::t{number}" for number in range(tests)]
        return Recorded(durations_s=dict.fromkeys(names, each_s), scopes={}, shared_s=shared_s)

    parts = plan_parts(modules, expected_s, recorded, workers, splittable=lambda _: True)
    units = in_order(modules, [part for each in parts.values() for part in each], expected_s)

    for path, each in parts.items():
        known = list(recorded(path).durations_s)
        assert len(each) > 1
        for test in (*known, "new"):
            runs = [
                part
                for part in each
                if (test in part.tests if part.tests else True) and test not in part.leave_out
            ]
            assert len(runs) == 1
            assert test != "new" or runs[0] is each[-1]
        assert all(part.tests for part in each[:-1])
    kept = {unit.path for unit in units if isinstance(unit, TestModule)}
    split = Counter(unit.module.path for unit in units if isinstance(unit, Part))
    assert kept | split.keys() == expected_s.keys()
    assert not kept & split.keys()
    assert split == Counter({path: len(each) for path, each in parts.items()})
    assert len({unit.name for unit in units if isinstance(unit, Part)}) == split.total()


def test_only_what_nothing_stands_against_is_split() -> None:
    module = TestModule(path="m")
    change = msgspec.structs.replace

    assert may_be_split(module, SETTINGS, GREEN)
    assert not may_be_split(module, SETTINGS, None)
    for field, value in (
        ("framework", Framework.UNITTEST),
        ("kind", ModuleKind.REMAINDER),
        ("selectors", ("m::x",)),
        ("claims", (Claim("db"),)),
    ):
        assert not may_be_split(change(module, **{field: value}), SETTINGS, GREEN)
    assert not may_be_split(change(module, group="g"), SETTINGS, GREEN)
    for field, value in (("split", False), ("workers", 2)):
        assert not may_be_split(module, change(SETTINGS, **{field: value}), GREEN)
    for field, value in (
        ("status", ModuleStatus.FAILED),
        ("status", ModuleStatus.FLAKY),
        ("duration_s", None),
        ("tests", 1),
    ):
        assert not may_be_split(module, SETTINGS, change(GREEN, **{field: value}))


def test_a_module_that_is_known_to_be_whole_is_not_split() -> None:
    modules = [TestModule(path="m"), TestModule(path="n")]
    tests = {f"m::t{number}": 1.0 for number in range(20)}

    def plan_with(whole: bool) -> dict[str, tuple[Part, ...]]:
        recorded = Recorded(durations_s=tests, scopes={}, whole=whole)
        return plan_parts(
            modules, {"m": 20.5, "n": 0.5}, lambda _: recorded, 2, splittable=lambda _: True
        )

    assert set(plan_with(whole=False)) == {"m"}
    assert plan_with(whole=True) == {}
