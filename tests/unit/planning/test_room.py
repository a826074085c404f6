"""Slots and memory: who fits, and what measurements say of the budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.planning.room import ONE_SLOT, Need, Room


def test_the_lowest_slots_are_taken_first() -> None:
    room = Room(4)
    first = room.take(ONE_SLOT)
    room.take(ONE_SLOT)
    room.give_back(ONE_SLOT, first)

    assert room.take(Need(slots=3)) == (0, 2, 3)
    assert not room.open


@pytest.mark.parametrize(("slots", "clamped"), [(0, 1), (1, 1), (3, 3), (9, 3)])
def test_nobody_needs_more_slots_than_there_are(slots: int, clamped: int) -> None:
    assert Room(3).clamped(Need(slots, 7)) == Need(clamped, 7)


def test_slots_must_be_free() -> None:
    room = Room(3)
    room.take(Need(slots=2))

    assert room.fits(ONE_SLOT)
    assert not room.fits(Need(slots=2))


#: The limit, what is measured at first, what is taken, what is asked for, whether it fits.
MEMORY = [
    (None, None, 10, 10**12, True),
    (10, None, 4, 6, True),
    (10, None, 4, 7, False),
    (None, 10, 4, 6, True),
    (None, 10, 4, 7, False),
    (20, 10, 4, 7, False),
    (10, 20, 4, 7, False),
    # What is alone and too large leaves room for nobody, however small.
    (10, None, 11, 0, False),
    (10, None, 10, 0, True),
]


@pytest.mark.parametrize(("limit", "free", "taken", "asked", "fits"), MEMORY)
def test_memory(limit: int | None, free: int | None, taken: int, asked: int, fits: bool) -> None:
    room = Room(2, limit)
    if free is not None:
        room.measured(free)
    room.take(Need(1, taken))

    assert room.fits(Need(1, asked)) is fits


def test_who_is_alone_always_fits() -> None:
    room = Room(2, 10)
    room.measured(5)

    assert room.fits(Need(2, 1000))


def budget_bytes(room: Room) -> int:
    """The most that would fit beside what runs, plus what that takes."""
    return room._taken_bytes + max(each for each in range(200) if room.fits(Need(1, each)))


#: What is free before anything runs, what is free then, and the budget, where 40 are taken.
MEASUREMENTS = [
    # Anything from nothing to all of the peak may be in use.
    (100, 100, 100),
    (100, 80, 100),
    (100, 60, 100),
    # Somebody else has taken memory, at least so much.
    (100, 50, 90),
    # Somebody else has given memory back, at least so much.
    (100, 120, 120),
]


@pytest.mark.parametrize(("before", "then", "budget"), MEASUREMENTS)
def test_the_budget_moves_no_further_than_it_must(before: int, then: int, budget: int) -> None:
    room = Room(3)
    room.measured(before)
    room.take(Need(1, 40))
    room.measured(then)

    assert budget_bytes(room) == budget


def test_where_nothing_runs_the_budget_is_what_is_free() -> None:
    room = Room(3)
    slots = room.take(Need(1, 40))
    room.measured(100)
    room.give_back(Need(1, 40), slots)
    room.measured(70)
    room.take(ONE_SLOT)

    assert budget_bytes(room) == 70


@given(st.integers(1, 100), st.lists(st.tuples(st.integers(0, 50), st.floats(0, 1)), max_size=20))
def test_what_is_used_within_the_peaks_does_not_move_the_budget(
    total: int, steps: list[tuple[int, float]]
) -> None:
    room = Room(30)
    room.measured(total)
    used = 0
    for peak, share in steps:
        if room.fits(Need(1, peak)):
            room.take(Need(1, peak))
            used += int(peak * share)
        room.measured(total - used)

        assert room._budget_bytes == total
