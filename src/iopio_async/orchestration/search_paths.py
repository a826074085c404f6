"""An import's search, as inputs: what may not come to be earlier on the path than what was found.

A search ends at the first directory that has a module or a regular package of the name;
directories without an ``__init__`` may be portions of a namespace package, after which it goes on.
Directories of the standard library are passed over: the interpreter's identity is known otherwise.
What is found in a package that one distribution owns is known by that distribution.
"""

import stat
from collections.abc import Iterable

from iopio_async.model.trace import InputKind
from iopio_async.orchestration.places import Name, Places
from iopio_async.project.distributions import site_of
from iopio_async.project.listings import PATH_FILES
from iopio_async.project.observer import Observer

#: Modules that the interpreter imports as it starts, before anything can be traced.
_AT_START = ("sitecustomize", "usercustomize")


class SearchPaths:
    """The searches of a run, each followed once."""

    def __init__(self, observer: Observer, places: Places) -> None:
        self._observer = observer
        self._places = places
        self._found: dict[tuple[tuple[str, ...], str], tuple[Name, ...]] = {}
        self._entries: dict[str, tuple[Name, ...]] = {}
        self._starts: dict[tuple[str, ...], tuple[Name, ...]] = {}

    def find(self, entries: tuple[str, ...], full_name: str) -> tuple[Name, ...]:
        """The inputs of one search for a module by its full name."""
        name = full_name.rpartition(".")[2]
        known = self._found.get((entries, name))
        if known is None:
            found: list[Name] = []
            for entry in entries:
                if self._ends_in(entry, name, found):
                    break
            known = self._found[entries, name] = tuple(found)
        return known

    def at_start(self, entries: tuple[str, ...]) -> tuple[Name, ...]:
        """The inputs by which the interpreter came to have these entries in its search path."""
        known = self._starts.get(entries)
        if known is None:
            known = self._starts[entries] = tuple(self._at_start(entries))
        return known

    def _at_start(self, entries: tuple[str, ...]) -> Iterable[Name]:
        found: list[Name] = []
        for name in _AT_START:
            found += self.find(entries, name)
        for entry in entries:
            found += self._path_files(entry)
        return found

    def _path_files(self, entry: str) -> tuple[Name, ...]:
        """The files in a site directory that extend the search path."""
        known = self._entries.get(entry)
        if known is None:
            known = ()
            if site_of(entry) == entry:
                subject = self._observer.subject(entry)
                names = self._observer.candidates(entry, PATH_FILES)
                known = (
                    (InputKind.LOOKUP, f"{subject}|{PATH_FILES}"),
                    *(
                        (InputKind.FILE, self._observer.subject(f"{entry}/{name}"))
                        for name in names
                    ),
                )
            self._entries[entry] = known
        return known

    def _ends_in(self, entry: str, name: str, found: list[Name]) -> bool:
        """Note what one entry has to do with a search; True where the search ends there."""
        observer = self._observer
        if not entry.startswith("/") or "/" in name or "|" in name or not name:
            # No file can be found by it.
            return False
        candidates = observer.candidates(entry, name)
        ends = any("." in each for each in candidates)
        regular = name in candidates and bool(observer.candidates(f"{entry}/{name}", "__init__"))
        if self._places.is_standard(entry):
            return ends or regular
        subject = observer.subject(entry)
        status = observer.status(entry)
        if not isinstance(status, str) and stat.S_ISREG(status[5]):
            found.append((InputKind.FILE, subject))
            return False
        if ends or regular:
            file = self._package_file(entry, name) if regular else f"{entry}/{candidates[-1]}"
            owner = self._places.owner(file) if site_of(entry) not in {"", entry} else None
            if owner is not None:
                found.append(owner)
                return True
        found.append((InputKind.LOOKUP, f"{subject}|{name}"))
        if name in candidates:
            inside = observer.subject(f"{entry}/{name}")
            found.append((InputKind.LOOKUP, f"{inside}|__init__"))
        return ends or regular

    def _package_file(self, entry: str, name: str) -> str:
        return f"{entry}/{name}/{self._observer.candidates(f'{entry}/{name}', '__init__')[-1]}"
