"""What modules were seen to share is kept apart, for as long as it is seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.model.module import Mode
from iopio_async.planning.learned import (
    FORGET_AFTER,
    Conflicts,
    Sight,
    Use,
    claims_of_learned,
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
