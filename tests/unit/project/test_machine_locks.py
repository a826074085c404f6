"""The table of what runs hold on this machine, with real locks: each table is another run."""

import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from iopio_async.errors import InfrastructureError
from iopio_async.planning.machine import Wanted
from iopio_async.project.machine_locks import ASLEEP_S, Entry, MachineLocks, _close, folder

DB = (Wanted("db", True, "db"),)
READ_DB = (Wanted("db", False, "db"),)
PORT = (Wanted("port:80", True, "port:80"),)


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Runs:
    """Several runs that meet in one folder."""

    def __init__(self, place: Path) -> None:
        self.place = place / "iopio"
        self.clock = Clock()
        self.tables: list[MachineLocks] = []

    def new(self, root: str = "/p") -> MachineLocks:
        self.tables.append(MachineLocks(str(self.place), root, now_s=self.clock))
        return self.tables[-1]

    def files(self) -> list[str]:
        return sorted(each for each in os.listdir(self.place / "v1" / "locks") if each != "mutex")


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def abandon(entry: Entry) -> None:
    """What the kernel does where the process of a unit dies: its file stays."""
    _close(entry.descriptor)


def test_one_writer_at_a_time(runs: Runs) -> None:
    one, two = runs.new("/one"), runs.new("/two")
    held = one.apply(DB)
    waiting = two.apply(DB)

    assert held.obstacle is None
    assert waiting.obstacle is not None
    assert waiting.obstacle.claim == DB[0]
    assert waiting.obstacle.holder is not None
    assert (waiting.obstacle.holder.pid, waiting.obstacle.holder.root) == (os.getpid(), "/one")
    assert not two.retry(waiting)
    one.give_back(held)
    assert two.retry(waiting)
    two.give_back(waiting)
    assert runs.files() == []


def test_readers_hold_together_and_writers_wait_for_all_of_them(runs: Runs) -> None:
    one, two = runs.new(), runs.new()
    first, second = one.apply(READ_DB), two.apply(READ_DB)
    assert first.obstacle is None
    assert second.obstacle is None

    writer = one.apply(DB)
    one.give_back(first)
    assert not one.retry(writer)
    two.give_back(second)
    assert one.retry(writer)


def test_all_or_nothing(runs: Runs) -> None:
    one, two = runs.new(), runs.new()
    held = one.apply(DB)
    both = two.apply((*DB, *PORT))

    assert both.obstacle is not None
    assert runs.files() == ["000000000001-holds", "000000000002-waits"]
    one.give_back(held)
    assert two.retry(both)


def test_who_comes_later_does_not_overtake_who_waits(runs: Runs) -> None:
    one, two, three = runs.new(), runs.new(), runs.new()
    reader = one.apply(READ_DB)
    writer = two.apply(DB)
    late = three.apply(READ_DB)

    assert late.obstacle is not None
    assert not late.obstacle.holds
    one.give_back(reader)
    assert not three.retry(late)
    assert two.retry(writer)
    assert not three.retry(late)
    two.give_back(writer)
    assert three.retry(late)


def test_who_has_nothing_to_do_with_it_does_not_wait(runs: Runs) -> None:
    one, two = runs.new(), runs.new()
    one.apply(DB)
    two.apply(DB)

    assert runs.new().apply(PORT).obstacle is None


def test_who_sleeps_while_it_waits_is_passed_over(runs: Runs) -> None:
    one, two, three = runs.new(), runs.new(), runs.new()
    reader = one.apply(READ_DB)
    asleep = two.apply(DB)
    late = three.apply(READ_DB)
    assert late.obstacle is not None

    runs.clock.now_s += ASLEEP_S + 0.1
    assert three.retry(late)
    one.give_back(reader)
    three.give_back(late)
    assert two.retry(asleep)


def test_a_holder_that_sleeps_holds(runs: Runs) -> None:
    runs.new().apply(DB)
    runs.clock.now_s += 1000 * ASLEEP_S

    assert runs.new().apply(DB).obstacle is not None


def test_the_dead_hold_nothing_and_wait_for_nothing(runs: Runs) -> None:
    one, two = runs.new(), runs.new()
    held, waiting = one.apply(DB), one.apply(DB)
    mine = two.apply(DB)
    assert mine.obstacle is not None

    abandon(held)
    abandon(waiting)
    assert two.retry(mine)
    assert runs.files() == ["000000000003-holds"]


def test_forked_children_do_not_prolong_it(runs: Runs) -> None:
    one, two = runs.new(), runs.new()
    held = one.apply(DB)
    go_on, told = os.pipe()
    is_there, tells = os.pipe()
    child = os.fork()
    if not child:
        os.close(told)
        os.write(tells, b".")
        os.read(go_on, 1)
        os._exit(0)
    os.close(go_on)
    try:
        os.read(is_there, 1)
        abandon(held)
        assert two.apply(DB).obstacle is None
    finally:
        for descriptor in (told, is_there, tells):
            os.close(descriptor)
        os.waitpid(child, 0)


def test_descriptors_are_closed_on_exec(runs: Runs) -> None:
    held = runs.new().apply(DB)

    assert not os.get_inheritable(held.descriptor)


def test_a_mutex_that_somebody_has_is_not_waited_for(runs: Runs) -> None:
    runs.new().apply(PORT)
    with open(runs.place / "v1" / "locks" / "mutex", "rb") as mutex:
        fcntl.flock(mutex, fcntl.LOCK_EX)
        table = runs.new()
        entry = table.apply(DB)
        assert entry.obstacle is not None
        assert entry.obstacle.claim is None
    assert table.retry(entry)


def test_a_folder_that_was_removed_is_made_again(runs: Runs) -> None:
    one, two = runs.new(), runs.new()
    one.apply(PORT)
    held, waiting = one.apply(DB), two.apply(DB)
    locks = runs.place / "v1" / "locks"
    for file in locks.iterdir():
        file.unlink()
    locks.rmdir()

    one.give_back(held)
    assert two.retry(waiting)
    assert runs.new().apply(DB).obstacle is not None


def test_only_its_owner_can_look_into_it(runs: Runs) -> None:
    runs.new().apply(DB)

    modes = {each: stat.S_IMODE(each.stat().st_mode) for each in runs.place.rglob("*")}
    assert stat.S_IMODE(runs.place.stat().st_mode) == 0o700
    for path, mode in modes.items():
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_a_folder_of_another_kind_is_refused(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    runs.place.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(InfrastructureError):
        runs.new().apply(DB)


def test_strange_files_are_left_alone(runs: Runs) -> None:
    runs.new().apply(PORT)
    locks = runs.place / "v1" / "locks"
    (locks / "notes.txt").write_text("mine")
    (locks / "000000000007-holds").symlink_to(locks / "notes.txt")
    (locks / "000000000008-waits").mkdir()

    assert runs.new().apply(DB).obstacle is None
    assert (locks / "notes.txt").read_text() == "mine"


def test_a_file_system_without_locks_is_told_of(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lockless(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("iopio_async.project.machine_locks.fcntl.flock", lockless)
    with pytest.raises(OSError, match="no locks available"):
        runs.new().apply(DB)


def test_runs_meet_where_the_user_has_a_place(tmp_path: Path) -> None:
    assert folder({"XDG_RUNTIME_DIR": str(tmp_path)}) == str(tmp_path / "iopio")
    for absent in (str(tmp_path / "none"), "relative", ""):
        assert folder({"XDG_RUNTIME_DIR": absent, "TMPDIR": str(tmp_path)}) == folder({})
