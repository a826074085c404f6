"""A run in which nothing is executed: every module's result is recalled.

The same events in the same order as in any other run, but told in one go, without an event loop:
most of the time that the command would take is what it takes to import one.
"""

import time
from collections.abc import Callable, Sequence

from iopio_async.errors import InfrastructureError
from iopio_async.history.journal import Journal
from iopio_async.model import events as ev
from iopio_async.model.config import Config
from iopio_async.model.stats import RunStats
from iopio_async.orchestration import records
from iopio_async.orchestration.memory import Memory
from iopio_async.orchestration.preparation import Plan

#: Takes an envelope and the fold up to it.
Handle = Callable[[ev.Envelope, RunStats], None]


def recalled_events(plan: Plan, memory: Memory) -> list[ev.AnyEvent] | None:
    """The events of all modules, plan to end; ``None`` if one has to be executed."""
    modules = list(plan.modules)
    if plan.remainder is not None and plan.remainder_expected:
        modules.append(plan.remainder)
    stories = [memory.recalled(module.path) for module in modules]
    if not modules or not all(stories):
        return None
    if plan.remainder is not None and not plan.remainder_expected and _has_foreign(stories):
        story = memory.recalled(plan.remainder.path)
        if not story:
            return None
        modules.append(plan.remainder)
        stories.append(story)
    planned = [ev.ModulePlanned(module=each.path, framework=each.framework) for each in modules]
    return [*planned, *(event for story in stories for event in story)]


def _has_foreign(stories: Sequence[Sequence[ev.AnyEvent]]) -> bool:
    return any(
        type(event) is ev.TestsCollected and event.foreign_collectors
        for story in stories
        for event in story
    )


def replay(
    config: Config,
    plan: Plan,
    events: Sequence[ev.AnyEvent],
    handle: Handle,
    began_s: float,
    warnings: Sequence[str] = (),
) -> RunStats:
    """Tell a whole run of recalled ``events``; the fold over it.

    ``began_s`` is when the run began, on the clock of ``time.perf_counter``; ``warnings`` are the
    cache's.
    """
    run_id = records.new_run_id()
    journal = Journal(config.root, run_id)
    stats = RunStats()
    seq = 0

    def tell(told: Sequence[ev.AnyEvent]) -> None:
        nonlocal seq
        elapsed_s = round(time.perf_counter() - began_s, 6)
        envelopes = [ev.Envelope(seq + at, elapsed_s, event) for at, event in enumerate(told)]
        seq += len(envelopes)
        journal.observe(envelopes)
        for envelope in envelopes:
            stats.apply(envelope.event)
            handle(envelope, stats)

    tell([*records.opening(config, plan, run_id, warnings), *events])
    fault = journal.fault
    try:
        records.remember(config, plan, stats)
    except InfrastructureError as error:
        fault = fault or error.message
    if fault:
        tell([ev.WarningIssued(message=fault, category="iopio")])
    duration_s = round(time.perf_counter() - began_s, 6)
    tell([ev.RunFinished(exit_code=int(stats.verdict()), duration_s=duration_s)])
    journal.close()
    return stats
