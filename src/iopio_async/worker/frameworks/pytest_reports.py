"""pytest's reports → one outcome a test.

A test's reports come in phases (set-up, call, teardown), possibly with sub-tests among them and
with whole series repeated by a plugin that runs tests again. :class:`Phases` takes them as they
come and tells the recorder the whole. The outcome: an error of set-up or of collection is an
``error``; a failed call, or a failed sub-test, is ``failed``; a failing teardown after a call that
did not fail is an ``error``, and one that skips makes a passed test ``skipped``; otherwise the
call's own outcome.
"""

import io
from typing import Any

import pytest

from iopio_async.model.outcome import Failure, Outcome, Section, SubTest
from iopio_async.worker.recorder import Recorder

#: (phase, pytest's outcome, is an xfail mark at work) → outcome. Anything else changes nothing.
OUTCOMES = {
    ("collect", "failed", False): Outcome.ERROR,
    ("collect", "skipped", False): Outcome.SKIPPED,
    ("setup", "failed", False): Outcome.ERROR,
    ("setup", "skipped", False): Outcome.SKIPPED,
    ("setup", "skipped", True): Outcome.XFAILED,
    ("call", "passed", False): Outcome.PASSED,
    ("call", "passed", True): Outcome.XPASSED,
    ("call", "skipped", False): Outcome.SKIPPED,
    ("call", "skipped", True): Outcome.XFAILED,
    ("call", "failed", False): Outcome.FAILED,
    ("call", "failed", True): Outcome.FAILED,
    ("teardown", "failed", False): Outcome.ERROR,
    ("teardown", "skipped", False): Outcome.SKIPPED,
}

#: What a test comes to whose reports speak of several outcomes: the last of these.
PRECEDENCE = (
    Outcome.PASSED,
    Outcome.SKIPPED,
    Outcome.XFAILED,
    Outcome.XPASSED,
    Outcome.ERROR,
    Outcome.FAILED,
)


class Phases:
    """What one test has reported so far. ``index`` is its place in the plan."""

    def __init__(self, node_id: str, index: int, line: int | None) -> None:
        self.id = str(node_id)
        self.index = index
        self._line = 0 if line is None else line + 1
        self._reruns = 0
        self._restart()

    def _restart(self) -> None:
        self._outcome: Outcome | None = None
        self._duration_s = 0.0
        self._call_s = 0.0
        self._reason = ""
        self._failures: list[Failure] = []
        self._sections: list[tuple[str, str]] = []
        self._properties: list[tuple[Any, Any]] = []
        self._subtests: list[SubTest] = []

    def add(self, report: Any, *, color: bool) -> None:
        """Take one phase's report."""
        phase = report.when or "call"
        if phase == "setup" and self._duration_s:
            self._restart()
        context = getattr(report, "context", None)
        if context is not None and hasattr(context, "kwargs"):
            self._add_subtest(report, color=color)
            return
        if report.outcome == "rerun":
            self._reruns += 1
            return
        self._duration_s += report.duration
        if phase == "call":
            self._call_s += report.duration
        if report.sections:
            self._sections = report.sections
        if report.user_properties:
            self._properties = report.user_properties
        xfail = hasattr(report, "wasxfail")
        outcome = OUTCOMES.get((phase, report.outcome, xfail))
        if outcome is None:
            return
        if report.outcome == "failed":
            self._failures.append(failure_of(report, phase, color=color))
        if not self._gives_way_to(outcome):
            return
        self._outcome = outcome
        if xfail:
            self._reason = str(report.wasxfail)
        elif outcome is Outcome.SKIPPED:
            self._reason = skip_reason(report.longrepr)

    def _gives_way_to(self, outcome: Outcome) -> bool:
        earlier = self._outcome
        return earlier is None or PRECEDENCE.index(outcome) > PRECEDENCE.index(earlier)

    def add_collection(self, report: pytest.CollectReport, *, color: bool) -> None:
        """Take the report of a collector that failed, or that skipped itself as a whole."""
        self._outcome = OUTCOMES[("collect", report.outcome, False)]
        self._sections = report.sections
        if report.outcome == "failed":
            self._failures.append(failure_of(report, "collect", color=color))
        else:
            self._reason = skip_reason(report.longrepr)

    def _add_subtest(self, report: Any, *, color: bool) -> None:
        description = report._sub_test_description()
        outcome = OUTCOMES.get(("call", report.outcome, hasattr(report, "wasxfail")))
        if outcome is None:
            return
        failure = failure_of(report, "call", color=color) if outcome is Outcome.FAILED else None
        self._subtests.append(SubTest(description, outcome, failure))
        if failure is not None:
            message = f"{description}: {failure.message}"
            self._failures.append(
                Failure(message, failure.text, "subtest", failure.path, failure.line)
            )
            self._outcome = Outcome.FAILED

    def tell(self, recorder: Recorder) -> bool:
        """Tell the recorder, if there is an outcome to tell; say whether there was."""
        if self._outcome is None:
            return False
        recorder.finished(
            self.index,
            self._outcome,
            self._duration_s,
            call_s=self._call_s,
            reason=self._reason,
            failures=self._failures,
            sections=[Section(title, text) for title, text in self._sections],
            properties=[(str(name), _plain(value)) for name, value in self._properties],
            subtests=self._subtests,
            reruns=self._reruns,
            line=self._line,
        )
        return True


def failure_of(report: Any, phase: str, *, color: bool) -> Failure:
    """The failure in a report, its text rendered as pytest would show it."""
    longrepr = report.longrepr
    crash = getattr(longrepr, "reprcrash", None)
    text = _render(longrepr, color=color)
    if crash is not None:
        message = str(crash.message).partition("\n")[0]
        return Failure(message, text, phase, str(crash.path), int(crash.lineno))
    lines = str(longrepr).strip().splitlines() or [""]
    # A collection error ends with the exception itself, marked with E.
    marked = [line[1:].strip() for line in lines if line.startswith("E ")]
    return Failure(marked[-1] if marked else lines[0], text, phase)


def _render(longrepr: Any, *, color: bool) -> str:
    to_terminal = getattr(longrepr, "toterminal", None)
    if to_terminal is None:
        return str(longrepr)
    from _pytest._io import TerminalWriter

    stream = io.StringIO()
    writer = TerminalWriter(stream)
    writer.hasmarkup = color
    to_terminal(writer)
    return stream.getvalue()


def skip_reason(longrepr: Any) -> str:
    """The reason in the report of a skip."""
    if isinstance(longrepr, tuple) and len(longrepr) == 3:
        return str(longrepr[2]).removeprefix("Skipped: ")
    return str(longrepr or "")


def _plain(value: Any) -> str:
    """A user property as text; anything may be in there, even what can't be shown."""
    if isinstance(value, str):
        return value
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__}: its repr raised {type(error).__name__}>"
