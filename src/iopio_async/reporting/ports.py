"""What every reporter is: something that takes envelopes and writes an artefact."""

from typing import Protocol

from iopio_async.model.events import Envelope
from iopio_async.model.stats import RunStats


class Reporter(Protocol):
    """Takes every envelope of a run, in order; ``stats`` is the fold up to and with it."""

    def handle(self, envelope: Envelope, stats: RunStats) -> None:
        """Take one envelope. Must not block for long."""
        ...

    def close(self) -> None:
        """Write what is left. Called exactly once, after the last envelope."""
        ...
