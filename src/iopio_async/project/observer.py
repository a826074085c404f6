"""The current values of inputs: what ``model.trace`` says of each kind, looked at once a run.

An :class:`Observer` remembers every value that it has told, so that all modules of a run are judged
by the same state of the world; a digest it takes from memory where the file's status allows it (see
``digests``). Whatever cannot be read has a value too, which says why: nothing here raises for what
it finds. Everything is synchronous, and only the standard library and msgspec are used: this is the
path by which a run finds out that it has nothing to do.

Whether something changed while tests ran is answered by looking again: see ``changes``.
"""

import copy
import os
import stat
from collections.abc import Callable, Mapping
from hashlib import sha256
from time import time_ns

from iopio_async.analysis.scopes import Scopes
from iopio_async.model.trace import Input, InputKind
from iopio_async.project.digests import ABSENT, Digests, Status, failure, look
from iopio_async.project.distributions import Site
from iopio_async.project.environment import Environment
from iopio_async.project.listings import SEPARATOR, Listing, scan
from iopio_async.project.project_files import project_files, walk
from iopio_async.project.scope_memory import ScopeMemory

#: How subjects begin that are not simply appended to the root.
_SPECIAL = frozenset({"", "/", "."})

#: What a path leads to, by the type in its mode.
_TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "directory"}

#: Sources that are larger are compared as a whole.
MOST_PARSED_BYTES = 4 * 1024 * 1024


class Observer:
    """The inputs of a project's tests as they are now.

    ``digests`` is the memory that outlives runs; ``load_scopes`` gives what :meth:`save_scopes`
    gave last time, when it is first needed. ``paths`` are those that pytest is called with, and
    what comes of them, by subject.
    """

    def __init__(
        self,
        root: str,
        environment: Environment,
        *,
        digests: Digests | None = None,
        load_scopes: Callable[[], bytes] = bytes,
        now_ns: Callable[[], int] = time_ns,
        paths: Mapping[str, str] | None = None,
    ) -> None:
        self.root = root.rstrip("/") or "/"
        self._below = self.root.rstrip("/") + "/"
        self.environment = environment
        self.digests = digests or Digests(now_ns=now_ns)
        self._scopes = ScopeMemory(load_scopes)
        self._now_ns = now_ns
        self._paths = paths or {}
        self._forget()

    def _forget(self) -> None:
        self._values: dict[tuple[str, str], tuple[str, int]] = {}
        self._followed: dict[str, Status | str] = {}
        self._unfollowed: dict[str, Status | str] = {}
        self._listings: dict[str, Listing] = {}
        self._sites: dict[str, Site] = {}
        self._files: list[str] | None = None

    # Names.

    def path(self, subject: str) -> str:
        """The absolute path of a subject."""
        if subject.startswith("/"):
            return subject
        return self.root if subject in {"", "."} else self._below + subject

    def subject(self, path: str) -> str:
        """How a trace spells an absolute path: relative to the project where it is inside."""
        if path.startswith(self._below):
            return path[len(self._below) :]
        return "." if path == self.root else path

    # Values.

    def value(self, kind: InputKind, subject: str) -> str:
        """The current value of an input."""
        # Members of an enumeration are slow to hash, their values are not.
        place = (kind._value_, subject)
        known = self._values.get(place)
        if known is None:
            if kind is InputKind.VARIABLE:
                return self.environment.variable(subject)
            if kind is InputKind.ENVIRONMENT:
                return self.environment.whole()
            if kind is InputKind.PATHS:
                return self._paths.get(subject, "")
            seen_ns = self._now_ns()
            known = self._values[place] = (_KINDS[place[0]](self, subject), seen_ns)
        return known[0]

    def current(self, given: Input) -> str:
        """The current value of what was an input before."""
        return self.value(given.kind, given.subject)

    def scopes(self, subject: str) -> Scopes | None:
        """The functions of a source file as it is now; None where it is none that compiles."""
        digest = self.value(InputKind.FILE, subject)
        return self._scopes.of(digest, lambda: self._source(self.path(subject)))

    def scopes_of(self, subject: str) -> Mapping[str, str] | None:
        """Scope → digest of a source file as it is now."""
        scopes = self.scopes(subject)
        return None if scopes is None else scopes.digests

    def save_scopes(self) -> bytes | None:
        """What is known of sources, for the next observer; None where nothing was learnt."""
        return self._scopes.save()

    def under(self, environment: Environment) -> "Observer":
        """An observer for attempts with another environment, which shares all else."""
        other = copy.copy(self)
        other.environment = environment
        return other

    def again(self) -> "Observer":
        """An observer that looks at everything anew, with the same memory of digests."""
        other = copy.copy(self)
        other._forget()
        return other

    def told_ns(self, given: Input) -> int | None:
        """When this observer told just this value; None where it did not."""
        known = self._values.get((given.kind.value, given.subject))
        return known[1] if known is not None and known[0] == given.value else None

    def listed(self, path: str) -> Listing | None:
        """The listing of a directory, if it has been listed."""
        return self._listings.get(path)

    def now_ns(self) -> int:
        """The time, in nanoseconds since the epoch."""
        return self._now_ns()

    def status(self, path: str) -> Status | str:
        """The status of what an absolute path leads to, or a word for why there is none."""
        known = self._followed.get(path)
        if known is None:
            known = self._followed[path] = look(path)
        return known

    def known_status(self, path: str) -> Status | str | None:
        """The status of what an absolute path leads to, if it has been looked at."""
        return self._followed.get(path)

    def status_of_link(self, path: str) -> Status | str:
        """The status of the path itself."""
        known = self._unfollowed.get(path)
        if known is None:
            known = self._unfollowed[path] = look(path, follow=False)
        return known

    def listing(self, path: str) -> Listing:
        """What is in a directory, by its absolute path."""
        known = self._listings.get(path)
        if known is None:
            # The status comes first: what changes after it is seen to have changed.
            self.status(path)
            seen_ns = self._now_ns()
            try:
                known = Listing(path, scan(path), seen_ns)
            except OSError as error:
                known = Listing(path, {}, seen_ns, failure(error))
            except ValueError:
                known = Listing(path, {}, seen_ns, ABSENT)
            self._listings[path] = known
        return known

    def site(self, path: str) -> Site:
        """The distributions in a directory of the search path."""
        known = self._sites.get(path)
        if known is None:
            known = self._sites[path] = Site(self.listing(path), self._file)
        return known

    def is_directory(self, path: str) -> bool:
        """True for a directory, or a link to one."""
        status = self.status(path)
        return not isinstance(status, str) and stat.S_ISDIR(status[5])

    def candidates(self, directory: str, name: str) -> list[str]:
        """The names in a directory that an import of ``name`` may take, sorted."""
        return self.listing(directory).candidates(name, self.is_directory)

    def files(self) -> list[str]:
        """All files of the project, relative to the root, sorted."""
        if self._files is None:
            self._files = project_files(self.root, self.listing)
        return self._files

    def survey(self, *others: str) -> None:
        """List all directories of the project, so that what tests add to them can be told.

        So with those above it and above ``others``, which anybody may add to: settings are looked
        for there.
        """
        for _ in walk(self.root, "", self.listing):
            pass
        for path in (self.root, *others):
            folder = os.path.dirname(path)
            while folder not in self._listings:
                self.listing(folder)
                folder = os.path.dirname(folder)

    def touched(self) -> tuple[dict[str, Status | str], dict[str, Status | str]]:
        """Absolute path → status, of all that were looked at: followed ones, and links themselves.

        A word stands for the status of what is not there (``absent``), or cannot be reached.
        """
        return dict(self._followed), dict(self._unfollowed)

    def dated(self) -> set[str]:
        """The directories of which not only the type was looked at, by absolute path."""
        asked = (subject for kind, subject in self._values if kind == InputKind.MTIME)
        return {*self._listings, *map(self.path, asked)}

    # One method a kind.

    def _file(self, subject: str) -> str:
        # Written out, because it is done for thousands of files while the user waits.
        path = self._below + subject if subject[:1] not in _SPECIAL else self.path(subject)
        status = self._followed.get(path)
        if status is None:
            status = self._followed[path] = look(path)
        if isinstance(status, str):
            return status
        if stat.S_ISREG(status[5]):
            return self.digests.of(path, status)
        return _TYPES.get(stat.S_IFMT(status[5]), "other")

    def _type(self, subject: str) -> str:
        path = self.path(subject)
        link = self.status_of_link(path)
        if isinstance(link, str):
            return link
        if not stat.S_ISLNK(link[5]):
            return _TYPES.get(stat.S_IFMT(link[5]), "other")
        status = self.status(path)
        if isinstance(status, str):
            return f"link:{status}"
        return f"link:{_TYPES.get(stat.S_IFMT(status[5]), 'other')}"

    def _stat(self, subject: str) -> str:
        path = self.path(subject)
        status = self.status(path)
        if isinstance(status, str):
            return status
        link = self.status_of_link(path)
        prefix = ""
        if not isinstance(link, str) and stat.S_ISLNK(link[5]):
            # Whose status it is can be told from it: ``samefile`` does.
            prefix = f"link:{self._link(subject)}:"
        return f"{prefix}{stat.S_IMODE(status[5]):o} {self._file(subject)}"

    def _modified(self, subject: str) -> str:
        status = self.status(self.path(subject))
        return status if isinstance(status, str) else str(status[3])

    def _link(self, subject: str) -> str:
        path = self.path(subject)
        self.status_of_link(path)
        try:
            return os.readlink(path)
        except OSError as error:
            return failure(error)
        except ValueError:
            return ABSENT

    def _listing(self, subject: str) -> str:
        return self.listing(self.path(subject)).digest()

    def _lookup(self, subject: str) -> str:
        directory, _, name = subject.rpartition("|")
        return SEPARATOR.join(self.candidates(self.path(directory), name))

    def _distribution(self, subject: str) -> str:
        directory, _, name = subject.rpartition("|")
        return self.site(self.path(directory)).identity(name)

    def _distributions(self, subject: str) -> str:
        directory, _, group = subject.partition("|")
        return self.site(self.path(directory)).digest_of_all(group)

    def _project(self, _: str) -> str:
        whole = sha256()
        for path in self.files():
            link = self.status_of_link(self._below + path)
            is_link = not isinstance(link, str) and stat.S_ISLNK(link[5])
            value = self._link(path) if is_link else self._stat(path)
            whole.update(f"{path}\0{value}\0".encode("utf-8", "surrogateescape"))
        return whole.hexdigest()

    def _source(self, path: str) -> bytes | None:
        status = self.status(path)
        if isinstance(status, str) or status[2] > MOST_PARSED_BYTES:
            return None
        try:
            with open(path, "rb") as file:
                return file.read()
        except (OSError, ValueError):
            return None


_KINDS: dict[str, Callable[[Observer, str], str]] = {
    InputKind.FILE.value: Observer._file,
    InputKind.SOURCE.value: Observer._file,
    InputKind.TYPE.value: Observer._type,
    InputKind.STAT.value: Observer._stat,
    InputKind.MTIME.value: Observer._modified,
    InputKind.LINK.value: Observer._link,
    InputKind.LISTING.value: Observer._listing,
    InputKind.LOOKUP.value: Observer._lookup,
    InputKind.DISTRIBUTION.value: Observer._distribution,
    InputKind.DISTRIBUTIONS.value: Observer._distributions,
    InputKind.PROJECT.value: Observer._project,
}
