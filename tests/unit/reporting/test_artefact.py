"""Files that a run leaves behind: whole or not at all."""

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from iopio_async.errors import InfrastructureError
from iopio_async.reporting.artefact import write_artefact


def interrupted() -> Iterator[bytes]:
    yield b"half"
    raise ValueError("no more")


def test_content_and_folders(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "report.json"
    write_artefact(str(target), [b"one", b"two"])
    assert target.read_bytes() == b"onetwo"


def test_an_old_file_is_replaced_at_once(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    target.write_text("old")
    with target.open() as reader:
        write_artefact(str(target), [b"new"])
        assert reader.read() == "old"
    assert target.read_text() == "new"


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    target.write_text("old")
    with pytest.raises(ValueError, match="no more"):
        write_artefact(str(target), interrupted())
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_rights_are_those_of_any_new_file(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    write_artefact(str(target), [b""])
    other = tmp_path / "other"
    other.touch()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def test_a_link_is_kept(tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    real.touch()
    link = tmp_path / "link.json"
    link.symlink_to(real)
    write_artefact(str(link), [b"new"])
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_a_pipe_is_written_as_it_is(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    reader.start()
    write_artefact(str(fifo), [b"one", b"two"])
    reader.join()
    assert read == [b"onetwo"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "report.json"
    with pytest.raises(InfrastructureError, match=r"could not write .*report\.json: ") as raised:
        write_artefact(str(target), [b""])
    assert "\n" not in raised.value.message
