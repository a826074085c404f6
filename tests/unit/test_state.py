"""The folder that holds what is remembered: private, and nobody else's."""

import os
import stat
from pathlib import Path

import pytest

from iopio_async import state
from iopio_async.errors import InfrastructureError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_is_the_owner_s_alone_and_ignored_by_git(tmp_path: Path) -> None:
    folder = Path(state.ensure(state.folder_of(str(tmp_path)), "runs"))

    assert folder == tmp_path / ".test_cache" / "v1" / "runs"
    assert {mode(path) for path in (folder, folder.parent, folder.parent.parent)} == {0o700}
    assert (tmp_path / ".test_cache" / ".gitignore").read_text() == "*\n"


def test_a_folder_that_is_there_is_used_as_it_is(tmp_path: Path) -> None:
    folder = Path(state.ensure(state.folder_of(str(tmp_path))))
    (folder / "kept").write_text("kept")
    (folder.parent / ".gitignore").write_text("mine\n")

    assert Path(state.ensure(state.folder_of(str(tmp_path)))) == folder
    assert (folder / "kept").read_text() == "kept"
    assert (folder.parent / ".gitignore").read_text() == "mine\n"


def test_a_folder_that_others_may_write_to_is_closed(tmp_path: Path) -> None:
    folder = Path(state.ensure(state.folder_of(str(tmp_path))))
    folder.chmod(0o777)
    state.ensure(state.folder_of(str(tmp_path)))

    assert mode(folder) == 0o700


@pytest.mark.parametrize("level", [".test_cache", ".test_cache/v1", ".test_cache/v1/runs"])
def test_a_link_is_refused_at_every_level(tmp_path: Path, level: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = tmp_path / "project" / level
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)

    with pytest.raises(InfrastructureError, match="is not a directory of this user"):
        state.ensure(state.folder_of(str(tmp_path / "project")), "runs")
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("level", [".test_cache", ".test_cache/v1", ".test_cache/v1/runs"])
def test_what_is_no_folder_is_refused_at_every_level(tmp_path: Path, level: str) -> None:
    file = tmp_path / level
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("in the way")

    with pytest.raises(InfrastructureError, match="is not a directory of this user"):
        state.ensure(state.folder_of(str(tmp_path)), "runs")
    assert file.read_text() == "in the way"


def test_a_root_that_is_gone_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="can't be used: No such file") as caught:
        state.ensure(state.folder_of(str(tmp_path / "gone")))
    assert caught.value.hint == "results of this run are not remembered"


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    state.write_atomically(str(file), b"new")

    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_nothing_is_left_where_a_file_can_not_be_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "full").mkdir(parents=True)

    with pytest.raises(OSError, match="directory"):
        state.write_atomically(str(folder), b"new")
    assert list(tmp_path.iterdir()) == [folder]


def test_what_was_written_can_be_read(tmp_path: Path) -> None:
    file = str(tmp_path / "file")
    state.write_atomically(file, b"data")

    assert state.read(file) == b"data"


def test_links_pipes_and_what_is_too_large_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "MAX_FILE_BYTES", 3)
    (tmp_path / "large").write_bytes(b"1234")
    (tmp_path / "link").symlink_to("fits")
    (tmp_path / "fits").write_bytes(b"123")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")

    assert state.read(str(tmp_path / "fits")) == b"123"
    for name in ("large", "link", "folder", "pipe", "missing"):
        with pytest.raises(OSError, match=name):
            state.read(str(tmp_path / name))


def test_another_user_s_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    state.write_atomically(str(file), b"data")
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)

    with pytest.raises(OSError, match="not a file that iopio wrote"):
        state.read(str(file))


def test_the_status_is_that_of_the_file_that_was_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    state.write_atomically(str(file), b"data")
    data, status = state.read_with_status(str(file))

    assert (data, status.st_size, status.st_ino) == (b"data", 4, file.stat().st_ino)


def test_a_file_that_grows_while_it_is_read_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    state.write_atomically(str(file), b"data")
    read = os.read

    def growing(descriptor: int, size_bytes: int) -> bytes:
        if file.stat().st_size == 4:
            with file.open("ab") as stream:
                stream.write(b" and more")
        return read(descriptor, size_bytes)

    monkeypatch.setattr(os, "read", growing)
    assert state.read(str(file)) == b"data and more"


def test_the_folder_may_be_anywhere(tmp_path: Path) -> None:
    folder = str(tmp_path / "elsewhere")

    assert state.ensure(folder, "ac") == state.path(folder, "ac")
    assert Path(folder, "v1", "ac").is_dir()


def test_what_is_there_is_told_without_a_change(tmp_path: Path) -> None:
    folder = str(tmp_path / "elsewhere")
    assert not state.is_there(folder)
    assert not Path(folder).exists()
    state.ensure(folder)
    assert state.is_there(folder)
    assert not state.is_there(folder, "ac")


def test_what_others_may_write_to_is_not_trusted(tmp_path: Path) -> None:
    folder = str(tmp_path / "elsewhere")
    Path(state.ensure(folder, "ac")).chmod(0o770)

    with pytest.raises(InfrastructureError, match="others may write to"):
        state.is_there(folder, "ac")
    assert mode(Path(state.path(folder, "ac"))) == 0o770


def test_links_and_files_are_no_folders(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").write_text("in the way")

    for name in ("link", "file"):
        with pytest.raises(InfrastructureError, match="is not a directory of this user"):
            state.is_there(str(tmp_path / name))


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    file = str(tmp_path / "lock")
    one, other = state.open_lock(file), state.open_lock(file)

    assert state.try_lock(one)
    assert not state.try_lock(other)
    os.close(one)
    assert state.try_lock(other)
    os.close(other)


def test_to_read_a_file_is_not_to_use_it(tmp_path: Path) -> None:
    file = tmp_path / "file"
    state.write_atomically(str(file), b"data")
    os.utime(file, (5.0, 5.0))
    state.read(str(file))

    assert file.stat().st_atime == 5.0


def test_a_file_system_may_insist_on_noting_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    state.write_atomically(str(file), b"data")
    open_file = os.open

    def insisting(name: str, flags: int) -> int:
        if flags & os.O_NOATIME:
            raise PermissionError(1, "Operation not permitted", name)
        return open_file(name, flags)

    monkeypatch.setattr(os, "open", insisting)
    assert state.read(str(file)) == b"data"
