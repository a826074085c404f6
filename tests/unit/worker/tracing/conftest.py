"""A trace to write to: the one record of a process, begun for one test and ended after it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from iopio_async.wire.observations import decode
from iopio_async.worker.tracing.record import record
from iopio_async.worker.tracing.territory import territory

Records = list[tuple[bytes, tuple[bytes, ...]]]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Records]]:
    """Begins the record, in a project at ``tmp_path / 'project'``; gives what was told so far."""
    root, private = tmp_path / "project", tmp_path / "private"
    root.mkdir()
    private.mkdir()
    monkeypatch.chdir(root)
    territory.settle(str(root), (str(private),))
    file = private / "trace"
    record.told.clear()
    record.begin(str(file), functions=True)

    def read() -> Records:
        records, complete = decode(file.read_bytes())
        assert complete
        return records[1:]

    yield read
    record.end()
    record.told.clear()
