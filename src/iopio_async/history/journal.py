"""The append-only record of a run: each event as a JSON line, written before anybody hears of it.

Should the orchestrator be killed, what had finished can be read from here. The last
:data:`KEPT_RUNS` journals are kept. ``TestStarted`` is left out: it doubles the size and is of no
use afterwards.
"""

import contextlib
import os
from collections.abc import Sequence

from iopio_async import state
from iopio_async.errors import InfrastructureError
from iopio_async.model.events import Envelope, RunFinished, TestStarted
from iopio_async.wire.codec import encode_envelope_json

KEPT_RUNS = 10


class Journal:
    """Writes the journal of one run. ``fault`` says why it stopped doing so, or is ``""``."""

    def __init__(self, root: str, run_id: str) -> None:
        self.fault = ""
        self._descriptor = -1
        try:
            folder = state.ensure(state.folder_of(root), "runs")
            self._prune(folder)
            self._descriptor = os.open(
                os.path.join(folder, f"{run_id}.jsonl"),
                os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW,
                0o600,
            )
        except InfrastructureError as error:
            self.fault = error.message
        except OSError as error:
            self.fault = f"the journal can't be written: {error.strerror or error}"

    @staticmethod
    def _prune(folder: str) -> None:
        # Run ids begin with the time of the start, so names sort by age.
        journals = sorted(entry for entry in os.listdir(folder) if entry.endswith(".jsonl"))
        for name in journals[: -KEPT_RUNS + 1]:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))

    def observe(self, envelopes: Sequence[Envelope]) -> None:
        """Append the envelopes."""
        if self._descriptor < 0:
            return
        lines = [
            encode_envelope_json(envelope)
            for envelope in envelopes
            if type(envelope.event) is not TestStarted
        ]
        try:
            if lines:
                data = memoryview(b"\n".join(lines) + b"\n")
                while data:
                    data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            self.fault = f"the journal can't be written any more: {error.strerror or error}"
            self.close()
            return
        if envelopes and type(envelopes[-1].event) is RunFinished:
            self.close()

    def close(self) -> None:
        """Give back the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
