"""What the store of results must survive, and never believe (cases 52 to 64)."""

import contextlib
import errno
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from fakes.results import EVENTS, HOUR_S, NOW_S, World, clean, file, key, result, source
from torture.faulty_disk import NO_ROOM, Disk, failing, left_behind, on

from iopio_async import state
from iopio_async.cache import entries
from iopio_async.cache.collection import collect
from iopio_async.cache.disk import DiskStore
from iopio_async.cache.faults import SLOW_IN_A_ROW
from iopio_async.cache.index import Index
from iopio_async.cache.maintenance import verify
from iopio_async.cache.reader import ACTIONS, BLOBS, DiskReader
from iopio_async.cache.validate import Hit, Judge
from iopio_async.cache.verdicts import verdicts
from iopio_async.model.trace import TRACE_VERSION

STORED = result(file("a.py"), source("b.py", module="x", parse="y"), events=EVENTS)
OLDER = result(file("a.py", "old"), executed_at_s=NOW_S - 2 * HOUR_S)
TESTS = Path(__file__).resolve().parents[1]


class Store:
    """A store in a folder, and what it warned of."""

    def __init__(self, folder: Path, clock_s: Callable[[], float] = lambda: 0.0) -> None:
        folder.mkdir(exist_ok=True)
        self.told: list[str] = []
        self.folder = str(folder / "cache")
        self.reader = DiskReader(self.folder, warn=self.told.append, clock_s=clock_s)
        self.index = Index.load(self.reader)
        self.store = DiskStore(self.reader, self.index, now_s=lambda: NOW_S)

    def put(self) -> bool:
        return anyio.run(self.store.put, key(), clean(STORED), [EVENTS])

    @property
    def entry_file(self) -> Path:
        return Path(self.reader.file(ACTIONS, key()))

    @property
    def blob_file(self) -> Path:
        return Path(self.reader.file(BLOBS, STORED.events))

    def is_intact(self) -> bool:
        """Say whether all that can be read is right; a miss is."""
        reader = DiskReader(self.folder, warn=lambda message: None)
        entry = reader.entry(key())
        assert entry is None or set(entry.results) <= {STORED, OLDER}
        assert reader.blob(STORED.events) in {None, EVENTS}
        return not [bad for bad in verify(self.folder).bad if Path(bad.file).exists()]


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


# 56


def _calls_to_put(folder: Path) -> int:
    """How many calls it takes to add a result to an entry that is there."""
    store = Store(folder)
    anyio.run(store.store.put, key(), clean(OLDER))
    with on(Disk(store.folder)) as disk:
        assert store.put()
    assert store.reader.entry(key()) is not None
    return disk.calls


@pytest.mark.parametrize("for_good", [False, True])
@pytest.mark.parametrize("number", NO_ROOM)
def test_no_room_at_any_call(tmp_path: Path, number: int, for_good: bool) -> None:
    calls = _calls_to_put(tmp_path / "counted")
    assert calls > 30
    for at in range(1, calls + 1):
        store = Store(tmp_path / str(at))
        anyio.run(store.store.put, key(), clean(OLDER))
        with on(Disk(store.folder, failing(number), at=at, for_good=for_good)):
            kept = store.put()
        assert left_behind(store.folder) == []
        assert len(store.told) <= 2
        assert kept or store.told
        assert store.is_intact()
        entry = DiskReader(store.folder, warn=pytest.fail).entry(key())
        # What could not be read in this moment is not lost, unless it was replaced.
        assert entry is not None
        assert not kept or STORED in entry.results


# 57


def test_the_folder_is_removed_at_any_call(tmp_path: Path) -> None:
    calls = _calls_to_put(tmp_path / "counted")
    for at in range(1, calls + 1):
        store = Store(tmp_path / str(at))
        anyio.run(store.store.put, key(), clean(OLDER))
        folder = store.folder
        with on(Disk(folder, lambda folder=folder: shutil.rmtree(folder), at=at)):
            store.put()
        assert store.told == []
        assert left_behind(store.folder) == []
        assert store.is_intact()
        assert store.put()
        assert store.reader.entry(key()) is not None


# 58

_WRITER = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import anyio
from pathlib import Path
from torture import test_cache_store as case
from torture.faulty_disk import Disk, on

os.environ["READY"] = "1"
store = case.Store(Path({folder!r}))
"""

_FORKS = (
    _WRITER
    + """
import gc
def child(at):
    with on(Disk(store.folder, lambda: os.kill(os.getpid(), signal.SIGKILL), at=at)) as disk:
        store.put()
for at in range(1, 1000):
    pid = os.fork()
    if not pid:
        child(at)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL), status
    if not status:
        break
    verdict = store.is_intact()
    print(at, verdict, flush=True)
    assert verdict
"""
)


def test_a_writer_is_killed_at_any_call(tmp_path: Path) -> None:
    program = _FORKS.format(tests=str(TESTS), folder=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 20
    assert Store(tmp_path).is_intact()
    assert Store(tmp_path).reader.entry(key()) is not None
    # What killed writers left goes with the garbage.
    collect(str(tmp_path / "cache"), grace_s=-1.0)
    assert left_behind(str(tmp_path / "cache")) == []


#: The calls to the kernel that change what is on the disk, and those that come between them.
_SYSCALLS = ("mkdir", "openat", "write", "close", "rename", "unlink", "utimensat", "flock")

_TRACED = _WRITER + "os.path.lexists('/begin')\nstore.put()\nos.path.lexists('/end')\n"


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("syscall", _SYSCALLS)
def test_a_writer_is_killed_at_any_call_to_the_kernel(tmp_path: Path, syscall: str) -> None:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}

    def write(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
        program = _TRACED.format(tests=str(TESTS), folder=str(folder))
        command = ["strace", "-f", "-qq", *options, sys.executable, "-c", program]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, timeout=120
        )

    log = tmp_path / "log"
    done = write(tmp_path / "whole", "-o", str(log), "-e", f"trace={syscall},lstat,newfstatat")
    if "ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    lines = log.read_text().splitlines()
    first = next(at for at, line in enumerate(lines) if '"/begin"' in line)
    last = next(at for at, line in enumerate(lines) if '"/end"' in line)

    def count(some: list[str]) -> int:
        return sum(f" {syscall}(" in line for line in some)

    before, during = count(lines[:first]), count(lines[first:last])
    for at in range(before + 1, before + during + 1):
        folder = tmp_path / str(at)
        folder.mkdir()
        write(folder, "-e", f"inject={syscall}:signal=SIGKILL:when={at}", "-o", os.devnull)
        assert Store(folder).is_intact()
        assert Store(folder).put()
        assert Store(folder).is_intact()
    assert before + during or syscall in {"unlink", "utimensat", "mkdir"}


# 59


def _write_all(folder: Path, numbers: range, start: threading.Barrier | None = None) -> list[str]:
    store = Store(folder)
    if start is not None:
        start.wait()

    async def main() -> None:
        for number in numbers:
            stored = result(file("a.py", str(number)), events=b"%d" % number)
            await store.store.put(key(), clean(stored), [b"%d" % number])

    anyio.run(main)
    return store.told


def test_many_writers_make_one_valid_entry(tmp_path: Path) -> None:
    start = threading.Barrier(32)
    told: list[str] = []
    writers = [
        threading.Thread(
            target=lambda at=at: told.extend(_write_all(tmp_path, range(at, at + 1), start))
        )
        for at in range(32)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    entry = Store(tmp_path).reader.entry(key())

    assert entry is not None
    assert len(entry.results) == entries.KEPT_RESULTS
    assert len({each.trace.inputs for each in entry.results}) == entries.KEPT_RESULTS
    for each in entry.results:
        assert Store(tmp_path).reader.blob(each.events) is not None
    assert verify(str(tmp_path / "cache")).bad == ()
    assert told == []


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


# 64


def test_garbage_is_collected_between_the_entry_and_its_blob(filled: Store) -> None:
    entry = filled.reader.entry(key())
    assert entry is not None
    found = collect(filled.folder, most_bytes=0, grace_s=-1.0)

    assert (found.entries, found.blobs) == (1, 1)
    assert filled.reader.blob(entry.results[0].events) is None
    assert filled.reader.entry(key()) is None
    assert filled.told == []
    assert verify(filled.folder).bad == ()


def test_garbage_is_collected_at_any_call_of_a_writer(tmp_path: Path) -> None:
    calls = _calls_to_put(tmp_path / "counted")
    for at in range(1, calls + 1):
        store = Store(tmp_path / str(at))
        anyio.run(store.store.put, key(), clean(OLDER))
        anyio.run(store.store.put_blob, EVENTS)
        os.utime(store.blob_file, (5, 5))
        busy = threading.local()

        def meanwhile(folder: str = store.folder, busy: threading.local = busy) -> None:
            busy.on = True
            collect(folder, most_bytes=0, grace_s=600.0)

        with on(Disk(store.folder, meanwhile, at=at)):
            assert store.put()
        entry = store.reader.entry(key())
        assert entry is not None
        assert entry.results[0] == STORED
        # Nobody collects what is about to be named.
        assert store.reader.blob(STORED.events) == EVENTS
        assert store.told == []
        assert verify(store.folder).bad == ()


def test_readers_writers_and_collectors_at_the_same_time(tmp_path: Path) -> None:
    stop = threading.Event()
    told: list[str] = []
    wrong: list[object] = []

    def read() -> None:
        store = Store(tmp_path)
        while not stop.is_set():
            entry = store.reader.entry(key())
            for each in entry.results if entry else ():
                blob = store.reader.blob(each.events)
                if blob is not None and entries.digest_of(blob) != each.events:
                    wrong.append(blob)
        told.extend(store.told)

    def tidy() -> None:
        while not stop.is_set():
            for path in (tmp_path / "cache" / "v1").glob("*/??/[0-9a-f]*"):
                with contextlib.suppress(FileNotFoundError):
                    os.utime(path, (5, 5))
            collect(str(tmp_path / "cache"), most_bytes=2000, grace_s=600.0)

    others = [threading.Thread(target=each) for each in (read, tidy)]
    for other in others:
        other.start()
    try:
        told += _write_all(tmp_path, range(40))
    finally:
        stop.set()
        for other in others:
            other.join()

    assert (told, wrong) == ([], [])
    assert verify(str(tmp_path / "cache")).bad == ()
