"""The words of the console: labels of outcomes and statuses, and how figures are spelled.

Tables first. Labels are at most ten characters and have a role of :mod:`palette`; figures carry
their unit, with as many digits as anybody can use.
"""

from typing import NamedTuple

from iopio_async.model.outcome import CancelReason, ModuleStatus, Outcome, Source


class Label(NamedTuple):
    """A word for how something ended, and the role that colours it."""

    word: str
    role: str


MODULE_LABELS: dict[ModuleStatus, Label] = {
    ModuleStatus.PASSED: Label("PASS", "good"),
    ModuleStatus.FAILED: Label("FAIL", "bad"),
    ModuleStatus.FLAKY: Label("FLAKY", "warn"),
    ModuleStatus.EMPTY: Label("EMPTY", "dim"),
    ModuleStatus.ERROR: Label("ERROR", "bad"),
    ModuleStatus.TIMED_OUT: Label("TIMEOUT", "bad"),
    ModuleStatus.CRASHED: Label("CRASH", "bad"),
    ModuleStatus.INCOMPLETE: Label("INCOMPLETE", "bad"),
    ModuleStatus.LEAKED: Label("LEAK", "warn"),
    ModuleStatus.NOT_RUN: Label("NOT RUN", "bad"),
}

TEST_LABELS: dict[Outcome, Label] = {
    Outcome.PASSED: Label("PASS", "good"),
    Outcome.FAILED: Label("FAIL", "bad"),
    Outcome.ERROR: Label("ERROR", "bad"),
    Outcome.SKIPPED: Label("SKIP", "warn"),
    Outcome.XFAILED: Label("XFAIL", "warn"),
    Outcome.XPASSED: Label("XPASS", "warn"),
    Outcome.NOT_RUN: Label("NOT RUN", "bad"),
}

#: Counts of a summary in the order in which they matter: outcome, word, role.
TALLY: tuple[tuple[Outcome, str, str], ...] = (
    (Outcome.FAILED, "failed", "bad"),
    (Outcome.ERROR, "error", "bad"),
    (Outcome.NOT_RUN, "not run", "bad"),
    (Outcome.PASSED, "passed", "good"),
    (Outcome.SKIPPED, "skipped", "warn"),
    (Outcome.XFAILED, "xfailed", "warn"),
    (Outcome.XPASSED, "xpassed", "warn"),
)

#: Outcomes whose word takes an "s" in the plural.
_COUNTED = {"error": "errors"}

CANCELLATIONS: dict[CancelReason, str] = {
    CancelReason.MAXFAIL: "stopped at the failure limit",
    CancelReason.INTERRUPT: "interrupted",
    CancelReason.TERMINATE: "terminated",
    CancelReason.HANGUP: "hung up",
    CancelReason.EMBEDDER: "cancelled",
    CancelReason.INTERNAL: "stopped by an internal error",
}

SOURCES: dict[Source, str] = {
    Source.EXECUTED: "",
    Source.LOCAL_CACHE: "cached",
    Source.REMOTE_CACHE: "cached remotely",
}


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 module``, ``2 modules``, and ``2 entries`` where the plural is given."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def tallied(number: int, word: str) -> str:
    """``2 failed``, ``1 error``, ``2 errors``."""
    return f"{number} {word if number == 1 else _COUNTED.get(word, word)}"


def seconds(value_s: float) -> str:
    """A duration: ``0.52 s``, ``12.3 s``, ``2 min 05 s``, ``1 h 02 min``."""
    if value_s < 9.995:
        return f"{value_s:.2f} s"
    if value_s < 99.95:
        return f"{value_s:.1f} s"
    whole = round(value_s)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def limit(value_s: float) -> str:
    """A duration that was chosen or is only roughly known: ``60 s``, ``2 min 00 s``."""
    return f"{value_s:.3g} s" if value_s < 100 else seconds(value_s)


def about(value_s: float) -> str:
    """A duration that is only estimated: ``40 s``, ``3 min``, ``1 h 05 min``."""
    whole = round(value_s)
    if whole < 100:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def clock(value_s: float) -> str:
    """A running duration: ``0:07``, ``12:34``, ``1:02:03``."""
    whole = int(value_s)
    hours, rest = divmod(whole, 3600)
    if hours:
        return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
    return f"{rest // 60}:{rest % 60:02d}"


def size(value_bytes: float) -> str:
    """An amount of memory: ``512 B``, ``3 KiB``, ``45 MiB``, ``1.2 GiB``."""
    if value_bytes < 1 << 20:
        return f"{value_bytes:.0f} B" if value_bytes < 1 << 10 else f"{value_bytes / 1024:.0f} KiB"
    mebibytes = value_bytes / (1 << 20)
    return f"{mebibytes:.0f} MiB" if mebibytes < 1000 else f"{mebibytes / 1024:.1f} GiB"
