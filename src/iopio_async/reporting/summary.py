"""The end of a run on the console: what went wrong, once more in short, and the final line.

Read from the fold alone, so that a run that was replayed sums up as the one that was executed.
Every function is pure and returns whole lines.
"""

import os.path
import shlex
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from iopio_async.model import events as ev
from iopio_async.model.module import REMAINDER_PATH
from iopio_async.model.outcome import BAD_STATUSES, ExitCode, ModuleStatus, Outcome, Source
from iopio_async.model.stats import ModuleStats, RunStats
from iopio_async.reporting import blocks, wording
from iopio_async.reporting.escape import escape_line, escape_message, strip_colors
from iopio_async.reporting.palette import Palette

#: So many lines recall what went wrong; whoever has more failures reads a report.
RECALLED = 100

#: So many kinds of warnings are listed.
WARNINGS_LISTED = 40

#: Failures are named one by one in the command that reruns them up to this number.
NAMED = 4

_RED_TESTS = frozenset({Outcome.FAILED, Outcome.ERROR})

#: Module statuses that the final line counts, in its words.
_STATUS_WORDS = (
    (ModuleStatus.TIMED_OUT, "timed out", "bad"),
    (ModuleStatus.CRASHED, "crashed", "bad"),
    (ModuleStatus.INCOMPLETE, "incomplete", "bad"),
    (ModuleStatus.ERROR, "in error", "bad"),
    (ModuleStatus.NOT_RUN, "not run", "bad"),
    (ModuleStatus.LEAKED, "leaked", "warn"),
)


class WarningKind(NamedTuple):
    """What makes two warnings the same to a reader."""

    category: str
    message: str
    path: str
    line: int


class Recalled(NamedTuple):
    """What went wrong, in short."""

    label: wording.Label
    name: str
    message: str


def recall(palette: Palette, stats: RunStats, width: int) -> str:
    """A line for each test and module that is not simply fine; ``""`` where all are."""
    entries = list(_recalled(stats))
    if not entries:
        return ""
    shown = entries[:RECALLED]
    label_columns = max(len(entry.label.word) for entry in shown)
    lines = [_recall_line(palette, entry, label_columns, width) for entry in shown]
    if len(entries) > len(shown):
        lines.append(palette.ink("dim", f"and {len(entries) - len(shown)} more") + "\n")
    return "".join(lines)


def _recalled(stats: RunStats) -> Iterator[Recalled]:
    never_started = 0
    for module in stats.modules.values():
        status = module.status
        unrun = 0
        for (test_id, _), test in module.tests.items():
            if test.outcome in _RED_TESTS:
                label = wording.TEST_LABELS[test.outcome]
                yield Recalled(label, test_id, _test_reason(test))
            elif test.outcome is Outcome.NOT_RUN:
                unrun += 1
        if status is None or status in {ModuleStatus.PASSED, ModuleStatus.EMPTY}:
            continue
        label = wording.MODULE_LABELS[status]
        if status is ModuleStatus.FLAKY:
            attempts = module.finished.attempts if module.finished else module.attempts
            for flaky in module.finished.flaky if module.finished else ():
                yield Recalled(label, flaky, f"passed on attempt {attempts}")
        elif status is ModuleStatus.NOT_RUN and module.last_attempt is None:
            never_started += 1
        elif status is not ModuleStatus.FAILED:
            yield Recalled(label, module.path, _module_reason(module, unrun))
    if never_started:
        label = wording.MODULE_LABELS[ModuleStatus.NOT_RUN]
        yield Recalled(label, wording.counted(never_started, "module"), "")


def _test_reason(test: ev.TestFinished) -> str:
    failures = [*test.failures, *(sub.failure for sub in test.subtests if sub.failure)]
    return failures[0].message if failures else test.reason


def _module_reason(module: ModuleStats, unrun: int) -> str:
    told = []
    last = module.last_attempt
    if module.finished is not None and module.finished.failure is not None:
        told.append(module.finished.failure.message)
    elif last is not None:
        told.append(blocks.reason(last))
    if last is not None and last.in_flight and not any(last.in_flight in part for part in told):
        told.append(f"in {last.in_flight.removeprefix(module.path + '::')}")
    if unrun:
        told.append(f"{wording.counted(unrun, 'test')} not run")
    return ", ".join(told)


def _recall_line(palette: Palette, entry: Recalled, label_columns: int, width: int) -> str:
    name = escape_line(entry.name)
    room = width - label_columns - len(name) - 4
    message = clip(palette, escape_message(entry.message), max(24, room))
    tail = "  " + palette.ink("dim", message) if message else ""
    return f"{palette.ink(entry.label.role, entry.label.word.ljust(label_columns))} {name}{tail}\n"


def clip(palette: Palette, text: str, width: int) -> str:
    """``text``, ending in an ellipsis where it is longer than ``width`` characters."""
    if len(text) <= width:
        return text
    ellipsis = palette.glyph("ellipsis")
    return text[: width - len(ellipsis)] + ellipsis


def warnings_list(palette: Palette, counts: Mapping[WarningKind, int]) -> str:
    """The warnings, each kind once, the most frequent first."""
    if not counts:
        return ""
    kinds = sorted(counts.items(), key=lambda item: -item[1])
    lines = []
    for kind, number in kinds[:WARNINGS_LISTED]:
        place = f" {escape_line(kind.path)}:{kind.line}" if kind.path else ""
        head = palette.ink("warn", f"{number:>4} {escape_line(kind.category)}")
        lines.append(f"{head}{palette.ink('dim', place)} {escape_message(kind.message)}\n")
    if len(kinds) > WARNINGS_LISTED:
        more = wording.counted(len(kinds) - WARNINGS_LISTED, "more kind")
        lines.append(palette.ink("dim", f"and {more}") + "\n")
    return "".join(lines)


def final_line(palette: Palette, stats: RunStats, event: ev.RunFinished, width: int) -> str:
    """The one line that says it all; two where it would be longer than ``width``."""
    good = event.exit_code == ExitCode.OK
    nothing = event.exit_code == ExitCode.NOTHING_RAN
    role = "good" if good else "warn" if nothing else "bad"
    counts = [
        palette.ink(role_of, wording.tallied(stats.outcomes[outcome], word))
        for outcome, word, role_of in wording.TALLY
        if stats.outcomes[outcome]
    ]
    if stats.flaky:
        counts.insert(_bad_counts(stats), palette.ink("warn", f"{len(stats.flaky)} flaky"))
    if stats.deselected:
        counts.append(palette.ink("dim", f"{stats.deselected} deselected"))
    told = ", ".join(counts) if stats.total else ", ".join(["no tests ran", *counts])
    if event.cancelled is not None:
        told = f"{palette.ink('bad', wording.CANCELLATIONS[event.cancelled])}: {told}"
    about = [wording.counted(max(stats.planned, len(stats.modules)), "module")]
    about.extend(
        palette.ink(role_of, f"{stats.statuses[status]} {word}")
        for status, word, role_of in _STATUS_WORDS
        if stats.statuses[status]
    )
    cached = sum(number for source, number in stats.sources.items() if source != Source.EXECUTED)
    if cached:
        about.append(palette.ink("note", f"{cached} cached"))
    about.append(wording.counted(stats.workers, "worker"))
    verdict = palette.ink(role, palette.glyph(role))
    head = f"{verdict} {told} in {wording.seconds(event.duration_s)}"
    tail = ", ".join(about)
    if len(strip_colors(head + tail)) + 3 <= width:
        return f"{head} ({tail})\n"
    return f"{head}\n  {tail}\n"


def speed_line(stats: RunStats, duration_s: float) -> str:
    """What ``-v`` says of a run's speed, without the line's end; ``""`` of one that ran nothing."""
    executed = [each for each in stats.modules.values() if each.source is Source.EXECUTED]
    serial_s = sum(map(_taken_s, stats.modules.values()))
    longest = max(executed, key=_taken_s, default=None)
    if longest is None or duration_s <= 0 or not _taken_s(longest):
        return ""
    times = f"{serial_s / duration_s:.1f} times as fast as one after another"
    named = f"{escape_line(longest.path)} took longest, {wording.seconds(_taken_s(longest))}"
    return f"{times} ({wording.seconds(serial_s)}); {named}"


def _taken_s(module: ModuleStats) -> float:
    return module.duration_s or (module.finished.duration_s if module.finished else 0.0)


def _bad_counts(stats: RunStats) -> int:
    return sum(role == "bad" and stats.outcomes[outcome] > 0 for outcome, _, role in wording.TALLY)


def rerun_hint(palette: Palette, stats: RunStats, *, root: str, invocation_dir: str) -> str:
    """The command that runs just the failures again, by name where they are few."""
    names = failed_names(stats)
    if not names:
        return ""
    lines = [f"rerun the failures: {palette.ink('note', 'iopio run --lf')}\n"]
    ids = [_from(name, root, invocation_dir) for name in names]
    # A name that can't be shown as it is can't be pasted either.
    if len(ids) <= NAMED and all(i == escape_line(i) and REMAINDER_PATH not in i for i in ids):
        command = shlex.join(["iopio", "run", *ids])
        lines.append(f"            by name: {palette.ink('note', command)}\n")
    return "".join(lines)


def failed_names(stats: RunStats) -> list[str]:
    """Ids of the tests that failed, and paths of modules that went wrong as a whole."""
    names: dict[str, None] = {}
    for module in stats.modules.values():
        if module.status in BAD_STATUSES - {ModuleStatus.FAILED, ModuleStatus.NOT_RUN}:
            names[module.path] = None
            continue
        for (test_id, _), test in module.tests.items():
            if test.outcome in _RED_TESTS:
                names[test_id if module.path != REMAINDER_PATH else REMAINDER_PATH] = None
    return list(names)


def _from(name: str, root: str, invocation_dir: str) -> str:
    if not root or not invocation_dir or root == invocation_dir:
        return name
    path, separator, rest = name.partition("::")
    return os.path.relpath(os.path.join(root, path), invocation_dir) + separator + rest
