"""Did an input change while the tests ran that read it?

The values of a trace are looked at after the fact; they are what the tests read only if nothing
changed in between. Two witnesses can say so. *Time stamps*: nothing that decides the value changed
since the start. *An earlier look*: it is now what it was before the start; this serves for names in
directories, where the times tell of every other name too, and for what is not there, which has no
times. Where neither can speak, the input counts as changed.
"""

import contextlib
import os
import stat
from collections.abc import Iterable

from iopio_async.model.trace import Input, InputKind
from iopio_async.project.digests import ABSENT, Status, changed_ns
from iopio_async.project.distributions import Site
from iopio_async.project.file_systems import LOCAL_SLACK_NS
from iopio_async.project.listings import DIRECTORY, FILE, OTHER, SEPARATOR, Listing
from iopio_async.project.observer import Observer

#: Kinds that the environment and the command line of the run decide, which are its own.
_FIXED = frozenset({InputKind.VARIABLE, InputKind.ENVIRONMENT, InputKind.PATHS})

#: Kinds whose subject may name a directory before a ``|``.
_IN_DIRECTORY = frozenset({InputKind.LOOKUP, InputKind.DISTRIBUTION, InputKind.DISTRIBUTIONS})

#: Kinds of which a change back and forth can be told by times alone, if it is no directory.
_CONTENT = frozenset(
    {InputKind.FILE, InputKind.SOURCE, InputKind.STAT, InputKind.MTIME, InputKind.LINK}
)

#: As many links after each other as the system follows.
MOST_LINKS = 40

#: The type of a path, by that in a listing. What a link leads to is not listed.
_LISTED = {FILE: "file", DIRECTORY: "directory", OTHER: "other"}


class Recheck:
    """A second look at inputs, each once: for all modules that ended before it.

    ``before`` is the observer that gave the inputs' values. To let it witness what is in the
    project's directories, call its ``survey`` before ``start_ns``, which is when the run started.
    """

    def __init__(self, before: Observer, start_ns: int) -> None:
        self._before = before
        self._now = before.again()
        self._start_ns = start_ns
        self._judged: dict[Input, bool] = {}
        self._ways: dict[str, bool] = {}

    def changed(self, inputs: Iterable[Input]) -> list[Input]:
        """Those inputs that may have had another value at some time since the start."""
        return [each for each in inputs if not self._is_unchanged(each)]

    def _is_unchanged(self, given: Input) -> bool:
        if given.kind in _FIXED:
            return True
        known = self._judged.get(given)
        if known is None:
            known = self._judged[given] = self._judge(given)
        return known

    def _judge(self, given: Input) -> bool:
        if self._now.current(given) != given.value:
            return False
        if given.kind is InputKind.PROJECT:
            return self._project_is_older()
        path, there = self._place(given)
        if given.kind in {InputKind.DISTRIBUTION, InputKind.DISTRIBUTIONS}:
            return self._installation_is_older(given, path)
        if given.kind in _CONTENT and there == FILE:
            return self._times_are_older(given, path)
        return self._times_are_older(given, path) or self._was_seen_before(given, path)

    def _place(self, given: Input) -> tuple[str, str]:
        """The path whose times decide, and what is there: a file (or the like), a directory, ''."""
        subject = given.subject
        if given.kind in _IN_DIRECTORY:
            subject = subject.rpartition("|")[0] if "|" in subject else subject
        path = self._now.path(subject)
        if given.kind is InputKind.LINK:
            status = self._now.status_of_link(path)
            return path, "" if status == ABSENT else FILE
        status = self._now.status(path)
        if isinstance(status, str):
            return path, "" if status == ABSENT else FILE
        return path, DIRECTORY if stat.S_ISDIR(status[5]) else FILE

    # The witness of time.

    def _times_are_older(self, given: Input, path: str) -> bool:
        if given.kind is InputKind.LINK:
            return self._status_is_older(self._now.status_of_link(path))
        if given.kind is InputKind.TYPE or (
            given.kind in {InputKind.FILE, InputKind.STAT} and self._now.is_directory(path)
        ):
            # What happens to it, or in it, changes its own times; that it is there at all changes
            # its parent's.
            return self._path_is_older(path) or self._path_is_older(os.path.dirname(path))
        return self._path_is_older(path)

    def _path_is_older(self, path: str) -> bool:
        if not self._way_is_the_same(path):
            return False
        status = self._now.status(path)
        while status == ABSENT and path not in {"/", ""}:
            # To come and go, it would have changed the first directory on the way that is there.
            path = os.path.dirname(path)
            status = self._now.status(path)
            if not isinstance(status, str) and status[5] & stat.S_ISVTX:
                # Anybody's directory, in which something changes all the time.
                return True
        return self._status_is_older(status)

    def _way_is_the_same(self, path: str) -> bool:
        """No link on the way was led elsewhere, and no directory that was seen was exchanged.

        What is in a directory that was renamed keeps its times; so does the target of a link.
        """
        if path in {"/", ""}:
            return True
        known = self._ways.get(path)
        if known is None:
            known = self._ways[path] = self._step_is_the_same(path) and self._way_is_the_same(
                os.path.dirname(path)
            )
        return known

    def _step_is_the_same(self, path: str) -> bool:
        now = self._now.status_of_link(path)
        if isinstance(now, str):
            return True
        if stat.S_ISLNK(now[5]):
            return self._status_is_older(now)
        before = self._before.known_status(path) if stat.S_ISDIR(now[5]) else None
        return before is None or isinstance(before, str) or before[:2] == now[:2]

    def _status_is_older(self, status: Status | str) -> bool:
        if isinstance(status, str):
            return True
        slack_ns = max(LOCAL_SLACK_NS, self._now.digests.file_systems.slack_ns(status[0]))
        return changed_ns(status, self._now.now_ns()) + slack_ns < self._start_ns

    def _project_is_older(self) -> bool:
        """No file of the project is new or changed, and no name in its directories."""
        for name in self._now.files():
            path = self._now.path(name)
            if not self._status_is_older(self._now.status_of_link(path)):
                return False
        return all(
            self._same_names(os.path.dirname(self._now.path(name)))
            for name in {os.path.dirname(name) + "/" for name in self._now.files()}
        )

    def _installation_is_older(self, given: Input, path: str) -> bool:
        """No distribution came or went, and the metadata of those in question are older."""
        site = self._now.site(path)
        listing = self._listed_before(path)
        if listing is None:
            if not self._path_is_older(path) and not self._was_absent_before(path):
                return False
        elif Site(listing, str).distributions != site.distributions:
            return False
        wanted: Iterable[str] = site.distributions
        if given.kind is InputKind.DISTRIBUTION:
            wanted = [given.subject.rpartition("|")[2]]
        return all(
            self._path_is_older(each.metadata)
            for name in wanted
            for each in site.distributions.get(name, ())
        )

    def _same_names(self, path: str) -> bool:
        listing = self._listed_before(path)
        if listing is not None:
            return listing.digest() == self._now.listing(path).digest()
        return self._path_is_older(path)

    # The witness of an earlier look.

    def _was_seen_before(self, given: Input, path: str) -> bool:
        told_ns = self._before.told_ns(given)
        if told_ns is not None and told_ns < self._start_ns:
            return True
        listing = self._listed_before(path)
        if listing is not None and given.kind is InputKind.LISTING:
            return listing.digest() == given.value
        if listing is not None and given.kind is InputKind.LOOKUP:
            name = given.subject.rpartition("|")[2]
            found = listing.candidates(name, self._before.is_directory)
            return SEPARATOR.join(found) == given.value
        if given.kind is InputKind.MTIME:
            return False
        return self._was_listed_before(self._where_it_leads(path))

    def _where_it_leads(self, path: str) -> str:
        """The path that a link dangles at, if it and the way to it are old; else itself."""
        if self._now.status(path) != ABSENT or not self._way_is_the_same(path):
            return path
        end = path
        for _ in range(MOST_LINKS):
            link = self._now.status_of_link(end)
            if isinstance(link, str) or not stat.S_ISLNK(link[5]):
                return end
            with contextlib.suppress(OSError):
                end = os.path.normpath(os.path.join(os.path.dirname(end), os.readlink(end)))
        return path

    def _was_absent_before(self, path: str) -> bool:
        return self._now.status_of_link(path) == ABSENT and self._was_listed_before(path)

    def _was_listed_before(self, path: str) -> bool:
        """A listing from before the start says that what is there is what was there, or nothing."""
        there = self._now.status_of_link(path)
        while True:
            folder = os.path.dirname(path)
            listing = self._listed_before(folder)
            if listing is not None:
                before = listing.types.get(os.path.basename(path))
                if there == ABSENT:
                    return before is None
                now = self._now.listing(folder).types.get(os.path.basename(path))
                return before == now and before in _LISTED
            if there != ABSENT or self._now.status(folder) != ABSENT or folder == path:
                return False
            path = folder

    def _listed_before(self, path: str) -> Listing | None:
        listing = self._before.listed(path)
        return listing if listing is not None and listing.seen_ns < self._start_ns else None
