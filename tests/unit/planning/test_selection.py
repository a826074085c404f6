"""pytest's rules of what is a test file, the parts of a run, and the choice of a framework."""

from collections.abc import Iterator

import pytest

from iopio_async.analysis.conftest import IgnoreList
from iopio_async.analysis.outline import Outline
from iopio_async.errors import UsageError
from iopio_async.model.config import FrameworkChoice
from iopio_async.model.module import Framework, TestModule
from iopio_async.planning.selection import (
    OUTLINES_READ,
    IgnoreRules,
    NodeAddress,
    Patterns,
    choose_framework,
    framework_without_pytest,
    join,
    names_asked_for,
    shard,
    split_node_id,
)

NONE = IgnoreList()


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("test_*.py", "/p/test_a.py", True),
        ("test_*.py", "/p/Test_a.py", False),
        ("test_*.py", "/p/test_dir/a.py", False),
        ("*_test.py", "/p/a_test.py", True),
        ("tests/*.py", "/p/tests/a.py", True),
        ("tests/*.py", "/p/tests/deep/a.py", True),
        ("tests/*.py", "/p/more_tests/a.py", False),
        ("/p/*.py", "/p/a.py", True),
        ("/q/*.py", "/p/q/a.py", False),
        ("[ab].py", "/p/a.py", True),
        ("", "/p/a.py", False),
    ],
)
def test_patterns(pattern: str, path: str, *, matches: bool) -> None:
    assert Patterns([pattern]).match(path.rpartition("/")[2], path) is matches


def test_no_pattern_matches_nothing() -> None:
    assert not Patterns([]).match("test_a.py", "/p/test_a.py")


def test_ignored_paths_and_globs_of_the_command_line_hold_everywhere() -> None:
    rules = IgnoreRules((("/p/a.py",), ("/p/old*",))).under("/p/sub", IgnoreList(True), NONE)

    assert rules.active
    assert rules.match("/p/a.py")
    assert rules.match("/p/old/deep.py")
    assert not rules.match("/p/b.py")


def test_a_nearer_list_hides_the_one_above_it_each_on_its_own() -> None:
    above = IgnoreRules().under(
        "/p", IgnoreList(True, ("sub/a.py",)), IgnoreList(True, ("*_x.py",))
    )
    below = above.under("/p/sub", IgnoreList(True, ("../sub/b.py",)), NONE)

    assert above.match("/p/sub/a.py")
    assert not below.match("/p/sub/a.py")
    assert below.match("/p/sub/b.py")
    assert below.match("/p/sub/c_x.py")


def test_rules_without_anything_new_stay_the_same_object() -> None:
    rules = IgnoreRules()

    assert rules.under("/p", NONE, NONE) is rules
    assert not rules.active


@pytest.mark.parametrize(
    ("path", "whole"),
    [
        ("a.py", "/p/a.py"),
        ("./a//b", "/p/a/b"),
        ("../x", "/x"),
        ("../../../x", "/x"),
        ("/abs/./y", "/abs/y"),
    ],
)
def test_join(path: str, whole: str) -> None:
    assert join("/p", path) == whole


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        ("tests", NodeAddress("tests")),
        ("tests/test_a.py", NodeAddress("tests/test_a.py")),
        ("a.py::T::test", NodeAddress("a.py", ("T", "test"))),
        ("a.py::T::test[1-2]", NodeAddress("a.py", ("T", "test"), "[1-2]")),
        ("a.py::test[x::y/z[0]]", NodeAddress("a.py", ("test",), "[x::y/z[0]]")),
        ("a[1].py", NodeAddress("a[1].py")),
    ],
)
def test_node_ids_come_apart(argument: str, address: NodeAddress) -> None:
    assert split_node_id(argument) == address


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ((), ()),
        (("/w/test_a.py",), ()),
        (("/w/test_a.py::A::test_x",), ("A::test_x",)),
        (("/w/test_a.py::A", "/w/test_b.py::B", "/w/test_a.py::A"), ("A",)),
        (("/w/test_a.py::test_x[1-a]", "/w/test_a.py::test_y"), ("test_x[1-a]", "test_y")),
        # Who asks for more than these tests gets all.
        (("/w/test_a.py::A", "/w/test_a.py"), ()),
        (("/w/test_a.py::A", "/w"), ()),
        (("/w/test_a.py::A", "/"), ()),
        (("/w/test_a.py::A", "/w/test"), ("A",)),
    ],
)
def test_names_asked_for_by_name(arguments: tuple[str, ...], asked: tuple[str, ...]) -> None:
    assert names_asked_for("/w/test_a.py", [split_node_id(each) for each in arguments]) == asked


def modules(*paths: str) -> tuple[TestModule, ...]:
    return tuple(TestModule(path=path) for path in paths)


def test_shards_keep_the_order_of_the_run() -> None:
    run = modules("c", "a", "d", "b")

    assert [module.path for module in shard(run, 1, 2)] == ["c", "a"]
    assert [module.path for module in shard(run, 2, 2)] == ["d", "b"]


@pytest.mark.parametrize(("index", "count"), [(0, 2), (3, 2), (1, 0), (-1, 3)])
def test_there_is_no_such_shard(index: int, count: int) -> None:
    with pytest.raises(UsageError, match="no shard"):
        shard(modules("a"), index, count)


FUNCTIONS = Outline(functions=1, bare_functions=1, tests=1)
WITH_ARGUMENTS = Outline(functions=1, tests=1)
UNITTEST = Outline(unittest_classes=1, tests=3)
SUITE = Outline(unittest_classes=1, tests=3, load_tests=True)
PYTEST = Outline(functions=1, tests=1, imports_pytest=True)


@pytest.mark.parametrize(
    ("outlines", "installed", "without"),
    [
        ([], "pytest", "functions"),
        ([Outline()], "pytest", "functions"),
        ([FUNCTIONS], "pytest", "functions"),
        ([UNITTEST], "pytest", "unittest"),
        ([UNITTEST, Outline()], "pytest", "unittest"),
        ([UNITTEST, FUNCTIONS], "pytest", "functions"),
        ([SUITE, UNITTEST], "unittest", "unittest"),
        ([SUITE, PYTEST], "pytest", "functions"),
    ],
)
def test_framework_of_a_project_that_configures_nothing(
    outlines: list[Outline], installed: str, without: str
) -> None:
    for pytest_installed, expected in ((True, installed), (False, without)):
        framework = choose_framework(
            "auto",
            pytest_installed=pytest_installed,
            pytest_configured=False,
            has_conftest=False,
            outlines=outlines,
        )
        assert framework == expected


def unread() -> Iterator[Outline]:
    raise AssertionError("an outline was read in vain")
    yield Outline()


@pytest.mark.parametrize(("configured", "conftest"), [(True, False), (False, True)])
def test_a_project_that_uses_pytest_is_not_read(*, configured: bool, conftest: bool) -> None:
    framework = choose_framework(
        "auto",
        pytest_installed=True,
        pytest_configured=configured,
        has_conftest=conftest,
        outlines=unread(),
    )
    assert framework is Framework.PYTEST


@pytest.mark.parametrize("choice", ["pytest", "unittest", "functions"])
def test_a_choice_is_a_choice(choice: FrameworkChoice) -> None:
    framework = choose_framework(
        choice,
        pytest_installed=False,
        pytest_configured=True,
        has_conftest=True,
        outlines=unread(),
    )
    assert framework == choice


def test_only_so_many_outlines_are_read() -> None:
    read = 0

    def many() -> Iterator[Outline]:
        nonlocal read
        for _ in range(10 * OUTLINES_READ):
            read += 1
            yield UNITTEST

    choose_framework(
        "auto", pytest_installed=True, pytest_configured=False, has_conftest=False, outlines=many()
    )
    assert read == OUTLINES_READ


@pytest.mark.parametrize(
    ("outline", "framework"),
    [
        (UNITTEST, Framework.UNITTEST),
        (SUITE, Framework.UNITTEST),
        (FUNCTIONS, Framework.FUNCTIONS),
        (WITH_ARGUMENTS, Framework.FUNCTIONS),
        (Outline(), Framework.FUNCTIONS),
        (Outline(unittest_classes=1, functions=1, tests=4), Framework.UNITTEST),
        (Outline(unittest_classes=1, bare_functions=1, functions=1), Framework.FUNCTIONS),
        (Outline(unittest_classes=1, plain_classes=1), Framework.FUNCTIONS),
    ],
)
def test_framework_of_one_module_without_pytest(outline: Outline, framework: Framework) -> None:
    assert framework_without_pytest(outline) is framework
