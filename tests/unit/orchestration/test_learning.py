"""From what modules did in one run to what keeps them apart in the next."""

import os
from pathlib import Path

import pytest

from iopio_async import state
from iopio_async.history import learned as store
from iopio_async.model.module import Claim, Mode
from iopio_async.orchestration.claims import ClaimedPlan
from iopio_async.orchestration.keeping import Witnessed
from iopio_async.orchestration.learning import Lesson, learn_from, with_learned
from iopio_async.orchestration.sights import Seen
from iopio_async.planning.claims import NOTHING_CLAIMED, ModuleClaims
from iopio_async.planning.learned import CROWD, FORGET_AFTER, Use

X = "path:x"
DECLARED = ModuleClaims(declared=True)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    for name in "abcde":
        (tmp_path / f"{name}.py").touch()
    return str(tmp_path / "state")


def did(*uses: tuple[str, Use], reads: tuple[str, ...] = (), whole: bool = True) -> Witnessed:
    return Witnessed(Seen(dict(uses), reads), "1", whole)


WROTE, READ, IDLE = did((X, Use.WROTE)), did(reads=("x", "y", "z")), did()
BOTH = {"a.py": WROTE, "b.py": WROTE}


def lines(folder: str, witnessed: dict[str, Witnessed], **claims: ModuleClaims) -> list[str]:
    plan = ClaimedPlan(claims={f"{name}.py": each for name, each in claims.items()})
    return [
        each.message for each in learn_from(folder, witnessed, plan, root=os.path.dirname(folder))
    ]


def test_news_are_one_line(folder: str) -> None:
    more = {
        "c.py": did((X, Use.WROTE), ("port:1", Use.BOUND)),
        "d.py": did(("port:1", Use.BOUND)),
    }
    (line,) = lines(folder, {**BOTH, **more})
    assert line == (
        "a.py wrote path:x, and b.py wrote it (and one more uses it): they won't overlap from the "
        "next run on (so with 1 more); see iopio graph --learned"
    )


def test_what_is_known_is_no_news(folder: str) -> None:
    assert len(lines(folder, BOTH)) == 1
    assert lines(folder, BOTH) == []
    assert lines(folder, {"a.py": IDLE, "b.py": WROTE}) == []


def test_of_what_was_read_only_that_counts_which_somebody_writes(folder: str) -> None:
    learn_from(folder, {"a.py": WROTE, "b.py": READ}, None, root=os.path.dirname(folder))
    known = store.load(folder)
    assert list(known) == [X]
    assert {path: each.use for path, each in known[X].items()} == {
        "a.py": Use.WROTE,
        "b.py": Use.READ,
    }


def test_a_reader_of_what_is_known_to_be_contested_is_seen(folder: str) -> None:
    lines(folder, BOTH)
    assert "c.py read it" in lines(folder, {"c.py": READ})[0]


def test_modules_that_only_read_leave_nothing_behind(folder: str) -> None:
    assert lines(folder, {"a.py": READ, "b.py": READ}) == []
    assert not Path(state.path(folder, state.LEARNED)).exists()


@pytest.mark.parametrize(
    "claims",
    [
        ModuleClaims((Claim(X),)),
        ModuleClaims((Claim("db"),)),
        DECLARED,
    ],
)
def test_what_never_overlapped_anyway_is_not_told(folder: str, claims: ModuleClaims) -> None:
    assert lines(folder, BOTH, a=claims, b=claims) == []


def test_two_that_share_something_may_overlap_all_the_same(folder: str) -> None:
    shared = ModuleClaims((Claim("db", Mode.SHARED),))
    assert len(lines(folder, BOTH, a=shared, b=shared)) == 1


def test_a_filtered_run_forgets_nothing(folder: str) -> None:
    lines(folder, BOTH)
    known = store.load(folder)
    for _ in range(FORGET_AFTER):
        learn_from(
            folder, {"a.py": IDLE, "b.py": IDLE}, None, root=os.path.dirname(folder), filtered=True
        )
    assert store.load(folder) == known
    for _ in range(FORGET_AFTER):
        learn_from(folder, {"a.py": IDLE, "b.py": IDLE}, None, root=os.path.dirname(folder))
    assert store.load(folder) == {}


def test_what_all_of_many_use_is_left_to_the_user(folder: str) -> None:
    witnessed = {f"test_{number}.py": WROTE for number in range(CROWD)}
    lines(folder, BOTH)
    assert learn_from(folder, witnessed, ClaimedPlan(), root=os.path.dirname(folder)) == [
        Lesson(
            f"path:x is used by {CROWD} of {CROWD} modules, which is left to you: declare locks "
            "where they get into each other's way",
            "iopio-detail",
        )
    ]
    # A run of a few can't tell otherwise, one of many can.
    assert lines(folder, BOTH) == []
    assert with_learned({"a.py": NOTHING_CLAIMED}, folder) == {"a.py": NOTHING_CLAIMED}
    learn_from(folder, dict.fromkeys(witnessed, IDLE), None, root=os.path.dirname(folder))
    assert store.load(folder) == {}
    assert len(lines(folder, BOTH)) == 1


def test_a_module_that_is_gone_is_forgotten(folder: str) -> None:
    lines(folder, BOTH)
    os.unlink(os.path.join(os.path.dirname(folder), "b.py"))
    lines(folder, {"a.py": did((X, Use.READ))})
    assert store.load(folder) == {}


def test_the_next_plan_holds_what_was_learned(folder: str) -> None:
    lines(folder, {**BOTH, "c.py": READ, "d.py": WROTE, "e.py": WROTE})
    known = Claim("db")
    plan = with_learned(
        {
            "a.py": NOTHING_CLAIMED,
            "b.py": ModuleClaims((known, Claim(X, Mode.SHARED))),
            "c.py": NOTHING_CLAIMED,
            "d.py": DECLARED,
            "e.py": ModuleClaims((Claim(X),)),
        },
        folder,
    )
    held = {path: {(c.resource, c.mode) for c in each.claims} for path, each in plan.items()}
    assert held == {
        "a.py": {(X, Mode.EXCLUSIVE)},
        "b.py": {("db", Mode.EXCLUSIVE), (X, Mode.EXCLUSIVE)},
        "c.py": {(X, Mode.SHARED)},
        "d.py": set(),
        "e.py": {(X, Mode.EXCLUSIVE)},
    }


def test_a_need_of_units_is_not_held_alone_as_well(folder: str) -> None:
    lines(folder, BOTH)
    own = ModuleClaims(needs=((X, 1),))
    assert with_learned({"a.py": own}, folder) == {"a.py": own}
