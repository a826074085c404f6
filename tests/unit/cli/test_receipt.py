"""A receipt answers while all that it depends on is as it was, and never else."""

import os
import stat
import time
from pathlib import Path

import pytest

from iopio_async.cli import receipt
from iopio_async.cli.watching import Watch

ARGUMENTS = ["run", "-q"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path.joinpath(*receipt.FOLDER)
    folder.mkdir(parents=True)
    for level in (folder, folder.parent, folder.parent.parent):
        level.chmod(0o700)
    (folder / receipt.SECRET).write_bytes(os.urandom(32))
    source = tmp_path / "a.py"
    source.write_text("x = 1\n")
    long_ago_s = time.time() - 100
    for path in (source, tmp_path):
        os.utime(path, (long_ago_s, long_ago_s))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IOPIO_CACHE_DIR", raising=False)
    return tmp_path


def write(project: Path, *, lasts_s: float = 100.0, began_ns: int | None = None) -> bool:
    folder = str(project.joinpath(*receipt.FOLDER))
    paths = [str(project / "a.py"), str(project / "missing.py")]
    # What was written just now would be too young to be told from later changes.
    return receipt.write(
        folder,
        receipt.receipt_name(folder, ARGUMENTS, cwd_on_path=False),
        text=f"1 passed in {receipt.DURATION}\n",
        followed={path: receipt.status_of(path) for path in paths},
        unfollowed={},
        dated=set(),
        began_ns=time.time_ns() + 10**9 if began_ns is None else began_ns,
        expires_at_s=time.time() + lasts_s,
    )


def answered() -> int | None:
    return receipt.answer(ARGUMENTS, cwd_on_path=False)


def test_the_same_command_is_answered(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert write(project)
    assert answered() == 0
    told = capsys.readouterr().out
    assert told.startswith("1 passed in 0.")
    assert receipt.DURATION not in told


def test_from_a_folder_below_it_is_another_command(project: Path) -> None:
    assert write(project)
    (project / "sub").mkdir()
    os.chdir(project / "sub")
    assert answered() is None


@pytest.mark.parametrize("change", ["content", "touch", "mode", "gone", "appeared"])
def test_a_change_of_any_file_is_seen(project: Path, change: str) -> None:
    assert write(project)
    source = project / "a.py"
    match change:
        case "content":
            times = (source.stat().st_atime_ns, source.stat().st_mtime_ns)
            source.write_text("x = 2\n")
            os.utime(source, ns=times)
        case "touch":
            source.touch()
        case "mode":
            source.chmod(source.stat().st_mode ^ stat.S_IXUSR)
        case "gone":
            source.unlink()
        case _:
            (project / "missing.py").touch()
    assert answered() is None


def test_a_change_of_the_environment_or_of_the_words_is_seen(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert write(project)
    assert receipt.answer([*ARGUMENTS, "-v"], cwd_on_path=False) is None
    assert receipt.answer(ARGUMENTS, cwd_on_path=True) is None
    monkeypatch.setenv("ANYTHING", "else")
    assert answered() is None
    monkeypatch.delenv("ANYTHING")
    monkeypatch.setenv("SHLVL", "99")
    assert answered() == 0


@pytest.mark.parametrize("listed", [True, False])
def test_a_directory_counts_as_a_whole_only_where_it_was_listed(
    project: Path, listed: bool
) -> None:
    folder = str(project.joinpath(*receipt.FOLDER))
    assert receipt.write(
        folder,
        receipt.receipt_name(folder, ARGUMENTS, cwd_on_path=False),
        text=f"1 passed in {receipt.DURATION}\n",
        followed={str(project): receipt.status_of(project)},
        unfollowed={},
        dated={str(project)} if listed else set(),
        began_ns=time.time_ns() + 10**9,
        expires_at_s=time.time() + 100,
    )
    assert answered() == 0
    (project / "new.py").touch()
    assert answered() == (None if listed else 0)


def test_it_ends(project: Path) -> None:
    assert write(project, lasts_s=-1.0)
    assert answered() is None


def test_what_is_young_gets_no_receipt(project: Path) -> None:
    (project / "a.py").write_text("x = 2\n")
    assert not write(project, began_ns=time.time_ns())


def test_every_damage_is_seen(project: Path) -> None:
    assert write(project)
    folder = project.joinpath(*receipt.FOLDER)
    (file,) = (each for each in folder.iterdir() if each.name != receipt.SECRET)
    data = file.read_bytes()
    for at in range(len(data)):
        file.write_bytes(data[:at])
        assert answered() is None
        file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert answered() is None
    file.write_bytes(data)
    assert answered() == 0


def test_a_receipt_of_another_name_is_none(project: Path) -> None:
    assert write(project)
    folder = project.joinpath(*receipt.FOLDER)
    (file,) = (each for each in folder.iterdir() if each.name != receipt.SECRET)
    other = receipt.receipt_name(str(folder), ["run"], cwd_on_path=False)
    file.rename(folder / other)
    assert receipt.answer(["run"], cwd_on_path=False) is None


def test_a_folder_that_others_may_write_is_not_trusted(project: Path) -> None:
    assert write(project)
    project.joinpath(*receipt.FOLDER).chmod(0o777)
    assert answered() is None


def test_a_link_is_not_followed(project: Path, tmp_path: Path) -> None:
    assert write(project)
    folder = project.joinpath(*receipt.FOLDER)
    folder.rename(project / "elsewhere")
    folder.symlink_to(project / "elsewhere")
    assert answered() is None


def test_only_runs_are_answered(project: Path) -> None:
    assert write(project)
    assert receipt.answer(["list"], cwd_on_path=False) is None
    assert receipt.answer([], cwd_on_path=False) is None


def test_a_watch_notes_what_is_looked_at(project: Path) -> None:
    (project / "link").symlink_to("a.py")
    before = (os.stat, open)
    with Watch() as watch:
        Path("a.py").read_text()
        Path("missing.py").exists()
        os.lstat("link")
        os.listdir(project)
    assert (os.stat, open) == before
    assert set(watch.followed) == {
        str(project / "a.py"),
        str(project / "missing.py"),
        str(project),
    }
    assert set(watch.unfollowed) == {str(project / "link")}
    assert watch.followed[str(project / "missing.py")] == receipt.ABSENT
    assert watch.followed[str(project / "a.py")] == receipt.status_of(project / "a.py")
