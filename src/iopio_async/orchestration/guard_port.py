"""What a session asks before an attempt starts, where other runs on this machine count too."""

from typing import Protocol

from iopio_async.model.module import Claim


class Guard(Protocol):
    """Holds what modules claim among all runs on this machine. Its claims are not merged."""

    async def acquire(self, name: str, claims: tuple[Claim, ...]) -> None:
        """Wait until ``name`` holds all of this, and no other run what stands against it.

        Cancelled, it holds nothing. Faults are the guard's own affair: it must not raise.
        """
        ...

    def release(self, name: str) -> None:
        """Give back what ``name`` holds."""
        ...
