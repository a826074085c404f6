"""What every run begins with and leaves behind, whether modules are executed or replayed."""

import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from platform import python_version
from typing import TYPE_CHECKING

from iopio_async.history import last_failed
from iopio_async.history.durations import History
from iopio_async.history.timings import Collected
from iopio_async.model import events as ev
from iopio_async.model.config import Config
from iopio_async.model.outcome import Source
from iopio_async.model.stats import RunStats
from iopio_async.orchestration.preparation import Plan
from iopio_async.project.pytest_arguments import selects
from iopio_async.version import __version__

if TYPE_CHECKING:
    from iopio_async.cache.validate import Hit, Miss
    from iopio_async.history.machine import Machine

#: So many that have become slower are named.
SLOWER_TOLD = 20


def new_run_id() -> str:
    """An id that is unique on earth and sorts by time: UTC to the second, then random digits."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"


def opening(
    config: Config,
    plan: Plan,
    run_id: str,
    warnings: Sequence[str] = (),
    verdicts: "Mapping[str, Hit | Miss] | None" = None,
) -> list[ev.AnyEvent]:
    """The first events of a run, up to the plan; ``warnings`` beside those of its plan.

    ``verdicts`` are the cache's: whoever looks closely is told why modules are executed.
    """
    remarks: list[str] = []
    if verdicts and config.verbosity >= 1:
        from iopio_async.orchestration.reasons import run_again

        remarks = run_again(verdicts, last_failed.load(config.root))
    remainder_planned = plan.remainder is not None and plan.remainder_expected
    notes = [*config.notes, *plan.warnings, *warnings]
    return [
        ev.RunStarted(
            run_id=run_id,
            root=config.root,
            modules=len(plan.modules) + remainder_planned,
            workers=config.workers,
            python=python_version(),
            iopio=__version__,
            started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        ),
        *(ev.WarningIssued(message=note, category="iopio") for note in notes),
        *(ev.WarningIssued(message=remark, category="iopio-note") for remark in remarks),
    ]


def remember(
    config: Config,
    plan: Plan,
    stats: RunStats,
    collected: Mapping[str, Collected] | None = None,
) -> None:
    """Bring what is known of the modules up to date: what failed, and how long each took.

    Raises:
        InfrastructureError: it can't be written.
    """
    filtered = is_filtered(config)
    asked = {module.path: module.selectors for module in plan.modules}
    last_failed.store(config.root, stats, asked=asked, filtered=filtered)
    if stats.sources[Source.EXECUTED]:
        history = History.load(config.root)
        history.record(stats, asked=asked, filtered=filtered, collected=collected)
        history.store()
        # Runs that replay everything have no use for it.
        from iopio_async.history import series

        series.remove(config.root, history.forgotten)
        if not filtered:
            series.record(config.root, stats, machine_of(config), asked=asked)


def is_filtered(config: Config) -> bool:
    """Say whether some tests of some modules are left out on purpose."""
    by_id = any("::" in path for path in config.paths)
    return bool(by_id or config.keyword or config.markers or selects(config.arguments))


def machine_of(config: Config) -> "Machine":
    """The kind of machine, and the conditions, that a run's durations are comparable under."""
    from iopio_async.history import machine

    return machine.current(
        workers=config.workers, traced=not config.no_cache, arguments=config.arguments
    )


def slower(config: Config, stats: RunStats) -> list[str]:
    """What has become slower, in words, where that was asked for; none of a run cut short."""
    if config.fail_on_regression is None or stats.cancelled is not None:
        return []
    from iopio_async.history import series

    found = series.regressions(
        config.root, stats, machine_of(config), threshold=config.fail_on_regression / 100
    )
    told = [
        f"slower: {name} takes {_told(verdict.now_s)}, before {_told(verdict.before_s)} "
        f"({100 * verdict.change:+.0f} % over the last {verdict.runs} runs)"
        for name, verdict in found[:SLOWER_TOLD]
    ]
    if len(found) > SLOWER_TOLD:
        told.append(f"slower: {len(found) - SLOWER_TOLD} more; iopio trends shows all")
    return told


def _told(value_s: float) -> str:
    return f"{value_s:.2f} s" if value_s >= 1 else f"{1000 * value_s:.1f} ms"
