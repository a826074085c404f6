"""Who reads what others write again is executed too."""

from collections.abc import Iterable

import pytest

from iopio_async.cache.validate import Crossing
from iopio_async.model.trace import Input, InputKind
from iopio_async.orchestration.outputs import EVERYTHING, MOST_PATHS, Outputs


def outputs(**written: Iterable[str]) -> Outputs:
    made = Outputs()
    for module, paths in written.items():
        made.note(module, paths)
    return made


def file(path: str) -> Input:
    return Input(InputKind.FILE, path, "0" * 64)


def crossings(
    made: Outputs, executed: Iterable[str], reading: dict[str, list[Input]]
) -> dict[str, Crossing]:
    return dict(made.crossings(executed, reading, reading.__getitem__))


def test_a_reader_of_what_is_written_again_is_crossed() -> None:
    reading = {"reader": [file("data"), file("shared")], "other": [file("data")]}
    found = crossings(outputs(writer={"shared"}), ["writer"], reading)
    assert found == {"reader": Crossing("writer", "shared")}


def test_nobody_is_crossed_where_no_writer_is_executed() -> None:
    assert crossings(outputs(writer={"shared"}), ["new"], {"reader": [file("shared")]}) == {}


def test_what_a_crossed_module_writes_crosses_others() -> None:
    made = outputs(writer={"one"}, second={"two"}, third={"one"})
    reading = {"third": [file("two")], "second": [file("one")], "fourth": [file("three")]}
    assert crossings(made, ["writer"], reading) == {
        "second": Crossing("writer", "one"),
        "third": Crossing("second", "two"),
    }


@pytest.mark.parametrize("kind", [InputKind.LOOKUP, InputKind.VARIABLE, InputKind.DISTRIBUTION])
def test_other_inputs_are_no_paths(kind: InputKind) -> None:
    reading = {"reader": [Input(kind, "shared", "")]}
    assert crossings(outputs(writer={"shared"}), ["writer"], reading) == {}


@pytest.mark.parametrize(("written", "crossed"), [("shared", True), ("/elsewhere/shared", False)])
def test_who_depends_on_the_whole_project_reads_all_of_it(written: str, crossed: bool) -> None:
    reading = {"reader": [Input(InputKind.PROJECT, "", "0" * 64)]}
    assert bool(crossings(outputs(writer={written}), ["writer"], reading)) == crossed


def test_who_writes_very_much_writes_everything() -> None:
    made = outputs(writer={f"out/{number}" for number in range(MOST_PATHS + 1)})
    assert made.of("writer") == (EVERYTHING,)
    found = crossings(made, ["writer"], {"reader": [file("any")], "away": [file("/elsewhere")]})
    assert found == {"reader": Crossing("writer", "any")}


def test_what_is_remembered_comes_back() -> None:
    made = outputs(writer={"b", "a"}, other=())
    again = Outputs(made.encode())
    assert again.of("writer") == ("a", "b")
    assert again.of("other") == ()
    assert (made.is_new, again.is_new) == (True, False)


def test_noting_the_same_is_nothing_new() -> None:
    again = Outputs(outputs(writer={"a"}).encode())
    again.note("writer", {"a"})
    assert not again.is_new
    again.note("writer", ())
    assert again.is_new
    assert again.of("writer") == ()


def test_what_is_damaged_is_as_if_it_were_not_there() -> None:
    assert Outputs(b"\xc1 no such thing").of("writer") == ()
