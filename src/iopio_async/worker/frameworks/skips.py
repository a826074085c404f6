"""Which exceptions say that a test is not to count.

They are told by the names of their classes: whoever raises one has imported it already, and a test
process imports nothing for the sake of those that never come.
"""

from iopio_async.model.outcome import Outcome
from iopio_async.worker.frameworks.failures import said

#: (module, class) of an exception or of one of its bases → outcome. ``""`` is any module.
OUTCOMES = {
    ("unittest.case", "SkipTest"): Outcome.SKIPPED,
    # pytest's own claims to be built in.
    ("builtins", "Skipped"): Outcome.SKIPPED,
    ("_pytest.outcomes", "XFailed"): Outcome.XFAILED,
    ("", "SkipTestException"): Outcome.SKIPPED,
}


def spared(error: BaseException) -> Outcome | None:
    """The outcome that an exception asks for, or ``None`` where it is a failure."""
    for base in type(error).__mro__:
        for module in (base.__module__, ""):
            outcome = OUTCOMES.get((module, base.__name__))
            if outcome is not None:
                return outcome
    return None


def skip_reason(error: BaseException) -> str | None:
    """Why an exception skips, or ``None`` where it does not."""
    return said(error) if spared(error) is Outcome.SKIPPED else None
