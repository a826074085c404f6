"""When a run will be over: what its modules usually take, held against what has happened.

The estimate is worth showing only where history covers most of the run, and jumps whenever a module
ends early or late. What is shown is calmer: the expected end moves towards each new estimate within
seconds, in steps that fit its size, and goes up again only where it is well off.

Pure: the clock comes with the events. A decision costs as much as there are modules running.
"""

from collections.abc import Mapping

from iopio_async.model import events as ev
from iopio_async.planning.estimate import Outlook, remaining_s

#: Nothing is shown where history tells of less than this share of the run.
KNOWN_SHARE = 0.8

#: Nothing is shown before this time: the start of a run tells nothing.
FROM_S = 1.0

#: The expected end has moved nearly half of the way to a new estimate after so long.
SETTLING_S = 2.0

#: What is shown goes up again only beyond this multiple of it.
RISE = 1.3

#: Up to how many seconds left are shown in steps of how many.
STEPS_S = ((10.0, 1.0), (30.0, 5.0), (90.0, 10.0), (600.0, 60.0), (float("inf"), 300.0))


class Forecast:
    """Takes the events of a run; ``told_s`` is the figure to show."""

    def __init__(self, outlook: Outlook) -> None:
        self._trusted = outlook.known_share >= KNOWN_SHARE
        self._durations_s: Mapping[str, float] = outlook.durations_s
        self._slots: Mapping[str, int] = outlook.slots
        self._waiting: set[str] = set()
        self._waiting_s = 0.0
        #: Those that wait, the shortest first, and with some that have started since.
        self._longest: list[str] = []
        self._running: dict[str, float] = {}
        self._workers = 1
        self._end_s: float | None = None
        self._asked_s = 0.0
        self._told_s: float | None = None

    def note(self, envelope: ev.Envelope) -> None:
        """Take an event of a run or a module; those of tests change nothing."""
        match envelope.event:
            case ev.RunStarted() as event:
                self._workers = event.workers
            case ev.ModulePlanned() as event:
                if event.module not in self._waiting:
                    self._waiting.add(event.module)
                    self._waiting_s += self._slot_seconds(event.module)
                    self._longest.clear()
            case ev.AttemptStarted() as event:
                self._waits_no_more(event.module)
                self._running[event.module] = envelope.elapsed_s
            case ev.AttemptFinished() as event:
                self._running.pop(event.module, None)
            case ev.ModuleFinished() as event:
                self._waits_no_more(event.module)
            case ev.CancellationStarted():
                self._trusted = False
            case _:
                pass

    def _waits_no_more(self, module: str) -> None:
        if module in self._waiting:
            self._waiting.remove(module)
            self._waiting_s -= self._slot_seconds(module)

    def _slot_seconds(self, module: str) -> float:
        return self._durations_s.get(module, 0.0) * self._slots.get(module, 1)

    def _longest_waiting_s(self) -> float:
        if not self._longest:
            self._longest = sorted(self._waiting, key=lambda path: self._durations_s.get(path, 0.0))
        while self._longest and self._longest[-1] not in self._waiting:
            self._longest.pop()
        return self._durations_s.get(self._longest[-1], 0.0) if self._longest else 0.0

    def estimate_s(self, elapsed_s: float) -> float:
        """The seconds that the run will still take, as far as anybody can tell."""
        longest_s = self._longest_waiting_s()
        return remaining_s(
            max(longest_s, self._waiting_s),
            longest_s,
            [
                (self._durations_s.get(module, 0.0), max(0.0, elapsed_s - started_s))
                for module, started_s in self._running.items()
                for _ in range(self._slots.get(module, 1))
            ],
            self._workers,
        )

    def told_s(self, elapsed_s: float) -> float | None:
        """The seconds left to show at this time, in whole steps; ``None`` to show nothing.

        Times must not go back from one call to the next.
        """
        if not self._trusted or elapsed_s < FROM_S:
            return None
        end_s = elapsed_s + self.estimate_s(elapsed_s)
        passed_s = elapsed_s - self._asked_s
        if self._end_s is None:
            self._end_s = end_s
        else:
            self._end_s += (end_s - self._end_s) * passed_s / (passed_s + SETTLING_S)
        self._asked_s = elapsed_s
        self._told_s = _settled(max(0.0, self._end_s - elapsed_s), self._told_s)
        return self._told_s or None


def _settled(left_s: float, told_s: float | None) -> float:
    """What to show of ``left_s`` where ``told_s`` was shown before."""
    step_s = next(step for bound, step in STEPS_S if left_s <= bound)
    rounded_s = -(-left_s // step_s) * step_s
    if told_s is None or rounded_s < told_s or left_s > told_s * RISE + step_s:
        return rounded_s
    return told_s
