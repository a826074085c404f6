"""What every run begins with and leaves behind, whether modules are executed or replayed."""

import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from platform import python_version

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


def new_run_id() -> str:
    """An id that is unique on earth and sorts by time: UTC to the second, then random digits."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"


def opening(
    config: Config, plan: Plan, run_id: str, warnings: Sequence[str] = ()
) -> list[ev.AnyEvent]:
    """The first events of a run, up to the plan; ``warnings`` beside those of its plan."""
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
    by_id = any("::" in path for path in config.paths)
    filtered = bool(by_id or config.keyword or config.markers or selects(config.arguments))
    asked = {module.path: module.selectors for module in plan.modules}
    last_failed.store(config.root, stats, asked=asked, filtered=filtered)
    if stats.sources[Source.EXECUTED]:
        history = History.load(config.root)
        history.record(stats, asked=asked, filtered=filtered, collected=collected)
        history.store()
