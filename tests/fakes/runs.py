"""Whole runs of the real session in simulated time, with the fake executor and a fake consumer."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio
import trio
import trio.testing

from fakes.executor import FakeExecutor, Script
from fakes.grammar import check
from iopio_async.execution.ports import Placement
from iopio_async.model import events as ev
from iopio_async.model.action import Action
from iopio_async.model.config import Config, ModuleSettings, Resource
from iopio_async.model.module import REMAINDER_PATH, Claim, ModuleKind, TestModule
from iopio_async.model.outcome import CancelReason
from iopio_async.model.stats import RunStats
from iopio_async.orchestration.guard_port import Guard
from iopio_async.orchestration.holdings import Claims
from iopio_async.orchestration.session import Session
from iopio_async.orchestration.stream import EventStream
from iopio_async.orchestration.units import Unit
from iopio_async.planning.batches import Batch
from iopio_async.planning.estimate import Outlook
from iopio_async.planning.parts import Part
from iopio_async.planning.scheduler import Start

REMAINDER = TestModule(path=REMAINDER_PATH, kind=ModuleKind.REMAINDER)

#: What is done to a session while it runs.
Deed = Callable[[Session], object]


def cancel(reason: CancelReason = CancelReason.INTERRUPT) -> Deed:
    return lambda session: session.cancel(reason)


def kill(session: Session) -> None:
    session.kill()


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A run: what its modules' attempts do, and what happens around it.

    ``scripts`` holds, by module, the script of each attempt; the last one serves all others. In
    the first attempt of a module that ``parts`` holds, each part has the script that stands there;
    where there is a ``batch``, the modules are all run by its one script at first.
    ``deeds`` happen at their time in seconds, those of a time below 0 before the run begins. The
    consumer takes ``batch_s`` for each batch, and leaves after ``leaves_after`` batches; its scope
    is cancelled at ``cut_off_s``.
    """

    scripts: Mapping[str, Sequence[Script]]
    parts: Mapping[str, Sequence[Script]] = field(default_factory=dict)
    batch: Script | None = None
    claims: Mapping[str, tuple[Claim, ...]] = field(default_factory=dict)
    knows: Claims | None = None
    guard: Guard | None = None
    resources: Mapping[str, Resource] = field(default_factory=dict)
    workers: int = 2
    retries: int = 0
    maxfail: int = 0
    timeout_s: float | None = 100.0
    slow_after_s: float = 1000.0
    outlook: Outlook = field(default_factory=Outlook)
    module_workers: Mapping[str, int] = field(default_factory=dict)
    memory_limit_bytes: int | None = None
    free_bytes: int | None = None
    deeds: Sequence[tuple[float, Deed]] = ()
    remainder: bool = False
    remainder_expected: bool = False
    bound: int = 64
    batch_s: float = 0.0
    leaves_after: float = math.inf
    cut_off_s: float = math.inf


@dataclass
class Played:
    """What became of a scenario: ``told`` is all that was emitted, ``heard`` what was consumed."""

    executor: FakeExecutor
    session: Session
    told: list[ev.Envelope] = field(default_factory=list)
    heard: list[ev.Envelope] = field(default_factory=list)
    lasted_s: float = 0.0
    most_waiting: int = 0

    @property
    def stats(self) -> RunStats:
        return self.session.stats

    def events(self, *kinds: type[ev.Event]) -> list[ev.AnyEvent]:
        return [envelope.event for envelope in self.told if isinstance(envelope.event, kinds)]

    def most_together(self, *paths: str) -> int:
        """How many of the modules ran at the same time, at most."""
        together = most = 0
        for event in self.events(ev.AttemptStarted, ev.AttemptFinished):
            if event.module in paths:
                together += 1 if isinstance(event, ev.AttemptStarted) else -1
                most = max(most, together)
        return most

    def verify(self) -> None:
        """What holds of every run, however it went."""
        assert check(self.told) == self.session.stats
        assert self.heard == self.told[: len(self.heard)]
        assert not self.executor.running.total(), "an attempt is left"
        assert self.executor.entered == self.executor.left
        assert self.session._limiter.borrowed_tokens == 0

    def finals(self) -> dict[str, object]:
        """What every module came to, times apart."""
        return {
            path: (
                module.status,
                module.attempts,
                {key: test.outcome for key, test in module.tests.items()},
                module.finished and module.finished.flaky,
                module.finished and module.finished.failure,
            )
            for path, module in self.stats.modules.items()
        }


def play(scenario: Scenario) -> Played:
    """Play a scenario to its end, in no time, and verify it."""
    played = trio.run(_play, scenario, clock=trio.testing.MockClock(autojump_threshold=0))
    played.verify()
    return played


async def _play(scenario: Scenario) -> Played:
    def settings_of(path: str) -> ModuleSettings:
        return ModuleSettings(
            timeout_s=scenario.timeout_s,
            slow_after_s=scenario.slow_after_s,
            retries=scenario.retries,
            framework=None,
            group=None,
            env={},
            workers=scenario.module_workers.get(path, 1),
        )

    def script(action: Action, placement: Placement) -> Script:
        if action.batch:
            assert scenario.batch is not None
            return scenario.batch
        if action.part:
            return scenario.parts[action.path][int(action.part[0])]
        scripts = scenario.scripts[action.path]
        return scripts[min(placement.attempt, len(scripts)) - 1]

    def make_action(module: TestModule, start: Start) -> Action:
        return Action(path=module.path, root="/", invocation_dir="/", selectors=start.selectors)

    def divide(modules: Sequence[TestModule]) -> list[Unit]:
        if scenario.batch is not None:
            return [Batch("group", tuple(modules))]
        units: list[Unit] = []
        for module in modules:
            parts = range(len(scenario.parts.get(module.path, ())))
            units += [Part(module, number, (str(number),), (), 1.0) for number in parts]
            units += [] if parts else [module]
        return units

    def emit(envelopes: Sequence[ev.Envelope]) -> None:
        played.told.extend(envelopes)
        stream.put(envelopes)
        played.most_waiting = max(played.most_waiting, len(stream._batches))

    stream = EventStream(scenario.bound)
    modules = tuple(
        TestModule(path=path, claims=scenario.claims.get(path, ()))
        for path in scenario.scripts
        if path != REMAINDER_PATH
    )
    executor = FakeExecutor(script)
    session = Session(
        config=Config(
            root="/",
            invocation_dir="/",
            workers=scenario.workers,
            maxfail=scenario.maxfail,
            memory_limit_bytes=scenario.memory_limit_bytes,
            resources=dict(scenario.resources),
        ),
        run_id="run",
        modules=modules,
        executor=executor,
        make_action=make_action,
        settings_of=settings_of,
        emit=emit,
        pace=stream.pace,
        divide=divide,
        opening=[
            _run_started(len(modules) + scenario.remainder_expected, scenario.workers),
        ],
        remainder=REMAINDER if scenario.remainder else None,
        remainder_expected=scenario.remainder_expected,
        outlook=scenario.outlook,
        free_memory=lambda: scenario.free_bytes,
        claims=scenario.knows,
        guard=scenario.guard,
    )
    played = Played(executor, session)

    async def drive() -> None:
        try:
            async with executor:
                await session.run()
                session.close()
        except* RuntimeError:
            session.abandon(CancelReason.INTERNAL)
        stream.close()

    for at_s, deed in scenario.deeds:
        if at_s < 0:
            deed(session)

    async def do(at_s: float, deed: Deed) -> None:
        await anyio.sleep(at_s)
        deed(session)

    began_s = anyio.current_time()
    with anyio.CancelScope(deadline=began_s + scenario.cut_off_s):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drive)
            for at_s, deed in scenario.deeds:
                if at_s >= 0:
                    tasks.start_soon(do, at_s, deed)
            batches = 0
            while batches < scenario.leaves_after and (batch := await stream.receive()):
                played.heard.extend(batch)
                batches += 1
                await anyio.sleep(scenario.batch_s)
            tasks.cancel_scope.cancel()
    session.abandon(CancelReason.EMBEDDER)
    played.lasted_s = anyio.current_time() - began_s
    return played


def _run_started(modules: int, workers: int) -> ev.RunStarted:
    return ev.RunStarted(
        run_id="run",
        root="/",
        modules=modules,
        workers=workers,
        python="3",
        iopio="1",
        started_at="2020-01-01T00:00:00.000+00:00",
    )
