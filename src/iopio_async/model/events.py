"""What happens in a run, as values: the closed union of events and the envelope they travel in.

The grammar, which ``tests/properties`` checks on every simulated run:

* ``RunStarted`` comes first, ``RunFinished`` last, each once.
* A module's ``ModulePlanned`` comes before its attempts; exactly one ``ModuleFinished`` ends it.
* ``AttemptStarted`` … ``AttemptFinished`` enclose the ``Test*`` events of that attempt.
* After ``CancellationStarted`` no attempt starts.

Events hold facts and no display policy. Times are seconds; ``elapsed_s`` counts from the run's
start on a monotonic clock.
"""

import msgspec

from iopio_async.model.module import Framework
from iopio_async.model.outcome import (
    CancelReason,
    Captured,
    ExitCode,
    ExitStatus,
    Failure,
    ModuleStatus,
    Outcome,
    Section,
    Source,
    SubTest,
)

#: The version of the event stream that ``--json`` writes.
STREAM_VERSION = 1


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="event"):
    """Base of the closed union :data:`AnyEvent`."""


class RunStarted(Event, frozen=True, kw_only=True, omit_defaults=False, tag="run_started"):
    """The plan stands; nothing has started yet. ``started_at`` is UTC in ISO 8601."""

    run_id: str
    root: str
    modules: int
    workers: int
    python: str
    iopio: str
    started_at: str
    stream_version: int = STREAM_VERSION


class ModulePlanned(Event, frozen=True, kw_only=True, tag="module_planned"):
    """A module will be run (or replayed) in this run."""

    module: str
    framework: Framework


class AttemptStarted(Event, frozen=True, kw_only=True, tag="attempt_started"):
    """A process runs the module; ``attempt`` counts from 1, ``slot`` from 0.

    Where several processes do, each a part of the module's tests, ``parts`` is their number, and
    the attempt lasts from the start of the first, whose slot and process this is, to the end of the
    last; the others may start at any time between and are not told of. Modules of a ``group`` run
    one after the other in one process, and so in one slot.
    """

    module: str
    attempt: int
    slot: int
    pid: int = 0
    parts: int = 1
    group: str = ""


class TestsCollected(Event, frozen=True, kw_only=True, tag="tests_collected"):
    """The attempt's plan is complete: so many tests will run, so many were deselected.

    ``foreign_collectors`` says that plugins or conftests may collect items from files that are not
    test modules by name.
    """

    __test__ = False

    module: str
    attempt: int
    count: int
    deselected: int = 0
    foreign_collectors: bool = False


class TestStarted(Event, frozen=True, kw_only=True, tag="test_started"):
    """A test begins its set-up."""

    __test__ = False

    module: str
    attempt: int
    id: str


class TestFinished(Event, frozen=True, kw_only=True, tag="test_finished"):
    """A test has its outcome; ``duration_s`` covers set-up, call and teardown.

    ``reason`` is the skip or xfail reason. ``call_s`` is the call alone.
    """

    __test__ = False

    module: str
    attempt: int
    id: str
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


class OutputCaptured(Event, frozen=True, kw_only=True, tag="output_captured"):
    """What an attempt's process wrote on a stream outside of any test's capture."""

    module: str
    attempt: int
    stream: str
    captured: Captured


class ModuleSlow(Event, frozen=True, kw_only=True, tag="module_slow"):
    """The attempt has been running for ``running_s``; ``test`` is what it is at, if anything."""

    module: str
    attempt: int
    running_s: float
    test: str = ""


class AttemptFinished(Event, frozen=True, kw_only=True, tag="attempt_finished"):
    """The attempt's process is gone.

    ``failure`` says what went wrong beside the tests; ``in_flight`` names the test that was
    running when the process went; ``stacks`` are all threads' stacks where it was timed out or
    crashed. ``cpu_s`` is user and system time of the process and the children it waited for.
    Of an attempt in several parts, ``duration_s`` is what it would have taken in one process: the
    time of all its tests, and the longest that a process spent beside them. ``setups_s`` is how
    long fixtures of the session or a package took to be set up, each time by name.
    """

    module: str
    attempt: int
    status: ModuleStatus
    duration_s: float
    exit_status: ExitStatus | None = None
    failure: Failure | None = None
    in_flight: str = ""
    stacks: str = ""
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0
    setups_s: tuple[tuple[str, float], ...] = ()


class ModuleFinished(Event, frozen=True, kw_only=True, tag="module_finished"):
    """The module's final word. ``flaky`` lists tests that passed only when run again."""

    module: str
    status: ModuleStatus
    source: Source = Source.EXECUTED
    attempts: int = 1
    duration_s: float = 0.0
    failure: Failure | None = None
    flaky: tuple[str, ...] = ()


class WarningIssued(Event, frozen=True, kw_only=True, tag="warning_issued"):
    """A warning of a test (``category`` is its class), or of iopio itself.

    Then ``category`` is ``iopio``, or ``iopio-detail`` where it matters only to who looks closely.
    ``iopio-note`` is no warning but a remark to those; ``iopio-report`` is a text that was asked
    for, such as a table of coverage.
    """

    message: str
    category: str
    module: str = ""
    test: str = ""
    path: str = ""
    line: int = 0


class CancellationStarted(Event, frozen=True, kw_only=True, tag="cancellation_started"):
    """Nothing new starts; running modules get their grace."""

    reason: CancelReason


class RunFinished(Event, frozen=True, kw_only=True, omit_defaults=False, tag="run_finished"):
    """The last event of every run."""

    exit_code: int = ExitCode.OK
    duration_s: float = 0.0
    cancelled: CancelReason | None = None


AnyEvent = (
    RunStarted
    | ModulePlanned
    | AttemptStarted
    | TestsCollected
    | TestStarted
    | TestFinished
    | OutputCaptured
    | ModuleSlow
    | AttemptFinished
    | ModuleFinished
    | WarningIssued
    | CancellationStarted
    | RunFinished
)


class Envelope(msgspec.Struct, frozen=True):
    """An event with its place in the stream: ``seq`` counts from 0 without gaps."""

    seq: int
    elapsed_s: float
    event: AnyEvent
