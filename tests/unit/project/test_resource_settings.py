"""What ``[tool.iopio.resources]`` and ``needs`` may hold."""

import pytest

from iopio_async.model.config import Resource
from iopio_async.project.resource_settings import Resources, Units, variable_of
from iopio_async.project.setting_values import UnfitError


def test_capacities_may_have_a_variable() -> None:
    table = {"gpu": {"capacity": 2, "env": "CUDA_VISIBLE_DEVICES"}, "big-license": 3}

    assert Resources().parse(table) == {
        "gpu": Resource(2, "CUDA_VISIBLE_DEVICES"),
        "big-license": Resource(3),
    }
    assert Resources().parse({"gpu": Resource(1)}) == {"gpu": Resource(1)}
    assert variable_of("big-license") == "IOPIO_BIG_LICENSE"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (3, "expected a table of capacities"),
        ({"gpu": 0}, "gpu: expected a whole number from 1"),
        ({"gpu": True}, "gpu: expected a whole number"),
        ({"": 1}, "can't name a resource"),
        ({"a b": 1}, "can't name a resource"),
        ({"gpu": {}}, "gpu needs a capacity"),
        ({"gpu": {"capacity": 1, "env": "A=B"}}, "can't name a variable"),
        ({"gpu": {"capacity": 1, "environment": "A"}}, "unknown key"),
        ({"slot": 1}, "IOPIO_SLOT is set by iopio itself"),
        ({"a.b": 1, "a-b": 2}, "a.b and a-b would both set IOPIO_A_B"),
    ],
)
def test_what_is_unfit_is_told(table: object, message: str) -> None:
    with pytest.raises(UnfitError) as raised:
        Resources().parse(table)
    assert message in raised.value.message


def test_needs_are_whole_numbers() -> None:
    assert Units().parse({"gpu": 2}) == {"gpu": 2}
    for value in (1, {"gpu": "1"}, {"gpu": 0}, {"!": 1}):
        with pytest.raises(UnfitError):
            Units().parse(value)
