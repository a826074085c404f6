"""Names of resources that mean the same in all projects of a machine, and which of them overlap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.model.module import Claim, Mode, Reach
from iopio_async.planning.machine import Wanted, conflict, machine_name, overlap, wanted

ENVIRON = {
    "HOME": "/home/me",
    "DATABASE_URL": "postgresql://user:secret@127.0.0.1/shop",
    "PORT": "8080",
    "DATA": "/srv/data",
    "ODD": "whatever it is",
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("port:8080", "port:8080"),
        ("db", "db"),
        ("gpu", "gpu"),
        ("postgresql://localhost:5432/shop", "postgresql://localhost:5432/shop"),
        ("path:data/a.txt", "path:/project/data/a.txt"),
        ("path:data/../b.txt", "path:/project/b.txt"),
        ("path:/tmp/x", "path:/tmp/x"),
        ("path:~/.config", "path:/home/me/.config"),
        ("path:$DATA/x.db", "path:/srv/data/x.db"),
        ("port:$PORT", "port:8080"),
        ("dsn:$DATABASE_URL", "postgresql://localhost:5432/shop"),
    ],
)
def test_a_name_means_the_same_everywhere(name: str, expected: str) -> None:
    assert machine_name(name, "/project", ENVIRON) == expected


@pytest.mark.parametrize(
    "name", ["*", "xdist_group:x", "django-database", "compose", "dsn:$UNSET", "path:$UNSET/x"]
)
def test_what_only_one_project_means_is_another_thing_in_another(name: str) -> None:
    here = machine_name(name, "/project", ENVIRON)

    assert here == machine_name(name, "/project", ENVIRON)
    assert not overlap(here, machine_name(name, "/project/below", ENVIRON))
    assert not overlap(here, machine_name(name, "/other", ENVIRON))


def test_what_a_variable_holds_does_not_show() -> None:
    for name in ("dsn:$ODD", "container:$ODD"):
        assert "whatever" not in machine_name(name, "/project", ENVIRON)
    (found,) = wanted([Claim("dsn:$DATABASE_URL")], "/project", ENVIRON)
    assert "secret" not in found.name + found.words


def test_the_stronger_mode_counts_and_claims_of_a_process_do_not() -> None:
    claims = [
        Claim("db", Mode.SHARED),
        Claim("db"),
        Claim("environ:HOME", scope=Reach.PROCESS),
        Claim("gpu", units=2),
        Claim("path:a\udcff", Mode.SHARED),
    ]

    assert wanted(claims, "/p", {}) == (
        Wanted("db", True, "db"),
        Wanted("path:/p/a\\udcff", False, "path:a\\udcff"),
    )


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ("path:/a", "path:/a/b/c", True),
        ("path:/a", "path:/ab", False),
        ("postgresql", "postgresql://localhost:5432", True),
        ("redis://localhost:6379", "redis://localhost:6379/1", True),
        ("redis://localhost:6379/0", "redis://localhost:6379/1", False),
        ("port:80", "port:8080", False),
    ],
)
def test_what_lies_within_another_overlaps_with_it(one: str, two: str, expected: bool) -> None:
    assert overlap(one, two) is expected
    assert overlap(two, one) is expected


_NAMES = st.sampled_from(["path:/a", "path:/a/b", "path:/a/b/c", "path:/d", "db"])
_CLAIMS = st.lists(st.builds(Wanted, _NAMES, st.booleans(), st.just("it")), max_size=4)


@given(_CLAIMS, _CLAIMS)
def test_a_conflict_is_one_for_both(ours: list[Wanted], theirs: list[Wanted]) -> None:
    found = conflict(ours, theirs)

    assert (found is None) == (conflict(theirs, ours) is None)
    assert found is None or found in ours


@given(_CLAIMS, _CLAIMS)
def test_readers_never_conflict(ours: list[Wanted], theirs: list[Wanted]) -> None:
    readers = [[Wanted(each.name, False, "it") for each in side] for side in (ours, theirs)]

    assert conflict(*readers) is None
