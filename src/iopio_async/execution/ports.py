"""What the orchestration needs of an executor: start an attempt, hear its stream, end it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol, Self

import msgspec

from iopio_async.errors import ProtocolError
from iopio_async.model.action import Action
from iopio_async.model.outcome import Captured, ExitStatus
from iopio_async.wire.messages import AnyMessage


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt's process ended; the last thing that an attempt tells.

    ``timed_out`` and ``stopped`` say that iopio ended it, for its time limit or on request.
    ``leaked`` names processes that it left behind. ``protocol_error`` is why its stream was not
    believed, or ``""``. Sizes in bytes, times in seconds.
    """

    exit_status: ExitStatus
    duration_s: float
    timed_out: bool = False
    stopped: bool = False
    lingered: bool = False
    leaked: tuple[str, ...] = ()
    protocol_error: str = ""
    stacks: str = ""
    stdout: Captured = Captured()
    stderr: Captured = Captured()
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0


class Attempt(Protocol):
    """A running attempt."""

    @property
    def pid(self) -> int:
        """The process id of the attempt's process."""
        ...

    def messages(self) -> AsyncIterator[list[tuple[AnyMessage, bytes]]]:
        """Batches of messages, as they come, each with the bytes it was decoded from.

        Ends when the process is gone; then ``gone`` is set.
        """
        ...

    def private_file(self, name: str) -> bytes:
        """What the attempt left in a file of its private directory; empty where it left none."""
        ...

    def distrust(self, error: ProtocolError) -> None:
        """Give up on the attempt, since its stream can't be believed: it is ended at once."""
        ...

    def stop(self) -> None:
        """Ask the attempt to end: SIGTERM now, SIGKILL after the grace period. Returns at once."""
        ...

    def kill(self) -> None:
        """End the attempt and all it started, now."""
        ...

    @property
    def gone(self) -> Gone:
        """How it ended; only after ``messages`` is exhausted."""
        ...


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt gets beside its action: its slot, time limit and extra environment.

    ``preload`` are steps that its process may have done before it was forked, in stages.
    """

    run_id: str
    slot: int
    attempt: int
    timeout_s: float | None = None
    env: dict[str, str] = {}
    preload: tuple[tuple[str, ...], ...] = ()


class Executor(Protocol):
    """Starts attempts. Used as an async context manager around a whole run.

    ``directory`` is the run's own while it is entered, removed at its end.
    """

    directory: str

    async def __aenter__(self) -> Self:
        """Set up what all attempts share.

        Raises:
            InfrastructureError: it can't be had.
        """
        ...

    async def __aexit__(self, *details: object) -> None:
        """End whatever is left of the run."""
        ...

    def start(self, action: Action, placement: Placement) -> AbstractAsyncContextManager[Attempt]:
        """Run ``action`` in a process of its own; leaving the context ends whatever is left of it.

        Raises:
            InfrastructureError: no process could be had, even after some retries.
        """
        ...

    def halt(self) -> None:
        """Start nothing more: attempts that are about to start fail at once."""
        ...

    @property
    def doubts(self) -> list[str]:
        """Why attempts were started in a slower way than the configured one, so far."""
        ...

    def suspend(self) -> None:
        """Stop all attempts and their clocks (SIGTSTP)."""
        ...

    def resume(self) -> None:
        """Let all attempts and their clocks go on (SIGCONT)."""
        ...
