"""The state of a run as a fold over its events: whoever has the events has the figures."""

from collections import Counter
from dataclasses import dataclass, field

from iopio_async.model import events as ev
from iopio_async.model.outcome import (
    BAD_OUTCOMES,
    BAD_STATUSES,
    CancelReason,
    ExitCode,
    ModuleStatus,
    Outcome,
    Source,
)


@dataclass(slots=True)
class ModuleStats:
    """One module as far as the events tell; ``tests`` holds the last word on each test.

    A test is keyed by its id and its occurrence within one attempt, so that two tests of the
    same id stay two.
    """

    path: str
    tests: dict[tuple[str, int], ev.TestFinished] = field(default_factory=dict)
    status: ModuleStatus | None = None
    source: Source = Source.EXECUTED
    attempts: int = 0
    duration_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0
    last_attempt: ev.AttemptFinished | None = None
    finished: ev.ModuleFinished | None = None
    seen: Counter[str] = field(default_factory=Counter)
    collected: bool = False


@dataclass(slots=True)
class RunStats:
    """Counts of a run so far. ``apply`` takes every event of the run, in order."""

    modules: dict[str, ModuleStats] = field(default_factory=dict)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    statuses: Counter[ModuleStatus] = field(default_factory=Counter)
    sources: Counter[Source] = field(default_factory=Counter)
    flaky: list[str] = field(default_factory=list)
    #: How long each set-up of a fixture of the session or a package took, by its name.
    setups_s: dict[str, list[float]] = field(default_factory=dict)
    warnings: int = 0
    deselected: int = 0
    planned: int = 0
    workers: int = 0
    duration_s: float = 0.0
    cancelled: CancelReason | None = None
    exit_code: int | None = None

    @property
    def passed(self) -> int:
        """Number of tests that passed."""
        return self.outcomes[Outcome.PASSED]

    @property
    def failed(self) -> int:
        """Number of tests that failed or had an error or never got their turn."""
        return sum(self.outcomes[outcome] for outcome in BAD_OUTCOMES)

    @property
    def total(self) -> int:
        """Number of tests that have an outcome."""
        return self.outcomes.total()

    @property
    def finished_modules(self) -> int:
        """Number of modules that have their final word."""
        return self.statuses.total()

    @property
    def bad_modules(self) -> int:
        """Number of modules after which the run is red."""
        return sum(self.statuses[status] for status in BAD_STATUSES)

    def apply(self, event: ev.AnyEvent) -> None:
        """Fold one event in."""
        match event:
            case ev.TestFinished():
                self._test_finished(event)
            case ev.RunStarted():
                self.workers = event.workers
            case ev.ModulePlanned():
                self.planned += 1
                self.modules[event.module] = ModuleStats(event.module)
            case ev.AttemptStarted():
                module = self.modules[event.module]
                module.attempts = event.attempt
                module.seen.clear()
            case ev.TestsCollected():
                self._collected(event)
            case ev.AttemptFinished():
                module = self.modules[event.module]
                module.last_attempt = event
                module.duration_s += event.duration_s
                module.cpu_s += event.cpu_s
                module.peak_rss_bytes = max(module.peak_rss_bytes, event.peak_rss_bytes)
                for fixture, taken_s in event.setups_s:
                    self.setups_s.setdefault(fixture, []).append(taken_s)
            case ev.ModuleFinished():
                module = self.modules[event.module]
                module.status = event.status
                module.source = event.source
                module.finished = event
                self.statuses[event.status] += 1
                self.sources[event.source] += 1
                self.flaky.extend(event.flaky)
            case ev.WarningIssued():
                self.warnings += 1
            case ev.CancellationStarted():
                self.cancelled = event.reason
            case ev.RunFinished():
                self.duration_s = event.duration_s
                self.exit_code = event.exit_code
            case _:
                pass

    def _collected(self, event: ev.TestsCollected) -> None:
        module = self.modules[event.module]
        if not module.collected:
            module.collected = True
            self.deselected += event.deselected
        # What could not be collected counts as a test, named by its path. Now that it has been
        # tried again, only what comes of that counts.
        for key in [key for key in module.tests if "::" not in key[0]]:
            self.outcomes[module.tests.pop(key).outcome] -= 1

    def _test_finished(self, event: ev.TestFinished) -> None:
        module = self.modules[event.module]
        module.seen[event.id] += 1
        key = (event.id, module.seen[event.id])
        earlier = module.tests.get(key)
        if earlier is not None:
            self.outcomes[earlier.outcome] -= 1
        module.tests[key] = event
        self.outcomes[event.outcome] += 1

    def verdict(self) -> ExitCode:
        """The exit code that the outcomes call for, signals apart."""
        if self.bad_modules or self.failed:
            return ExitCode.NOT_ALL_PASSED
        if self.statuses[ModuleStatus.EMPTY] == self.finished_modules:
            return ExitCode.NOTHING_RAN
        return ExitCode.OK
