"""What is given up, and that it is told once."""

import pytest

from iopio_async.cache.faults import SLOW_IN_A_ROW, SLOW_OPERATION_S, Faults


class Clock:
    """Each operation takes as long as is said next."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def spend(self, faults: Faults, duration_s: float) -> None:
        with faults.operation():
            self.now_s += duration_s


def test_each_kind_is_told_once() -> None:
    told: list[str] = []
    faults = Faults(told.append)
    error = OSError(5, "Input/output error")
    for _ in range(3):
        faults.damaged("a", "its checksum is wrong")
        faults.unreadable("b", error)
        faults.stop_writing("no space")
        faults.switch_off("somebody else's")

    assert told == [
        "the cached result a is damaged and not used: its checksum is wrong",
        "the cached result b can't be read: Input/output error",
        "results are not cached any more in this run: no space",
        "the cache is not used any more in this run: somebody else's",
    ]


def test_a_cache_that_is_off_says_nothing_of_writing() -> None:
    told: list[str] = []
    faults = Faults(told.append)
    faults.switch_off("somebody else's")
    faults.stop_writing("no space")

    assert len(told) == 1
    assert not faults.writes


def test_slow_operations_in_a_row_switch_it_off() -> None:
    told: list[str] = []
    clock = Clock()
    faults = Faults(told.append, clock)
    for _ in range(SLOW_IN_A_ROW - 1):
        clock.spend(faults, SLOW_OPERATION_S)
    assert faults.writes
    clock.spend(faults, SLOW_OPERATION_S)

    assert faults.off == "3 operations in a row took 0.5 s or more"
    assert len(told) == 1


def test_a_slow_operation_now_and_then_is_nothing() -> None:
    clock = Clock()
    faults = Faults(pytest.fail, clock)
    for _ in range(10):
        for _ in range(SLOW_IN_A_ROW - 1):
            clock.spend(faults, 10 * SLOW_OPERATION_S)
        clock.spend(faults, 0.001)

    assert faults.writes


def test_operations_that_fail_count_too() -> None:
    told: list[str] = []
    clock = Clock()
    faults = Faults(told.append, clock)

    def fail_slowly() -> None:
        with faults.operation():
            clock.now_s += SLOW_OPERATION_S
            raise OSError("no")

    for _ in range(SLOW_IN_A_ROW):
        with pytest.raises(OSError, match="no"):
            fail_slowly()

    assert faults.off
