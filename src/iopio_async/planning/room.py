"""Slots and memory: what is taken, and who fits in beside it.

A module takes a slot for each CPU that it keeps busy, and the memory that its process usually holds
at its peak; 0 where nothing is known of it. Who runs alone always fits.

How much memory all modules together may take, the *budget*, can only be inferred. What is free is
measured while some run, and of their usual peaks any part may be in use by then. So the budget lies
between what is free and that plus the peaks of all that run, and it is moved between these bounds
by each measurement, no further: where nothing runs, it is what is free.
"""

import heapq
from collections.abc import Sequence
from typing import NamedTuple


class Need(NamedTuple):
    """What a module takes while it runs."""

    slots: int = 1
    memory_bytes: int = 0


#: What a module needs of which nothing else is said.
ONE_SLOT = Need()


class Room:
    """``capacity`` slots, and memory up to ``memory_limit_bytes``; ``None`` is no limit."""

    def __init__(self, capacity: int, memory_limit_bytes: int | None = None) -> None:
        self._capacity = capacity
        self._limit_bytes = memory_limit_bytes
        self._budget_bytes: int | None = None
        self._free_slots = list(range(capacity))
        self._taken_bytes = 0

    @property
    def open(self) -> bool:
        """A slot is free."""
        return bool(self._free_slots)

    def clamped(self, need: Need) -> Need:
        """The need as far as there are slots at all."""
        return need._replace(slots=max(1, min(need.slots, self._capacity)))

    def fits(self, need: Need) -> bool:
        """True where a module with this need, which is clamped, could start now."""
        free = len(self._free_slots)
        if need.slots > free:
            return False
        if free == self._capacity:
            return True
        wanted_bytes = self._taken_bytes + need.memory_bytes
        return all(
            bound is None or wanted_bytes <= bound
            for bound in (self._limit_bytes, self._budget_bytes)
        )

    def take(self, need: Need) -> tuple[int, ...]:
        """Take what is needed; the slots' numbers, the lowest first. Call only where it fits."""
        self._taken_bytes += need.memory_bytes
        return tuple(heapq.heappop(self._free_slots) for _ in range(need.slots))

    def give_back(self, need: Need, slots: Sequence[int]) -> None:
        """Give back what :meth:`take` took."""
        self._taken_bytes -= need.memory_bytes
        for slot in slots:
            heapq.heappush(self._free_slots, slot)

    def measured(self, free_bytes: int) -> None:
        """So much memory is free now."""
        most_bytes = free_bytes + self._taken_bytes
        known_bytes = most_bytes if self._budget_bytes is None else self._budget_bytes
        self._budget_bytes = min(max(known_bytes, free_bytes), most_bytes)
