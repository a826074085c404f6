"""The reading side: verified, or a miss."""

import os
import sys
from pathlib import Path
from subprocess import run

import anyio
import pytest
from fakes.results import EVENTS, HOUR_S, MODULE, NOW_S, clean, file, key, result

from iopio_async import state
from iopio_async.cache import entries
from iopio_async.cache.disk import DiskStore
from iopio_async.cache.reader import ACTIONS, BLOBS, DiskReader, Stamp

STORED = result(file("a.py"), events=EVENTS)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def reader(tmp_path: Path, told: list[str]) -> DiskReader:
    return DiskReader(str(tmp_path / "cache"), warn=told.append)


@pytest.fixture
def filled(reader: DiskReader) -> DiskReader:
    anyio.run(DiskStore(reader, now_s=lambda: NOW_S).put, key(), clean(STORED), [EVENTS])
    return reader


def test_the_layout(filled: DiskReader, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "v1"
    entry = folder / "ac" / key()[:2] / key()
    blob = folder / "cas" / STORED.events[:2] / STORED.events

    assert (filled.file(ACTIONS, key()), filled.file(BLOBS, STORED.events)) == (
        str(entry),
        str(blob),
    )
    assert blob.read_bytes() == EVENTS
    assert {path.stat().st_mode & 0o777 for path in (entry, blob)} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (folder, entry.parent, blob.parent)} == {0o700}
    assert (tmp_path / "cache" / ".gitignore").read_text() == "*\n"


def test_to_read_creates_nothing(reader: DiskReader, tmp_path: Path, told: list[str]) -> None:
    assert reader.entry(key()) is None
    assert reader.blob(STORED.events) is None
    assert reader.stamps([key()]) == {}
    assert reader.read("index") is None
    reader.note_use([key()], NOW_S)
    assert list(tmp_path.iterdir()) == []
    assert told == []


def test_a_stamp_is_that_of_the_entry_that_was_read(filled: DiskReader) -> None:
    found = filled.stamped_entry(key())
    assert found is not None

    assert filled.stamps([key(), key(1), "../x"]) == {key(): found[1]}
    assert found[1] == Stamp.of(os.stat(filled.file(ACTIONS, key())))


def test_use_is_noted_once_an_hour_and_leaves_the_stamp(filled: DiskReader) -> None:
    file = filled.file(ACTIONS, key())
    before = filled.stamps([key()])
    os.utime(file, ns=(5, before[key()].mtime_ns))

    filled.note_use([key(), key(1)], NOW_S)
    assert os.stat(file).st_atime == NOW_S
    filled.note_use([key()], NOW_S + HOUR_S - 1)
    assert os.stat(file).st_atime == NOW_S
    filled.note_use([key()], NOW_S + HOUR_S)
    assert os.stat(file).st_atime == NOW_S + HOUR_S
    # A clock that was ahead does not make an entry used for ever.
    filled.note_use([key()], NOW_S)
    assert os.stat(file).st_atime == NOW_S
    assert filled.stamps([key()]) == before


def test_a_damaged_entry_is_put_aside_and_told_of_once(
    filled: DiskReader, tmp_path: Path, told: list[str]
) -> None:
    names = [filled.file(ACTIONS, key()), filled.file(BLOBS, STORED.events)]
    for name in names:
        Path(name).write_bytes(b"nonsense")

    assert filled.entry(key()) is None
    assert filled.blob(STORED.events) is None
    assert not any(map(os.path.exists, names))
    assert [path.name[:64] for path in sorted((tmp_path / "cache/v1/quarantine").iterdir())] == (
        sorted([key(), STORED.events])
    )
    (message,) = told
    assert "is damaged and not used: its length or checksum is wrong" in message


def test_an_entry_of_another_version_is_left_alone(filled: DiskReader, told: list[str]) -> None:
    body = b"another version's words"
    data = entries._header(entries.FORMAT_VERSION + 1, 1, body) + body
    place = Path(filled.file(ACTIONS, key()))
    place.write_bytes(data)

    assert filled.entry(key()) is None
    found = filled.found(key())
    assert found is not None
    assert found[0] is None
    assert place.read_bytes() == data
    assert told == []


def test_what_can_not_be_read_is_a_miss(
    filled: DiskReader, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(file: str) -> None:
        raise OSError(5, "Input/output error", file)

    monkeypatch.setattr(state, "read_with_status", broken)
    assert filled.entry(key()) is None
    assert filled.blob(STORED.events) is None
    assert len(told) == 1
    assert "can't be read: Input/output error" in told[0]
    monkeypatch.undo()
    assert filled.entry(key()) is not None


def test_the_module_of_an_entry_is_kept(filled: DiskReader) -> None:
    entry = filled.entry(key())
    assert entry is not None
    assert entry.module == MODULE


def test_the_way_to_a_hit_imports_no_event_loop() -> None:
    program = (
        "import sys; import iopio_async.cache.verdicts, iopio_async.cache.ports;"
        "print(*({'asyncio', 'anyio', 'aiofiles', 'tempfile', 'orjson', 'typer', 'rich'}"
        " & set(sys.modules)))"
    )
    done = run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == ""
