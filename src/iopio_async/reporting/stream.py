"""``--json``: each envelope as one line of JSON, as it happens.

This is data, so nothing is ever left out: where the reader is slow, the writer waits for it, and
where the reader has gone, the rest is discarded and the sink says so. Fields that have their
default value are left out of a line, as ``model.events`` states them.
"""

import errno
from collections.abc import Callable
from typing import TextIO

from iopio_async.errors import InfrastructureError
from iopio_async.model.events import Envelope
from iopio_async.model.stats import RunStats
from iopio_async.reporting.sink import Sink
from iopio_async.wire.codec import encode_envelope_json


class StreamReporter:
    """Writes the event stream; ``sink.broken`` tells that its reader has gone."""

    name = "event stream"

    def __init__(
        self, stream: TextIO | None, *, on_broken: Callable[[], None] | None = None
    ) -> None:
        self.sink = Sink(stream, on_broken=on_broken)

    def handle(self, envelope: Envelope, stats: RunStats) -> None:  # noqa: ARG002
        """Queue the envelope's line; waits while the reader is far behind."""
        self.sink.put(encode_envelope_json(envelope) + b"\n")

    def close(self) -> None:
        """Wait until everything is written.

        Raises:
            InfrastructureError: the stream could not be written to the end.
        """
        self.sink.close()
        check_sink(self.sink)


def check_sink(sink: Sink) -> None:
    """Turn an error that the sink has met into ours.

    Raises:
        InfrastructureError: the sink has met one; a reader that has gone is none.
    """
    fault = sink.fault
    if fault is not None:
        reason = (fault.strerror or str(fault)).lower()
        hint = "make room, or send the output elsewhere" if fault.errno == errno.ENOSPC else ""
        raise InfrastructureError(f"could not write the output: {reason}", hint=hint)
