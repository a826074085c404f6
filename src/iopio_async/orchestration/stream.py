"""The way of the envelopes from a session to its consumer: lossless, in order, and bounded.

Putting never waits and never fails: an event is told, whoever is cancelled at that moment. Who has
put something then waits in :meth:`EventStream.pace`, which slows the tests down where the consumer
is slow.
"""

from collections import deque
from collections.abc import Sequence

import anyio
import anyio.lowlevel

from iopio_async.model.events import Envelope


class EventStream:
    """Batches of envelopes on their way; up to ``bound`` of them wait without slowing anybody."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._batches: deque[Sequence[Envelope]] = deque()
        #: What is left of a batch that is taken one by one.
        self._rest: deque[Envelope] = deque()
        self._closed = False
        self._news = anyio.Event()
        self._room = anyio.Event()

    def put(self, envelopes: Sequence[Envelope]) -> None:
        """Append a batch."""
        self._batches.append(envelopes)
        self._news.set()

    async def pace(self) -> None:
        """Wait while more than ``bound`` batches are on their way."""
        while len(self._batches) > self._bound:
            if self._room.is_set():
                self._room = anyio.Event()
            await self._room.wait()

    def close(self) -> None:
        """Nothing comes any more; what is on its way can still be received."""
        self._closed = True
        self._news.set()

    async def receive(self) -> list[Envelope]:
        """The next batch, or what is left of it; empty at the end."""
        if not self._rest:
            return list(await self._next_batch())
        rest = list(self._rest)
        self._rest.clear()
        return rest

    async def receive_one(self) -> Envelope | None:
        """The next envelope; ``None`` at the end."""
        if not self._rest:
            self._rest.extend(await self._next_batch())
        return self._rest.popleft() if self._rest else None

    async def _next_batch(self) -> Sequence[Envelope]:
        await anyio.lowlevel.checkpoint_if_cancelled()
        while not self._batches:
            if self._closed:
                return ()
            if self._news.is_set():
                self._news = anyio.Event()
            await self._news.wait()
        batch = self._batches.popleft()
        self._room.set()
        return batch
