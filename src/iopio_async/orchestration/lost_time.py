"""The time that workers stood idle because all that waited had to wait for somebody else's locks.

It is summed up over workers: two that wait for a second lose two seconds. It counts for the
resource at which the module of the first rank waits, then the next one, for as many as are idle.
"""

from collections.abc import Sequence

from iopio_async.orchestration.holdings import UNKNOWN

#: What is less is not worth a word.
WORTH_TELLING_S = 0.1
#: So many resources are named.
NAMED = 3

_WORDS = {UNKNOWN: "finding out what is shared", "*": "modules that run alone"}


class LostTime:
    """Adds up; told of each change."""

    def __init__(self) -> None:
        self.lost_s: dict[str, float] = {}
        self._waiting: tuple[str, ...] = ()
        self._since_s = 0.0

    def note(self, now_s: float, waiting: Sequence[str]) -> None:
        """From now on these resources each keep a worker idle."""
        for resource in self._waiting:
            lost_s = now_s - self._since_s
            self.lost_s[resource] = self.lost_s.get(resource, 0.0) + lost_s
        self._waiting = tuple(waiting)
        self._since_s = now_s

    def told(self) -> str:
        """What is to be said of it in the end; empty for nothing."""
        total_s = sum(self.lost_s.values())
        if total_s < WORTH_TELLING_S:
            return ""
        most = sorted(self.lost_s.items(), key=lambda item: -item[1])
        named = ", ".join(
            f"{_WORDS.get(name, name)} {lost_s:.1f} s" for name, lost_s in most[:NAMED]
        )
        others = f", and {len(most) - NAMED} more" if len(most) > NAMED else ""
        return f"workers waited {total_s:.1f} s for locks: {named}{others}"
