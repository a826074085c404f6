"""An executor without processes: its attempts follow a script, in whatever time there is.

A script is a list of steps: a message is told, a number lets so many seconds pass, ``Hang`` lets
them pass for good. Where the steps end, so does the process. What would end a real process ends
these: their time limit, being asked to stop, being killed, being distrusted.
"""

import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from signal import SIGKILL
from typing import Self

import anyio
import anyio.lowlevel
import msgspec

from iopio_async.errors import InfrastructureError, ProtocolError
from iopio_async.execution.ports import Gone, Placement
from iopio_async.model.action import SCHEMA_VERSION, Action
from iopio_async.model.outcome import BAD_OUTCOMES, ExitStatus, Outcome
from iopio_async.wire import messages as msg
from iopio_async.wire.codec import encode_message
from iopio_async.wire.frames import checksum

LEFT_WELL = Gone(exit_status=ExitStatus(code=0), duration_s=0.0)


class Hang:
    """Time passes until somebody ends the attempt."""


Step = msg.AnyMessage | float | Hang


@dataclass(frozen=True)
class Script:
    """What becomes of an attempt.

    ``ends`` is how its process ends if it is let. ``refused`` is why there is no process at all,
    ``breaks`` a bug that shows instead; ``spawn_s`` is how long it takes to have one, and
    ``heedless`` that it comes to be even where the executor was halted meanwhile. So many seconds
    after it was asked to stop (``stop_s``), the attempt is killed, unless it has ended by then.
    """

    steps: tuple[Step, ...] = ()
    ends: Gone = LEFT_WELL
    refused: str = ""
    breaks: str = ""
    spawn_s: float = 0.0
    heedless: bool = False
    stop_s: float = 0.0


def plan(
    ids: Sequence[str],
    *,
    deselected: int = 0,
    foreign: bool = False,
    elsewhere: Sequence[tuple[int, int]] = (),
    collectors: int = 0,
    owners: Sequence[int] = (),
) -> list[msg.AnyMessage]:
    """The opening of every stream: a greeting, then the plan."""
    return [
        msg.Hello(SCHEMA_VERSION, 1),
        msg.Plan(
            tuple(ids),
            last=True,
            deselected=deselected,
            foreign_collectors=foreign,
            elsewhere=tuple(elsewhere),
            collectors=collectors,
            owners=tuple(owners),
        ),
    ]


def end(messages: Iterable[Step], exit_code: int = 0, *, stopped_early: bool = False) -> msg.End:
    """The ``End`` that rounds off these messages."""
    told = [step for step in messages if isinstance(step, msg.Message)]
    digest = 0
    for message in told:
        digest = checksum(encode_message(message), digest)
    finished = sum(isinstance(message, msg.Finished) for message in told)
    return msg.End(finished, digest, exit_code, stopped_early)


def passes(
    tests: Mapping[str, Outcome], *, test_s: float = 1.0, foreign: bool = False
) -> tuple[Step, ...]:
    """The steps of an attempt in good order: each test takes ``test_s`` and ends as given."""
    steps: list[Step] = [*plan(list(tests), foreign=foreign)]
    for index, outcome in enumerate(tests.values()):
        steps += [msg.Started(index), test_s, msg.Finished(index, outcome, test_s)]
    code = int(any(outcome in BAD_OUTCOMES for outcome in tests.values())) if tests else 5
    return (*steps, end(steps, code))


class FakeAttempt:
    """An attempt that follows a script."""

    def __init__(self, script: Script, pid: int, timeout_s: float | None) -> None:
        self.pid = pid
        self._script = script
        self._began_s = anyio.current_time()
        self._deadline_s = float("inf") if timeout_s is None else self._began_s + timeout_s
        self._stop_s = float("inf")
        self._killed = False
        self._protocol_error = ""
        self._changed = anyio.Event()
        self._gone: Gone | None = None
        self._stream = self._follow_script()
        self.asked_to_stop = 0

    def messages(self) -> AsyncIterator[list[tuple[msg.AnyMessage, bytes]]]:
        return self._stream

    async def _follow_script(self) -> AsyncGenerator[list[tuple[msg.AnyMessage, bytes]], None]:
        ended: Gone | None = None
        for step in self._script.steps:
            if isinstance(step, msg.Message):
                await anyio.lowlevel.checkpoint()
                ended = self._ended()
                if ended is None:
                    yield [(step, encode_message(step))]
            else:
                ended = await self._pass(float("inf") if isinstance(step, Hang) else step)
            if ended is not None:
                break
        ended = ended or self._ended() or self._script.ends
        self._gone = msgspec.structs.replace(ended, duration_s=anyio.current_time() - self._began_s)

    async def close(self) -> None:
        await self._stream.aclose()

    async def _pass(self, seconds: float) -> Gone | None:
        """Let time pass; how the attempt was ended meanwhile, if it was."""
        until_s = anyio.current_time() + seconds
        while (ended := self._ended()) is None and anyio.current_time() < until_s:
            with anyio.CancelScope(deadline=min(until_s, self._deadline_s, self._stop_s)):
                await self._changed.wait()
                self._changed = anyio.Event()
        return ended

    def _ended(self) -> Gone | None:
        now_s = anyio.current_time()
        by_us = Gone(exit_status=ExitStatus(signal=SIGKILL), duration_s=0.0)
        if self._protocol_error:
            return msgspec.structs.replace(by_us, protocol_error=self._protocol_error)
        if now_s >= self._deadline_s:
            return msgspec.structs.replace(by_us, timed_out=True)
        if self._killed or now_s >= self._stop_s:
            return msgspec.structs.replace(by_us, stopped=self.asked_to_stop > 0)
        return None

    def private_file(self, name: str) -> bytes:
        return b""

    def distrust(self, error: ProtocolError) -> None:
        self._protocol_error = self._protocol_error or error.message
        self._changed.set()

    def stop(self) -> None:
        self.asked_to_stop += 1
        self._stop_s = min(self._stop_s, anyio.current_time() + self._script.stop_s)
        self._changed.set()

    def kill(self) -> None:
        self._killed = True
        self._changed.set()

    @property
    def gone(self) -> Gone:
        assert self._gone is not None, "gone was read before the stream's end"
        return self._gone


class FakeExecutor:
    """Starts scripted attempts; ``scripts`` gives the one for an action and its attempt."""

    def __init__(self, scripts: Callable[[Action, Placement], Script]) -> None:
        self._scripts = scripts
        self.started: list[tuple[str, int]] = []
        self.running: Counter[str] = Counter()
        self.most_running = 0
        self.actions: list[Action] = []
        self.placements: list[Placement] = []
        self.attempts: list[FakeAttempt] = []
        self.entered = self.left = 0
        self._halted = anyio.Event()

    async def __aenter__(self) -> Self:
        self.entered += 1
        return self

    async def __aexit__(self, *details: object) -> None:
        self.left += 1

    @contextlib.asynccontextmanager
    async def start(self, action: Action, placement: Placement) -> AsyncIterator[FakeAttempt]:
        script = self._scripts(action, placement)
        self.running[action.path] += 1
        self.most_running = max(self.most_running, self.running.total())
        try:
            with anyio.move_on_after(script.spawn_s):
                await self._halted.wait()
                if not script.heedless:
                    raise InfrastructureError("nothing is started any more")
                await anyio.sleep_forever()
            if script.refused:
                raise InfrastructureError(script.refused)
            if script.breaks:
                raise RuntimeError(script.breaks)
            self.started.append((action.path, placement.attempt))
            self.actions.append(action)
            self.placements.append(placement)
            pid = 1000 + len(self.started)
            attempt = FakeAttempt(script, pid, placement.timeout_s)
            self.attempts.append(attempt)
            try:
                yield attempt
            finally:
                await attempt.close()
        finally:
            self.running[action.path] -= 1

    @property
    def doubts(self) -> list[str]:
        return []

    def halt(self) -> None:
        self._halted.set()

    def suspend(self) -> None:
        raise NotImplementedError

    def resume(self) -> None:
        raise NotImplementedError
