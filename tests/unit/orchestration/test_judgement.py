"""How an attempt ended, rule by rule, and which rule comes first."""

from signal import SIGKILL, SIGSEGV

import msgspec
import pytest
from fakes.executor import LEFT_WELL, Step, end, plan

from iopio_async.execution.ports import Gone
from iopio_async.model.outcome import ExitStatus, Failure, ModuleStatus, Outcome
from iopio_async.orchestration.judgement import Judgement, judge, name
from iopio_async.wire import messages as msg
from iopio_async.wire.certificate import Certificate
from iopio_async.wire.codec import encode_message

PASSED, FAILED = Outcome.PASSED, Outcome.FAILED

NOTE = msg.Note(Failure("a hook failed", phase="session"))


def proof(
    *outcomes: Outcome | None,
    code: int | None = None,
    note: bool = False,
    planned: bool = True,
    stopped_early: bool = False,
) -> Certificate:
    """The certificate of a stream with these outcomes; ``code`` None leaves out its end."""
    steps: list[Step] = plan([f"a::{index}" for index in range(len(outcomes))])
    if not planned:
        del steps[1]
    for index, outcome in enumerate(outcomes):
        if outcome is not None:
            steps += [msg.Started(index), msg.Finished(index, outcome, 0.1)]
    steps += [NOTE] if note else []
    steps += [] if code is None else [end(steps, code, stopped_early=stopped_early)]
    certificate = Certificate()
    for step in steps:
        assert isinstance(step, msg.Message)
        certificate.accept(step, encode_message(step))
    return certificate


def gone(**changes: object) -> Gone:
    return msgspec.structs.replace(LEFT_WELL, duration_s=2.34, **changes)


def by_signal(number: int) -> ExitStatus:
    return ExitStatus(signal=number)


def by_code(code: int) -> ExitStatus:
    return ExitStatus(code=code)


GOOD, BAD, CUT = proof(PASSED, code=0), proof(FAILED, code=1), proof(PASSED, None)
NOTED = Failure("a hook failed", phase="session")

#: The stream's proof, how the process went, then status and message.
RULES = [
    # All well, in its shades.
    (GOOD, gone(), ModuleStatus.PASSED, None),
    (proof(PASSED, Outcome.SKIPPED, Outcome.XFAILED, code=0), gone(), ModuleStatus.PASSED, None),
    (proof(Outcome.SKIPPED, code=0), gone(), ModuleStatus.PASSED, None),
    (proof(code=5), gone(), ModuleStatus.EMPTY, None),
    (proof(code=0), gone(), ModuleStatus.EMPTY, None),
    (GOOD, gone(leaked=("7 (sleep)", "8")), ModuleStatus.LEAKED, "left behind: 7 (sleep), 8"),
    # Tests failed.
    (BAD, gone(), ModuleStatus.FAILED, None),
    (proof(PASSED, Outcome.ERROR, code=1), gone(), ModuleStatus.FAILED, None),
    (proof(FAILED, None, code=2, stopped_early=True), gone(), ModuleStatus.FAILED, None),
    (BAD, gone(leaked=("7",)), ModuleStatus.FAILED, None),
    # Something else went wrong though the framework ended.
    (proof(PASSED, code=0, note=True), gone(), ModuleStatus.ERROR, "a hook failed"),
    (proof(FAILED, code=1, note=True), gone(), ModuleStatus.ERROR, "a hook failed"),
    (GOOD, gone(exit_status=by_code(1)), ModuleStatus.ERROR, "exit code 1 after its tests"),
    (BAD, gone(exit_status=by_code(9)), ModuleStatus.ERROR, "exit code 9 after its tests"),
    (proof(PASSED, code=2), gone(), ModuleStatus.ERROR, "the test session was interrupted"),
    (proof(PASSED, code=3), gone(), ModuleStatus.ERROR, "an internal error"),
    (proof(PASSED, code=4), gone(), ModuleStatus.ERROR, "refused its arguments"),
    (proof(FAILED, code=2), gone(), ModuleStatus.ERROR, "the test session was interrupted"),
    (proof(planned=False, code=0), gone(), ModuleStatus.ERROR, "exit code 0 and ran no test"),
    (
        proof(PASSED, None, code=0),
        gone(),
        ModuleStatus.INCOMPLETE,
        "1 planned tests had no outcome",
    ),
    (proof(PASSED, code=1), gone(), ModuleStatus.ERROR, "failed the session though no test failed"),
    (proof(PASSED, code=17), gone(), ModuleStatus.ERROR, "exit code 17 though no test failed"),
    # The process went away too early.
    (CUT, gone(), ModuleStatus.INCOMPLETE, "exit code 0 before all its tests had an outcome"),
    (proof(PASSED), gone(), ModuleStatus.INCOMPLETE, "before all its tests had an outcome"),
    (proof(planned=False), gone(), ModuleStatus.INCOMPLETE, "before its tests were collected"),
    (proof(FAILED), gone(exit_status=by_code(1)), ModuleStatus.INCOMPLETE, "exit code 1 before"),
    (proof(PASSED, note=True), gone(), ModuleStatus.ERROR, "a hook failed"),
    (CUT, gone(exit_status=by_signal(SIGSEGV)), ModuleStatus.CRASHED, "ended by SIGSEGV"),
    (GOOD, gone(exit_status=by_signal(SIGKILL)), ModuleStatus.CRASHED, "ended by SIGKILL"),
    (proof(PASSED, note=True), gone(exit_status=by_signal(6)), ModuleStatus.CRASHED, "SIGABRT"),
    (GOOD, gone(exit_status=ExitStatus()), ModuleStatus.ERROR, "taken by somebody else"),
    (GOOD, gone(lingered=True), ModuleStatus.ERROR, "a thread of theirs goes on"),
    (
        GOOD,
        gone(lingered=True, exit_status=by_signal(SIGKILL)),
        ModuleStatus.ERROR,
        "a thread of theirs goes on",
    ),
    # iopio ended it.
    (CUT, gone(timed_out=True), ModuleStatus.TIMED_OUT, "ended after 2.3 s, its time was up"),
    (
        proof(FAILED, None),
        gone(timed_out=True, exit_status=by_signal(SIGKILL), protocol_error="cut"),
        ModuleStatus.TIMED_OUT,
        "its time was up",
    ),
    (GOOD, gone(protocol_error="garbage"), ModuleStatus.ERROR, "garbage"),
    (
        CUT,
        gone(protocol_error="garbage", exit_status=by_signal(SIGKILL)),
        ModuleStatus.ERROR,
        "garbage",
    ),
    (CUT, gone(stopped=True), ModuleStatus.NOT_RUN, "stopped before its end"),
    (
        CUT,
        gone(stopped=True, exit_status=by_signal(SIGKILL), protocol_error="cut"),
        ModuleStatus.NOT_RUN,
        "stopped before its end",
    ),
    (proof(PASSED, code=2), gone(stopped=True), ModuleStatus.NOT_RUN, "stopped before its end"),
    (
        proof(FAILED, None, code=2),
        gone(stopped=True),
        ModuleStatus.FAILED,
        "stopped before its end",
    ),
    (
        GOOD,
        gone(stopped=True, exit_status=by_signal(2)),
        ModuleStatus.NOT_RUN,
        "stopped before its end",
    ),
    (GOOD, gone(stopped=True), ModuleStatus.PASSED, None),
    (BAD, gone(stopped=True), ModuleStatus.FAILED, None),
]


@pytest.mark.parametrize(("certificate", "process", "status", "message"), RULES)
def test_the_first_rule_that_applies_decides(
    certificate: Certificate, process: Gone, status: ModuleStatus, message: str | None
) -> None:
    judgement = judge(certificate, process)

    assert judgement.status is status
    if message is None:
        assert judgement.failure is None
    else:
        assert judgement.failure is not None
        assert message in judgement.failure.message
        assert judgement.failure.phase == "session"


@pytest.mark.parametrize("code", [0, 5])
def test_tests_that_vanish_from_a_retry_are_an_error(code: int) -> None:
    judgement = judge(proof(code=code), gone(), attempt=2)

    assert judgement == Judgement(
        ModuleStatus.ERROR,
        Failure("the tests to run again were not collected again", phase="session"),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"exit_status": by_code(1)},
        {"exit_status": by_signal(SIGSEGV)},
        {"exit_status": ExitStatus()},
        {"timed_out": True},
        {"lingered": True},
        {"protocol_error": "garbage"},
    ],
)
@pytest.mark.parametrize("certificate", [GOOD, proof(code=5)])
def test_nothing_passes_whose_process_did_not_end_well(
    certificate: Certificate, changes: dict[str, object]
) -> None:
    assert judge(certificate, gone(**changes)).status not in {
        ModuleStatus.PASSED,
        ModuleStatus.EMPTY,
        ModuleStatus.LEAKED,
    }


@pytest.mark.parametrize(("number", "text"), [(9, "SIGKILL"), (64, "SIGRTMAX"), (99, "signal 99")])
def test_signals_are_named(number: int, text: str) -> None:
    assert name(number) == text
