"""Laws of the selection: shards part a run, patterns and paths are what the library says."""

import fnmatch
import posixpath
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from iopio_async.model.module import TestModule
from iopio_async.planning.selection import Patterns, join, shard, split_node_id

paths = st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=60)
segments = st.sampled_from(["a", "b", ".", "..", "", "c d", "ü"])
patterns = st.text(alphabet="ab*?[]!-./", max_size=8)
names = st.text(alphabet="ab-.]!", min_size=1, max_size=6)


@given(paths, st.integers(1, 12))
def test_every_module_is_in_exactly_one_shard_and_shards_are_even(
    names: list[str], count: int
) -> None:
    run = [TestModule(path=name) for name in names]

    parts = [shard(run, index, count) for index in range(1, count + 1)]

    assert Counter(module.path for part in parts for module in part) == Counter(names)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@given(paths, st.integers(1, 12), st.randoms())
def test_shards_do_not_depend_on_the_order_in_which_files_were_listed(
    names: list[str], count: int, random: object
) -> None:
    run = [TestModule(path=name) for name in names]
    mixed = list(run)
    random.shuffle(mixed)  # type: ignore[attr-defined]

    for index in range(1, count + 1):
        assert set(shard(run, index, count)) == set(shard(mixed, index, count))


@given(st.lists(segments, max_size=6), st.lists(segments, min_size=1, max_size=6))
def test_join_is_what_posix_says(directory: list[str], path: list[str]) -> None:
    base = posixpath.normpath("/" + "/".join(directory).strip("/"))
    relative = "/".join(path)

    assert join(base, relative) == posixpath.normpath(
        "/" + posixpath.join(base, relative).strip("/")
    )


@given(st.lists(patterns, max_size=4), names)
def test_patterns_without_slashes_match_names_as_fnmatch_does(globs: list[str], name: str) -> None:
    plain = [glob for glob in globs if "/" not in glob]

    assert Patterns(plain).match(name, f"/p/{name}") == any(
        fnmatch.fnmatchcase(name, glob) for glob in plain
    )


@given(st.text(alphabet="ab/.:[]", max_size=20))
def test_a_node_id_loses_nothing_when_taken_apart(argument: str) -> None:
    address = split_node_id(argument)

    assert "::".join((address.path, *address.names)) + address.parameters == argument
