"""What a worker tells, in the order in which it may tell it.

``Hello`` · ``Plan`` (one or more, the last marked) · ``Started``/``Finished`` a test, by its index
in the plan · ``Warned`` and ``Note`` at any time, ``Used`` between
modules · ``Shared`` · ``End``. Arrays rather than maps,
since a large suite sends hundreds of thousands of them. Texts are cut to size by the sender.
"""

import msgspec

from iopio_async.model.outcome import Failure, Outcome, Section, SubTest


class Message(msgspec.Struct, frozen=True, array_like=True):
    """Base of the closed union :data:`AnyMessage`."""


class Hello(Message, frozen=True, tag=0):
    """The worker has read its action. ``versions`` names the framework's version, for reports."""

    schema_version: int
    pid: int
    versions: dict[str, str] = {}


class Plan(Message, frozen=True, tag=1):
    """Ids of the tests that will run, in order, in pieces; ``last`` closes the plan.

    ``foreign_collectors`` says that plugins or conftests may collect items from files that are
    not test modules by name. ``scopes`` has a number for each of ``ids``, or is empty where all
    would be 0: tests of the same number share a fixture that is set up once for them, tests of 0
    share none. The first ``collectors`` of all ids are no tests, but what could not be collected
    or skipped itself as a whole. Where other processes run a part of the plan, ``elsewhere`` has
    the indices of what they run, as half-open spans. Where the process runs several modules,
    ``owners`` has for each of ``ids`` the number of its module.
    """

    ids: tuple[str, ...]
    last: bool = False
    deselected: int = 0
    foreign_collectors: bool = False
    scopes: tuple[int, ...] = ()
    collectors: int = 0
    elsewhere: tuple[tuple[int, int], ...] = ()
    owners: tuple[int, ...] = ()


class Started(Message, frozen=True, tag=2):
    """Test ``index`` begins."""

    index: int


class Finished(Message, frozen=True, tag=3):
    """Test ``index`` has its outcome: exactly once for each planned index.

    ``duration_s`` is the sum of the phases, ``call_s`` the call alone; ``line`` is 1-based.
    """

    index: int
    outcome: Outcome
    duration_s: float
    call_s: float = 0.0
    reason: str = ""
    failures: tuple[Failure, ...] = ()
    sections: tuple[Section, ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    subtests: tuple[SubTest, ...] = ()
    reruns: int = 0
    line: int = 0


class Warned(Message, frozen=True, tag=4):
    """A warning that the framework recorded; ``test`` is an id or empty."""

    message: str
    category: str
    test: str = ""
    path: str = ""
    line: int = 0


class Note(Message, frozen=True, tag=5):
    """The framework itself reported something wrong outside any test: an error."""

    failure: Failure


class End(Message, frozen=True, tag=6):
    """The framework has ended in good order, so many tests finished.

    ``digest`` is the running checksum of all frames before, ``exit_code`` the framework's own.
    ``stopped_early`` says that the framework stopped at its failure limit, as it was told to.
    """

    finished: int
    digest: int
    exit_code: int
    stopped_early: bool = False


class Shared(Message, frozen=True, tag=7):
    """What was set up once for many tests: seconds for each fixture of the session or package.

    ``hidden`` says that tests asked, while they ran, for a fixture of the module that nothing in
    their signatures tells of: who shares it can't be known.
    """

    setups_s: tuple[tuple[str, float], ...]
    hidden: bool = False


class Used(Message, frozen=True, tag=8):
    """What the process has used so far: CPU seconds, its ended children's included, and memory.

    ``elapsed_s`` is the time since its greeting. Said where several modules run in one process,
    when the tests of another one begin.
    """

    elapsed_s: float
    cpu_s: float
    peak_rss_bytes: int


AnyMessage = Hello | Plan | Started | Finished | Warned | Note | Shared | Used | End
