"""How did this attempt end? A pure rule over its certificate and the end of its process.

The rules are tried in order, the strongest evidence first; only the last one says *passed*.
"""

import signal

import msgspec

from iopio_async.execution.ports import Gone
from iopio_async.model.outcome import Failure, ModuleStatus
from iopio_async.wire.certificate import Certificate

#: pytest's exit codes, which all frameworks' adapters use.
_TESTS_FAILED, _NOTHING_COLLECTED = 1, 5

_EXIT_MEANINGS = {
    2: "the test session was interrupted",
    3: "the test framework had an internal error",
    4: "the test framework refused its arguments or could not load its configuration",
}


class Judgement(msgspec.Struct, frozen=True):
    """An attempt's status, and what went wrong beside its tests."""

    status: ModuleStatus
    failure: Failure | None = None


def judge(certificate: Certificate, gone: Gone, *, attempt: int = 1) -> Judgement:
    """Judge an attempt."""
    end, status = certificate.end, gone.exit_status
    # A stream that was cut by iopio itself is no evidence against the worker.
    if gone.timed_out:
        return _because(
            ModuleStatus.TIMED_OUT, f"ended after {gone.duration_s:.1f} s, its time was up"
        )
    if gone.stopped and not _had_ended(certificate, gone):
        status_so_far = ModuleStatus.FAILED if certificate.any_bad else ModuleStatus.NOT_RUN
        return _because(status_so_far, "stopped before its end")
    if gone.protocol_error:
        return _error(gone.protocol_error)
    if gone.lingered:
        return _error("its process did not end after its tests: a thread of theirs goes on")
    if status.signal is not None:
        return _because(ModuleStatus.CRASHED, f"its process was ended by {name(status.signal)}")
    if status.code is None:
        return _error("its process's exit status was taken by somebody else")
    if end is None:
        if certificate.notes:
            return Judgement(ModuleStatus.ERROR, certificate.notes[0])
        what = "all its tests had an outcome" if certificate.planned else "its tests were collected"
        return _because(
            ModuleStatus.INCOMPLETE, f"its process left with exit code {status.code} before {what}"
        )
    if certificate.notes:
        return Judgement(ModuleStatus.ERROR, certificate.notes[0])
    if status.code != 0:
        return _error(f"its process left with exit code {status.code} after its tests")
    if end.exit_code in _EXIT_MEANINGS and not end.stopped_early:
        return _error(_EXIT_MEANINGS[end.exit_code])
    if not certificate.planned:
        return _error(f"the framework ended with exit code {end.exit_code} and ran no test")
    if certificate.any_bad:
        return Judgement(ModuleStatus.FAILED)
    unfinished = len(certificate.unfinished())
    if unfinished:
        return _because(ModuleStatus.INCOMPLETE, f"{unfinished} planned tests had no outcome")
    if end.exit_code not in {0, _NOTHING_COLLECTED}:
        return _error(
            f"the framework ended with exit code {end.exit_code} though no test failed"
            if end.exit_code != _TESTS_FAILED
            else "a plugin or hook failed the session though no test failed"
        )
    if end.exit_code == _NOTHING_COLLECTED or not certificate.own_ids:
        if attempt > 1:
            return _error("the tests to run again were not collected again")
        return Judgement(ModuleStatus.EMPTY)
    if gone.leaked:
        return _because(ModuleStatus.LEAKED, f"left behind: {', '.join(gone.leaked)}")
    return Judgement(ModuleStatus.PASSED)


def _had_ended(certificate: Certificate, gone: Gone) -> bool:
    """All tests had their turn and the process left by itself: it was asked to stop in vain."""
    end = certificate.end
    return (
        certificate.complete
        and gone.exit_status.ok
        and end is not None
        and end.exit_code not in _EXIT_MEANINGS
    )


def _error(message: str) -> Judgement:
    return _because(ModuleStatus.ERROR, message)


def _because(status: ModuleStatus, message: str) -> Judgement:
    return Judgement(status, Failure(message, phase="session"))


def name(number: int) -> str:
    """A signal's name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
