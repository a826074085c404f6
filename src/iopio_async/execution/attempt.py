"""A running attempt: its pipes, its clock, and its end.

An attempt owns three pipes (result, standard output, standard error), a process in a session of its
own, and a private directory. The consumer of :meth:`ProcessAttempt.messages` reads the result pipe
itself, so a slow consumer slows the tests down rather than filling memory. Beside it stand small
tasks that drain the outputs, watch the clock, and wait for the end.

Ending: the stacks where the time was up, SIGTERM (SIGINT on an interrupt, so that fixtures are torn
down), the grace period, SIGKILL of the group and of all descendants that left it.
"""

import contextlib
import fcntl
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import anyio

from iopio_async.errors import ProtocolError
from iopio_async.execution import supervise
from iopio_async.execution.output import OutputKeeper
from iopio_async.execution.ports import Gone
from iopio_async.wire.codec import decode_message
from iopio_async.wire.contract import STACKS_FILE, STACKS_SIGNAL
from iopio_async.wire.frames import FrameSplitter
from iopio_async.wire.messages import AnyMessage, End

#: How much a result pipe may hold, where the system allows it: a burst does not stop the tests.
RESULT_PIPE_BYTES = 1024 * 1024

#: How long a worker gets to write its stacks before it is ended.
STACKS_WAIT_S = 0.5

#: How much of the stacks is kept.
STACKS_BYTES = 256 * 1024

#: How often to look whether what a process left behind is gone.
REMAINS_POLL_S = 0.005

READ_BYTES = 256 * 1024

#: How long messages may gather before they are passed on.
GATHER_S = 0.02

#: Waits for the end of a process.
Wait = Callable[[int], Awaitable[supervise.Ended]]


@dataclass(frozen=True, kw_only=True)
class AttemptSettings:
    """What all attempts of a run share. Times in seconds."""

    grace_s: float = 10.0
    leak_timeout_s: float = 0.2
    output_bytes: int = 64 * 1024


class ProcessAttempt:
    """A process that runs one action, however it was started.

    ``directory`` is its private one, ``cookie`` what all that it starts carries in its environment.
    """

    def __init__(self, settings: AttemptSettings, directory: str, cookie: str) -> None:
        self._settings = settings
        self.directory = directory
        self.cookie = cookie
        self.pid = 0
        self._wait: Wait = supervise.wait
        self._descriptors: set[int] = set()
        self._result = -1
        self._outputs: dict[int, OutputKeeper] = {}
        self._stdout = OutputKeeper(settings.output_bytes)
        self._stderr = OutputKeeper(settings.output_bytes)
        self._splitter = FrameSplitter()
        self._ended: supervise.Ended | None = None
        self._exited = anyio.Event()
        self._drained = anyio.Event()
        self._done = anyio.Event()
        self._stop_wanted = anyio.Event()
        self._open_outputs = 2
        self._stop_signal = signal.SIGTERM
        self._reading: anyio.CancelScope | None = None
        self._listening = True
        self._heard: list[tuple[AnyMessage, bytes]] = []
        self._protocol_error = ""
        self._timed_out = False
        self._lingered = False
        self._leaked: list[str] = []
        self._stacks = ""
        self._started_s = 0.0
        self._ended_s = 0.0
        self._deadline_s = float("inf")
        self._suspended_at_s: float | None = None
        self._end_seen = False

    # -- start ---------------------------------------------------------------------------------

    def open_pipes(self) -> tuple[int, int, int]:
        """Open the three pipes; the ends for the process: result, standard output and error.

        Raises:
            OSError: there are no descriptors left.
        """
        result, result_end = self._pipe()
        stdout, stdout_end = self._pipe()
        stderr, stderr_end = self._pipe()
        with contextlib.suppress(OSError, AttributeError):
            fcntl.fcntl(result, fcntl.F_SETPIPE_SZ, RESULT_PIPE_BYTES)
        self._result = result
        self._outputs = {stdout: self._stdout, stderr: self._stderr}
        return result_end, stdout_end, stderr_end

    def began(self, pid: int, *process_ends: int, wait: Wait = supervise.wait) -> None:
        """The process is there and has its ends of the pipes; ``wait`` waits for its end."""
        self.pid = pid
        self._wait = wait
        self._started_s = anyio.current_time()
        for descriptor in process_ends:
            self._close(descriptor)

    def _pipe(self) -> tuple[int, int]:
        read_end, write_end = os.pipe()
        self._descriptors |= {read_end, write_end}
        os.set_blocking(read_end, False)
        return read_end, write_end

    def _close(self, descriptor: int) -> None:
        if descriptor in self._descriptors:
            self._descriptors.discard(descriptor)
            os.close(descriptor)

    def close(self) -> None:
        """Give back all descriptors."""
        for descriptor in list(self._descriptors):
            self._close(descriptor)

    # -- the stream ----------------------------------------------------------------------------

    async def messages(self) -> AsyncIterator[list[tuple[AnyMessage, bytes]]]:
        """Batches of messages, until the process is gone."""
        while self._listening:
            if not self._exited.is_set():
                with anyio.CancelScope() as self._reading:
                    await anyio.wait_readable(self._result)
                self._reading = None
            if self._listening and not self._hear() and self._exited.is_set():
                break
            if self._heard:
                yield self._take_heard()
                # Letting some more arrive costs a moment of latency, and spares a wake-up a test.
                with anyio.move_on_after(GATHER_S):
                    await self._exited.wait()
        await self._done.wait()
        if self._heard:
            yield self._take_heard()
        if self._splitter.pending_bytes and not self._protocol_error and self._left_by_itself:
            self._protocol_error = "the worker's stream was cut in the middle of a message"

    def _hear(self) -> bool:
        """Take some of what the pipe holds; False where it holds nothing now."""
        try:
            data = os.read(self._result, READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._listening = False
            return False
        try:
            for body in self._splitter.feed(data):
                message = decode_message(body)
                self._heard.append((message, body))
                if type(message) is End:
                    self._end_came()
        except ProtocolError as error:
            self.distrust(error)
        return True

    def _hear_last(self) -> None:
        """Take what the pipe holds, and nothing that comes later."""
        for _ in range(2 * RESULT_PIPE_BYTES // READ_BYTES):
            if not (self._listening and self._hear()):
                break
        self._listening = False
        if self._reading is not None:
            self._reading.cancel()

    def _take_heard(self) -> list[tuple[AnyMessage, bytes]]:
        heard, self._heard = self._heard, []
        return heard

    @property
    def _left_by_itself(self) -> bool:
        """Nobody ended it: whoever is killed may be in the middle of a message."""
        ended = self._ended
        return ended is not None and ended.exit_status.ok and not self._stop_wanted.is_set()

    def private_file(self, name: str) -> bytes:
        """What the attempt left in a file of its private directory; empty where it left none."""
        try:
            with open(os.path.join(self.directory, name), "rb") as file:
                return file.read()
        except OSError:
            return b""

    def distrust(self, error: ProtocolError) -> None:
        """Give up on the attempt: its stream is not what a worker writes."""
        self._protocol_error = self._protocol_error or error.message
        self._listening = False
        self.kill()

    def _end_came(self) -> None:
        """The tests are over: what is left is to leave, within the grace period."""
        self._end_seen = True
        self._deadline_s = anyio.current_time() + self._settings.grace_s

    # -- tasks ---------------------------------------------------------------------------------

    async def supervise(
        self, timeout_s: float | None, strays_of: Callable[["ProcessAttempt"], list[int]]
    ) -> None:
        """Stand beside the process until it, and all that it left behind, is gone."""
        if timeout_s is not None:
            self._deadline_s = self._started_s + timeout_s
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                for descriptor, keeper in self._outputs.items():
                    tasks.start_soon(self._drain, descriptor, keeper)
                tasks.start_soon(self._watch_clock)
                tasks.start_soon(self._stop_when_wanted)
                self._ended = await self._wait(self.pid)
                self._ended_s = anyio.current_time()
                self._exited.set()
                if self._reading is not None:
                    self._reading.cancel()
                await self._end_remains(strays_of)
                tasks.cancel_scope.cancel()
            self._done.set()

    async def _end_remains(self, strays_of: Callable[["ProcessAttempt"], list[int]]) -> None:
        """Give what the process left behind a moment to end by itself, then end it."""
        patience_s = self._ended_s + self._settings.leak_timeout_s
        while True:
            supervise.reap_group(self.pid)
            strays = strays_of(self)
            members = supervise.group_members(self.pid)
            if not (strays or members or self._open_outputs):
                return
            if anyio.current_time() >= patience_s:
                break
            await anyio.sleep(REMAINS_POLL_S)
        self._leaked.extend(supervise.describe(pid) for pid in strays)
        if not strays:
            self._leaked.append(
                f"processes of group {self.pid}" if members else "its output, held open"
            )
        supervise.signal_group(self.pid, signal.SIGKILL)
        # What was below a process that is killed here is orphaned, and found, only then.
        while strays:
            for pid in strays:
                supervise.kill_and_reap(pid)
            strays = strays_of(self)
        supervise.reap_group(self.pid)
        with anyio.move_on_after(self._settings.leak_timeout_s):
            await self._drained.wait()

    async def _drain(self, descriptor: int, keeper: OutputKeeper) -> None:
        while True:
            await anyio.wait_readable(descriptor)
            try:
                data = os.read(descriptor, READ_BYTES)
            except BlockingIOError:
                continue
            if not data:
                keeper.cut = supervise.has_descriptors(self.pid)
                self._open_outputs -= 1
                if not self._open_outputs:
                    self._drained.set()
                return
            keeper.feed(data)

    async def _watch_clock(self) -> None:
        while await self._time_is_up():
            if self._end_seen:
                self._lingered = True
                break
            # What was told in time counts, even where nobody had the time to listen.
            self._hear_last()
            if not self._end_seen:
                self._timed_out = True
                break
        else:
            return
        await self._take_stacks()
        self._stop_wanted.set()

    async def _time_is_up(self) -> bool:
        """Wait for the deadline, wherever it moves; False if the process ends before."""
        # Wakes up now and then, since a suspension or the stream's end move the deadline.
        while self._suspended_at_s is not None or anyio.current_time() < self._deadline_s:
            left_s = max(self._deadline_s - anyio.current_time(), 0.01)
            with anyio.move_on_after(min(left_s, 1.0)):
                await self._exited.wait()
                return False
        return True

    async def _take_stacks(self) -> None:
        """Ask for all threads' stacks; a process that can't answer has none."""
        if supervise.is_stopped(self.pid):
            # To answer it would have to go on, and its tests with it, though their time is up.
            return
        file = os.path.join(self.directory, STACKS_FILE)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, STACKS_SIGNAL)
        size = -1
        with anyio.move_on_after(STACKS_WAIT_S):
            while not self._exited.is_set():
                with anyio.move_on_after(4 * REMAINS_POLL_S):
                    await self._exited.wait()
                now = os.stat(file).st_size if os.path.exists(file) else 0  # noqa: ASYNC240 - tiny
                if now and now == size:
                    break
                size = now
        with contextlib.suppress(OSError), open(file, "rb") as stream:  # noqa: ASYNC230 - tiny
            self._stacks = stream.read(STACKS_BYTES).decode("utf-8", "backslashreplace")

    async def _stop_when_wanted(self) -> None:
        await self._stop_wanted.wait()
        supervise.signal_group(self.pid, self._stop_signal)
        supervise.signal_group(self.pid, signal.SIGCONT)
        grace_s = 0.0 if self._lingered else self._settings.grace_s
        with anyio.move_on_after(grace_s):
            await self._exited.wait()
            return
        self.kill()

    # -- ending --------------------------------------------------------------------------------

    def stop(self) -> None:
        """Ask it to end: SIGINT, so that fixtures are torn down, then SIGKILL after the grace."""
        if not self._stop_wanted.is_set():
            self._stop_signal = signal.SIGINT
            self._stop_wanted.set()

    def kill(self) -> None:
        """End the process group now."""
        if self._ended is None and self.pid:
            supervise.signal_group(self.pid, signal.SIGKILL)

    def suspend(self) -> None:
        """Stop the group and its clock."""
        self._suspended_at_s = anyio.current_time()
        supervise.signal_group(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let the group and its clock go on."""
        if self._suspended_at_s is not None:
            self._deadline_s += anyio.current_time() - self._suspended_at_s
            self._suspended_at_s = None
            supervise.signal_group(self.pid, signal.SIGCONT)

    @property
    def gone(self) -> Gone:
        """How it ended; only once ``messages`` is exhausted."""
        assert self._ended is not None, "gone is read after the stream's end"
        return Gone(
            exit_status=self._ended.exit_status,
            duration_s=self._ended_s - self._started_s,
            timed_out=self._timed_out,
            stopped=self._stop_wanted.is_set() and not self._timed_out and not self._lingered,
            lingered=self._lingered,
            leaked=tuple(self._leaked),
            protocol_error=self._protocol_error,
            stacks=self._stacks,
            stdout=self._stdout.captured(),
            stderr=self._stderr.captured(),
            cpu_s=self._ended.cpu_s,
            peak_rss_bytes=self._ended.peak_rss_bytes,
        )
