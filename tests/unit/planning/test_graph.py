"""Which modules share what, and with whom they can't overlap."""

from hypothesis import given
from hypothesis import strategies as st

from iopio_async.model.module import Claim, Evidence, Mode, Reach
from iopio_async.planning.claims import ALONE, ModuleClaims
from iopio_async.planning.graph import Conflict, Use, graph_of

READ = Claim("db", Mode.SHARED)
WRITE = Claim("db", evidence=(Evidence("a.py", 3, "calls connect"),))


def test_readers_may_overlap_and_a_writer_with_nobody() -> None:
    graph = graph_of(
        {"w": ModuleClaims((WRITE,)), "r": ModuleClaims((READ,)), "s": ModuleClaims((READ,))}, {}
    )

    assert [use.module for use in graph.by_resource["db"]] == ["w", "r", "s"]
    assert graph.conflicts == {
        "r": (Conflict(module="w", resources=("db",)),),
        "s": (Conflict(module="w", resources=("db",)),),
        "w": (
            Conflict(module="r", resources=("db",)),
            Conflict(module="s", resources=("db",)),
        ),
    }
    assert graph.of("w") == (
        Use(module="w", resource="db", mode=Mode.EXCLUSIVE, evidence=WRITE.evidence),
    )


def test_a_folder_lies_over_its_files() -> None:
    graph = graph_of(
        {
            "a": ModuleClaims((Claim("path:data"),)),
            "b": ModuleClaims((Claim("path:data/x"),)),
            "c": ModuleClaims((Claim("path:data/y"),)),
        },
        {},
    )

    assert [each.module for each in graph.conflicts["a"]] == ["b", "c"]
    assert [each.module for each in graph.conflicts["b"]] == ["a"]


def test_who_runs_alone_overlaps_with_nobody_that_is_known() -> None:
    graph = graph_of({"a": ModuleClaims((Claim(ALONE),)), "b": ModuleClaims((READ,))}, {})

    assert graph.conflicts["b"] == (Conflict(module="a", resources=(ALONE,)),)


def test_units_conflict_only_where_there_are_too_few() -> None:
    needs = {"a": 1, "b": 2, "c": 9}
    graph = graph_of(
        {path: ModuleClaims(needs=(("gpu", count),)) for path, count in needs.items()}, {"gpu": 3}
    )

    assert graph.capacities == {"gpu": 3}
    assert [(use.module, use.units) for use in graph.by_resource["gpu"]] == [
        ("a", 1),
        ("b", 2),
        ("c", 3),
    ]
    assert [each.module for each in graph.conflicts["c"]] == ["a", "b"]
    assert [each.module for each in graph.conflicts["a"]] == ["c"]


def test_what_is_shared_in_a_process_only_is_left_out() -> None:
    graph = graph_of({"a": ModuleClaims((Claim("environ:X", scope=Reach.PROCESS),))}, {})

    assert graph.uses == ()


@given(
    st.dictionaries(
        st.sampled_from("abcd"),
        st.lists(
            st.builds(Claim, st.sampled_from(["path:x", "path:x/y", "db"]), st.sampled_from(Mode)),
            max_size=3,
        ).map(lambda claims: ModuleClaims(tuple(claims))),
    )
)
def test_conflicts_are_mutual_and_never_with_oneself(claims: dict[str, ModuleClaims]) -> None:
    graph = graph_of(claims, {})

    for path, conflicts in graph.conflicts.items():
        for each in conflicts:
            assert each.module != path
            assert Conflict(module=path, resources=each.resources) in graph.conflicts[each.module]
