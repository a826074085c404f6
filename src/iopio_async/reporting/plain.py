"""The console where it is a log: a pipe, a file, a CI system. Lines only, no cursor codes."""

from iopio_async.model.events import Envelope
from iopio_async.model.outcome import CancelReason
from iopio_async.model.stats import RunStats
from iopio_async.reporting.narration import Narrator
from iopio_async.reporting.sink import TERMINAL_STALL_S, Sink
from iopio_async.reporting.stream import check_sink

#: How long the lines of a log may become before a message in them is cut.
PLAIN_COLUMNS = 200

#: The last words after an interrupt wait no longer than this for a reader that takes nothing.
CANCELLED_STALL_S = 2.0


class PlainReporter:
    """Writes each event's lines as it comes."""

    name = "console"

    def __init__(self, sink: Sink, narrator: Narrator) -> None:
        self.sink = sink
        self._narrator = narrator
        self._cancelled: CancelReason | None = None

    def handle(self, envelope: Envelope, stats: RunStats) -> None:
        """Say what the event calls for."""
        told = self._narrator.tell(envelope.event, stats)
        if told:
            self._cancelled = stats.cancelled
            # The last words are few, and what everybody waits for.
            self.sink.write(told, keep=stats.exit_code is not None)

    def suspend(self) -> None:
        """Nothing moves here, so nothing is to be taken away before the process is stopped."""

    def resume(self) -> None:
        """Likewise."""

    def close(self) -> None:
        """Wait until all is written, but not for ever where nobody can read it.

        Raises:
            InfrastructureError: the output could not be written to the end.
        """
        close_sink(self.sink, self._cancelled)

    def abandon(self) -> None:
        """Write nothing more."""
        self.sink.close(CANCELLED_STALL_S)


def close_sink(sink: Sink, cancelled: CancelReason | None) -> None:
    """Close a console's sink with the patience that fits.

    A pipe's reader is waited for as any program waits for it; a terminal that takes nothing may
    be one that nobody looks at any more; and who has interrupted the run wants it to end.

    Raises:
        InfrastructureError: the output could not be written to the end.
    """
    stall_s = TERMINAL_STALL_S if sink.is_terminal else None
    sink.close(CANCELLED_STALL_S if cancelled not in {None, CancelReason.MAXFAIL} else stall_s)
    check_sink(sink)
