"""Which result holds, and what changed if none does."""

import pytest
from fakes.results import HOUR_S, NOW_S, World, digest, file, result, source

from iopio_async.cache.validate import Change, Hit, Judge, Miss, newest_valid
from iopio_async.model.trace import InputKind, Level, StoredResult

A, B = file("a.py"), file("b.py")


def judge(world: World) -> Judge:
    return Judge(world.current, world.scopes_of)


def living(stored: StoredResult) -> bool:
    return stored.expires_at_s > NOW_S


def test_a_result_holds_where_all_inputs_are_as_they_were() -> None:
    stored = result(A, B, level=Level.COARSE)
    verdict = newest_valid([stored], judge(World({"a.py": "content", "b.py": "content"})), living)

    assert verdict == Hit(
        events="",
        coverage="",
        executed_at_s=stored.executed_at_s,
        expires_at_s=stored.expires_at_s,
        duration_s=0.5,
        level=Level.COARSE,
    )


def test_the_first_input_that_changed_is_named() -> None:
    verdict = newest_valid([result(A, B)], judge(World({"a.py": "other"})), living)

    assert verdict == Miss(
        change=Change(InputKind.FILE, "a.py", digest("content"), digest("other"))
    )


def test_what_is_absent_differs() -> None:
    verdict = newest_valid([result(A)], judge(World()), living)

    assert verdict == Miss(change=Change(InputKind.FILE, "a.py", digest("content"), "absent"))


def test_what_nobody_can_tell_differs() -> None:
    verdict = newest_valid([result(A)], Judge(lambda given: None), living)

    assert verdict == Miss(change=Change(InputKind.FILE, "a.py", digest("content"), None))


def test_an_older_result_holds_where_the_newest_does_not() -> None:
    newer = result(file("a.py", "new"), executed_at_s=NOW_S - 1)
    older = result(A)
    verdict = newest_valid([newer, older], judge(World({"a.py": "content"})), living)

    assert isinstance(verdict, Hit)
    assert verdict.executed_at_s == older.executed_at_s


def test_where_none_holds_the_newest_says_why() -> None:
    world = World({"a.py": "third", "b.py": "content"})
    newer = result(B, file("a.py", "second"))
    verdict = newest_valid([newer, result(A)], judge(world), living)

    assert isinstance(verdict, Miss)
    assert verdict.change is not None
    assert verdict.change.old == digest("second")


def test_what_has_ended_is_not_looked_at() -> None:
    world = World({"a.py": "content"})
    ended = result(A, expires_at_s=NOW_S - HOUR_S)

    assert newest_valid([ended], judge(world), living) == Miss(expired=True)
    assert world.asked == []
    assert isinstance(newest_valid([ended, result(A)], judge(world), living), Hit)


def test_nothing_is_a_miss() -> None:
    assert newest_valid([], judge(World()), living) == Miss()


def test_each_input_is_looked_at_once() -> None:
    world = World({"a.py": "content"})
    one = judge(world)
    for _ in range(3):
        newest_valid([result(A), result(A, B)], one, living)

    assert world.asked == ["a.py"]


def test_a_source_holds_where_the_executed_functions_do() -> None:
    stored = result(source("a.py", module="import os", parse="return 1"))
    world = World(
        {"a.py": "other"},
        {"a.py": {"<module>": "import os", "parse": "return 1", "unused": "return 3"}},
    )

    assert isinstance(newest_valid([stored], judge(world), living), Hit)


def test_the_function_that_changed_is_named() -> None:
    stored = result(source("a.py", module="import os", parse="return 1", show="return 2"))
    world = World({"a.py": "other"}, {"a.py": {"<module>": "import os", "parse": "return 5"}})

    assert newest_valid([stored], judge(world), living) == Miss(
        change=Change(InputKind.SOURCE, "a.py", digest("return 1"), digest("return 5"), "parse")
    )


def test_a_function_that_has_gone_is_named() -> None:
    stored = result(source("a.py", module="import os", parse="return 1"))
    world = World({"a.py": "other"}, {"a.py": {"<module>": "import os"}})

    assert newest_valid([stored], judge(world), living) == Miss(
        change=Change(InputKind.SOURCE, "a.py", digest("return 1"), "absent", "parse")
    )


@pytest.mark.parametrize(
    ("given", "scopes"),
    [
        # Nobody can tell the functions.
        (source("a.py", module="import os"), None),
        # Nobody saw the module itself being executed.
        (source("a.py", parse="return 1"), {"parse": "return 1"}),
        # No function was seen at all.
        (source("a.py"), {"<module>": "import os"}),
    ],
)
def test_otherwise_a_source_is_taken_as_a_whole(given, scopes) -> None:  # type: ignore[no-untyped-def]
    verdict = newest_valid(
        [result(given)], judge(World({"a.py": "other"}, {"a.py": scopes})), living
    )

    assert verdict == Miss(
        change=Change(InputKind.SOURCE, "a.py", digest("content"), digest("other"))
    )


def test_functions_count_only_where_the_file_can_be_read_and_only_for_sources() -> None:
    given = source("a.py", module="import os")
    scopes = {"a.py": {"<module>": "import os"}}

    unreadable = Judge(lambda given: None, World({}, scopes).scopes_of)
    assert unreadable.change(given) == Change(InputKind.SOURCE, "a.py", digest("content"), None)
    as_file = file("a.py")
    assert judge(World({"a.py": "other"}, scopes)).change(as_file) is not None
    assert Judge(World({"a.py": "other"}).current).change(given) is not None


def test_functions_are_looked_up_once() -> None:
    world = World({"a.py": "other"}, {"a.py": {"<module>": "import os"}})
    one = judge(world)
    for _ in range(2):
        assert one.change(source("a.py", module="import os")) is None

    assert world.asked == ["a.py", "functions of a.py"]
