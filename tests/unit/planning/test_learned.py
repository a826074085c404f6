"""What modules were seen to share is kept apart, for as long as it is seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.model.module import Mode
from iopio_async.planning.learned import (
    CROWD,
    EVERYBODY,
    FORGET_AFTER,
    Conflicts,
    Sight,
    Use,
    claims_of_learned,
    crowds,
    is_shareable,
    learn,
)

FILE = "path:/data/shared"


def sight(use: Use | None = None, resource: str = FILE, digest: str = "1") -> Sight:
    return Sight(digest=digest, uses={} if use is None else {resource: use})


def both(one: Use, other: Use, resource: str = FILE) -> Conflicts:
    return learn({}, {"a.py": sight(one, resource), "b.py": sight(other, resource)})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Use.WROTE, Use.WROTE),
        (Use.WROTE, Use.READ),
        (Use.READ, Use.APPENDED),
        (Use.APPENDED, Use.WROTE),
    ],
)
def test_who_can_notice_another_is_in_conflict(one: Use, other: Use) -> None:
    assert set(both(one, other)[FILE]) == {"a.py", "b.py"}
    assert set(both(other, one)[FILE]) == {"a.py", "b.py"}


@pytest.mark.parametrize("use", [Use.READ, Use.APPENDED])
def test_readers_and_those_that_only_append_are_at_peace(use: Use) -> None:
    assert both(use, use) == {}


def test_one_user_alone_is_no_conflict() -> None:
    assert learn({}, {"a.py": sight(Use.WROTE), "b.py": sight()}) == {}


def test_a_port_bound_by_two_is_a_conflict_and_an_ephemeral_one_is_none() -> None:
    assert set(both(Use.BOUND, Use.BOUND, "port:8080")) == {"port:8080"}
    assert both(Use.BOUND, Use.BOUND, "port:0") == {}


@pytest.mark.parametrize(
    "path",
    [
        "src/__pycache__/a.cpython-312.pyc",
        "a.pyc",
        ".pytest_cache/v/cache/lastfailed",
        ".coverage",
        ".coverage.host.17",
        ".hypothesis/examples/1",
    ],
)
def test_what_tools_keep_for_themselves_is_no_conflict(path: str) -> None:
    assert not is_shareable(f"path:{path}")
    assert is_shareable(f"path:{path}".replace(".", "_").replace("__pycache__", "cache"))
    assert both(Use.WROTE, Use.WROTE, f"path:{path}") == {}


def test_writers_claim_alone_and_readers_together_with_evidence() -> None:
    claims = claims_of_learned(both(Use.WROTE, Use.READ))
    (writer,), (reader,) = claims["a.py"], claims["b.py"]
    assert (writer.resource, writer.mode) == (FILE, Mode.EXCLUSIVE)
    assert (reader.resource, reader.mode) == (FILE, Mode.SHARED)
    assert reader.evidence[0].why == "was seen: read it, and a.py wrote it"


def test_what_is_not_seen_any_more_is_forgotten_after_some_executions() -> None:
    known = both(Use.WROTE, Use.WROTE)
    for _ in range(FORGET_AFTER - 1):
        known = learn(known, {"a.py": sight(), "b.py": sight(Use.WROTE)})
        assert set(known[FILE]) == {"a.py", "b.py"}
    assert learn(known, {"a.py": sight()}) == {}


def test_a_sight_in_between_counts_anew() -> None:
    known = both(Use.WROTE, Use.WROTE)
    for _ in range(FORGET_AFTER):
        known = learn(known, {"a.py": sight()})
        known = learn(known, {"a.py": sight(Use.WROTE)})
    assert set(known[FILE]) == {"a.py", "b.py"}


def test_a_changed_module_that_does_it_no_more_is_forgotten_at_once() -> None:
    assert learn(both(Use.WROTE, Use.WROTE), {"a.py": sight(digest="2")}) == {}


def test_another_user_joins_a_known_conflict() -> None:
    known = learn(both(Use.WROTE, Use.WROTE), {"c.py": sight(Use.READ)})
    assert set(known[FILE]) == {"a.py", "b.py", "c.py"}


def test_a_run_that_executed_nothing_changes_nothing() -> None:
    known = both(Use.WROTE, Use.READ)
    assert learn(known, {}) == known


def test_a_module_that_did_not_come_to_its_end_does_not_say_what_it_leaves_alone() -> None:
    known = both(Use.WROTE, Use.WROTE)
    for _ in range(FORGET_AFTER):
        known = learn(known, {"a.py": Sight(digest="1", whole=False)})
    assert known == both(Use.WROTE, Use.WROTE)


def test_a_cache_that_is_made_once_is_forgotten_with_the_next_run() -> None:
    known = both(Use.WROTE, Use.READ)
    assert learn(known, {"a.py": sight(Use.READ), "b.py": sight(Use.READ)}) == {}


def many(use: Use, count: int, others: int = 0) -> dict[str, Sight]:
    return {
        **{f"test_{number}.py": sight(use) for number in range(count)},
        **{f"test_other_{number}.py": sight() for number in range(others)},
    }


def test_what_most_of_many_modules_do_is_told_and_not_learned() -> None:
    assert crowds(many(Use.WROTE, CROWD, CROWD - 1)) == {FILE: CROWD}
    known = learn({}, many(Use.WROTE, CROWD, CROWD - 1))
    assert set(known[FILE]) == {EVERYBODY}
    assert claims_of_learned(known) == {}


def test_a_run_of_a_few_does_not_take_for_theirs_what_belongs_to_all() -> None:
    known = learn({}, many(Use.WROTE, CROWD))
    assert learn(known, many(Use.WROTE, 2)) == known
    assert learn(known, many(Use.WROTE, 2, CROWD - 3)) == known
    assert set(learn(known, many(Use.WROTE, 2, CROWD))[FILE]) == {"test_0.py", "test_1.py"}


@pytest.mark.parametrize(("count", "others"), [(CROWD - 1, 0), (CROWD, CROWD)])
def test_a_few_or_the_smaller_part_of_all_are_no_crowd(count: int, others: int) -> None:
    assert crowds(many(Use.WROTE, count, others)) == {}
    assert len(learn({}, many(Use.WROTE, count, others))[FILE]) == count


def test_many_that_read_what_one_wrote_are_no_crowd() -> None:
    sights = {**many(Use.READ, 2 * CROWD), "writer.py": sight(Use.WROTE)}
    assert crowds(sights) == {}
    modes = {path: claims[0].mode for path, claims in claims_of_learned(learn({}, sights)).items()}
    assert [path for path, mode in modes.items() if mode is Mode.EXCLUSIVE] == ["writer.py"]


def test_many_that_add_to_a_log_go_on_together_beside_one_that_reads_it() -> None:
    sights = {**many(Use.APPENDED, 2 * CROWD), "reader.py": sight(Use.READ)}
    modes = {path: claims[0].mode for path, claims in claims_of_learned(learn({}, sights)).items()}
    assert [path for path, mode in modes.items() if mode is Mode.EXCLUSIVE] == ["reader.py"]


def test_who_connects_does_not_disturb_others_that_do() -> None:
    port = "port:8080"
    assert both(Use.CONNECTED, Use.CONNECTED, port) == {}
    modes = {
        path: claims[0].mode
        for path, claims in claims_of_learned(both(Use.CONNECTED, Use.BOUND, port)).items()
    }
    assert modes == {"a.py": Mode.SHARED, "b.py": Mode.EXCLUSIVE}


_SIGHTS = st.dictionaries(
    st.sampled_from(["a.py", "b.py", "c.py", "d.py"]),
    st.dictionaries(st.sampled_from([FILE, "path:x", "port:1"]), st.sampled_from(Use)),
)


@given(_SIGHTS)
def test_two_modules_that_disturb_each_other_never_hold_it_together(
    seen: dict[str, dict[str, Use]],
) -> None:
    claims = claims_of_learned(
        learn({}, {module: Sight(digest="1", uses=uses) for module, uses in seen.items()})
    )
    modes = {(m, c.resource): c.mode for m, each in claims.items() for c in each}
    for one, uses in seen.items():
        for other in seen.keys() - {one}:
            for resource in uses.keys() & seen[other].keys():
                pair = {uses[resource], seen[other][resource]}
                if not (pair <= {Use.READ, Use.CONNECTED} or pair == {Use.APPENDED}):
                    assert Mode.EXCLUSIVE in {modes[one, resource], modes[other, resource]}
