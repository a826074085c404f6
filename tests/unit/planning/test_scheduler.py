"""What the scheduler decides, case by case; ``fakes.simulation`` verifies each step beside."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, repeat

import pytest
from fakes.simulation import CheckedScheduler

from iopio_async.model.module import Claim, Mode, TestModule
from iopio_async.model.outcome import CancelReason, ModuleStatus
from iopio_async.planning import scheduler as scheduling
from iopio_async.planning.locks import LockTable
from iopio_async.planning.room import ONE_SLOT, Need
from iopio_async.planning.scheduler import OVERTAKES, Finish, Scheduler, Start

PASSED, FAILED, CRASHED = ModuleStatus.PASSED, ModuleStatus.FAILED, ModuleStatus.CRASHED
NOT_RUN = ModuleStatus.NOT_RUN
READ, WRITE = Claim("db", Mode.SHARED), Claim("db")
READ_NET, WRITE_NET = Claim("net", Mode.SHARED), Claim("net")

Make = Callable[..., CheckedScheduler]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes schedulers. When the test is over each is run to its end, and verified."""
    made: list[CheckedScheduler] = []

    def checked(
        capacity: int,
        *modules: TestModule,
        overtakes: int = OVERTAKES,
        memory_limit_bytes: int | None = None,
        memory_bytes: int | None = None,
    ) -> CheckedScheduler:
        made.append(
            CheckedScheduler(
                capacity,
                overtakes,
                memory_limit_bytes=memory_limit_bytes,
                memory_bytes=memory_bytes,
            )
        )
        for module in modules:
            made[-1].add(module)
        return made[-1]

    yield checked
    for scheduler in made:
        scheduler.decide()
        while running := scheduler.running():
            scheduler.ended(running[0].module.path, PASSED)
            scheduler.decide()
        scheduler.verify()


def module(path: str, *claims: Claim, selectors: tuple[str, ...] = ()) -> TestModule:
    return TestModule(path=path, claims=claims, selectors=selectors)


def starts(instructions: Iterable[object]) -> list[str]:
    return [step.path for step in instructions if isinstance(step, Start)]


def finishes(instructions: Iterable[object]) -> list[tuple[str, ModuleStatus]]:
    return [(step.path, step.status) for step in instructions if isinstance(step, Finish)]


# -- order and slots ---------------------------------------------------------------------------


def test_modules_start_in_the_order_in_which_they_were_added(make: Make) -> None:
    scheduler = make(2, module("a"), module("b"), module("c"))

    assert scheduler.decide() == [Start("a", 1, 0, ()), Start("b", 1, 1, ())]
    assert scheduler.decide() == []


def test_a_slot_that_is_given_back_goes_to_the_next(make: Make) -> None:
    scheduler = make(2, module("a"), module("b"), module("c"))
    scheduler.decide()
    scheduler.ended("a", PASSED)

    assert scheduler.decide() == [Finish("a", PASSED, 1), Start("c", 1, 0, ())]


def test_selectors_go_with_the_start(make: Make) -> None:
    scheduler = make(1, module("a", selectors=("a::x",)))

    assert scheduler.decide() == [Start("a", 1, 0, ("a::x",))]


def test_a_module_that_joins_later_comes_after_those_that_wait(make: Make) -> None:
    scheduler = make(1, module("a"), module("z"))
    scheduler.decide()
    scheduler.add(module("b"))
    scheduler.ended("a", PASSED)

    assert starts(scheduler.decide()) == ["z"]


def test_a_path_can_not_be_added_twice(make: Make) -> None:
    scheduler = make(1, module("a"))

    with pytest.raises(ValueError, match="module a was added twice"):
        scheduler.scheduler.add(module("a"))


def test_nothing_to_do_is_idle(make: Make) -> None:
    scheduler = make(3)

    assert scheduler.decide() == []
    assert scheduler.scheduler.idle


# -- locks -------------------------------------------------------------------------------------


def test_who_is_blocked_lets_others_pass(make: Make) -> None:
    scheduler = make(2, module("a", WRITE), module("b", WRITE), module("c"))

    assert starts(scheduler.decide()) == ["a", "c"]
    scheduler.ended("c", PASSED)
    assert starts(scheduler.decide()) == []
    scheduler.ended("a", PASSED)
    assert starts(scheduler.decide()) == ["b"]


def test_readers_run_together_once_the_writer_has_ended(make: Make) -> None:
    scheduler = make(4, module("w", WRITE), *(module(f"r{n}", READ) for n in range(5)))
    assert starts(scheduler.decide()) == ["w"]
    scheduler.ended("w", PASSED)

    assert starts(scheduler.decide()) == ["r0", "r1", "r2", "r3"]


def test_who_was_woken_in_vain_does_not_keep_readers_asleep(make: Make) -> None:
    scheduler = make(
        3,
        module("net", WRITE_NET),
        module("first", WRITE_NET, READ),
        module("db", WRITE),
        module("writer", WRITE),
        module("reader", READ),
    )
    assert starts(scheduler.decide()) == ["net", "db"]
    scheduler.ended("net", PASSED)
    scheduler.ended("db", PASSED)

    # The writer was woken too, and finds that `first` reads already.
    assert starts(scheduler.decide()) == ["first", "reader"]


def test_claims_are_taken_all_or_none(make: Make) -> None:
    scheduler = make(
        3,
        module("a", WRITE),
        module("both", WRITE, WRITE_NET),
        module("net", WRITE_NET),
    )
    assert starts(scheduler.decide()) == ["a", "net"]
    scheduler.ended("a", PASSED)
    assert starts(scheduler.decide()) == []
    scheduler.ended("net", PASSED)

    assert starts(scheduler.decide()) == ["both"]


def test_who_was_woken_in_vain_wakes_the_next(make: Make) -> None:
    scheduler = make(
        2,
        module("db", WRITE),
        module("net", WRITE_NET),
        module("both", WRITE, WRITE_NET),
        module("later", WRITE),
    )
    scheduler.decide()
    scheduler.ended("db", PASSED)

    assert starts(scheduler.decide()) == ["later"]


def test_a_module_may_claim_a_resource_in_both_modes(make: Make) -> None:
    scheduler = make(2, module("a", READ, WRITE), module("b", WRITE, READ))

    assert starts(scheduler.decide()) == ["a"]
    scheduler.ended("a", PASSED)
    assert starts(scheduler.decide()) == ["b"]


# -- fairness ----------------------------------------------------------------------------------


def readers_until_writer(scheduler: CheckedScheduler) -> int:
    """Let readers of a later rank come and go, always overlapping; how many pass the writer."""
    scheduler.add(module("r0", READ))
    scheduler.decide()
    scheduler.add(module("w", WRITE))
    scheduler.decide()
    for number in range(1, 200):
        scheduler.add(module(f"r{number}", READ))
        passed = starts(scheduler.decide())
        if not passed:
            return number - 1
        scheduler.ended(f"r{number - 1}", PASSED)
        scheduler.decide()
    pytest.fail("the writer starves")


def test_a_writer_is_overtaken_so_often_and_no_more(make: Make) -> None:
    assert readers_until_writer(make(2)) == OVERTAKES


@pytest.mark.parametrize("overtakes", [1, 2, 7])
def test_the_bound_on_overtakes_is_as_given(make: Make, overtakes: int) -> None:
    assert readers_until_writer(make(2, overtakes=overtakes)) == overtakes


def test_an_aged_module_comes_first_when_its_resource_is_free(make: Make) -> None:
    scheduler = make(2, overtakes=3)
    passed = readers_until_writer(scheduler)
    scheduler.ended(f"r{passed}", PASSED)

    assert starts(scheduler.decide()) == ["w"]
    scheduler.ended("w", PASSED)
    assert starts(scheduler.decide()) == [f"r{passed + 1}"]


def test_what_is_kept_for_an_aged_module_blocks_nobody_else(make: Make) -> None:
    scheduler = make(2, overtakes=2)
    readers_until_writer(scheduler)
    scheduler.add(module("other", WRITE_NET))

    assert starts(scheduler.decide()) == ["other"]


def test_a_retry_begins_to_age_anew(make: Make) -> None:
    scheduler = make(
        3,
        module("net", WRITE_NET),
        module("first", WRITE_NET, READ),
        module("r", READ),
        overtakes=3,
    )
    scheduler.add(module("w", WRITE), retries=1)
    assert starts(scheduler.decide()) == ["net", "r"]
    scheduler.ended("r", PASSED)
    assert starts(scheduler.decide()) == ["w"]
    scheduler.ended("net", PASSED)
    scheduler.ended("w", FAILED, ())
    assert starts(scheduler.decide()) == ["first"]

    # Three have started since it was parked for the first time, but one since it waits again.
    scheduler.add(module("free"))
    scheduler.add(module("reader", READ))
    assert starts(scheduler.decide()) == ["free", "reader"]


# -- slots and memory --------------------------------------------------------------------------


def test_a_module_takes_the_lowest_slots_that_are_free(make: Make) -> None:
    scheduler = make(4, module("a"))
    scheduler.add(module("wide"), need=Need(slots=2))
    scheduler.add(module("b"))

    assert scheduler.decide() == [
        Start("a", 1, 0, ()),
        Start("wide", 1, 1, (), (2,)),
        Start("b", 1, 3, ()),
    ]
    scheduler.ended("wide", PASSED)
    scheduler.add(module("c"))
    assert scheduler.decide()[1:] == [Start("c", 1, 1, ())]


def test_a_module_takes_no_more_slots_than_there_are(make: Make) -> None:
    scheduler = make(2)
    scheduler.add(module("wide"), need=Need(slots=9))

    assert scheduler.decide() == [Start("wide", 1, 0, (), (1,))]


def test_who_lacks_slots_lets_others_pass(make: Make) -> None:
    scheduler = make(2, module("a"))
    scheduler.add(module("wide"), need=Need(slots=2))
    scheduler.add(module("b"))

    assert starts(scheduler.decide()) == ["a", "b"]
    scheduler.ended("a", PASSED)
    assert starts(scheduler.decide()) == []
    scheduler.ended("b", PASSED)
    assert starts(scheduler.decide()) == ["wide"]


def passers(scheduler: CheckedScheduler, blocked: TestModule, need: Need) -> list[str]:
    """Let small modules come and go, always overlapping, until ``blocked`` starts."""
    scheduler.add(module("s0"))
    scheduler.decide()
    scheduler.add(blocked, need=need)
    scheduler.decide()
    passed, running = [], "s0"
    for number in range(1, 200):
        scheduler.add(module(f"s{number}"))
        started = starts(scheduler.decide())
        if started:
            passed += started
            scheduler.ended(running, PASSED)
            running = started[-1]
        else:
            scheduler.ended(running, PASSED)
            assert starts(scheduler.decide())[0] == blocked.path
            return passed
        scheduler.decide()
    pytest.fail(f"{blocked.path} starves")


@pytest.mark.parametrize("overtakes", [1, 2, 7, OVERTAKES])
def test_slots_are_kept_for_who_has_lacked_them_for_long(make: Make, overtakes: int) -> None:
    scheduler = make(2, overtakes=overtakes)

    assert len(passers(scheduler, module("wide"), Need(slots=2))) == overtakes


@pytest.mark.parametrize("overtakes", [1, 2, 7, OVERTAKES])
def test_memory_is_kept_for_who_has_lacked_it_for_long(make: Make, overtakes: int) -> None:
    scheduler = make(3, overtakes=overtakes, memory_limit_bytes=10)
    scheduler.add(module("base"), need=Need(1, 1))
    scheduler.decide()
    scheduler.add(module("large"), need=Need(1, 10))
    for number in range(overtakes):
        scheduler.add(module(f"s{number}"), need=Need(1, 1))
        assert starts(scheduler.decide()) == [f"s{number}"]
        if number:
            scheduler.ended(f"s{number - 1}", PASSED)
    scheduler.add(module("late"), need=Need(1, 1))
    assert starts(scheduler.decide()) == []
    scheduler.ended("base", PASSED)
    assert starts(scheduler.decide()) == []
    scheduler.ended(f"s{overtakes - 1}", PASSED)

    assert starts(scheduler.decide()) == ["large"]


def test_who_lacks_memory_waits_for_it(make: Make) -> None:
    scheduler = make(3, memory_limit_bytes=10)
    for path, memory_bytes in (("a", 6), ("b", 5), ("c", 4)):
        scheduler.add(module(path), need=Need(1, memory_bytes))

    assert starts(scheduler.decide()) == ["a", "c"]
    scheduler.ended("c", PASSED)
    assert starts(scheduler.decide()) == []
    scheduler.ended("a", PASSED)
    assert starts(scheduler.decide()) == ["b"]


def test_who_exceeds_the_limit_runs_alone(make: Make) -> None:
    scheduler = make(3, memory_limit_bytes=10)
    scheduler.add(module("huge"), need=Need(1, 11))
    scheduler.add(module("a"), need=ONE_SLOT)

    assert starts(scheduler.decide()) == ["huge"]
    scheduler.ended("huge", PASSED)
    assert starts(scheduler.decide()) == ["a"]


def test_what_is_free_counts_beside_the_limit(make: Make) -> None:
    scheduler = make(3, memory_limit_bytes=10, memory_bytes=6)
    for path in "abc":
        scheduler.add(module(path), need=Need(1, 3))

    assert starts(scheduler.decide()) == ["a", "b"]
    scheduler.measured(1.0)
    assert starts(scheduler.decide()) == []


def test_memory_that_somebody_else_gives_back_is_taken() -> None:
    scheduler = Scheduler(2)
    scheduler.measured(5)
    scheduler.add(module("a"), need=Need(1, 4))
    scheduler.add(module("b"), need=Need(1, 4))
    assert starts(scheduler.decide()) == ["a"]

    scheduler.measured(8)

    assert starts(scheduler.decide()) == ["b"]


def test_who_found_room_may_still_lack_a_claim(make: Make) -> None:
    scheduler = make(3, module("a"), module("b"))
    scheduler.add(module("wide", WRITE), need=Need(slots=2))
    scheduler.add(module("c", WRITE))
    assert starts(scheduler.decide()) == ["a", "b", "c"]
    scheduler.ended("a", PASSED)
    scheduler.ended("b", PASSED)
    assert starts(scheduler.decide()) == []
    scheduler.ended("c", PASSED)

    assert starts(scheduler.decide()) == ["wide"]


def test_who_lacks_room_is_finished_by_a_cancellation(make: Make) -> None:
    scheduler = make(2, module("a"))
    scheduler.add(module("wide"), need=Need(slots=2))
    scheduler.decide()
    scheduler.cancel()

    assert finishes(scheduler.decide()) == [("wide", NOT_RUN)]


# -- retries -----------------------------------------------------------------------------------


def test_a_failed_module_is_run_again_and_is_flaky_if_it_then_passes(make: Make) -> None:
    scheduler = make(1)
    scheduler.add(module("a"), retries=2)
    scheduler.decide()
    scheduler.ended("a", FAILED, ("a::x",))

    assert scheduler.decide() == [Start("a", 2, 0, ("a::x",))]
    scheduler.ended("a", PASSED, ())
    assert scheduler.decide() == [Finish("a", ModuleStatus.FLAKY, 2)]


def test_a_module_that_leaks_on_its_retry_is_flaky(make: Make) -> None:
    scheduler = make(1)
    scheduler.add(module("a"), retries=1)
    scheduler.decide()
    scheduler.ended("a", FAILED, ())
    scheduler.decide()
    scheduler.ended("a", ModuleStatus.LEAKED, ())

    assert finishes(scheduler.decide()) == [("a", ModuleStatus.FLAKY)]


def test_retries_end_when_they_are_used_up(make: Make) -> None:
    scheduler = make(1)
    scheduler.add(module("a"), retries=1)
    scheduler.decide()
    scheduler.ended("a", FAILED, ())
    scheduler.decide()
    scheduler.ended("a", CRASHED, ())

    assert scheduler.decide() == [Finish("a", CRASHED, 2)]


def test_a_retry_of_nothing_in_particular_keeps_the_selection(make: Make) -> None:
    scheduler = make(1)
    scheduler.add(module("a", selectors=("a::x", "a::y")), retries=2)
    scheduler.decide()
    scheduler.ended("a", FAILED, ("a::x",))
    scheduler.decide()
    scheduler.ended("a", CRASHED, ())

    assert scheduler.decide() == [Start("a", 3, 0, ("a::x",))]


@pytest.mark.parametrize(
    ("status", "retry"),
    [
        (PASSED, ()),
        (ModuleStatus.EMPTY, ()),
        (ModuleStatus.LEAKED, ()),
        (NOT_RUN, ()),
        (FAILED, None),
    ],
)
def test_no_retry_where_it_makes_no_sense(
    make: Make, status: ModuleStatus, retry: tuple[str, ...] | None
) -> None:
    scheduler = make(1)
    scheduler.add(module("a"), retries=3)
    scheduler.decide()
    scheduler.ended("a", status, retry)

    assert scheduler.decide() == [Finish("a", status, 1)]


# -- cancellation ------------------------------------------------------------------------------


def test_after_a_cancellation_nothing_starts(make: Make) -> None:
    scheduler = make(1, module("a", WRITE), module("b"), module("c", WRITE))
    scheduler.decide()
    scheduler.cancel()

    assert scheduler.decide() == [Finish("b", NOT_RUN, 0), Finish("c", NOT_RUN, 0)]
    scheduler.ended("a", FAILED, ())
    assert scheduler.decide() == [Finish("a", FAILED, 1)]


def test_parked_modules_are_finished_in_their_order(make: Make) -> None:
    scheduler = make(3, module("a", WRITE, WRITE_NET), module("z", WRITE_NET), module("b", WRITE))
    scheduler.decide()
    scheduler.cancel()

    assert finishes(scheduler.decide()) == [("z", NOT_RUN), ("b", NOT_RUN)]


def test_a_module_that_waits_for_its_retry_ends_as_its_last_attempt_did(make: Make) -> None:
    scheduler = make(1)
    scheduler.add(module("a"), retries=1)
    scheduler.decide()
    scheduler.ended("a", FAILED, ())
    scheduler.cancel()

    assert scheduler.decide() == [Finish("a", FAILED, 1)]


def test_a_module_that_joins_a_cancelled_run_is_not_run(make: Make) -> None:
    scheduler = make(1)
    scheduler.cancel()
    scheduler.add(module("a"))

    assert scheduler.decide() == [Finish("a", NOT_RUN, 0)]


def test_the_first_reason_for_a_cancellation_stays(make: Make) -> None:
    scheduler = make(1)
    scheduler.cancel(CancelReason.MAXFAIL)
    scheduler.cancel(CancelReason.INTERRUPT)

    assert scheduler.scheduler.cancelled is CancelReason.MAXFAIL


# -- claims that get known, and units ---------------------------------------------------------


def test_what_gets_known_lets_others_start(make: Make) -> None:
    unknown = Claim("?")
    scheduler = make(3, *(module(path, unknown) for path in "abc"))
    assert starts(scheduler.decide()) == ["a"]
    assert scheduler.scheduler.held_up() == ["?"]

    scheduler.reclaim({"a": (WRITE,), "b": (WRITE,), "c": ()})

    assert starts(scheduler.decide()) == ["c"]
    assert scheduler.scheduler.held_up() == ["db"]
    scheduler.ended("a", PASSED)
    assert starts(scheduler.decide()) == ["b"]
    assert scheduler.scheduler.held_up() == []


def test_who_runs_beside_what_it_turns_out_to_share_gives_back_what_it_holds(make: Make) -> None:
    scheduler = make(3, module("a"), module("b"), module("c", WRITE))
    scheduler.decide()
    scheduler.ended("c", PASSED)
    scheduler.add(module("d", WRITE))
    scheduler.reclaim({"a": (WRITE,), "b": (WRITE,)})
    assert starts(scheduler.decide()) == []

    scheduler.ended("a", PASSED)
    assert starts(scheduler.decide()) == ["d"]


def test_who_kept_all_units_leaves_what_it_does_not_take(make: Make) -> None:
    one = Claim("desk", units=1)
    scheduler = Scheduler(2, overtakes=1, capacities={"desk": 2})
    scheduler.add(module("a", WRITE))
    scheduler.add(module("b", WRITE, one))
    scheduler.add(module("c"))
    scheduler.add(module("d", one))
    assert starts(scheduler.decide()) == ["a", "c"]
    scheduler.ended("c", PASSED)
    # One unit is kept for b, and nobody can say which.
    assert starts(scheduler.decide()) == []
    scheduler.ended("a", PASSED)

    started = [step for step in scheduler.decide() if isinstance(step, Start)]

    assert [(step.path, step.units) for step in started] == [
        ("b", (("desk", (0,)),)),
        ("d", (("desk", (1,)),)),
    ]


# -- size --------------------------------------------------------------------------------------


class CountingTable(LockTable):
    """Counts how often somebody is looked at."""

    looks = 0

    def obstacle(self, claims: Iterable[Claim], rank: int) -> Claim | None:
        type(self).looks += 1
        return super().obstacle(claims, rank)


def edges(modules: int, edges: int) -> list[TestModule]:
    """So many pairs of modules, at random, that must not overlap."""
    chance = random.Random(7)
    claims: list[list[Claim]] = [[] for _ in range(modules)]
    for number in range(edges):
        for end in chance.sample(range(modules), 2):
            claims[end].append(Claim(f"edge-{number}"))
    return [module(f"test_{number}", *mine) for number, mine in enumerate(claims)]


def groups(modules: int, groups: int) -> list[TestModule]:
    """Each module in one group, and one in ten of them alone in it."""
    chance = random.Random(7)
    modes = [Mode.EXCLUSIVE, *[Mode.SHARED] * 9]
    return [
        module(
            f"test_{number}",
            Claim(f"group-{chance.randrange(groups)}", modes[chance.randrange(10)]),
        )
        for number in range(modules)
    ]


def looks_per_decision(
    modules: list[TestModule],
    capacity: int,
    monkeypatch: pytest.MonkeyPatch,
    needs: Iterable[Need] = repeat(ONE_SLOT),
) -> list[int]:
    """Run all of them; how many modules each decision looked at, the first one left out."""
    monkeypatch.setattr(scheduling, "LockTable", CountingTable)
    chance = random.Random(11)
    scheduler = Scheduler(capacity, memory_limit_bytes=100)
    for one, need in zip(modules, needs, strict=False):
        scheduler.add(one, need=need)
    running = starts(scheduler.decide())
    finals: Counter[str] = Counter()
    looks = []
    while running:
        CountingTable.looks = 0
        scheduler.ended(running.pop(chance.randrange(len(running))), PASSED)
        instructions = scheduler.decide()
        looks.append(CountingTable.looks)
        running += starts(instructions)
        finals.update(path for path, _ in finishes(instructions))
    assert finals == Counter([one.path for one in modules])
    return looks


@pytest.mark.parametrize("size", [2_000, 20_000])
def test_a_decision_costs_no_more_where_there_are_many_modules_and_edges(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = looks_per_decision(edges(size, size // 2), 8, monkeypatch)

    assert sum(looks) / size < 1.1
    assert max(looks) <= 8


@pytest.mark.parametrize("size", [2_000, 20_000])
def test_a_decision_costs_no_more_where_thousands_wait_for_one_resource(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = looks_per_decision(groups(size, 1), 8, monkeypatch)

    # Each module is looked at once in vain, when a slot is free for it, and then when it starts.
    assert sum(looks) / size < 2.5


@pytest.mark.parametrize("size", [2_000, 20_000])
def test_a_decision_costs_no_more_where_thousands_lack_room(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = [module(f"test_{number}") for number in range(size)]
    needs = cycle([Need(5, 7), Need(1, 60), Need(3, 90), Need(1, 1), Need(8, 0)])
    looks = looks_per_decision(modules, 8, monkeypatch, needs)

    # Each is looked at once in vain, and then when it starts.
    assert sum(looks) / size < 2.5
