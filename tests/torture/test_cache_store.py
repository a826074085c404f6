"""What the store of results must never believe, and do without (cases 52 to 55, 60 to 63)."""

import errno
import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.results import EVENTS, HOUR_S, NOW_S, World, file, key, result
from torture.faulty_disk import Disk, failing, left_behind, on
from torture.stored import STORED, Store

from iopio_async import state
from iopio_async.cache import entries
from iopio_async.cache.collection import collect
from iopio_async.cache.faults import SLOW_IN_A_ROW
from iopio_async.cache.index import Index
from iopio_async.cache.maintenance import verify
from iopio_async.cache.reader import ACTIONS, BLOBS
from iopio_async.cache.validate import Hit, Judge
from iopio_async.cache.verdicts import verdicts
from iopio_async.model.trace import TRACE_VERSION


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def filled(store: Store) -> Store:
    assert store.put()
    return store


# 52


def test_an_entry_that_is_cut_anywhere_is_a_miss(filled: Store) -> None:
    whole = filled.entry_file.read_bytes()
    for at in range(len(whole)):
        filled.entry_file.write_bytes(whole[:at])
        assert filled.reader.entry(key()) is None
        assert not filled.entry_file.exists()
    filled.entry_file.write_bytes(whole + b"\n")
    assert filled.reader.entry(key()) is None
    filled.entry_file.write_bytes(whole)
    assert filled.reader.entry(key()) is not None
    assert len(filled.told) == 1


def test_an_entry_with_any_bit_flipped_is_a_miss(filled: Store) -> None:
    whole = filled.entry_file.read_bytes()
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(entries.DamagedError):
            entries.decode(bytes(flipped), key())


def test_a_blob_that_is_cut_or_flipped_anywhere_is_a_miss(filled: Store) -> None:
    damaged = [EVENTS[:at] for at in range(len(EVENTS))]
    for bit in range(8 * len(EVENTS)):
        flipped = bytearray(EVENTS)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(flipped))
    for data in (*damaged, EVENTS + b"\0"):
        filled.blob_file.write_bytes(data)
        assert filled.reader.blob(STORED.events) is None
    assert len(filled.told) == 1


def test_a_damaged_entry_is_a_miss_though_the_index_knows_the_key(filled: Store) -> None:
    filled.index.save(NOW_S)
    data = bytearray(filled.entry_file.read_bytes())
    data[-5] ^= 1
    filled.entry_file.write_bytes(data)
    judge = Judge(World({"a.py": "content", "b.py": "content"}).current)
    found = verdicts(filled.reader, Index.load(filled.reader), [key()], judge, now_s=NOW_S)

    assert not isinstance(found[key()], Hit)
    assert len(filled.told) == 1


# 53


def test_an_entry_by_another_name_is_a_miss(filled: Store) -> None:
    for number in (1, 2):
        place = Path(filled.reader.file(ACTIONS, key(number)))
        place.parent.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(filled.entry_file, place)
        assert filled.reader.entry(key(number)) is None
    other = Path(filled.reader.file(BLOBS, key()))
    other.parent.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(filled.blob_file, other)
    assert filled.reader.blob(key()) is None
    assert filled.reader.entry(key()) is not None


# 54


@pytest.mark.parametrize("step", [-1, 1])
@pytest.mark.parametrize("what", ["format", "trace"])
def test_an_entry_of_the_version_before_or_after_is_a_miss_and_stays(
    filled: Store, step: int, what: str
) -> None:
    versions = {"format": entries.FORMAT_VERSION, "trace": TRACE_VERSION}
    versions[what] += step
    body = filled.entry_file.read_bytes().split(b"\n", 1)[1]
    data = entries._header(versions["format"], versions["trace"], body) + body
    filled.entry_file.write_bytes(data)

    assert filled.reader.entry(key()) is None
    assert not filled.put()
    collect(filled.folder)
    assert filled.entry_file.read_bytes() == data
    assert filled.told == []
    assert verify(filled.folder).bad == ()


# 55


def test_a_cache_that_is_a_file(store: Store) -> None:
    Path(store.folder).write_text("a file")

    assert store.reader.entry(key()) is None
    assert not store.put()
    assert not store.put()
    assert len(store.told) == 1
    assert Path(store.folder).read_text() == "a file"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_cache_that_can_not_be_written(filled: Store, number: int) -> None:
    (filled.entry_file.parent / ".lock").unlink()
    real = os.open

    def read_only(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            raise OSError(number, os.strerror(number))
        return real(path, flags, mode)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", read_only)
        assert not filled.put()
        assert not filled.put()
        assert not filled.index.save(NOW_S)
        assert filled.reader.entry(key()) is not None
    (message,) = filled.told
    assert os.strerror(number) in message


def test_a_folder_that_can_not_be_made(store: Store) -> None:
    with on(Disk(str(Path(store.folder).parent), failing(errno.EROFS), at=1, for_good=True)):
        assert not store.put()
    assert not Path(store.folder).exists()
    assert len(store.told) == 1


# 60


def _device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("needs the right to make devices")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(path.parent, os.O_RDONLY)
        try:
            listener.bind(f"/proc/self/fd/{here}/{path.name}")
        finally:
            os.close(here)


STRANGE: dict[str, Callable[[Path], object]] = {
    "link": lambda path: path.symlink_to(path.with_name("elsewhere")),
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "device": _device,
    "socket": _socket,
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_no_file_is_refused(filled: Store, kind: str) -> None:
    for path in (filled.entry_file, filled.blob_file):
        path.rename(path.with_name("elsewhere"))
        STRANGE[kind](path)

    assert filled.reader.entry(key()) is None
    assert filled.reader.blob(STORED.events) is None
    assert len(filled.told) == 1
    assert filled.put()
    assert filled.reader.entry(key()) is not None
    assert filled.reader.blob(STORED.events) == EVENTS


@pytest.mark.parametrize("level", ["", "v1", "v1/ac", "v1/ac/{shard}"])
def test_a_folder_that_is_a_link_is_refused(filled: Store, tmp_path: Path, level: str) -> None:
    folder = Path(filled.folder, level.format(shard=key()[:2]))
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    before = sorted((tmp_path / "elsewhere").rglob("*"))
    store = Store(tmp_path)

    assert store.reader.entry(key()) is None
    assert not store.put()
    assert len(store.told) == 1
    assert sorted((tmp_path / "elsewhere").rglob("*")) == before


@pytest.mark.parametrize("name", ["../" * 8 + "etc/passwd", "..", "/etc/passwd", "a/../" + key()])
def test_names_lead_nowhere_else(filled: Store, name: str) -> None:
    assert filled.reader.entry(name) is None
    assert filled.reader.blob(name) is None
    assert filled.reader.stamps([name]) == {}
    assert filled.told == []


# 61


def test_another_owner_s_cache_is_not_used(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    store = Store(tmp_path)

    assert store.reader.entry(key()) is None
    assert not store.put()
    assert not store.reader.faults.writes
    assert len(store.told) == 1
    assert "is not a directory of this user" in store.told[0]


def test_a_cache_that_others_may_write_to_is_not_used(filled: Store, tmp_path: Path) -> None:
    Path(filled.folder, "v1").chmod(0o770)
    store = Store(tmp_path)

    assert store.reader.entry(key()) is None
    assert not store.put()
    assert len(store.told) == 1
    assert "others may write to" in store.told[0]


# 62


class _SlowClock:
    """Each look at it is half a second later."""

    now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 0.5
        return self.now_s


def test_a_slow_disk_is_given_up_when_reading(filled: Store, tmp_path: Path) -> None:
    store = Store(tmp_path, _SlowClock())
    with on(Disk(store.folder)) as disk:
        for number in range(500):
            assert store.reader.entry(key(number + 1)) is None
    few = disk.calls
    with on(Disk(store.folder)) as disk:
        assert store.reader.entry(key()) is None
        assert store.reader.stamps([key()]) == {}
        assert store.reader.blob(STORED.events) is None

    assert few <= 6 * SLOW_IN_A_ROW
    assert disk.calls == 0
    (message,) = store.told
    assert "operations in a row took 0.5 s or more" in message


def test_a_slow_disk_is_given_up_when_writing(tmp_path: Path) -> None:
    clock = _SlowClock()
    store = Store(tmp_path, clock)
    assert not store.put()
    assert clock.now_s < 5
    assert not store.put()
    assert left_behind(store.folder) == []
    assert len(store.told) == 1


# 63


@pytest.mark.parametrize("date_s", [0.0, 4_070_908_800.0, 1e300, -1e300])
def test_wrong_dates_never_extend_trust(store: Store, date_s: float) -> None:
    state.ensure(store.folder, ACTIONS, key()[:2])
    stored = result(file("a.py"), executed_at_s=date_s, expires_at_s=max(date_s, 0) + 1e9)
    entry = entries.ActionEntry(key=key(), module="m", results=(stored,))
    store.entry_file.write_bytes(entries.encode(entry))
    judge = Judge(World({"a.py": "content"}).current)
    for _ in range(2):
        index = Index.load(store.reader)
        found = verdicts(store.reader, index, [key()], judge, now_s=NOW_S)
        assert not isinstance(found[key()], Hit)
        index.add(key(), entry, store.reader.stamps([key()])[key()])
        index.save(NOW_S)


def test_dates_of_files_mean_nothing(filled: Store) -> None:
    judge = Judge(World({"a.py": "content", "b.py": "content"}).current)
    for date_s in (0.0, 4_070_908_800.0):
        os.utime(filled.entry_file, (date_s, date_s))
        ended = verdicts(filled.reader, filled.index, [key()], judge, now_s=NOW_S + 25 * HOUR_S)
        assert not isinstance(ended[key()], Hit)
        found = verdicts(filled.reader, filled.index, [key()], judge, now_s=NOW_S)
        assert isinstance(found[key()], Hit)
