"""The forkserver start method: a warm process that forks a child for each attempt.

One *service* looks after the attempts of one framework and environment. Its server is started with
the first of them and goes as far as the framework's start can be shared: to the started *session*,
or, where that start had effects that belong to one process alone, to its loaded *plugins*.
Where not even that works, attempts are spawned. A server that dies is started again, and takes
nothing with it: its children are adopted by the orchestrator and waited for.
"""

import functools
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import anyio
import anyio.abc

from iopio_async.errors import ProtocolError
from iopio_async.execution import supervise
from iopio_async.execution.attempt import ProcessAttempt
from iopio_async.execution.executor import ExecutorSettings
from iopio_async.execution.ports import Placement
from iopio_async.execution.subprocess import SpawnExecutor
from iopio_async.model.action import Action
from iopio_async.model.module import Framework
from iopio_async.wire.control import (
    MAX_CONTROL_BYTES,
    Branch,
    Control,
    Ended,
    Fork,
    Forked,
    Ready,
    Unprepared,
    decode_control,
    encode_control,
)

#: How far a server goes before it forks, the furthest first.
LEVELS = ("session", "plugins")

#: What is done ahead, stage by stage.
Stages = tuple[tuple[str, ...], ...]

#: How long a server that was let go may take to end.
PATIENCE_S = 1.0

#: How often the servers of one service are started, over a whole run.
STARTS = 5


class ForkserverExecutor(SpawnExecutor):
    """Forks attempts from warm servers, and spawns those that can't be.

    ``doubts`` tell why servers went less far than they might have.
    """

    def __init__(self, run_id: str, settings: ExecutorSettings) -> None:
        super().__init__(run_id, settings)
        self._services: dict[object, _Service] = {}

    async def __aexit__(self, *details: object) -> None:
        with anyio.CancelScope(shield=True):
            for service in self._services.values():
                await service.close()
        await super().__aexit__(*details)

    @property
    def doubts(self) -> list[str]:
        """Why servers went less far than they might have, in words."""
        return [doubt for service in self._services.values() for doubt in service.doubts]

    def halt(self) -> None:
        """Start nothing more: servers that are not ready yet are given up."""
        super().halt()
        for service in self._services.values():
            service.halt()

    async def _launch(self, attempt: ProcessAttempt, action: Action, placement: Placement) -> None:
        key = (action.framework, action.arguments, tuple(sorted(placement.env.items())))
        service = self._services.get(key)
        if service is None:
            service = self._services[key] = _Service(self, action, placement)
        if not await service.launch(attempt, action, placement):
            await super()._launch(attempt, action, placement)

    def start_server(
        self, level: str, number: int, template: Action, placement: Placement, control: int
    ) -> int:
        """Start a server's process; its id.

        Raises:
            OSError: the system refuses.
        """
        directory = os.path.join(self.directory, f"server-{number}")
        action_file = self.write_action(directory, template)
        variables = self.own_environment(directory, self.cookie(0), placement)
        # Another one for each child: whoever reads it too early shall not find a wrong one.
        del variables["IOPIO_SLOT"]
        with (
            open(os.path.join(directory, "stdout"), "ab") as stdout,
            open(os.path.join(directory, "stderr"), "ab") as stderr,
        ):
            return self.start_worker(
                ("--serve", level, action_file, str(control), str(self.lifeline)),
                (control,),
                stdout=stdout,
                stderr=stderr,
                cwd=template.invocation_dir,
                env={**self.shared_environment(placement), **variables},
            )


class _Service:
    """The servers of one framework and environment, each started when it is first needed.

    The first one is at the root of a tree; the others have imported more ahead, each of them forked
    from the one that has the longest part of that already.
    """

    def __init__(
        self, executor: ForkserverExecutor, template: Action, placement: Placement
    ) -> None:
        self._executor = executor
        self._template = template
        self._placement = placement
        self._levels = list(LEVELS if template.framework is Framework.PYTEST else LEVELS[1:])
        self._starts = 0
        self._root: _Server | None = None
        #: What is done ahead → the server; ``None`` where it can't be shared.
        self._branches: dict[Stages, _Server | None] = {}
        self._all: list[_Server] = []
        self._starting = anyio.Lock()
        self.doubts: list[str] = []

    async def launch(self, attempt: ProcessAttempt, action: Action, placement: Placement) -> bool:
        """Have a child forked for the attempt; False where it has to be spawned.

        Raises:
            OSError: the system refuses.
        """
        while (server := await self._server(placement.preload)) is not None:
            action_file = self._executor.write_action(attempt.directory, action)
            environment = self._executor.own_environment(
                attempt.directory, attempt.cookie, placement
            )
            if await server.fork(attempt, action_file, environment):
                return True
        return False

    async def _server(self, stages: Stages) -> "_Server | None":
        async with self._starting:
            while self._root is None or self._root.dead:
                self._executor.check_not_halted()
                if not self._levels or self._starts >= STARTS:
                    return None
                self._starts += 1
                self._root = await self._start(self._levels[0])
                if self._root is None:
                    self._levels.pop(0)
            return await self._branch(stages, self._root)

    async def _branch(self, stages: Stages, root: "_Server") -> "_Server":
        """The server that has done just these stages, or as many of them as may be shared."""
        trunk = root
        for done in range(1, len(stages) + 1):
            way = stages[:done]
            if way not in self._branches:
                channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                with theirs:
                    wait = trunk.branch(stages[done - 1], theirs.fileno())
                self._branches[way] = await self._awaited(_Server(channel, wait))
            branch = self._branches[way]
            if branch is None or branch.dead:
                break
            trunk = branch
        return trunk

    async def _start(self, level: str) -> "_Server | None":
        """A server that is ready, or ``None`` where this level can't be had."""
        channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                pid = self._executor.start_server(
                    level, self._starts, self._template, self._placement, theirs.fileno()
                )
            except OSError:
                channel.close()
                raise
        return await self._awaited(_Server(channel, functools.partial(supervise.wait, pid), pid))

    async def _awaited(self, server: "_Server") -> "_Server | None":
        """The server once it is ready, or ``None`` where it had better not be used."""
        self._all.append(server)
        self._executor.tasks.start_soon(server.listen)
        # What makes a server hang makes a module hang: there it is met, and told, within its time.
        with anyio.move_on_after(self._placement.timeout_s):
            await server.answered.wait()
        if not server.answered.is_set():
            server.kill()
            await server.answered.wait()
        if isinstance(server.answer, Ready):
            self._executor.helpers.add(server.answer.pid)
            if not server.answer.doubts:
                return server
            self.doubts.extend(server.answer.doubts)
        server.dismiss()
        return None

    def halt(self) -> None:
        """Give up the servers that are not ready yet."""
        for server in self._all:
            if not server.answered.is_set():
                server.kill()

    async def close(self) -> None:
        """Let all servers go, the last started first: each is then waited for by its parent."""
        for server in reversed(self._all):
            server.dismiss()
            with anyio.move_on_after(PATIENCE_S):
                await server.gone.wait()
            if not server.gone.is_set():
                server.kill()
                await server.gone.wait()


@dataclass(eq=False)
class _Birth:
    """A child that was asked for, and what is known of it."""

    forked: anyio.Event = field(default_factory=anyio.Event)
    gone: anyio.Event = field(default_factory=anyio.Event)
    pid: int = 0
    ended: supervise.Ended | None = None


class _Server:
    """One server's process and the socket to it; ``wait`` waits for the end of the process."""

    def __init__(
        self, channel: socket.socket, wait: Callable[[], Awaitable[object]], pid: int = 0
    ) -> None:
        channel.setblocking(False)
        self._socket = channel
        self._wait = wait
        #: Known from the start, or told by the process itself as its first word.
        self._pid = pid
        self._births: dict[int, _Birth] = {}
        self._next_number = 0
        self.dead = False
        self.answer: Ready | Unprepared | None = None
        self.answered = anyio.Event()
        self.gone = anyio.Event()

    def dismiss(self) -> None:
        """Let it end: it does so when its socket closes."""
        if not self.dead:
            self.dead = True
            anyio.notify_closing(self._socket)
            self._socket.close()

    def kill(self) -> None:
        """End it, whatever it is doing."""
        if self._pid and not self.gone.is_set():
            supervise.signal_group(self._pid, signal.SIGKILL)

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
                await birth.forked.wait()
        if not birth.pid:
            self._births.pop(number, None)
            attempt.close()
            return False

        async def wait(pid: int) -> supervise.Ended:
            await birth.gone.wait()
            self._births.pop(number, None)
            return birth.ended or await supervise.wait(pid)

        attempt.began(birth.pid, *ends, wait=wait)
        return True

    def branch(self, steps: tuple[str, ...], control: int) -> Callable[[], Awaitable[object]]:
        """Have another server forked, that does these steps; what waits for its end."""
        number, birth = self._expect()
        if not self._send(Branch(number, steps), [control]):
            birth.gone.set()
        return birth.gone.wait

    def _expect(self) -> tuple[int, _Birth]:
        self._next_number += 1
        birth = self._births[self._next_number] = _Birth()
        return self._next_number, birth

    def _send(self, message: Control, descriptors: Sequence[int]) -> bool:
        try:
            socket.send_fds(self._socket, [encode_control(message)], descriptors)
        except OSError:
            self.dismiss()
            return False
        return True

    async def listen(self) -> None:
        """Take what the server says until it is gone."""
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
            except (OSError, ProtocolError, anyio.ClosedResourceError):
                # Closed by us, or not to be believed: either way it ends here.
                self.dead = True
            self.dismiss()
            self.answered.set()
            # Children of a server that died are adopted; their ends can be waited for as usual.
            for birth in list(self._births.values()):
                birth.forked.set()
                birth.gone.set()
            await self._wait()
            self.gone.set()

    def _take(self, data: bytes) -> None:
        match decode_control(data):
            case Forked(number=0, pid=pid):
                self._pid = pid
            case Forked(number=number, pid=pid):
                birth = self._births[number]
                birth.pid = pid
                birth.forked.set()
            case Ended(number=number) as ended:
                birth = self._births[number]
                birth.ended = supervise.Ended.told(ended.status, ended.cpu_s, ended.peak_rss_bytes)
                birth.forked.set()
                birth.gone.set()
            case Ready() | Unprepared() as answer:
                self.answer = answer
                self.answered.set()
            case _:
                raise ProtocolError("the fork server said what only its client says")
