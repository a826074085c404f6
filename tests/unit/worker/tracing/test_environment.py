"""Which variables are told of."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from iopio_async.wire.observations import VARIABLE, VARIABLES
from iopio_async.worker.tracing.environment import Variables


@pytest.fixture
def variables(told: Callable[[], Any]) -> Variables:
    return Variables({b"A": b"1", b"B": b"2", b"IOPIO_SLOT": b"0", b"TMPDIR": b"/x"})


@pytest.mark.parametrize(
    "read",
    [
        lambda variables: variables[b"A"],
        lambda variables: variables.get(b"A"),
        lambda variables: b"A" in variables,
    ],
)
def test_a_variable_is_told_once(
    variables: Variables, told: Callable[[], Any], read: Callable[[Variables], object]
) -> None:
    assert read(variables)
    assert read(variables)
    assert told() == [(VARIABLE, (b"A",))]


def test_absence_is_told(variables: Variables, told: Callable[[], Any]) -> None:
    with pytest.raises(KeyError):
        variables[b"C"]
    assert told() == [(VARIABLE, (b"C",))]


def test_what_was_set_or_deleted_is_no_input(variables: Variables, told: Callable[[], Any]) -> None:
    variables[b"A"] = b"3"
    del variables[b"B"]
    assert variables[b"A"] == b"3"
    assert variables.get(b"B") is None
    assert told() == []


def test_what_was_put_back_is_an_input_again(variables: Variables, told: Callable[[], Any]) -> None:
    variables[b"A"] = b"3"
    variables[b"C"] = b"3"
    del variables[b"B"]
    variables[b"A"] = b"1"
    variables[b"B"] = b"2"
    del variables[b"C"]
    assert variables[b"A"] == b"1"
    assert variables.get(b"B") == b"2"
    assert b"C" not in variables
    assert told() == [(VARIABLE, (b"A",)), (VARIABLE, (b"B",)), (VARIABLE, (b"C",))]


def test_iopios_own_are_never_told(variables: Variables, told: Callable[[], Any]) -> None:
    assert variables[b"IOPIO_SLOT"] == b"0"
    assert variables[b"TMPDIR"] == b"/x"
    assert told() == []


@pytest.mark.parametrize(
    "read",
    [
        list,
        dict,
        copy.copy,
        copy.deepcopy,
        lambda variables: variables.copy(),
        lambda variables: variables.keys(),
        lambda variables: list(variables.items()),
        lambda variables: list(variables.values()),
        lambda variables: pickle.loads(pickle.dumps(variables)),
    ],
)
def test_reading_all_of_them_is_told(
    variables: Variables, told: Callable[[], Any], read: Callable[[Variables], Any]
) -> None:
    assert len(read(variables)) == 4
    assert (VARIABLES, ()) in told()
