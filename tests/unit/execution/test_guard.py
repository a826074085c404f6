"""The guard kills what carries the run's id, and removes what the run has left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from iopio_async.execution import guard

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
RUN_ID = f"guard-test-{os.getpid()}"
SLEEPS = [sys.executable, "-S", "-c", "print(flush=True); import time; time.sleep(600)"]


def test_removes_a_tree_that_was_closed_to_its_owner(tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "a" / "b").mkdir(parents=True)
    (top / "a" / "b" / "file").write_text("text")
    (top / "link").symlink_to(tmp_path / "elsewhere")
    (top / "dangling").symlink_to("nowhere")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_text("text")
    os.mkfifo(top / "fifo")
    (top / "a" / "b").chmod(0)
    (top / "a").chmod(0o500)
    guard.remove(str(top))
    assert not top.exists()
    assert (tmp_path / "elsewhere" / "kept").exists()


def test_removing_nothing_is_no_error(tmp_path: Path) -> None:
    guard.remove(str(tmp_path / "not-there"))
    assert not (tmp_path / "not-there").exists()


@LINUX
def test_finds_by_the_whole_cookie_only() -> None:
    processes = [
        subprocess.Popen(SLEEPS, env={"IOPIO_RUN_ID": name}, stdout=subprocess.PIPE)
        for name in (RUN_ID, f"{RUN_ID}-2")
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        assert guard.strays(f"IOPIO_RUN_ID={RUN_ID}".encode()) == [processes[0].pid]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@LINUX
def test_tidies_up_at_the_end_of_the_lifeline(tmp_path: Path) -> None:
    directory = tmp_path / "private"
    directory.mkdir()
    (directory / "file").write_text("text")
    stray = subprocess.Popen(
        SLEEPS,
        env={"IOPIO_RUN_ID": RUN_ID},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert stray.stdout is not None
    stray.stdout.readline()
    reading, writing = os.pipe()
    arguments = [str(reading), RUN_ID, str(directory)]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", guard.__file__, *arguments], pass_fds=(reading,)
    )
    os.close(reading)
    os.write(writing, b"still here")
    assert process.poll() is None
    os.close(writing)
    assert process.wait(30) == 0
    assert stray.wait(30) == -9
    stray.stdout.close()
    assert not directory.exists()
