"""Blocks of the console: what a test or a module left behind when it went wrong.

A block opens with a rule that carries the label, the name and the time; the framework's own text
follows unchanged but for :mod:`escape`, flush left, so that it can be copied and its ``file:line``
clicked. Every function is pure and returns whole lines.
"""

import signal
from collections.abc import Iterable, Sequence

from iopio_async.model import events as ev
from iopio_async.model.outcome import BAD_OUTCOMES, ExitStatus, Failure, ModuleStatus
from iopio_async.reporting import wording
from iopio_async.reporting.escape import escape_block, escape_line, escape_message
from iopio_async.reporting.palette import Palette

#: Rules are no longer than this.
HEADING_COLUMNS = 100

#: What is said of a module that gives no reason of its own.
_REASONS = {
    ModuleStatus.TIMED_OUT: "timed out",
    ModuleStatus.CRASHED: "crashed",
    ModuleStatus.INCOMPLETE: "its process went away before all tests had an outcome",
    ModuleStatus.LEAKED: "left processes behind",
    ModuleStatus.NOT_RUN: "cut short",
    ModuleStatus.ERROR: "something went wrong beside its tests",
}

#: Statuses that the tests' own failures explain completely.
_EXPLAINED = frozenset(
    {ModuleStatus.PASSED, ModuleStatus.FAILED, ModuleStatus.FLAKY, ModuleStatus.EMPTY}
)


def has_trouble(event: ev.AttemptFinished) -> bool:
    """True where something is to be said about the attempt beside its tests' failures."""
    return event.status not in _EXPLAINED or event.failure is not None


def heading(palette: Palette, label: wording.Label, title: str, aside: str, width: int) -> str:
    """The rule that opens a block, as wide as the stream but for very wide ones."""
    width = min(width, HEADING_COLUMNS)
    rule = palette.glyph("rule")
    plain = f"{rule * 2} {label.word} {title} {aside} "
    # Wide characters would make the line wrap: names with such get a rule of fixed length.
    rest = max(2, width - len(plain)) if title.isascii() else 2
    return (
        f"{palette.ink('dim', rule * 2)} {palette.ink(label.role, label.word)} "
        f"{palette.ink('strong', title)} {palette.ink('dim', aside + ' ' + rule * rest)}\n"
    )


def _subheading(palette: Palette, title: str) -> str:
    rule = palette.glyph("rule")
    return palette.ink("dim", f"{rule * 2} {title} {rule * 2}") + "\n"


def _body(palette: Palette, text: str) -> str:
    # Blank lines around it are the framework's layout; indentation of the first line is not.
    safe = escape_block(text.rstrip(), color=palette.color).lstrip("\n")
    return safe + "\n" if safe else ""


def _failure_text(palette: Palette, failure: Failure) -> str:
    where = f"{escape_line(failure.path)}:{failure.line}: " if failure.path else ""
    return _body(palette, failure.text) or where + escape_message(failure.message) + "\n"


def _sections(palette: Palette, sections: Iterable[tuple[str, str]]) -> str:
    return "".join(
        _subheading(palette, escape_message(title)) + _body(palette, text)
        for title, text in sections
        if text.strip()
    )


def failed_test(palette: Palette, event: ev.TestFinished, width: int) -> str:
    """The block of a test that failed or had an error."""
    aside = wording.seconds(event.duration_s)
    if event.attempt > 1:
        aside += f", attempt {event.attempt}"
    parts = [
        heading(palette, wording.TEST_LABELS[event.outcome], escape_line(event.id), aside, width),
    ]
    told = set[Failure]()
    for failure in event.failures:
        if failure.phase != "call":
            parts.append(_subheading(palette, f"at {escape_line(failure.phase)}"))
        parts.append(_failure_text(palette, failure))
        told.add(failure)
    for sub in event.subtests:
        if sub.outcome in BAD_OUTCOMES and sub.failure is not None and sub.failure not in told:
            parts.append(_subheading(palette, f"sub-test {escape_line(sub.description)}"))
            parts.append(_failure_text(palette, sub.failure))
    if not told and event.reason:
        parts.append(escape_message(event.reason) + "\n")
    parts.append(_sections(palette, ((s.title, s.text) for s in event.sections)))
    return "".join(parts)


def module_trouble(
    palette: Palette,
    event: ev.AttemptFinished,
    outputs: Sequence[ev.OutputCaptured],
    width: int,
    *,
    unrun: int,
) -> str:
    """The block of an attempt that went wrong beside its tests; ``unrun`` of them never ended."""
    aside = wording.seconds(event.duration_s)
    if event.attempt > 1:
        aside += f", attempt {event.attempt}"
    label = wording.MODULE_LABELS[event.status]
    parts = [
        heading(palette, label, escape_line(event.module), aside, width),
        _sentence(palette, label.role, reason(event), event.in_flight, unrun),
    ]
    if event.failure is not None:
        if event.failure.text.strip() not in {"", event.failure.message.strip()}:
            parts.append(_body(palette, event.failure.text))
        elif event.failure.path:
            place = f"{escape_line(event.failure.path)}:{event.failure.line}"
            parts.append(f"at {place}\n")
    parts.append(_sections(palette, [("stacks of all threads", event.stacks)]))
    parts.append(module_outputs(palette, outputs))
    return "".join(parts)


def module_failure(palette: Palette, event: ev.ModuleFinished, width: int) -> str:
    """The block of a module's own failure, where no attempt has told it."""
    aside = wording.seconds(event.duration_s)
    label = wording.MODULE_LABELS[event.status]
    opening = heading(palette, label, escape_line(event.module), aside, width)
    return opening + (_failure_text(palette, event.failure) if event.failure else "")


def module_outputs(palette: Palette, outputs: Sequence[ev.OutputCaptured]) -> str:
    """What a module's process wrote outside of any test's capture."""
    return _sections(
        palette,
        (
            (f"{output.stream} of {output.module}, outside of its tests", output.captured.text)
            for output in outputs
        ),
    )


def reason(event: ev.AttemptFinished) -> str:
    """One line on why an attempt did not end well."""
    if event.failure is not None and event.failure.message:
        return escape_message(event.failure.message)
    told = _REASONS.get(event.status, "did not pass")
    if event.status is ModuleStatus.TIMED_OUT:
        return f"{told} after {wording.limit(event.duration_s)}"
    if event.status is ModuleStatus.NOT_RUN:
        return told
    ended = ending(event.exit_status)
    return f"{told}: {ended}" if ended else told


def ending(status: ExitStatus | None) -> str:
    """How a process ended, in words: ``SIGSEGV``, ``exit code 3``, or ``""``."""
    if status is None:
        return ""
    if status.signal is not None:
        try:
            return signal.Signals(status.signal).name
        except ValueError:
            return f"signal {status.signal}"
    return f"exit code {status.code}" if status.code is not None else ""


def _sentence(palette: Palette, role: str, text: str, in_flight: str, unrun: int) -> str:
    parts = [palette.ink(role, text)]
    if in_flight and in_flight not in text:
        parts.append(f"in {palette.ink('strong', escape_line(in_flight))}")
    if unrun:
        parts.append(f"{wording.counted(unrun, 'test')} not run")
    return ", ".join(parts) + "\n"
