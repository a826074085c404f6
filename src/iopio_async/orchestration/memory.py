"""What a session needs of the result cache: to recall what need not run, and to keep what ran."""

from collections.abc import Sequence
from typing import Protocol

from iopio_async.model import events as ev
from iopio_async.model.stats import ModuleStats


class Memory(Protocol):
    """Results of earlier runs."""

    @property
    def disproved(self) -> Sequence[str]:
        """Modules whose stored result was found to be wrong in this run."""
        ...

    def recalled(self, path: str) -> Sequence[ev.AnyEvent]:
        """The events of a module whose result holds, from its start to its end; else none."""
        ...

    def heard(self, events: Sequence[ev.AnyEvent]) -> None:
        """These were told in this run."""
        ...

    def traced(self, path: str, trace: bytes) -> None:
        """A process of this module is gone; ``trace`` is what its tracer wrote down."""
        ...

    async def keep(self, path: str, stats: ModuleStats) -> None:
        """Keep the module's result if it has its final word, and is one to be kept."""
        ...
