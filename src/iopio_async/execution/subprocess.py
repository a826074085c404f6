"""The spawn start method: a fresh ``python -m iopio_async.worker`` for each attempt.

The executor also holds what all attempts of a run share: the private directory with one folder an
attempt, the lifeline pipe whose end tells workers that the orchestrator is gone, and the guard
process that waits for the same end.
"""

import contextlib
import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Self

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

#: Errors of process creation that may pass: too many processes, descriptors, too little memory.
PASSING_ERRORS = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})

#: Waits between attempts to create a process after such an error.
SPAWN_DELAYS_S = (0.05, 0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True, kw_only=True)
class SpawnSettings(AttemptSettings):
    """What all processes of a run share.

    ``owns_children`` is true where every child of this process belongs to the run, as it does in
    the command.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    interpreter: tuple[str, ...] = (sys.executable,)
    owns_children: bool = False


class SpawnExecutor:
    """Starts each attempt as a fresh interpreter. One for a run, as an async context manager."""

    def __init__(self, run_id: str, settings: SpawnSettings) -> None:
        self._run_id = run_id
        self._settings = settings
        self._stack = contextlib.AsyncExitStack()
        self._directory = ""
        self._lifeline = -1
        self._guard_pid = 0
        self._running: set[ProcessAttempt] = set()
        self._count = 0
        self._tidying: anyio.abc.TaskGroup

    async def __aenter__(self) -> Self:
        stack = self._stack
        try:
            stack.enter_context(supervise.child_statuses_kept())
            stack.enter_context(supervise.subreaper())
            self._directory = tempfile.mkdtemp(prefix="iopio-")
            stack.callback(guard.remove, self._directory)
            self._start_guard()
            self._tidying = await stack.enter_async_context(anyio.create_task_group())
        except OSError as error:
            await stack.aclose()
            raise InfrastructureError(
                f"the run can't be set up: {error}",
                hint=f"is there room in {tempfile.gettempdir()}, and may one write there?",
            ) from error
        return self

    async def __aexit__(self, *details: object) -> None:
        # Tidying goes on to its end even where the run is cancelled from outside.
        self._tidying.cancel_scope.shield = True
        await self._stack.aclose()

    def _start_guard(self) -> None:
        read_end, write_end = os.pipe()
        self._lifeline = read_end
        self._stack.callback(os.close, read_end)
        lifeline = self._stack.enter_context(os.fdopen(write_end, "wb", 0))
        arguments = (str(read_end), self._run_id, self._directory)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(read_end,),
            start_new_session=True,
            cwd="/",
        )
        self._guard_pid = process.pid

        def dismiss() -> None:
            lifeline.close()
            process.wait()

        self._stack.callback(dismiss)

    @contextlib.asynccontextmanager
    async def start(self, action: Action, placement: Placement) -> AsyncIterator[ProcessAttempt]:
        """Run ``action`` in a fresh process.

        Raises:
            InfrastructureError: no process could be created, several times.
        """
        self._count += 1
        directory = os.path.join(self._directory, str(self._count))
        attempt = ProcessAttempt(self._settings, directory, f"{self._run_id}.{self._count}")
        try:
            await self._spawn(attempt, action, placement)
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
            self._tidying.start_soon(_remove_in_thread, directory)

    async def _spawn(self, attempt: ProcessAttempt, action: Action, placement: Placement) -> None:
        for delay_s in (*SPAWN_DELAYS_S, None):
            try:
                self._spawn_once(attempt, action, placement)
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

    def _spawn_once(self, attempt: ProcessAttempt, action: Action, placement: Placement) -> None:
        temporary = os.path.join(attempt.directory, "tmp")
        os.makedirs(temporary, mode=0o700, exist_ok=True)
        action_file = os.path.join(attempt.directory, "action")
        with open(action_file, "wb") as file:
            file.write(
                encode_action(msgspec.structs.replace(action, private_dir=attempt.directory))
            )
        result, stdout, stderr = attempt.open_pipes()
        arguments = (action_file, str(result), str(self._lifeline))
        process = subprocess.Popen(
            [*self._settings.interpreter, "-P", "-m", "iopio_async.worker", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=(result, self._lifeline),
            start_new_session=True,
            cwd=action.invocation_dir,
            env={
                **self._settings.environment,
                **placement.env,
                "TMPDIR": temporary,
                "IOPIO_RUN_ID": placement.run_id,
                "IOPIO_SLOT": str(placement.slot),
                supervise.ATTEMPT_COOKIE: attempt.cookie,
            },
        )
        # The status is taken by wait4, with the usage; Popen must not look for it as well.
        process.returncode = 0
        attempt.began(process.pid, result, stdout, stderr)

    def _strays_of(self, attempt: ProcessAttempt) -> list[int]:
        """Processes that an ended attempt left behind and this process adopted."""
        known = frozenset({self._guard_pid, *(running.pid for running in self._running)})
        # What hides its origin is found once nothing else runs that it could belong to.
        alone = self._settings.owns_children and self._running <= {attempt}
        return [
            pid
            for pid in supervise.adopted(known)
            if alone or supervise.belongs(pid, attempt.pid, attempt.cookie)
        ]

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
