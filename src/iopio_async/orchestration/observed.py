"""What a trace tells, folded: each path once, in the state in which it mattered.

The order of observations counts only where something was written: what a module makes itself is no
input of it, but that it was not there before is. What is read and rewritten can't be repeated.

A trace that begins in a warm process includes that process's own trace, which many modules share;
so it is folded once and linked to as one of the ``bases``.
"""

from collections.abc import Callable

from iopio_async.wire import observations as wire

INCOMPLETE = "its trace is incomplete"

#: What is asked about a path.
_ASKED = (wire.READ, wire.LIST, wire.TYPE, wire.STAT, wire.MTIME, wire.LINK)

#: What is asked about the content, or what changes with it.
_CONTENT = (wire.READ, wire.STAT, wire.MTIME)

#: A search path, entry by entry, and the name of a module that was looked for along it.
Find = tuple[tuple[bytes, ...], bytes]

Code = tuple[str, int]


class IncompleteError(ValueError):
    """A trace does not tell everything."""


class Observed:
    """The fold. Paths are absolute, as bytes of the file system."""

    def __init__(self) -> None:
        self.bases: list[Observed] = []
        self.asked: dict[bytes, dict[bytes, None]] = {letter: {} for letter in _ASKED}
        self.sources: dict[bytes, None] = {}
        self.codes: dict[bytes, set[Code]] = {}
        #: Written paths that were not there before.
        self.created: dict[bytes, None] = {}
        #: Written paths that were there: nothing was read of them before they were emptied;
        #: nothing was read of them at all; and those of which something was.
        self.emptied: dict[bytes, None] = {}
        self.appended: dict[bytes, None] = {}
        self.rewritten: dict[bytes, None] = {}
        #: All paths that were written, whoever made them; true for those that were only added to.
        self.wrote: dict[bytes, bool] = {}
        self.databases: dict[bytes, None] = {}
        #: Ports, and paths of sockets.
        self.bound: dict[bytes, None] = {}
        self.connected: dict[bytes, None] = {}
        self.finds: dict[Find, None] = {}
        self.variables: dict[bytes, None] = {}
        self.packages: dict[bytes, None] = {}
        self.processes: dict[bytes, None] = {}
        self.opaque: dict[bytes, None] = {}
        self.impure: dict[bytes, None] = {}
        self.all_variables = False
        #: Somebody looked at the paths that pytest was called with.
        self.paths = False
        #: A process took part that does not tell its functions.
        self.without_functions = False
        #: The search paths of modules that are in no package.
        self.search_paths: dict[tuple[bytes, ...], None] = {}
        self._searches: dict[bytes, tuple[bytes, ...]] = {}
        self._everything: list[Observed] = [self]

    def fold(self, data: bytes, include: "Callable[[bytes, int], Observed]") -> None:
        """Take in a trace. ``include`` gives the fold of so many bytes of another one.

        Raises:
            IncompleteError: it does not begin as traces do, ends in the middle of a record, holds
                one that means nothing, or includes one that is not there.
        """
        records, whole = wire.decode(data)
        if not whole or not records or records[0][0] != wire.BEGIN:
            raise IncompleteError(INCOMPLETE)
        add = _ADDING
        try:
            for letter, fields in records:
                if letter == wire.INCLUDE:
                    self.bases.append(include(fields[0], int(fields[1])))
                    self._everything = self._with_bases()
                else:
                    add[letter](self, fields)
        except (KeyError, IndexError, ValueError) as error:
            raise IncompleteError(INCOMPLETE) from error

    def everything(self) -> "list[Observed]":
        """The fold itself and all that it is based on."""
        return self._everything

    def _with_bases(self) -> "list[Observed]":
        found = [self]
        for each in found:
            found += each.bases
        return list({id(each): each for each in found}.values())

    def was_made(self, path: bytes) -> bool:
        """A path that was written, or is below one: whatever is read there, was made before."""
        for each in self._everything:
            if path in each.emptied:
                return True
            if each.created:
                above = path
                while above:
                    if above in each.created:
                        return True
                    above = above.rpartition(b"/")[0]
        return False

    def _was_read(self, path: bytes) -> bool:
        return any(
            path in each.sources or any(path in each.asked[letter] for letter in _CONTENT)
            for each in self._everything
        )

    # One method a letter.

    def _begin(self, fields: tuple[bytes, ...]) -> None:
        if fields[1] != b"1":
            self.without_functions = True

    def _source(self, fields: tuple[bytes, ...]) -> None:
        if not self.was_made(fields[0]):
            self.sources[fields[0]] = None

    def _write(self, fields: tuple[bytes, ...]) -> None:
        path, existed, kept = fields
        if kept != b"2":
            self.wrote[path] = kept == b"1" and self.wrote.get(path, True)
        if path in self.rewritten or path in self.appended or self.was_made(path):
            return
        if existed != b"1":
            self.created[path] = None
        elif self._was_read(path):
            self.rewritten[path] = None
        else:
            (self.appended if kept else self.emptied)[path] = None

    def _ask(self, letter: bytes, path: bytes) -> None:
        if path in self.appended and letter in _CONTENT:
            del self.appended[path]
            self.rewritten[path] = None
        if path not in self.asked[letter] and not self.was_made(path):
            self.asked[letter][path] = None

    def _search(self, fields: tuple[bytes, ...]) -> None:
        self._searches[fields[0]] = fields[1:]

    def _find(self, fields: tuple[bytes, ...]) -> None:
        number, name = fields
        for each in self._everything:
            if number in each._searches:
                search_path = each._searches[number]
                self.finds[search_path, name] = None
                if b"." not in name:
                    self.search_paths[search_path] = None
                return
        raise IncompleteError(INCOMPLETE)

    def _code(self, fields: tuple[bytes, ...]) -> None:
        path, name, line = fields
        self.codes.setdefault(path, set()).add((name.decode("utf-8", "replace"), int(line)))

    def _environment(self, _: tuple[bytes, ...]) -> None:
        self.all_variables = True

    def _paths(self, _: tuple[bytes, ...]) -> None:
        self.paths = True


def _asking(letter: bytes) -> Callable[[Observed, tuple[bytes, ...]], None]:
    return lambda observed, fields: observed._ask(letter, fields[0])


_ADDING: dict[bytes, Callable[[Observed, tuple[bytes, ...]], None]] = {
    wire.BEGIN: Observed._begin,
    wire.SOURCE: Observed._source,
    wire.WRITE: Observed._write,
    **{letter: _asking(letter) for letter in _ASKED},
    wire.SEARCH: Observed._search,
    wire.FIND: Observed._find,
    wire.CODE: Observed._code,
    wire.VARIABLE: lambda observed, fields: observed.variables.update({fields[0]: None}),
    wire.VARIABLES: Observed._environment,
    wire.PATHS: Observed._paths,
    wire.PACKAGE: lambda observed, fields: observed.packages.update(
        {fields[0] if fields else b"": None}
    ),
    wire.PROCESS: lambda observed, fields: observed.processes.update({fields[0]: None}),
    wire.BIND: lambda observed, fields: observed.bound.update({fields[0]: None}),
    wire.CONNECT: lambda observed, fields: observed.connected.update({fields[0]: None}),
    wire.DATABASE: lambda observed, fields: observed.databases.update({fields[0]: None}),
    wire.OPAQUE: lambda observed, fields: observed.opaque.update({fields[0]: None}),
    wire.IMPURE: lambda observed, fields: observed.impure.update({fields[0]: None}),
}
