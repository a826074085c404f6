"""What all executors of processes have in common; how a process comes about is left open.

Attempts of a run share a private directory with one folder each, the lifeline pipe whose end tells
workers that the orchestrator is gone, and the guard process that waits for the same end.
"""

import abc
import contextlib
import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import anyio
import anyio.abc
import anyio.to_thread
import msgspec

from iopio_async.errors import InfrastructureError
from iopio_async.execution import guard, supervise
from iopio_async.execution.attempt import AttemptSettings, ProcessAttempt
from iopio_async.execution.ports import Placement
from iopio_async.model.action import Action
from iopio_async.wire.codec import encode_action
from iopio_async.wire.contract import TRACE_FILE

#: Errors of process creation that may pass: too many processes, descriptors, too little memory, or
#: no room in the temporary directory while a module that filled it is being tidied away.
PASSING_ERRORS = frozenset(
    {errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT}
)

#: Waits between attempts to create a process after such an error.
LAUNCH_DELAYS_S = (0.05, 0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True, kw_only=True)
class ExecutorSettings(AttemptSettings):
    """What all processes of a run share.

    ``owns_children`` is true where every child of this process belongs to the run, as it does in
    the command.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    interpreter: tuple[str, ...] = (sys.executable,)
    owns_children: bool = False
    #: Called with each attempt's action and private directory, just before that is removed.
    keep: Callable[[Action, str], None] = lambda _action, _directory: None


class ProcessExecutor(abc.ABC):
    """Runs each attempt in a process. One for a run, as an async context manager."""

    def __init__(self, run_id: str, settings: ExecutorSettings) -> None:
        self._run_id = run_id
        self._settings = settings
        self._stack = contextlib.AsyncExitStack()
        self.directory = ""
        self.lifeline = -1
        #: Processes that stand beside the attempts: the guard, fork servers.
        self.helpers: set[int] = set()
        self._running: set[ProcessAttempt] = set()
        #: Several attempts have run at once since the last time that none did.
        self._overlapped = False
        self._count = 0
        self._halted = False
        self.tasks: anyio.abc.TaskGroup

    async def __aenter__(self) -> Self:
        stack = self._stack
        try:
            stack.enter_context(supervise.child_statuses_kept())
            stack.enter_context(supervise.subreaper())
            self.directory = tempfile.mkdtemp(prefix="iopio-")
            stack.callback(guard.remove, self.directory)
            self._start_guard()
            stack.callback(self._sweep)
            self.tasks = await stack.enter_async_context(anyio.create_task_group())
        except OSError as error:
            await stack.aclose()
            raise InfrastructureError(
                f"the run can't be set up: {error}",
                hint=f"is there room in {tempfile.gettempdir()}, and may one write there?",
            ) from error
        return self

    async def __aexit__(self, *details: object) -> None:
        # Tidying goes on to its end even where the run is cancelled from outside.
        self.tasks.cancel_scope.shield = True
        await self._stack.aclose()

    def _start_guard(self) -> None:
        read_end, write_end = os.pipe()
        self.lifeline = read_end
        self._stack.callback(os.close, read_end)
        lifeline = self._stack.enter_context(os.fdopen(write_end, "wb", 0))
        arguments = (str(read_end), self._run_id, self.directory)
        # Inside of another run, that run's guard must not take this one for a process to kill.
        own = {name: text for name, text in os.environ.items() if not name.startswith("IOPIO_")}
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(read_end,),
            start_new_session=True,
            cwd="/",
            env=own,
        )
        self.helpers.add(process.pid)

        def dismiss() -> None:
            lifeline.close()
            process.wait()

        self._stack.callback(dismiss)

    @contextlib.asynccontextmanager
    async def start(self, action: Action, placement: Placement) -> AsyncIterator[ProcessAttempt]:
        """Run ``action`` in a process of its own.

        Raises:
            InfrastructureError: no process could be created, several times.
        """
        self._count += 1
        directory = os.path.join(self.directory, str(self._count))
        attempt = ProcessAttempt(self._settings, directory, self.cookie(self._count))
        try:
            await self._launch_patiently(attempt, action, placement)
            self._overlapped |= bool(self._running)
            self._running.add(attempt)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(attempt.supervise, placement.timeout_s, self._strays_of)
                try:
                    yield attempt
                finally:
                    # The supervision shields itself: it ends when the process has.
                    attempt.kill()
        finally:
            self._running.discard(attempt)
            attempt.close()
            self._settings.keep(action, directory)
            if not self._running:
                self._sweep()
            self.tasks.start_soon(_remove_in_thread, directory)

    async def _launch_patiently(
        self, attempt: ProcessAttempt, action: Action, placement: Placement
    ) -> None:
        for delay_s in (*LAUNCH_DELAYS_S, None):
            self.check_not_halted()
            try:
                await self._launch(attempt, action, placement)
            except OSError as error:
                attempt.close()
                if error.errno not in PASSING_ERRORS or delay_s is None:
                    raise InfrastructureError(
                        f"no process could be started for {action.path}: {error}",
                        hint="check the limits on processes, descriptors and memory",
                    ) from error
                await anyio.sleep(delay_s)
            else:
                return

    @abc.abstractmethod
    async def _launch(self, attempt: ProcessAttempt, action: Action, placement: Placement) -> None:
        """Bring about the attempt's process, and tell the attempt that it began.

        Raises:
            OSError: the system refuses.
        """

    def start_worker(
        self, arguments: Sequence[str], descriptors: Sequence[int], **options: Any
    ) -> int:
        """Start an interpreter that runs the worker, in a session of its own; its process id.

        ``descriptors`` are inherited, the lifeline besides. ``options`` are as for ``Popen``.

        Raises:
            OSError: the system refuses.
        """
        process = subprocess.Popen(
            [*self._settings.interpreter, "-P", "-m", "iopio_async.worker", *arguments],
            stdin=subprocess.DEVNULL,
            pass_fds=(*descriptors, self.lifeline),
            start_new_session=True,
            **options,
        )
        # The status is taken by wait4, with the usage; Popen must not look for it as well.
        process.returncode = 0
        return process.pid

    def write_action(self, directory: str, action: Action) -> str:
        """Lay out an attempt's private directory; the file that holds its action.

        Raises:
            OSError: it can't be written.
        """
        os.makedirs(os.path.join(directory, "tmp"), mode=0o700, exist_ok=True)
        path = os.path.join(directory, "action")
        trace = os.path.join(directory, TRACE_FILE) if action.trace else ""
        action = msgspec.structs.replace(action, private_dir=directory, trace=trace)
        with open(path, "wb") as file:
            file.write(encode_action(action))
        return path

    def shared_environment(self, placement: Placement) -> dict[str, str]:
        """The environment that attempts with the same settings have in common."""
        return {
            **self._settings.environment,
            **placement.env,
            "IOPIO_RUN_ID": placement.run_id,
        }

    def own_environment(self, directory: str, cookie: str, placement: Placement) -> dict[str, str]:
        """The variables that are another one for each attempt."""
        return {
            "TMPDIR": os.path.join(directory, "tmp"),
            "IOPIO_SLOT": str(placement.slot),
            supervise.ATTEMPT_COOKIE: cookie,
        }

    def cookie(self, number: int) -> str:
        """What tells the processes of an attempt from others'; all are of one length."""
        return f"{self._run_id}.{number:08d}"

    def _strays_of(self, attempt: ProcessAttempt) -> list[int]:
        """Processes that an ended attempt left behind and this process adopted."""
        # What hides its origin is this attempt's only where no other one may have left it.
        alone = self._settings.owns_children and not self._overlapped
        return [
            pid
            for pid in self._adopted()
            if alone or supervise.belongs(pid, attempt.pid, attempt.cookie)
        ]

    def _adopted(self) -> list[int]:
        known = frozenset({*self.helpers, *(running.pid for running in self._running)})
        return supervise.adopted(known)

    def _sweep(self) -> None:
        """Now that nothing runs: end what hides its origin, whoever has left it."""
        self._overlapped = False
        while self._settings.owns_children and (strays := self._adopted()):
            for pid in strays:
                supervise.kill_and_reap(pid)

    def halt(self) -> None:
        """Start nothing more; what runs is not touched."""
        self._halted = True

    def check_not_halted(self) -> None:
        """Raise where nothing is to be started any more.

        Raises:
            InfrastructureError: the run is being cancelled.
        """
        if self._halted:
            raise InfrastructureError("nothing is started any more: the run is being cancelled")

    @property
    def doubts(self) -> list[str]:
        """Why attempts were started in a slower way than the configured one, so far."""
        return []

    def suspend(self) -> None:
        """Stop all attempts and their clocks."""
        for attempt in self._running:
            attempt.suspend()

    def resume(self) -> None:
        """Let all attempts and their clocks go on."""
        for attempt in self._running:
            attempt.resume()


async def _remove_in_thread(directory: str) -> None:
    with anyio.CancelScope(shield=True):
        await anyio.to_thread.run_sync(guard.remove, directory)
