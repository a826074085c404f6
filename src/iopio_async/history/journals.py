"""The journals of the last runs, read again: which there are, and what they tell.

A journal may end in the middle of a line, where its run was killed, and may hold events of a newer
version: what can't be read is left out.
"""

import contextlib
import os
from collections.abc import Sequence

import msgspec

from iopio_async import state
from iopio_async.errors import InfrastructureError, UsageError
from iopio_async.model import events as ev
from iopio_async.model.events import Envelope
from iopio_async.model.stats import RunStats

_SUFFIX = ".jsonl"

_decoder: msgspec.json.Decoder[Envelope] = msgspec.json.Decoder(Envelope)


def run_ids(root: str) -> list[str]:
    """The ids of the runs of the project at ``root`` that have a journal, the latest first."""
    ages: dict[str, tuple[str, int]] = {}
    with contextlib.suppress(OSError):
        for entry in os.scandir(state.path(state.folder_of(root), "runs")):
            run_id = entry.name.removesuffix(_SUFFIX)
            if run_id != entry.name:
                # An id tells the second of the start; within it, the last to be written counts.
                ages[run_id] = run_id.partition("-")[0], entry.stat().st_mtime_ns
    return sorted(ages, key=ages.__getitem__, reverse=True)


def find(root: str, wanted: str = "") -> str:
    """The run whose id is ``wanted`` or begins or ends with it; the latest where it is empty.

    Raises:
        UsageError: there is none, or more than one.
    """
    ids = run_ids(root)
    if not ids:
        raise UsageError(f"no run of {root} is remembered", hint="iopio run writes a journal")
    if not wanted:
        return ids[0]
    found = [each for each in ids if each == wanted]
    found = found or [each for each in ids if each.startswith(wanted) or each.endswith(wanted)]
    if len(found) != 1:
        problem = "more than one run is" if found else "no remembered run is"
        raise UsageError(f"{problem} called {wanted}", hint="iopio report --list names them all")
    return found[0]


def read(root: str, run_id: str) -> Sequence[Envelope]:
    """What the journal of a run tells, as far as it can be read.

    Raises:
        InfrastructureError: it can't be read at all.
    """
    file = os.path.join(state.path(state.folder_of(root), "runs"), f"{run_id}{_SUFFIX}")
    try:
        data = state.read(file)
    except OSError as error:
        raise InfrastructureError(f"{file} can't be read: {error.strerror or error}") from error
    envelopes = []
    planned = {""}
    for line in data.split(b"\n"):
        try:
            envelope = _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if isinstance(envelope.event, ev.ModulePlanned):
            planned.add(envelope.event.module)
        if getattr(envelope.event, "module", "") in planned:
            envelopes.append(envelope)
    return envelopes


def stats_of(envelopes: Sequence[Envelope]) -> RunStats:
    """The fold over what a journal tells."""
    stats = RunStats()
    for envelope in envelopes:
        stats.apply(envelope.event)
    return stats
