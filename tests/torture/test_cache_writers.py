"""What writers of results must survive, and leave behind (cases 56 to 59, and 64)."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import pytest
from fakes.results import EVENTS, clean, file, key, result
from torture.faulty_disk import NO_ROOM, Disk, failing, left_behind, on
from torture.stored import OLDER, STORED, Store

from iopio_async.cache import entries
from iopio_async.cache.collection import collect
from iopio_async.cache.maintenance import verify
from iopio_async.cache.reader import DiskReader

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def filled(store: Store) -> Store:
    assert store.put()
    return store


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
from torture import stored as case
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

#: All in one thread, since strace counts the calls of each.
_TRACED = (
    _WRITER
    + """
import asyncio
from concurrent.futures import Future, ThreadPoolExecutor

class Inline(ThreadPoolExecutor):
    def submit(self, call, /, *args, **keywords):
        future = Future()
        try:
            future.set_result(call(*args, **keywords))
        except BaseException as error:
            future.set_exception(error)
        return future

async def run_sync(call, *args, **options):
    return call(*args)

async def main():
    asyncio.get_running_loop().set_default_executor(Inline())
    os.path.lexists('/begin')
    assert await store.store.put(case.key(), case.clean(case.STORED), [case.EVENTS])
    os.path.lexists('/end')

anyio.to_thread.run_sync = run_sync
anyio.run(main)
"""
)


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
        done = write(folder, "-e", f"inject={syscall}:signal=SIGKILL:when={at}", "-o", os.devnull)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert Store(folder).is_intact()
        assert Store(folder).put()
        assert Store(folder).is_intact()
    assert during or syscall in {"unlink", "utimensat"}


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
