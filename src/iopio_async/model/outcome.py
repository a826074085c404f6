"""How tests, modules, attempts and runs may end: closed vocabularies and the rules between them."""

from enum import IntEnum, StrEnum

import msgspec


class Outcome(StrEnum):
    """How one test ended; pytest's words, and ``not-run`` for a test that was planned in vain."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    XPASSED = "xpassed"
    NOT_RUN = "not-run"


#: The outcomes after which a run is red.
BAD_OUTCOMES = frozenset({Outcome.FAILED, Outcome.ERROR, Outcome.NOT_RUN})


class ModuleStatus(StrEnum):
    """How one test module ended, over all of its attempts."""

    PASSED = "passed"
    #: At least one test failed or had an error.
    FAILED = "failed"
    #: Passed, but only when it was run again.
    FLAKY = "flaky"
    #: The module holds no test, or all of them were deselected. Not a failure.
    EMPTY = "empty"
    #: The whole attempt ended in good order, but something other than a test went wrong.
    ERROR = "error"
    TIMED_OUT = "timed out"
    #: The process was ended by a signal that iopio did not send.
    CRASHED = "crashed"
    #: The process went away before all planned tests had an outcome.
    INCOMPLETE = "incomplete"
    #: All tests passed, but processes were left behind, which iopio ended.
    LEAKED = "leaked"
    #: Never started, or cut short because the run was cancelled.
    NOT_RUN = "not-run"


#: The statuses after which a run is red.
BAD_STATUSES = frozenset(
    {
        ModuleStatus.FAILED,
        ModuleStatus.ERROR,
        ModuleStatus.TIMED_OUT,
        ModuleStatus.CRASHED,
        ModuleStatus.INCOMPLETE,
        ModuleStatus.NOT_RUN,
    }
)

#: The statuses after which another attempt makes sense, if the configuration allows one.
RETRIED_STATUSES = BAD_STATUSES - {ModuleStatus.NOT_RUN}


class Source(StrEnum):
    """Where a module's result comes from."""

    EXECUTED = "executed"
    LOCAL_CACHE = "local_cache"
    REMOTE_CACHE = "remote_cache"


class CancelReason(StrEnum):
    """Why nothing new starts any more."""

    MAXFAIL = "maxfail"
    INTERRUPT = "interrupt"
    TERMINATE = "terminate"
    HANGUP = "hangup"
    #: The scope of an embedding program was cancelled, or a consumer went away.
    EMBEDDER = "embedder"
    INTERNAL = "internal"


class ExitCode(IntEnum):
    """Exit codes of the command; 128 + n stands for signal n."""

    OK = 0
    NOT_ALL_PASSED = 1
    USAGE = 2
    INTERNAL = 3
    NOTHING_RAN = 5


class ExitStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a process ended: ``code`` where it left by itself, ``signal`` where it was ended."""

    code: int | None = None
    signal: int | None = None

    @property
    def ok(self) -> bool:
        """True for exit code 0."""
        return self.code == 0


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a test or module did not pass.

    ``message`` is one line; ``text`` the whole, with a traceback where there is one (it may hold
    SGR colour sequences); ``path`` and ``line`` (1-based) point at the place, where known.
    """

    message: str
    text: str = ""
    phase: str = "call"
    path: str = ""
    line: int = 0


class Section(msgspec.Struct, frozen=True):
    """A titled piece of captured output, cut to the configured size."""

    title: str
    text: str


class SubTest(msgspec.Struct, frozen=True, omit_defaults=True):
    """One sub-test of a test: its description, outcome and failure."""

    description: str
    outcome: Outcome
    failure: Failure | None = None


class Captured(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a process wrote on one stream: head and tail, and how much it was in truth."""

    head: str = ""
    tail: str = ""
    total_bytes: int = 0
    kept_bytes: int = 0

    @property
    def text(self) -> str:
        """Head and tail joined, with a line between them that says what is left out."""
        if not self.tail:
            return self.head
        gap = self.total_bytes - self.kept_bytes
        return f"{self.head}\n[... {gap} of {self.total_bytes} bytes left out ...]\n{self.tail}"
