"""The client's side of a fork server, against a server that says just what a test has it say."""

import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import anyio
import pytest

from iopio_async.execution import server as servers
from iopio_async.execution.attempt import AttemptSettings, ProcessAttempt
from iopio_async.execution.server import Server
from iopio_async.wire.control import (
    MAX_CONTROL_BYTES,
    AnyControl,
    Ended,
    Fork,
    Forked,
    Ready,
    Stale,
    decode_control,
    encode_control,
)


class Bench:
    """A server's client and what stands for the server: a process that only waits, and a socket."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        channel, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"],
            start_new_session=True,
        )
        self.helpers: set[int] = set()
        self.server = Server(channel, self._wait, self.process.pid)

    async def _wait(self, pid: int) -> object:
        assert pid == self.process.pid
        return await anyio.to_thread.run_sync(self.process.wait)

    def attempt(self) -> ProcessAttempt:
        return ProcessAttempt(AttemptSettings(), str(self._folder), "cookie")

    async def asked(self) -> AnyControl:
        """The next that the server is asked for."""
        data = await anyio.to_thread.run_sync(self.theirs.recv, MAX_CONTROL_BYTES)
        return decode_control(data)

    def say(self, message: AnyControl) -> None:
        self.theirs.send(encode_control(message))

    def close(self) -> None:
        self.theirs.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.server.dismiss()
    bench.close()


def _play(bench: Bench, scene: Callable[[], Awaitable[None]]) -> None:
    """Let a scene happen while the client listens."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bench.server.listen, bench.helpers)
            with anyio.fail_after(20.0):
                await scene()
            bench.server.dismiss()
            bench.process.kill()
        assert bench.server.gone.is_set()

    anyio.run(main)


async def _fork(bench: Bench, answer: Callable[[int], list[AnyControl]]) -> tuple[bool, int]:
    """Ask for a child, and have the request answered; whether one came, and its process id."""
    attempt = bench.attempt()
    came = False

    async def ask() -> None:
        nonlocal came
        came = await bench.server.fork(attempt, "action", {})

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        request = await bench.asked()
        assert isinstance(request, Fork)
        for message in answer(request.number):
            bench.say(message)
    attempt.close()
    return came, attempt.pid


def test_a_server_is_a_helper_until_it_is_gone(bench: Bench) -> None:
    async def scene() -> None:
        bench.say(Ready(bench.process.pid, early="for a reason"))
        await bench.server.answered.wait()
        assert bench.server.answer == Ready(bench.process.pid, early="for a reason")
        assert bench.helpers == {bench.process.pid}
        assert bench.server.usable

    _play(bench, scene)
    assert bench.helpers == set()
    assert not bench.server.usable


def test_a_child_is_forked(bench: Bench) -> None:
    async def scene() -> None:
        assert await _fork(bench, lambda number: [Forked(number, 4711)]) == (True, 4711)
        assert bench.server.usable

    _play(bench, scene)


def test_a_stale_server_forks_no_more_but_sees_to_its_children(bench: Bench) -> None:
    async def scene() -> None:
        attempt = bench.attempt()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bench.server.fork, attempt, "action", {})
            first = await bench.asked()
            assert isinstance(first, Fork)
            bench.say(Forked(first.number, 4711))
        came, _ = await _fork(bench, lambda number: [Stale(number, "conftest.py")])
        assert not came
        assert bench.server.stale == "conftest.py"
        assert not bench.server.usable
        assert not bench.server.dead
        bench.say(Ended(first.number, 9, 1.5, 1024))
        ended = await attempt._wait(4711)
        assert (ended.exit_status.signal, ended.cpu_s, ended.peak_rss_bytes) == (9, 1.5, 1024)
        # It was the last one: nobody needs the server any more.
        assert bench.server.dead
        attempt.close()

    _play(bench, scene)


def test_a_server_that_hangs_is_ended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "FORK_PATIENCE_S", 0.05)

    async def scene() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_close_when_killed, bench)
            assert not await bench.server.fork(bench.attempt(), "action", {})
        assert bench.process.returncode == -9

    _play(bench, scene)


async def _close_when_killed(bench: Bench) -> None:
    """The kernel closes what a process had open."""
    await anyio.to_thread.run_sync(bench.process.wait)
    bench.theirs.close()


@pytest.mark.parametrize("data", [b"", b"\xc1", encode_control(Fork(1, "action", {}))])
def test_a_server_that_says_what_it_may_not_is_given_up(bench: Bench, data: bytes) -> None:
    async def scene() -> None:
        if data:
            bench.theirs.send(data)
        else:
            bench.theirs.close()
        await bench.server.answered.wait()
        assert bench.server.answer is None
        assert bench.server.dead

    _play(bench, scene)
