"""Who may take which resource, and for whom one is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.model.module import Claim, Mode
from iopio_async.planning.locks import LockTable, merged

READ, WRITE = Claim("db", Mode.SHARED), Claim("db")
READ_NET, WRITE_NET = Claim("net", Mode.SHARED), Claim("net")

ADMISSIONS = [
    ([], READ, True),
    ([], WRITE, True),
    ([READ], READ, True),
    ([READ, READ], READ, True),
    ([READ], WRITE, False),
    ([WRITE], READ, False),
    ([WRITE], WRITE, False),
    ([WRITE_NET], WRITE, True),
]

#: What is kept for rank 5, what is asked for, up to which rank it is admitted.
KEPT = [
    (WRITE, WRITE, 5),
    (WRITE, READ, 5),
    (READ, WRITE, 5),
    (READ, READ, 9),
    (WRITE_NET, WRITE, 9),
]


@pytest.mark.parametrize(("taken", "asked", "admitted"), ADMISSIONS)
def test_many_read_or_one_writes(taken: list[Claim], asked: Claim, admitted: bool) -> None:
    table = LockTable()
    for claim in taken:
        table.take([claim])

    assert table.admits(asked, rank=0) is admitted
    assert table.obstacle([asked], rank=0) == (None if admitted else asked)


def test_a_resource_is_free_once_its_last_reader_has_given_it_back() -> None:
    table = LockTable()
    table.take([READ])
    table.take([READ])
    table.release([READ])
    assert not table.admits(WRITE, rank=0)

    table.release([READ])

    assert table.admits(WRITE, rank=0)


def test_a_resource_is_free_once_its_writer_has_given_it_back() -> None:
    table = LockTable()
    table.take([WRITE, WRITE_NET])
    table.release([WRITE])

    assert table.obstacle([WRITE, WRITE_NET], rank=0) == WRITE_NET


def test_the_first_claim_that_can_not_be_taken_is_the_obstacle() -> None:
    table = LockTable()
    table.take([READ, WRITE_NET])

    assert table.obstacle([READ, READ_NET], rank=0) == READ_NET
    assert table.obstacle([WRITE, READ_NET], rank=0) == WRITE


@pytest.mark.parametrize(("kept", "asked", "last"), KEPT)
def test_what_is_kept_is_kept_from_later_ranks(kept: Claim, asked: Claim, last: int) -> None:
    table = LockTable()
    table.keep([kept], rank=5)

    assert [rank for rank in range(10) if table.admits(asked, rank)] == list(range(last + 1))


def test_what_is_let_go_is_open_to_all_again() -> None:
    table = LockTable()
    table.keep([WRITE], rank=3)
    table.keep([WRITE], rank=1)
    table.let_go(1)
    assert [rank for rank in range(6) if table.admits(WRITE, rank)] == [0, 1, 2, 3]

    table.let_go(3)

    assert table.admits(WRITE, rank=5)


def test_what_is_kept_again_for_the_same_rank_is_kept() -> None:
    table = LockTable()
    table.keep([WRITE], rank=1)
    table.let_go(1)
    table.keep([READ], rank=1)

    assert not table.admits(WRITE, rank=2)


@given(st.lists(st.builds(Claim, st.sampled_from("abc"), st.sampled_from(Mode))))
def test_merged_claims_name_each_resource_once_in_its_stronger_mode(claims: list[Claim]) -> None:
    result = merged(claims)

    assert [claim.resource for claim in result] == sorted({claim.resource for claim in claims})
    for claim in result:
        assert (claim.mode is Mode.EXCLUSIVE) == (Claim(claim.resource) in claims)


@given(
    st.lists(st.builds(Claim, st.sampled_from("abc"), st.sampled_from(Mode)), max_size=3).map(
        merged
    ),
    st.lists(st.builds(Claim, st.sampled_from("abc"), st.sampled_from(Mode)), max_size=3).map(
        merged
    ),
)
def test_giving_back_undoes_taking(some: tuple[Claim, ...], others: tuple[Claim, ...]) -> None:
    table = LockTable()
    table.take(others)
    before = table.obstacle(some, rank=0)
    if before is None:
        table.take(some)
        table.release(some)

    assert table.obstacle(some, rank=0) == before
    table.release(others)
    assert table.obstacle(some, rank=0) is None


# -- units -------------------------------------------------------------------------------------


def test_each_unit_is_handed_out_once() -> None:
    table = LockTable({"gpu": 3})
    one, two = Claim("gpu", units=1), Claim("gpu", units=2)

    assert table.take([two]) == (("gpu", (0, 1)),)
    assert table.admits(one, rank=0)
    assert not table.admits(two, rank=0)
    assert table.take([one]) == (("gpu", (2,)),)
    table.release([two], (("gpu", (0, 1)),))
    assert table.take([one]) == (("gpu", (0,)),)


def test_there_is_one_unit_of_what_has_no_capacity_and_nobody_asks_for_more() -> None:
    table = LockTable({"gpu": 2})

    assert table.clamped([Claim("gpu", units=9), Claim("desk", units=2), WRITE]) == (
        WRITE,
        Claim("desk", units=1),
        Claim("gpu", units=2),
    )


def test_units_that_are_kept_are_not_taken_by_later_ranks() -> None:
    table = LockTable({"gpu": 3})
    table.keep([Claim("gpu", units=3)], rank=5)

    assert table.admits(Claim("gpu", units=1), rank=5)
    assert not table.admits(Claim("gpu", units=1), rank=6)
    table.let_go(5)
    assert table.admits(Claim("gpu", units=1), rank=6)


def test_a_module_asks_once_for_the_units_that_several_tests_need() -> None:
    claims = [Claim("gpu", units=1), Claim("gpu", units=2), READ]

    assert merged(claims) == (READ, Claim("gpu", units=2))
