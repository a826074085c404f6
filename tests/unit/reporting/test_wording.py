"""Figures are spelled with their unit, and no vocabulary has a gap."""

import pytest

from iopio_async.model.outcome import CancelReason, ModuleStatus, Outcome, Source
from iopio_async.reporting import wording


@pytest.mark.parametrize(
    ("value_s", "told"),
    [
        (0.0, "0.00 s"),
        (0.516, "0.52 s"),
        (9.994, "9.99 s"),
        (9.999, "10.0 s"),
        (99.94, "99.9 s"),
        (99.96, "1 min 40 s"),
        (125, "2 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7320, "2 h 02 min"),
    ],
)
def test_durations(value_s: float, told: str) -> None:
    assert wording.seconds(value_s) == told


@pytest.mark.parametrize(
    ("value_s", "told"), [(60, "60 s"), (0.2, "0.2 s"), (5.001, "5 s"), (300, "5 min 00 s")]
)
def test_limits(value_s: float, told: str) -> None:
    assert wording.limit(value_s) == told


@pytest.mark.parametrize(("value_s", "told"), [(7.9, "0:07"), (754, "12:34"), (3723, "1:02:03")])
def test_clocks(value_s: float, told: str) -> None:
    assert wording.clock(value_s) == told


@pytest.mark.parametrize(("value_bytes", "told"), [(45 << 20, "45 MiB"), (1230 << 20, "1.2 GiB")])
def test_sizes(value_bytes: int, told: str) -> None:
    assert wording.size(value_bytes) == told


def test_plurals() -> None:
    assert [wording.counted(number, "test") for number in (0, 1, 2)] == [
        "0 tests",
        "1 test",
        "2 tests",
    ]
    assert wording.tallied(2, "failed") == "2 failed"
    assert [wording.tallied(number, "error") for number in (1, 2)] == ["1 error", "2 errors"]


def test_every_way_to_end_has_its_word() -> None:
    assert set(wording.MODULE_LABELS) == set(ModuleStatus)
    assert set(wording.TEST_LABELS) == set(Outcome)
    assert {outcome for outcome, _, _ in wording.TALLY} == set(Outcome)
    assert set(wording.CANCELLATIONS) == set(CancelReason)
    assert set(wording.SOURCES) == set(Source)
