"""What ``functools.lru_cache`` remembers from test to test.

A test that is given what an earlier one has had computed reads nothing itself. The counters of each
cache of the project's own tell who filled it and who was served by it: the latter depends on the
former. What else code keeps to itself between tests (a dictionary, say) can't be seen.
"""

import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from iopio_async.worker.tracing.territory import absolute, territory

_Memo = functools._lru_cache_wrapper


class _Known:
    """A cache, its counters at the last look, and the segments in which it was filled."""

    def __init__(self, memo: Any, fillers: Iterable[int]) -> None:
        self.memo = memo
        self.hits = self.misses = 0
        self.fillers = set(fillers)


class Memos:
    """The caches of the project's own modules; ``need`` is told who depends on whom."""

    def __init__(self, need: Callable[[int, int], None]) -> None:
        self._need = need
        self._known: dict[int, _Known] = {}
        self._modules: set[str] = set()

    def find(self, fillers: Iterable[int]) -> None:
        """Look for caches in modules that are new; what they hold was filled in these segments."""
        for name in list(sys.modules):
            if name not in self._modules:
                self._modules.add(name)
                for memo in _memos_of(sys.modules.get(name)):
                    if id(memo) not in self._known:
                        is_filled = bool(memo.cache_info().currsize)
                        known = _Known(memo, fillers if is_filled else ())
                        self._known[id(memo)] = known
                        known.hits, known.misses, *_ = memo.cache_info()

    def left(self, segment: int) -> None:
        """A segment is over, or interrupted by another one."""
        for known in self._known.values():
            hits, misses, *_ = known.memo.cache_info()
            if (hits, misses) == (known.hits, known.misses):
                continue
            if hits < known.hits or misses < known.misses:
                # It was cleared, and is counted anew.
                known.fillers.clear()
                known.hits = known.misses = 0
            if misses > known.misses:
                known.fillers.add(segment)
            if hits > known.hits:
                for filler in known.fillers - {segment}:
                    self._need(segment, filler)
            known.hits, known.misses = hits, misses
        if len(sys.modules) != len(self._modules):
            self.find([segment])


def _memos_of(module: object) -> Iterator[Any]:
    file = getattr(module, "__file__", None)
    path = absolute(file) if type(file) is str else ""
    if not path or not territory.inside_project(path):
        return
    for value in list(vars(module).values()):
        if isinstance(value, _Memo):
            yield value
        elif isinstance(value, type) and value.__module__ == getattr(module, "__name__", ""):
            for inner in list(vars(value).values()):
                function = getattr(inner, "__func__", inner)
                if isinstance(function, _Memo):
                    yield function
