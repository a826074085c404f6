"""The forkserver start method: a warm process that forks a child for each attempt.

One *service* looks after the attempts of one framework and environment. Its server is started with
the first of them and goes as far as the framework's start can be shared: to the started *session*,
or, where that start had effects that belong to one process alone, to its loaded *plugins*.
Where not even that works, attempts are spawned. A server that dies is started again, and takes
nothing with it: its children are adopted by the orchestrator and waited for. So is a server that
finds, when it is to fork, that a file of the project has changed since it loaded it.
"""

import os
import socket
from dataclasses import dataclass

import anyio
import anyio.abc

from iopio_async.execution import supervise
from iopio_async.execution.attempt import ProcessAttempt
from iopio_async.execution.executor import ExecutorSettings
from iopio_async.execution.ports import Placement
from iopio_async.execution.server import Server
from iopio_async.execution.subprocess import SpawnExecutor
from iopio_async.model.action import Action
from iopio_async.model.module import Framework
from iopio_async.wire.control import Ready

#: How far a server goes before it forks, the furthest first.
LEVELS = ("session", "plugins")

#: What is done ahead, stage by stage.
Stages = tuple[tuple[str, ...], ...]

#: How long a server that was let go may take to end.
PATIENCE_S = 1.0

#: How often the first server of a service is started over a whole run, and its branches again.
STARTS = 5

#: How much of what a server complained of is told.
COMPLAINT_CHARS = 300

#: How often servers of one service are rebuilt since files have changed, over a whole run.
REBUILDS = 8


class ForkserverExecutor(SpawnExecutor):
    """Forks attempts from warm servers, and spawns those that can't be.

    ``doubts`` tell why servers went less far than they might have.
    """

    def __init__(self, run_id: str, settings: ExecutorSettings) -> None:
        super().__init__(run_id, settings)
        self._services: dict[object, _Service] = {}
        self._servers = 0

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

    def next_server(self) -> int:
        """The number of the next server: all services' servers have folders of their own."""
        self._servers += 1
        return self._servers

    def _server_directory(self, number: int) -> str:
        return os.path.join(self.directory, f"server-{number}")

    def server_complaint(self, number: int) -> str:
        """The last line that a server wrote to its standard error, after a colon; or nothing."""
        try:
            with open(os.path.join(self._server_directory(number), "stderr"), "rb") as file:
                text = file.read().decode("utf-8", "backslashreplace")
        except OSError:
            return ""
        last = text.strip().rpartition("\n")[2]
        return f": {last[:COMPLAINT_CHARS]}" if last else ""

    def start_server(
        self, level: str, number: int, template: Action, placement: Placement, control: int
    ) -> int:
        """Start a server's process; its id.

        Raises:
            OSError: the system refuses.
        """
        directory = self._server_directory(number)
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


@dataclass
class _Allowance:
    """How often servers may still be started, in a run that does not seem to get anywhere."""

    starts: int = STARTS
    rebuilds: int = REBUILDS

    def take(self, former: Server | None) -> bool:
        """Take a start in the place of ``former``; False where there is none left."""
        if former is not None and former.stale:
            self.rebuilds -= 1
            return self.rebuilds >= 0
        self.starts -= 1
        return self.starts >= 0


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
        self._roots, self._regrown = _Allowance(), _Allowance()
        self._root: Server | None = None
        #: What is done ahead → the server; ``None`` where it can't be shared.
        self._branches: dict[Stages, Server | None] = {}
        self._all: list[Server] = []
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

    async def _server(self, stages: Stages) -> Server | None:
        async with self._starting:
            while self._root is None or not self._root.usable:
                self._executor.check_not_halted()
                if not self._levels or not self._roots.take(self._root):
                    return None
                self._branches.clear()
                self._root = await self._start(self._levels[0])
                if self._root is None:
                    self._levels.pop(0)
            if self._levels[0] != LEVELS[0]:
                # What a test module imports, it imports after the conftests have been loaded.
                return self._root
            return await self._branch(stages, self._root)

    async def _branch(self, stages: Stages, root: Server) -> Server:
        """The server that has done just these stages, or as many of them as may be shared."""
        trunk = root
        for done in range(1, len(stages) + 1):
            way = stages[:done]
            branch = self._branches.get(way)
            if way not in self._branches or (branch is not None and not branch.usable):
                if branch is not None and not self._regrown.take(branch):
                    break
                branch = await self._awaited(trunk.branch(stages[done - 1]))
                if branch is None and not trunk.usable:
                    # That is no word on these steps.
                    break
                self._branches[way] = branch
            if branch is None:
                break
            trunk = branch
        return trunk

    async def _start(self, level: str) -> Server | None:
        """A server that is ready, or ``None`` where this level can't be had."""
        number = self._executor.next_server()
        channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                pid = self._executor.start_server(
                    level, number, self._template, self._placement, theirs.fileno()
                )
            except OSError:
                channel.close()
                raise
        started = Server(channel, supervise.wait, pid)
        server = await self._awaited(started)
        match started.answer:
            case Ready(early=early) if early and level == LEVELS[0]:
                self._levels.remove(level)
                self._doubt(early)
            case None:
                complaint = self._executor.server_complaint(number)
                self._doubt(f"the fork server ended before it was ready{complaint}")
            case _:
                pass
        return server

    async def _awaited(self, server: Server) -> Server | None:
        """The server once it is ready, or ``None`` where it had better not be used."""
        self._all.append(server)
        self._executor.tasks.start_soon(self._stand_beside, server)
        # What makes a server hang makes a module hang: there it is met, and told, within its time.
        with anyio.move_on_after(self._placement.timeout_s):
            await server.answered.wait()
        if not server.answered.is_set():
            server.kill()
            await server.answered.wait()
        if isinstance(server.answer, Ready) and not server.answer.doubts:
            return server
        if isinstance(server.answer, Ready):
            self._doubt(*server.answer.doubts)
        server.dismiss()
        return None

    async def _stand_beside(self, server: Server) -> None:
        """Listen to a server until it is gone."""
        await server.listen(self._executor.helpers)
        self._all.remove(server)

    def _doubt(self, *doubts: str) -> None:
        self.doubts.extend(doubt for doubt in doubts if doubt not in self.doubts)

    def halt(self) -> None:
        """Give up the servers that are not ready yet."""
        for server in self._all:
            if not server.answered.is_set():
                server.kill()

    async def close(self) -> None:
        """Let all servers go, the last started first: each is then waited for by its parent."""
        for server in list(reversed(self._all)):
            server.dismiss()
            with anyio.move_on_after(PATIENCE_S):
                await server.gone.wait()
            if not server.gone.is_set():
                server.kill()
                await server.gone.wait()
