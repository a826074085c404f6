"""The start of ``iopio run``: settings, plan, and what the cache recalls; then the run itself.

Where every result is recalled, the run is told at once and its receipt is written, so that the same
command need not even look. Otherwise it is conducted, which takes an event loop.
"""

import contextlib
import io
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from iopio_async.cli import receipt
from iopio_async.cli.invocation import Invocation
from iopio_async.cli.last_command import remember_command
from iopio_async.cli.reporters import (
    console_stream,
    event_stream,
    exit_code_of,
    file_reporters,
    tell_left_out,
)
from iopio_async.cli.watching import Watch
from iopio_async.model import events as ev
from iopio_async.model.config import Config
from iopio_async.model.stats import RunStats
from iopio_async.orchestration.lookup import ResultCache, open_cache
from iopio_async.orchestration.preparation import Plan, prepare
from iopio_async.orchestration.replay import recalled_events, replay
from iopio_async.reporting import wording
from iopio_async.reporting.console import make_page_reporter
from iopio_async.reporting.fanout import Fanout
from iopio_async.reporting.palette import wants_color
from iopio_async.reporting.sink import Sink

if TYPE_CHECKING:
    from iopio_async.reporting.observers import Observers


def run_given(invocation: Invocation, given: Mapping[str, object]) -> int:
    """Carry out ``iopio run`` with these options; the exit code.

    Raises:
        UsageError: they can't be used as they are.
        InfrastructureError: no process can be started at all.
    """
    began_ns, began_s = time.time_ns(), time.perf_counter()
    with Watch() as watch:
        config = invocation.resolve(given)
        observers = _observers(config)
        stream = console_stream(config)
        is_terminal = stream is not None and stream.isatty()
        color = wants_color(config.color, os.environ, is_terminal=is_terminal)
        plan = prepare(config, color=color)
        cache = open_cache(config, plan, began_ns=began_ns)
    if cache is not None:
        remember_command(config, invocation, given)
    events = recalled_events(plan, cache) if cache is not None and not cache.covered else None
    if cache is None or events is None:
        from iopio_async.cli.conduct import conduct

        return conduct(config, plan, cache, observers)
    text, code = _replay(config, plan, cache, events, stream, began_s, observers)
    cache.save()
    if code == 0 and _only_prints(config):
        _write_receipt(invocation, cache, watch, text, began_ns)
    return code


def _observers(config: Config) -> "Observers | None":
    if not (config.observers or config.otel):
        return None
    from iopio_async.cli.observers import load_observers

    return load_observers(config)


def _replay(
    config: Config,
    plan: Plan,
    cache: ResultCache,
    events: Sequence[ev.AnyEvent],
    stream: TextIO | None,
    began_s: float,
    observers: "Observers | None",
) -> tuple[str, int]:
    """Tell the run; what is shown of it, with a mark where the time stands, and the exit code."""
    page, broken = io.StringIO(), []
    reporters, _ = event_stream(config, lambda: broken.append(True))
    reporters += file_reporters(config, cache)
    if not config.json:
        reporters.append(
            make_page_reporter(
                page,
                stream=stream,
                verbosity=config.verbosity,
                color=config.color,
                environ=os.environ,
                invocation_dir=config.invocation_dir,
            )
        )
    fanout = Fanout(reporters)

    def handle(envelope: ev.Envelope, stats: RunStats) -> None:
        fanout.handle(envelope, stats)
        if observers is not None:
            observers.observe((envelope,))

    stats = replay(config, plan, events, handle, began_s, cache.warnings)
    fanout.close()
    text = page.getvalue()
    sink = Sink(stream, on_broken=lambda: broken.append(True))
    sink.write(text, keep=True)
    sink.close()
    if observers is not None:
        tell_left_out(observers.close())
    before, found, after = text.rpartition(f" in {wording.seconds(stats.duration_s)}")
    if found:
        text = f"{before} in {receipt.DURATION}{after}"
    return text, exit_code_of(stats.exit_code, fanout.faults, pipe_closed=bool(broken))


#: Options with which a run does more than print what it has found.
_MORE_THAN_PRINT = (
    "report",
    "junit_xml",
    "trace",
    "timeline",
    "observers",
    "otel",
    "json",
    "last_failed",
    "refresh",
    "no_cache",
    "cache_dir",
)


def _only_prints(config: Config) -> bool:
    return not (any(getattr(config, field) for field in _MORE_THAN_PRINT) or config.audit_percent)


def _write_receipt(
    invocation: Invocation, cache: ResultCache, watch: Watch, text: str, ns: int
) -> None:
    """Write the receipt of a run that began at ``ns``; where that can't be, there is none."""
    folder = cache.receipts()
    touched = cache.touched()
    if folder is None or touched is None or receipt.DURATION not in text:
        return
    arguments = list(invocation.words)
    with contextlib.suppress(OSError):
        receipt.write(
            folder,
            receipt.receipt_name(folder, arguments, cwd_on_path=invocation.cwd_on_path),
            text=text,
            followed={**watch.followed, **touched.followed},
            unfollowed={**watch.unfollowed, **touched.unfollowed},
            dated=watch.listed | touched.dated,
            began_ns=ns,
            expires_at_s=cache.holds_until_s,
        )
