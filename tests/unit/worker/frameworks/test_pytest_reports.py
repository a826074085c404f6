"""The reports of one test come to one outcome."""

from types import SimpleNamespace
from typing import Any

import pytest

from iopio_async.model.outcome import Failure, Outcome
from iopio_async.worker.frameworks.pytest_reports import Phases, failure_of, skip_reason


class Heard:
    """Stands in for the recorder, and keeps what it is told."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.rest: dict[str, Any] = {}

    def finished(self, index: int, outcome: Outcome, duration_s: float, **rest: Any) -> None:
        self.outcome, self.rest = outcome, {"index": index, "duration_s": duration_s, **rest}


def report(phase: str, outcome: str, *, xfail: str | None = None, **fields: Any) -> Any:
    longrepr = ("test_a.py", 3, f"Skipped: in {phase}") if outcome == "skipped" else f"E in {phase}"
    made = SimpleNamespace(
        when=phase,
        outcome=outcome,
        duration=0.25,
        longrepr=longrepr,
        sections=[],
        user_properties=[],
        nodeid="test_a.py::test_a",
    )
    if xfail is not None:
        made.wasxfail = xfail
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def subtest(outcome: str, text: str) -> Any:
    return report(
        "call",
        outcome,
        context=SimpleNamespace(msg=text, kwargs={}),
        _sub_test_description=lambda: text,
    )


def tell(*reports: Any) -> Heard:
    phases, heard = Phases("test_a.py::test_a", 3, 9), Heard()
    for each in reports:
        phases.add(each, color=False)
    told: Any = phases.tell(heard)  # type: ignore[arg-type]
    assert told == (heard.outcome is not None)
    return heard


SETUP, TEARDOWN = report("setup", "passed"), report("teardown", "passed")
BAD_TEARDOWN, LATE_SKIP = report("teardown", "failed"), report("teardown", "skipped")


@pytest.mark.parametrize(
    ("reports", "outcome"),
    [
        ([SETUP, report("call", "passed"), TEARDOWN], Outcome.PASSED),
        ([SETUP, report("call", "failed"), TEARDOWN], Outcome.FAILED),
        ([SETUP, report("call", "skipped"), TEARDOWN], Outcome.SKIPPED),
        ([SETUP, report("call", "skipped", xfail="known"), TEARDOWN], Outcome.XFAILED),
        ([SETUP, report("call", "passed", xfail="known"), TEARDOWN], Outcome.XPASSED),
        ([SETUP, report("call", "failed", xfail="known"), TEARDOWN], Outcome.FAILED),
        ([report("setup", "failed"), TEARDOWN], Outcome.ERROR),
        ([report("setup", "failed"), BAD_TEARDOWN], Outcome.ERROR),
        ([report("setup", "skipped"), TEARDOWN], Outcome.SKIPPED),
        ([report("setup", "skipped", xfail="known"), TEARDOWN], Outcome.XFAILED),
        ([SETUP, report("call", "passed"), BAD_TEARDOWN], Outcome.ERROR),
        ([SETUP, report("call", "failed"), BAD_TEARDOWN], Outcome.FAILED),
        ([SETUP, report("call", "skipped"), BAD_TEARDOWN], Outcome.ERROR),
        ([SETUP, report("call", "passed", xfail="known"), BAD_TEARDOWN], Outcome.ERROR),
        ([SETUP, report("call", "passed"), LATE_SKIP], Outcome.SKIPPED),
        ([SETUP, report("call", "failed"), LATE_SKIP], Outcome.FAILED),
        ([SETUP, report("call", "skipped", xfail="known"), LATE_SKIP], Outcome.XFAILED),
        ([SETUP, TEARDOWN], None),
        ([], None),
    ],
)
def test_outcomes(reports: list[Any], outcome: Outcome | None) -> None:
    assert tell(*reports).outcome is outcome


def test_all_failures_are_told_in_order() -> None:
    heard = tell(SETUP, report("call", "failed"), BAD_TEARDOWN)
    assert [failure.phase for failure in heard.rest["failures"]] == ["call", "teardown"]


def test_durations_are_added_up() -> None:
    heard = tell(SETUP, report("call", "passed"), TEARDOWN)
    assert heard.rest["duration_s"] == 0.75
    assert heard.rest["call_s"] == 0.25


def test_a_subtest_that_fails_fails_its_test() -> None:
    heard = tell(
        SETUP,
        subtest("passed", "one"),
        subtest("failed", "two"),
        subtest("skipped", "three"),
        report("call", "passed"),
        TEARDOWN,
    )
    assert heard.outcome is Outcome.FAILED
    assert [(sub.description, sub.outcome) for sub in heard.rest["subtests"]] == [
        ("one", Outcome.PASSED),
        ("two", Outcome.FAILED),
        ("three", Outcome.SKIPPED),
    ]
    (failure,) = heard.rest["failures"]
    assert failure.phase == "subtest"
    assert failure.message.startswith("two: ")


def test_a_rerun_starts_anew() -> None:
    heard = tell(
        SETUP,
        report("call", "rerun"),
        TEARDOWN,
        SETUP,
        report("call", "rerun"),
        SETUP,
        report("call", "passed"),
        TEARDOWN,
    )
    assert heard.outcome is Outcome.PASSED
    assert heard.rest["reruns"] == 2
    assert heard.rest["failures"] == []
    assert heard.rest["duration_s"] == 0.75


@pytest.mark.parametrize(
    ("longrepr", "reason"),
    [
        (("test_a.py", 3, "Skipped: no reason"), "no reason"),
        (("test_a.py", 3, "no prefix"), "no prefix"),
        ("a text", "a text"),
        (None, ""),
        ("", ""),
    ],
)
def test_skip_reasons(longrepr: object, reason: str) -> None:
    assert skip_reason(longrepr) == reason


@pytest.mark.parametrize(
    ("longrepr", "message"),
    [
        ("one line", "one line"),
        ("first\nE   ValueError: marked\nE   more", "more"),
        ("", ""),
        (None, "None"),
    ],
)
def test_failures_without_a_place(longrepr: object, message: str) -> None:
    failure = failure_of(SimpleNamespace(longrepr=longrepr), "collect", color=False)
    assert failure == Failure(message, str(longrepr), "collect")


def test_properties_become_text() -> None:
    class Bad:
        def __repr__(self) -> str:
            raise ValueError("no")

    properties = [("text", "as it is"), ("number", 3), ("bad", Bad())]
    heard = tell(SETUP, report("call", "passed", user_properties=properties), TEARDOWN)
    assert heard.rest["properties"] == [
        ("text", "as it is"),
        ("number", "3"),
        ("bad", "<Bad: its repr raised ValueError>"),
    ]
