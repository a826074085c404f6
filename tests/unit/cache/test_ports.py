"""What is clean: only what passed at its first attempt (torture case 65)."""

import math
from collections.abc import Callable

import msgspec
import pytest
from fakes.results import EVENTS, MODULE, clean, passed, result

from iopio_async.cache.ports import CLEAN_STATUSES, Clean
from iopio_async.model import events as ev
from iopio_async.model.outcome import BAD_OUTCOMES, ModuleStatus, Outcome, Source
from iopio_async.model.stats import ModuleStats
from iopio_async.model.trace import Level


def add(outcome: Outcome = Outcome.PASSED, *, reruns: int = 0) -> Callable[[ModuleStats], None]:
    def change(stats: ModuleStats) -> None:
        stats.tests["test_a.py::test", 1] = ev.TestFinished(
            module=MODULE,
            attempt=1,
            id="test_a.py::test",
            outcome=outcome,
            duration_s=0.1,
            reruns=reruns,
        )

    return change


def flaky(stats: ModuleStats) -> None:
    stats.finished = ev.ModuleFinished(
        module=MODULE, status=ModuleStatus.PASSED, flaky=("test_a.py::test",)
    )


def set_to(**values: object) -> Callable[[ModuleStats], None]:
    def change(stats: ModuleStats) -> None:
        for name, value in values.items():
            setattr(stats, name, value)

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        *(
            (set_to(status=status), f"ended as {status}")
            for status in ModuleStatus
            if status not in CLEAN_STATUSES
        ),
        (set_to(status=None), "has not ended"),
        (set_to(attempts=2), "more than one attempt"),
        (set_to(attempts=0), "more than one attempt"),
        (set_to(source=Source.LOCAL_CACHE), "not executed"),
        (flaky, "more than one attempt"),
        (add(reruns=1), "more than one attempt"),
        *((add(outcome), f"ended as {outcome}") for outcome in BAD_OUTCOMES),
    ],
)
def test_what_is_not_clean(change: Callable[[ModuleStats], None], why: str) -> None:
    stats = passed()
    change(stats)
    judged = Clean.judged(stats, result(events=EVENTS))

    assert isinstance(judged, str)
    assert why in judged


@pytest.mark.parametrize(
    "change",
    [
        set_to(status=ModuleStatus.EMPTY),
        *(add(outcome) for outcome in Outcome if outcome not in BAD_OUTCOMES),
    ],
)
def test_what_is_clean(change: Callable[[ModuleStats], None]) -> None:
    stats = passed()
    change(stats)
    stored = result(events=EVENTS)
    judged = Clean.judged(stats, stored)

    assert isinstance(judged, Clean)
    assert (judged.module, judged.result) == (MODULE, stored)


def test_what_can_not_be_repeated_is_refused_by_its_reasons() -> None:
    stored = result(level=Level.UNCACHEABLE, reasons=["connects to a host", "asks the time"])

    assert Clean.judged(passed(), stored) == "connects to a host; asks the time"


@pytest.mark.parametrize("field", ["executed_at_s", "expires_at_s", "duration_s"])
def test_what_has_no_date_is_refused(field: str) -> None:
    stored = msgspec.structs.replace(result(), **{field: math.nan})

    assert Clean.judged(passed(), stored) == "it is not known when it was executed"


def test_there_is_no_other_way_to_make_one() -> None:
    with pytest.raises(TypeError, match="only"):
        Clean()
    assert clean(result()).module == MODULE
