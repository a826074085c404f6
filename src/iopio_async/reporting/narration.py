"""What the console says of each event, as text: the levels of detail, and what waits for what.

The terminal and the plain reporter differ in where the text goes and in what moves beneath it;
what is said is decided here, once. :meth:`Narrator.tell` maps each event to whole lines, mostly
none: it is called for every test of every run and returns at once unless there is news.

======== ============================================================================
``-q``   failures and the final line
(none)   and what is not simply fine: failing, flaky and slow modules; the recall
``-v``   and a line a module with its time, CPU and memory; warnings by kind
``-vv``  and a line a test
======== ============================================================================

The plain reporter has a line a module, with a counter, from the default level on.

On GitHub, whatever tests control is put between ``::stop-commands::`` lines.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from iopio_async.model import events as ev
from iopio_async.model.outcome import (
    BAD_OUTCOMES,
    BAD_STATUSES,
    CancelReason,
    ModuleStatus,
    Outcome,
    Source,
)
from iopio_async.model.stats import ModuleStats, RunStats
from iopio_async.reporting import blocks, summary, wording
from iopio_async.reporting.escape import (
    escape_block,
    escape_line,
    escape_message,
    github_quoted,
    holds_github_command,
)
from iopio_async.reporting.fixture_advice import fixture_advice
from iopio_async.reporting.palette import Palette
from iopio_async.reporting.summary import WarningKind

#: So many kinds of warnings are told apart; further kinds are only counted.
WARNING_KINDS = 1000

#: So many kinds of trouble that kept modules from running are told apart.
TROUBLE_KINDS = 100

_PASSED = Outcome.PASSED
_FINE = frozenset({ModuleStatus.PASSED, ModuleStatus.EMPTY})


class Narrator:
    """Turns events into text; holds what is known but not yet told.

    ``every_module`` gives each module its line, ``counter`` puts ``[ 12/268]`` before it.
    ``width`` tells the columns of the stream. ``github_token`` is ``""`` anywhere else.
    """

    def __init__(
        self,
        palette: Palette,
        *,
        verbosity: int,
        every_module: bool,
        counter: bool,
        width: Callable[[], int],
        invocation_dir: str = "",
        github_token: str = "",
    ) -> None:
        self._palette = palette
        self._quiet = verbosity < 0
        self._every_module = (every_module and not self._quiet) or verbosity >= 1
        self._every_test = verbosity >= 2
        self._detailed = verbosity >= 1
        self._counter = counter
        self._width = width
        self._invocation_dir = invocation_dir
        self._github_token = github_token
        self._started: ev.RunStarted | None = None
        self._stats = RunStats()
        self._cancelled = False
        self._after_block = False
        self._outputs: dict[str, list[ev.OutputCaptured]] = {}
        self._troubled: set[str] = set()
        #: What kept modules from running any test, with the first module to have it.
        self._troubles: dict[object, str] = {}
        #: Modules that have the same trouble as an earlier one.
        self._same_trouble: dict[str, str] = {}
        self._warnings: Counter[WarningKind] = Counter()
        self._warned = 0
        self._tellers: dict[type[ev.Event], Callable[[Any], str]] = {
            ev.TestFinished: self._test_finished,
            ev.RunStarted: self._run_started,
            ev.AttemptStarted: self._attempt_started,
            ev.OutputCaptured: self._output_captured,
            ev.ModuleSlow: self._module_slow,
            ev.AttemptFinished: self._attempt_finished,
            ev.ModuleFinished: self._module_finished,
            ev.WarningIssued: self._warning_issued,
            ev.CancellationStarted: self._cancellation_started,
            ev.RunFinished: self._run_finished,
        }

    def tell(self, event: ev.AnyEvent, stats: RunStats) -> str:
        """The lines that ``event`` calls for, mostly none."""
        teller = self._tellers.get(type(event))
        if teller is None:
            return ""
        self._stats = stats
        return teller(event)

    # Whatever holds a whole text of the tests is quoted; our own lines, in which names of tests
    # may stand, only where GitHub could misread one. A blank line goes around each block.

    def _block(self, text: str) -> str:
        if not text:
            return ""
        self._after_block = True
        return "\n" + (github_quoted(text, self._github_token) if self._github_token else text)

    def _lines(self, text: str) -> str:
        if not text:
            return ""
        if self._github_token and holds_github_command(text):
            text = github_quoted(text, self._github_token)
        gap = "\n" if self._after_block else ""
        self._after_block = False
        return gap + text

    def _line(self, label: wording.Label, name: str, details: list[str], counter: str = "") -> str:
        ink = self._palette.ink
        told = ink("dim", f" ({', '.join(details)})") if details else ""
        word = ink(label.role, f"{label.word:<5}")
        return self._lines(f"{ink('dim', counter)}{word} {escape_line(name)}{told}\n")

    def _count(self, *, blank: bool = False) -> str:
        if not self._counter:
            return ""
        total = str(max(self._started.modules if self._started else 0, self._stats.planned))
        if blank:
            return " " * (2 * len(total) + 4)
        return f"[{self._stats.finished_modules:>{len(total)}}/{total}] "

    def _run_started(self, event: ev.RunStarted) -> str:
        self._started = event
        if self._quiet or not self._every_module:
            return ""
        modules = wording.counted(event.modules, "module")
        workers = wording.counted(event.workers, "worker")
        versions = escape_line(f"iopio {event.iopio}, Python {event.python}")
        return self._lines(self._palette.ink("dim", f"{modules}, {workers} ({versions})") + "\n")

    def _attempt_started(self, event: ev.AttemptStarted) -> str:
        self._outputs.pop(event.module, None)
        if event.attempt == 1 or self._quiet:
            return ""
        label = wording.Label("RETRY", "warn")
        return self._line(
            label, event.module, [f"attempt {event.attempt}"], self._count(blank=True)
        )

    def _test_finished(self, event: ev.TestFinished) -> str:
        outcome = event.outcome
        if outcome is _PASSED and not self._every_test:
            return ""
        if outcome is Outcome.FAILED or outcome is Outcome.ERROR:
            return self._block(blocks.failed_test(self._palette, event, self._width()))
        if not self._every_test:
            return ""
        label = wording.TEST_LABELS[outcome]
        details = [escape_message(event.reason)] if event.reason else []
        if outcome is not Outcome.NOT_RUN:
            details.append(wording.seconds(event.duration_s))
        return self._line(label, event.id, details, self._count(blank=True))

    def _output_captured(self, event: ev.OutputCaptured) -> str:
        self._outputs.setdefault(event.module, []).append(event)
        return ""

    def _module_slow(self, event: ev.ModuleSlow) -> str:
        if self._quiet:
            return ""
        details = [f"{wording.limit(event.running_s)} so far"]
        if event.test:
            details.append(f"in {escape_line(event.test.removeprefix(event.module + '::'))}")
        label = wording.Label("SLOW", "warn")
        return self._line(label, event.module, details, self._count(blank=True))

    def _attempt_finished(self, event: ev.AttemptFinished) -> str:
        if not blocks.has_trouble(event):
            return ""
        if event.status is ModuleStatus.LEAKED and self._quiet:
            return ""
        if event.status is ModuleStatus.NOT_RUN and event.failure is None:
            return ""
        self._troubled.add(event.module)
        outputs = self._outputs.pop(event.module, [])
        if event.status is ModuleStatus.LEAKED:
            outputs = []
        if self._is_told_already(event, outputs):
            return ""
        tests = self._stats.modules[event.module].tests.values()
        unrun = sum(test.outcome is Outcome.NOT_RUN for test in tests)
        return self._block(
            blocks.module_trouble(self._palette, event, outputs, self._width(), unrun=unrun)
        )

    def _is_told_already(self, event: ev.AttemptFinished, outputs: list[ev.OutputCaptured]) -> bool:
        """The same words kept an earlier module from running: a wrong argument, say."""
        if event.status is not ModuleStatus.ERROR or self._stats.modules[event.module].tests:
            return False
        trouble = (event.failure, *((each.stream, each.captured) for each in outputs))
        if trouble not in self._troubles and len(self._troubles) == TROUBLE_KINDS:
            return False
        first = self._troubles.setdefault(trouble, event.module)
        if first == event.module:
            return False
        self._same_trouble[event.module] = first
        return True

    def _module_finished(self, event: ev.ModuleFinished) -> str:
        outputs = self._outputs.pop(event.module, [])
        troubled = event.module in self._troubled
        self._troubled.discard(event.module)
        bad = event.status in BAD_STATUSES
        if event.status is ModuleStatus.NOT_RUN and self._cancelled:
            # There may be hundreds, all for the one reason that is known; the end counts them.
            return ""
        block = ""
        if event.failure is not None and not troubled and (bad or not self._quiet):
            block = blocks.module_failure(self._palette, event, self._width())
            troubled = True
        if bad:
            block += blocks.module_outputs(self._palette, outputs)
        told = self._block(block)
        if self._quiet:
            return told
        # Beside the lines of all modules, what went wrong has its line too; without them, the
        # heading of its block has already said the same.
        if not self._every_module and (troubled or event.status in _FINE):
            return told
        if event.source is not Source.EXECUTED and not self._detailed:
            # There may be hundreds, all unchanged; the end counts them.
            return told
        return told + self._line(
            wording.MODULE_LABELS[event.status],
            event.module,
            self._module_details(event, self._stats.modules[event.module]),
            self._count(),
        )

    def _module_details(self, event: ev.ModuleFinished, module: ModuleStats) -> list[str]:
        tally = Counter(test.outcome for test in module.tests.values())
        tests = len(module.tests)
        details = [wording.counted(tests, "test") if tests else "no tests"]
        details.extend(
            wording.tallied(tally[outcome], word)
            for outcome, word, _ in wording.TALLY
            if outcome in BAD_OUTCOMES and tally[outcome]
        )
        if event.flaky:
            details.append(f"{len(event.flaky)} passed only on attempt {event.attempts}")
        if event.module in self._same_trouble:
            details.append(f"as {escape_line(self._same_trouble[event.module])}")
        source = wording.SOURCES[event.source]
        details.append(source or wording.seconds(event.duration_s or module.duration_s))
        if self._detailed and not source:
            if module.cpu_s:
                details.append(f"{wording.seconds(module.cpu_s)} CPU")
            if module.peak_rss_bytes:
                details.append(wording.size(module.peak_rss_bytes))
        return details

    def _warning_issued(self, event: ev.WarningIssued) -> str:
        if event.category == "iopio-report":
            return "" if self._quiet else self._block(escape_block(event.message, color=False))
        if event.category == "iopio-note":
            return self._lines(f"{_said(event)}\n") if self._detailed else ""
        if event.category in {"iopio", "iopio-detail"}:
            if self._quiet or (event.category == "iopio-detail" and not self._detailed):
                return ""
            return self._lines(f"{self._palette.ink('warn', 'warning:')} {_said(event)}\n")
        self._warned += 1
        kind = WarningKind(event.category, event.message, event.path, event.line)
        if kind in self._warnings or len(self._warnings) < WARNING_KINDS:
            self._warnings[kind] += 1
        return ""

    def _cancellation_started(self, event: ev.CancellationStarted) -> str:
        self._cancelled = True
        if self._quiet:
            return ""
        told = wording.CANCELLATIONS[event.reason]
        more = "nothing new starts, running modules get their grace period"
        if event.reason is CancelReason.INTERRUPT:
            more += "; interrupt again to end them now"
        return self._lines(f"{self._palette.ink('warn', told)}: {more}\n")

    def _run_finished(self, event: ev.RunFinished) -> str:
        palette, stats = self._palette, self._stats
        final = summary.final_line(palette, stats, event, self._width())
        if self._quiet:
            return self._lines(final)
        told = self._block(summary.recall(palette, stats, self._width()))
        if self._detailed:
            told += self._block(summary.warnings_list(palette, self._warnings))
        self._after_block = True
        told += self._lines(final)
        if self._detailed and (speed := summary.speed_line(stats, event.duration_s)):
            told += palette.ink("dim", speed) + "\n"
        if self._warned and not self._detailed:
            told += f"{wording.counted(self._warned, 'warning')}, shown with -v\n"
        if self._same_trouble and stats.finished_modules == len(self._same_trouble) + 1:
            told += self._palette.ink("warn", "no module could run, all for the same reason") + "\n"
        root = self._started.root if self._started else ""
        hint = summary.rerun_hint(palette, stats, root=root, invocation_dir=self._invocation_dir)
        return told + self._lines(hint) + self._lines(fixture_advice(stats))


def _said(event: ev.WarningIssued) -> str:
    place = f"{escape_line(event.path)}:{event.line}: " if event.path else ""
    return place + escape_message(event.message)
