"""Digests over all files that a module may import, so that any change that it can see is told.

Imports are followed by what a quick look at each file tells of them, rather too far than not far
enough. The digest of a set of files is the sum of their digests, whatever their order.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256

from iopio_async.planning.sources import Sources


class Visible:
    """What each module of a project can see, itself and its conftests included.

    ``digests`` are those of all files by path, ``imports_of`` says what a file may import, and
    ``is_wide`` whether it may depend on anything; where everything is ``wide``, all modules do.
    """

    def __init__(
        self,
        sources: Sources,
        digests: Mapping[str, str],
        imports_of: Callable[[str], Iterable[str]],
        is_wide: Callable[[str], bool],
        *,
        plugins: Sequence[str] = (),
        wide: bool = False,
    ) -> None:
        self._sources = sources
        self._imports_of = imports_of
        self._is_wide = is_wide
        self._plugins = plugins
        self._numbers = {
            path: int.from_bytes(sha256(f"{path}\0{digest}".encode()).digest())
            for path, digest in digests.items()
        }
        self._imported: dict[str, tuple[str, ...]] = {}
        self._wide = wide
        self._all = sum(self._numbers.values())

    def digest(self, path: str) -> str:
        """The digest of all that the module at ``path`` can see."""
        sources = self._sources
        start = [path, *sources.conftests(path)]
        start += filter(None, (sources.module(name, path) for name in self._plugins))
        seen = dict.fromkeys(start)
        waiting = list(seen)
        wide = self._wide
        while waiting and not wide:
            each = waiting.pop()
            wide = self._is_wide(each)
            for imported in self._imports(each):
                if imported not in seen:
                    seen[imported] = None
                    waiting.append(imported)
        if wide:
            return f"all {self._all:x}"
        return f"{sum(self._numbers[each] for each in seen):x}"

    def _imports(self, path: str) -> tuple[str, ...]:
        known = self._imported.get(path)
        if known is None:
            names = self._imports_of(path)
            known = self._imported[path] = tuple(self._sources.imported(path, names))
        return known
