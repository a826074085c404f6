"""The console on a terminal: what is running moves at the bottom, what is to stay scrolls above it.

Events only set fields: one small thread redraws, ten times a second at most and only if something
changed, and hands over the text that has gathered since. So a run of many thousand quick tests
costs no more drawing than a slow one, and the tests of this file draw by calling
:meth:`TerminalReporter.tick` themselves.

rich draws the moving part (:class:`rich.live.Live`). Its import takes as long as ten fast modules,
so it happens in the redrawing thread, at the first redraw; a run that has ended by then has never
needed it. Text that stays is written past rich, for it has been made safe and must not be
rewrapped or reinterpreted.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from iopio_async.model import events as ev
from iopio_async.model.stats import RunStats
from iopio_async.reporting.narration import Narrator
from iopio_async.reporting.palette import Palette
from iopio_async.reporting.plain import CANCELLED_STALL_S, close_sink
from iopio_async.reporting.progress import Progress, Row
from iopio_async.reporting.sink import Sink

if TYPE_CHECKING:
    from iopio_async.planning.estimate import Outlook
    from iopio_async.reporting.forecast import Forecast
    from iopio_async.reporting.stage import Stage

#: Time between two redraws.
REFRESH_S = 0.1

#: Text that gathers while the terminal is busy is handed over beyond this size.
HELD_CHARS = 256 * 1024

_SHOW_CURSOR = "\x1b[?25h"

#: How long a stopped process's last redraw may take.
_SUSPEND_S = 0.5


class TerminalReporter:
    """Writes what the narrator says and draws the progress below it.

    ``size`` tells columns and lines. ``refresh_s`` ``None`` starts no thread. ``outlook`` is what
    the modules of the run usually take, where that is known: then the time left is shown.
    """

    name = "console"

    def __init__(
        self,
        sink: Sink,
        narrator: Narrator,
        palette: Palette,
        *,
        size: Callable[[], tuple[int, int]],
        clock: Callable[[], float] = time.monotonic,
        refresh_s: float | None = REFRESH_S,
        outlook: "Outlook | None" = None,
    ) -> None:
        self.sink = sink
        self._narrator = narrator
        self._palette = palette
        self._size = size
        self._clock = clock
        self._refresh_s = refresh_s
        self._progress = Progress(palette)
        self._forecast = None if outlook is None else _forecast(outlook)
        self._rows: dict[str, Row] = {}
        self._stats: RunStats | None = None
        self._epoch_s = 0.0
        self._held: list[str] = []
        self._held_chars = 0
        self._stage: Stage | None = None
        self._shown: object = None
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._suspended = False
        self._drawing_error: Exception | None = None

    def handle(self, envelope: ev.Envelope, stats: RunStats) -> None:
        """Note what the event changes; the thread draws it."""
        event = envelope.event
        if type(event) is ev.TestStarted:
            row = self._rows.get(event.module)
            if row is not None:
                row.test = event.id
            return
        told = self._narrator.tell(event, stats)
        if told:
            with self._lock:
                self._held.append(told)
                self._held_chars += len(told)
                if self._drawing_error is not None:
                    self.sink.write(self._take_held())
        if type(event) is not ev.TestFinished:
            self._note(envelope, stats)

    def _note(self, envelope: ev.Envelope, stats: RunStats) -> None:
        if self._forecast is not None:
            with self._lock:
                self._forecast.note(envelope)
        match envelope.event:
            case ev.AttemptStarted() as event:
                with self._lock:
                    self._rows[event.module] = Row(
                        event.module, event.slot, envelope.elapsed_s, event.attempt
                    )
            case ev.AttemptFinished() as event:
                with self._lock:
                    self._rows.pop(event.module, None)
            case ev.ModuleSlow() as event:
                row = self._rows.get(event.module)
                if row is not None:
                    row.slow = True
            case ev.RunStarted() as event:
                self._progress.modules = event.modules
                self._epoch_s = self._clock() - envelope.elapsed_s
                self._stats = stats
                self._start_thread()
            case ev.RunFinished():
                self._end_progress()
                self.sink.write(self._take_held(), keep=True)
            case _:
                pass

    def _start_thread(self) -> None:
        if self._refresh_s is not None:
            self._thread = threading.Thread(target=self._run, name="iopio-terminal", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(self._refresh_s):
            try:
                self.tick()
            except Exception as error:
                self._draw_no_more(error)
                return

    def _draw_no_more(self, error: Exception) -> None:
        # What is said matters more than what moves: it goes on as plain lines, and ``close``
        # raises what happened.
        with self._lock:
            self._drawing_error = error
            self._stage = None
            self.sink.write(f"\n{_SHOW_CURSOR}", keep=True)
            self.sink.write(self._take_held())

    def tick(self) -> None:
        """Write the text that has gathered and redraw the progress, if anything changed."""
        stats = self._stats
        if stats is None or self._ended.is_set():
            return
        # Imported before the lock is taken, for it takes long, and events must not wait for it.
        from iopio_async.reporting.stage import Stage

        with self._lock:
            if self._ended.is_set() or self._suspended or self._drawing_error is not None:
                return
            # A terminal that can't keep up first gets no more progress, then text as it fits.
            if self.sink.backlog_bytes and self._held_chars < HELD_CHARS:
                return
            columns, lines = self._size()
            elapsed_s = self._clock() - self._epoch_s
            frame = self._progress.frame(
                list(self._rows.values()),
                stats,
                elapsed_s,
                columns=columns,
                lines=lines,
                left_s=self._forecast.told_s(elapsed_s) if self._forecast else None,
            )
            if frame == self._shown and not self._held:
                return
            if self._stage is None:
                self._stage = Stage(self.sink, self._palette)
            self._stage.draw("".join(self._held), frame, columns=columns, lines=lines)
            self._shown = frame
            self._take_held()

    def _take_held(self) -> str:
        with self._lock:
            text = "".join(self._held)
            self._held.clear()
            self._held_chars = 0
        return text

    def _end_progress(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._clear()

    def _clear(self) -> None:
        with self._lock:
            if self._stage is not None:
                self._stage.clear()
                self._stage = None
            self._shown = None

    def suspend(self) -> None:
        """Take the progress off the screen, before the process is stopped."""
        with self._lock:
            self._suspended = True
            self._clear()
            self.sink.write(self._take_held())
        self.sink.flush(_SUSPEND_S)

    def resume(self) -> None:
        """Let the next redraw draw again."""
        self._suspended = False

    def close(self) -> None:
        """Leave the screen as it was, with all that was to be said above the cursor.

        Raises:
            InfrastructureError: the output could not be written to the end.
        """
        self._end_progress()
        self.sink.write(self._take_held(), keep=True)
        close_sink(self.sink, self._stats.cancelled if self._stats else None)
        if self._drawing_error is not None:
            raise self._drawing_error

    def abandon(self) -> None:
        """Give the cursor back and write nothing more."""
        try:
            self._end_progress()
        finally:
            self.sink.close(CANCELLED_STALL_S)


def _forecast(outlook: "Outlook") -> "Forecast":
    # Imported where there is something to expect, for a run that replays everything has no time.
    from iopio_async.reporting.forecast import Forecast

    return Forecast(outlook)


def terminal_size(descriptor: int) -> tuple[int, int]:
    """Columns and lines of the terminal at ``descriptor``; 80 and 24 where it won't say."""
    try:
        size = os.get_terminal_size(descriptor)
    except OSError:
        return 80, 24
    return size.columns or 80, size.lines or 24
