"""Where a path lies decides what a question about it means, as inputs.

See the rules in ``tracing``. Each question is answered once a run.
"""

import os
from collections.abc import Sequence

from iopio_async.model.trace import InputKind
from iopio_async.planning.overrides import matches
from iopio_async.project.distributions import site_of
from iopio_async.project.listings import is_in_cache
from iopio_async.project.observer import Observer

#: What an input is looked up by: its kind and its subject.
Name = tuple[InputKind, str]

#: What a git command, or a reader of its files, depends on.
_HEADS = ("HEAD", "index", "packed-refs", "config")


class Places:
    """The places of a run. ``ignored`` are globs of paths that do not matter."""

    def __init__(
        self, observer: Observer, standard_library: Sequence[str], ignored: Sequence[str]
    ) -> None:
        self._observer = observer
        self._standard_library = tuple(standard_library)
        self._ignored = tuple(ignored)
        self._names: dict[tuple[InputKind, bytes], tuple[Name, ...]] = {}

    def is_standard(self, path: str) -> bool:
        """True for what is part of the interpreter."""
        return any(
            path == folder or path.startswith(folder + "/") for folder in self._standard_library
        ) and not site_of(path)

    def about(self, kind: InputKind, path: bytes) -> tuple[Name, ...]:
        """The inputs that a question about an absolute path means."""
        known = self._names.get((kind, path))
        if known is None:
            known = self._names[kind, path] = tuple(self._name(kind, os.fsdecode(path)))
        return known

    def _name(self, kind: InputKind, path: str) -> list[Name]:
        subject = self._observer.subject(path)
        own: list[Name] = [(kind, subject)]
        if self.is_standard(path) or self.is_ignored(subject):
            return []
        site = site_of(path)
        if site and site != path:
            in_cache = is_in_cache(path[len(site) + 1 :])
            return self._in_site(kind, site, path) or ([] if in_cache else own)
        folder, mark, below = path.partition("/.git/")
        if mark:
            kept = [] if below.startswith("objects/") else own
            return kept + self._heads(f"{folder}/.git")
        return [] if is_in_cache(subject) else own

    def _in_site(self, kind: InputKind, site: str, path: str) -> list[Name]:
        """The distributions that a question about a path in a site directory leads to."""
        owner = self.owner(path)
        if owner is not None:
            return [owner]
        if kind is not InputKind.LISTING:
            return []
        folder = self._observer.subject(site)
        owners = self._observer.site(site).folder_owners(path[len(site) + 1 :])
        named: list[Name] = [
            (InputKind.DISTRIBUTION, f"{folder}|{each}") for each in sorted(owners)
        ]
        return [*named, (kind, self._observer.subject(path))] if len(named) != 1 else named

    def owner(self, path: str) -> Name | None:
        """The distribution that lists a file of a site directory."""
        site = site_of(path)
        if not site or site == path:
            return None
        owner = self._observer.site(site).owner(path[len(site) + 1 :])
        if not owner:
            return None
        return InputKind.DISTRIBUTION, f"{self._observer.subject(site)}|{owner}"

    def _heads(self, folder: str) -> list[Name]:
        """What a repository's state hangs on."""
        names = list(_HEADS)
        try:
            with open(f"{folder}/HEAD", "rb") as file:
                head = os.fsdecode(file.read(4096)).strip()
        except OSError:
            head = ""
        if head.startswith("ref: "):
            names.append(head.removeprefix("ref: "))
        return [(InputKind.FILE, self._observer.subject(f"{folder}/{name}")) for name in names]

    def program(self, path: str) -> list[Name]:
        """The inputs of a program that was started, less what it read."""
        names: list[Name] = []
        if path.startswith("/"):
            names.append((InputKind.FILE, self._observer.subject(path)))
        if os.path.basename(path) == "git":
            names += self._heads(f"{self._observer.root}/.git")
        return names

    def is_ignored(self, subject: str) -> bool:
        """True for what the project declares not to matter."""
        return any(matches(glob, subject) for glob in self._ignored)
