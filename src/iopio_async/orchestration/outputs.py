"""What modules write where others read: a replayed result must not be older than what it read from.

A module that wrote a file of the project may write something else there when it is executed again.
Whoever read that file is then executed too, even though the file is still as it was: it is about to
change. What was written is remembered by module, not by result, since a module whose result is not
stored writes all the same.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping

import msgspec

from iopio_async.cache.validate import Crossing
from iopio_async.model.trace import Input, InputKind

#: Modules that are remembered, those that were executed last.
MOST_MODULES = 20_000

#: So many written paths of a module are remembered. One that writes more writes *everything*.
MOST_PATHS = 1000
EVERYTHING = "*"

#: An input of these kinds is a path that can be written, and no search along one.
_OF_A_PATH = frozenset(
    {
        InputKind.FILE,
        InputKind.SOURCE,
        InputKind.TYPE,
        InputKind.STAT,
        InputKind.MTIME,
        InputKind.LINK,
        InputKind.LISTING,
    }
)


class Outputs:
    """What each module left written when it was executed last: paths, as subjects of inputs."""

    def __init__(self, data: bytes = b"") -> None:
        self.is_new = False
        self._written: dict[str, tuple[str, ...]] = {}
        # What is damaged is as if nobody knew: what changes during a run is seen all the same.
        with contextlib.suppress(ValueError):
            self._written = _decoder.decode(data) if data else {}

    def of(self, module: str) -> tuple[str, ...]:
        """What the module wrote."""
        return self._written.get(module, ())

    def note(self, module: str, written: Iterable[str]) -> None:
        """The module was executed, and wrote this."""
        paths = tuple(sorted(written))
        if len(paths) > MOST_PATHS:
            paths = (EVERYTHING,)
        before = self._written.pop(module, ())
        if paths:
            self._written[module] = paths
        self.is_new = self.is_new or paths != before

    def encode(self) -> bytes:
        """What is to be remembered."""
        kept = list(self._written.items())[-MOST_MODULES:]
        return msgspec.msgpack.encode(dict(kept))

    def crossings(
        self,
        executed: Iterable[str],
        recalled: Iterable[str],
        inputs_of: Callable[[str], Iterable[Input]],
    ) -> Mapping[str, Crossing]:
        """The recalled modules that read what executed ones write, or what these then write."""
        writers: dict[str, str] = {}
        found: dict[str, Crossing] = {}
        left = dict.fromkeys(recalled)
        news = self._writers(executed)
        while news and left:
            writers.update(news)
            crossed = {}
            for module in left:
                subject = next(
                    (each for each in map(_path, inputs_of(module)) if _is_written(each, news)),
                    None,
                )
                if subject is not None:
                    writer = news.get(subject) or news.get(EVERYTHING) or next(iter(news.values()))
                    crossed[module] = Crossing(writer, subject)
            for module in crossed:
                del left[module]
            found.update(crossed)
            after = self._writers(crossed)
            news = {path: writer for path, writer in after.items() if path not in writers}
        return found

    def _writers(self, modules: Iterable[str]) -> dict[str, str]:
        return {path: module for module in modules for path in self.of(module)}


_decoder = msgspec.msgpack.Decoder(dict[str, tuple[str, ...]])

#: Stands for any file of the project.
_PROJECT = ""


def _path(given: Input) -> str | None:
    """The path that an input is about; ``None`` where it is about none."""
    if given.kind is InputKind.PROJECT:
        return _PROJECT
    return given.subject if given.kind in _OF_A_PATH else None


def _is_written(path: str | None, written: Mapping[str, str]) -> bool:
    if path is None:
        return False
    if path == _PROJECT:
        return any(not each.startswith("/") for each in written)
    return path in written or (EVERYTHING in written and not path.startswith("/"))
