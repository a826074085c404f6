"""The append-only record of a run, line by line."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from iopio_async.history.journal import KEPT_RUNS, Journal
from iopio_async.model import events as ev
from iopio_async.model.module import Framework
from iopio_async.model.outcome import Outcome

EVENTS: tuple[ev.AnyEvent, ...] = (
    ev.RunStarted(
        run_id="r", root="/", modules=1, workers=4, python="3", iopio="1", started_at="now"
    ),
    ev.ModulePlanned(module="tests/test_ü.py", framework=Framework.PYTEST),
    ev.AttemptStarted(module="tests/test_ü.py", attempt=1, slot=0),
    ev.TestStarted(module="tests/test_ü.py", attempt=1, id="a\nb"),
    ev.TestFinished(
        module="tests/test_ü.py", attempt=1, id="a\nb", outcome=Outcome.PASSED, duration_s=0.1
    ),
    ev.RunFinished(exit_code=0, duration_s=1.0),
)


def envelopes(*events: ev.AnyEvent) -> list[ev.Envelope]:
    return [ev.Envelope(number, number / 10, event) for number, event in enumerate(events)]


def runs(root: Path) -> Path:
    return root / ".test_cache" / "v1" / "runs"


def lines(root: Path, run_id: str = "r") -> Iterable[bytes]:
    return (runs(root) / f"{run_id}.jsonl").read_bytes().splitlines()


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_every_line_is_an_envelope(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), "r")
    told = envelopes(*EVENTS)
    for envelope in told:
        journal.observe([envelope])

    decoded = [msgspec.json.decode(line, type=ev.Envelope) for line in lines(tmp_path)]
    assert decoded == [one for one in told if not isinstance(one.event, ev.TestStarted)]
    assert journal.fault == ""


def test_what_was_observed_is_on_disk_at_once(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), "r")
    journal.observe(envelopes(*EVENTS[:2]))

    assert len(list(lines(tmp_path))) == 2
    journal.close()


def test_a_name_that_is_not_utf_8_is_spelled_out(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), "r")
    journal.observe(
        envelopes(ev.ModulePlanned(module="ü\udcff\ud83d.py", framework=Framework.PYTEST))
    )
    journal.close()

    [line] = lines(tmp_path)
    assert json.loads(line)["event"]["module"] == "ü\\udcff\\ud83d.py"
    assert msgspec.json.decode(line, type=ev.Envelope).seq == 0


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    Journal(str(tmp_path), "r").close()

    assert (runs(tmp_path) / "r.jsonl").stat().st_mode & 0o777 == 0o600


def test_the_last_runs_are_kept(tmp_path: Path) -> None:
    for number in range(KEPT_RUNS + 5):
        Journal(str(tmp_path), f"2020010{number:02}").close()
    (runs(tmp_path) / "notes.txt").write_text("mine")
    Journal(str(tmp_path), "20210101").close()

    kept = sorted(path.name for path in runs(tmp_path).glob("*.jsonl"))
    assert len(kept) == KEPT_RUNS
    assert kept[-1] == "20210101.jsonl"
    assert kept[0] == "202001006.jsonl"
    assert (runs(tmp_path) / "notes.txt").exists()


def test_the_descriptor_is_given_back_with_the_last_event(tmp_path: Path) -> None:
    before = descriptors()
    journal = Journal(str(tmp_path), "r")
    journal.observe(envelopes(*EVENTS))

    assert descriptors() == before
    journal.observe(envelopes(*EVENTS))
    journal.close()
    assert len(list(lines(tmp_path))) == 5


def test_a_folder_that_can_not_be_had_is_a_fault_and_no_error(tmp_path: Path) -> None:
    (tmp_path / ".test_cache").write_text("in the way")
    journal = Journal(str(tmp_path), "r")
    journal.observe(envelopes(*EVENTS))
    journal.close()

    assert journal.fault == f"{tmp_path}/.test_cache is not a directory of this user"


def test_a_file_of_that_name_is_not_appended_to(tmp_path: Path) -> None:
    Journal(str(tmp_path), "r").close()
    journal = Journal(str(tmp_path), "r")
    journal.observe(envelopes(*EVENTS))

    assert journal.fault == "the journal can't be written: File exists"
    assert list(lines(tmp_path)) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is full")
def test_a_disk_that_is_full_is_a_fault_and_no_error(tmp_path: Path) -> None:
    before = descriptors()
    journal = Journal(str(tmp_path), "r")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal._descriptor)
    os.close(full)
    journal.observe(envelopes(*EVENTS[:2]))
    journal.observe(envelopes(*EVENTS[2:]))

    assert journal.fault == "the journal can't be written any more: No space left on device"
    assert descriptors() == before
