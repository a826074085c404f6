"""One fork server as its client sees it: the process, the socket to it, and what it was asked for.

Each child that is asked for is a *birth*: expected, forked, and gone once its end is known.
Whatever becomes of the server, every birth comes to an end: children of a server that died go on,
are adopted by this process, and waited for like any other child.
"""

import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import anyio

from iopio_async.errors import ProtocolError
from iopio_async.execution import supervise
from iopio_async.execution.attempt import ProcessAttempt
from iopio_async.wire.control import (
    MAX_CONTROL_BYTES,
    Branch,
    Control,
    Ended,
    Fork,
    Forked,
    Ready,
    Stale,
    Unprepared,
    decode_control,
    encode_control,
)

#: A server that has not forked for so long hangs, or was stopped, and is ended.
FORK_PATIENCE_S = 15.0


@dataclass(eq=False)
class _Birth:
    """A child that was asked for, and what is known of it."""

    forked: anyio.Event = field(default_factory=anyio.Event)
    gone: anyio.Event = field(default_factory=anyio.Event)
    pid: int = 0
    ended: supervise.Ended | None = None


class Server:
    """One server's process and the socket to it.

    ``wait`` waits for the end of the process, whose id it is given; 0 where there was none.
    """

    def __init__(
        self, channel: socket.socket, wait: Callable[[int], Awaitable[object]], pid: int = 0
    ) -> None:
        channel.setblocking(False)
        self._socket = channel
        self._wait = wait
        self._helpers: set[int] = set()
        #: Known from the start, or told by the process itself as its first word.
        self.pid = pid
        self._births: dict[int, _Birth] = {}
        self._next_number = 0
        self.dead = False
        #: Which file has changed since the server loaded it, if any has: it only sees to the
        #: children that it has.
        self.stale = ""
        self.answer: Ready | Unprepared | None = None
        self.answered = anyio.Event()
        self.gone = anyio.Event()

    @property
    def usable(self) -> bool:
        """It is there, and as good as one that is started now."""
        return not (self.dead or self.stale)

    def dismiss(self) -> None:
        """Let it end: it does so when its socket closes."""
        if not self.dead:
            self.dead = True
            anyio.notify_closing(self._socket)
            self._socket.close()

    def kill(self) -> None:
        """End it, whatever it is doing."""
        if self.pid and not self.gone.is_set():
            supervise.signal_group(self.pid, signal.SIGKILL)

    async def fork(
        self, attempt: ProcessAttempt, action_file: str, environment: dict[str, str]
    ) -> bool:
        """Have a child forked; False if the server died over it.

        Raises:
            OSError: there are no descriptors left.
        """
        ends = attempt.open_pipes()
        number, birth = self._expect()
        if self._send(Fork(number, action_file, environment), ends):
            # Not to be left half-way: the child would run without anybody to stand beside it.
            with anyio.CancelScope(shield=True):
                with anyio.move_on_after(FORK_PATIENCE_S):
                    await birth.forked.wait()
                if not birth.forked.is_set():
                    self.kill()
                    await birth.forked.wait()
        if not birth.pid:
            self._forget(number)
            attempt.close()
            return False

        async def wait(pid: int) -> supervise.Ended:
            await birth.gone.wait()
            self._forget(number)
            return birth.ended or await supervise.wait(pid)

        attempt.began(birth.pid, *ends, wait=wait)
        return True

    def branch(self, steps: tuple[str, ...]) -> "Server":
        """Have another server forked, that does these steps.

        Raises:
            OSError: there are no descriptors left.
        """
        channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        number, birth = self._expect()
        with theirs:
            if not self._send(Branch(number, steps), [theirs.fileno()]):
                birth.gone.set()

        async def wait(pid: int) -> None:
            await birth.gone.wait()
            self._forget(number)
            if birth.ended is None and pid:
                await supervise.wait(pid)

        return Server(channel, wait)

    def _expect(self) -> tuple[int, _Birth]:
        self._next_number += 1
        birth = self._births[self._next_number] = _Birth()
        return self._next_number, birth

    def _forget(self, number: int) -> None:
        self._births.pop(number, None)
        if self.stale and not self._births:
            self.dismiss()

    def _send(self, message: Control, descriptors: Sequence[int]) -> bool:
        try:
            socket.send_fds(self._socket, [encode_control(message)], descriptors)
        except OSError:
            self.dismiss()
            return False
        return True

    async def listen(self, helpers: set[int]) -> None:
        """Take what the server says until it is gone; all that time its process is a helper."""
        self._helpers = helpers
        helpers.add(self.pid)
        with anyio.CancelScope(shield=True):
            try:
                while not self.dead:
                    await anyio.wait_readable(self._socket)
                    try:
                        data = self._socket.recv(MAX_CONTROL_BYTES)
                    except BlockingIOError:
                        continue
                    if not data:
                        break
                    self._take(data)
            except (OSError, anyio.ClosedResourceError):
                # Closed by us, or broken by its end.
                pass
            except ProtocolError:
                # Who is not to be believed can't be relied on to end by itself either.
                self.kill()
            self.dismiss()
            self.answered.set()
            for birth in list(self._births.values()):
                birth.forked.set()
            await self._wait(self.pid)
            # Children of a server that died are adopted, which comes after its descriptors were
            # closed; from here on their ends can be waited for as usual.
            for birth in list(self._births.values()):
                birth.gone.set()
            helpers.discard(self.pid)
            self.gone.set()

    def _take(self, data: bytes) -> None:
        match decode_control(data):
            case Forked(number=0, pid=pid):
                self.pid = pid
                self._helpers.add(pid)
            case Forked(number=number, pid=pid):
                birth = self._births[number]
                birth.pid = pid
                birth.forked.set()
            case Ended(number=number) as ended:
                birth = self._births[number]
                birth.ended = supervise.Ended.told(ended.status, ended.cpu_s, ended.peak_rss_bytes)
                birth.forked.set()
                birth.gone.set()
            case Stale(number=number, path=path):
                self.stale = path
                birth = self._births[number]
                birth.forked.set()
                birth.gone.set()
            case Ready() | Unprepared() as answer:
                self.answer = answer
                self.answered.set()
            case _:
                raise ProtocolError("the fork server said what only its client says")
