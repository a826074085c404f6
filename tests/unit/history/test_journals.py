"""Journals read again, whole or not."""

from pathlib import Path

import pytest

from iopio_async.errors import InfrastructureError, UsageError
from iopio_async.history import journals
from iopio_async.history.journal import Journal
from iopio_async.model import events as ev
from iopio_async.model.module import Framework
from iopio_async.model.outcome import ModuleStatus, Outcome

TOLD = [
    ev.Envelope(number, number / 10, event)
    for number, event in enumerate(
        (
            ev.RunStarted(
                run_id="r", root="/", modules=1, workers=1, python="3", iopio="1", started_at="now"
            ),
            ev.ModulePlanned(module="a", framework=Framework.PYTEST),
            ev.AttemptStarted(module="a", attempt=1, slot=0),
            ev.TestFinished(
                module="a", attempt=1, id="a::t", outcome=Outcome.PASSED, duration_s=0.1
            ),
            ev.ModuleFinished(module="a", status=ModuleStatus.PASSED),
            ev.RunFinished(exit_code=0, duration_s=1.0),
        )
    )
]


def write(root: Path, run_id: str) -> Path:
    journal = Journal(str(root), run_id)
    journal.observe(TOLD)
    journal.close()
    return root / ".test_cache" / "v1" / "runs" / f"{run_id}.jsonl"


def test_what_was_told_is_read(tmp_path: Path) -> None:
    write(tmp_path, "20260101T000000-aa")
    told = journals.read(str(tmp_path), "20260101T000000-aa")
    assert told == TOLD
    assert journals.stats_of(told).passed == 1


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    file = write(tmp_path, "x")
    lines = file.read_bytes().splitlines(keepends=True)
    strange = b'[1, 0.5, {"event": "of_tomorrow"}]\n\xff\n'
    file.write_bytes(b"".join(lines[:3]) + strange + b"".join(lines[3:4]) + lines[4][:20])
    assert journals.read(str(tmp_path), "x") == TOLD[:4]


def test_events_of_modules_that_were_never_planned_are_left_out(tmp_path: Path) -> None:
    file = write(tmp_path, "x")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + b"".join(lines[2:]))
    assert journals.stats_of(journals.read(str(tmp_path), "x")).exit_code == 0


def test_runs_are_found_by_either_end_of_their_ids(tmp_path: Path) -> None:
    for run_id in ("20260101T000000-aa", "20260102T000000-ab"):
        write(tmp_path, run_id)
    root = str(tmp_path)
    assert journals.run_ids(root) == ["20260102T000000-ab", "20260101T000000-aa"]
    assert journals.find(root) == "20260102T000000-ab"
    assert journals.find(root, "aa") == journals.find(root, "20260101") == "20260101T000000-aa"


@pytest.mark.parametrize("wanted", ["zz", "202601"])
def test_no_run_or_several_are_an_error(tmp_path: Path, wanted: str) -> None:
    for run_id in ("20260101T000000-aa", "20260102T000000-ab"):
        write(tmp_path, run_id)
    with pytest.raises(UsageError) as caught:
        journals.find(str(tmp_path), wanted)
    assert "--list" in caught.value.hint


def test_a_project_without_runs(tmp_path: Path) -> None:
    assert journals.run_ids(str(tmp_path)) == []
    with pytest.raises(UsageError):
        journals.find(str(tmp_path))
    with pytest.raises(InfrastructureError):
        journals.read(str(tmp_path), "none")
