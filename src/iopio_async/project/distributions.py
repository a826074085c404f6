"""Which distributions are installed in a site directory, and which of them owns a file.

Names and versions come from the names of metadata directories, files from their ``RECORD``, entry
points from ``entry_points.txt``; nothing is imported. Files in a site directory that no
distribution lists, such as those that somebody put there by hand, have no owner. An editable
install has metadata here and its sources elsewhere: those are files like any other.
"""

import csv
import os
import re
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import NamedTuple

from iopio_async.project.digests import ABSENT
from iopio_async.project.listings import Listing

#: The names by which site directories are known wherever they are.
SITE_NAMES = ("site-packages", "dist-packages")

#: What tells best whether an installation is still the same, by preference.
_EVIDENCE = ("RECORD", "METADATA", "PKG-INFO")


class Distribution(NamedTuple):
    """One installed distribution: its normalised name, and its metadata's absolute path."""

    name: str
    version: str
    metadata: str


def normalised(name: str) -> str:
    """The name of a distribution as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def site_of(path: str) -> str:
    """The outermost site directory that a path is in, or is itself; empty where it is in none."""
    if "-packages" not in path:
        return ""
    parts = path.split("/")
    for index, part in enumerate(parts):
        if part in SITE_NAMES:
            return "/".join(parts[: index + 1])
    return ""


class Site:
    """The distributions in one directory of the search path.

    ``digest`` gives the value of a file as an input.
    """

    def __init__(self, listing: Listing, digest: Callable[[str], str]) -> None:
        self._listing = listing
        self._digest = digest
        self.distributions: dict[str, list[Distribution]] = {}
        for entry in sorted(listing.types):
            found = _metadata_name(entry)
            if found is not None:
                name, version = found
                self.distributions.setdefault(name, []).append(
                    Distribution(name, version, f"{listing.path}/{entry}")
                )
        self._files: dict[str, frozenset[str]] = {}
        self._owners: dict[str, str] | None = None
        self._folders: dict[str, set[str]] | None = None

    def identity(self, name: str) -> str:
        """What a distribution is: version and digest of its record; ``absent`` where it is not."""
        found = self.distributions.get(normalised(name), ())
        return " ".join(self._identity(each) for each in found) or ABSENT

    def digest_of_all(self, group: str = "") -> str:
        """A digest of the distributions, or of those with entry points in a group, and of these."""
        parts = []
        for name in sorted(self.distributions):
            for each in self.distributions[name]:
                entry_points = _section(_text(f"{each.metadata}/entry_points.txt"), group)
                if entry_points or not group:
                    parts.append(f"{name} {self._identity(each)} {entry_points}")
        return sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()

    def owner(self, path: str) -> str:
        """The distribution that lists a file, by its path below the directory; empty for none."""
        guess = normalised(path.partition("/")[0].partition(".")[0])
        if guess in self.distributions and path in self._files_of(guess):
            return guess
        if self._owners is None:
            self._owners = {
                file: name for name in self.distributions for file in self._files_of(name)
            }
        return self._owners.get(path, "")

    def folder_owners(self, path: str) -> set[str]:
        """The distributions that list files below a directory."""
        if self._folders is None:
            self._folders = {}
            for name in self.distributions:
                for folder in set(map(os.path.dirname, self._files_of(name))):
                    while folder:
                        self._folders.setdefault(folder, set()).add(name)
                        folder = os.path.dirname(folder)  # noqa: PLW2901 (upwards from here)
        return self._folders.get(path, set())

    def _files_of(self, name: str) -> frozenset[str]:
        files = self._files.get(name)
        if files is None:
            found = self.distributions[name]
            files = frozenset(file for each in found for file in _recorded(each.metadata))
            self._files[name] = files
        return files

    def _identity(self, distribution: Distribution) -> str:
        metadata = distribution.metadata
        evidence = self._digest(metadata)
        if evidence == "directory":
            digests = (self._digest(f"{metadata}/{name}") for name in _EVIDENCE)
            evidence = next((digest for digest in digests if digest != ABSENT), ABSENT)
        return f"{distribution.version}:{evidence}"


def _metadata_name(entry: str) -> tuple[str, str] | None:
    """Name and version in the name of a metadata directory (or file); None for any other."""
    stem, dot, suffix = entry.rpartition(".")
    if not dot or suffix not in {"dist-info", "egg-info"}:
        return None
    name, _, rest = stem.partition("-")
    # An egg's name ends in the version of Python that it was made for.
    version = rest.partition("-py")[0] if suffix == "egg-info" else rest
    return normalised(name), version


def _recorded(metadata: str) -> Iterable[str]:
    """The files that a distribution lists, as paths below its site directory."""
    text = _text(f"{metadata}/RECORD")
    if '"' in text:
        return [row[0] for row in csv.reader(text.splitlines()) if row]
    return [line.partition(",")[0] for line in text.splitlines()]


def _section(text: str, group: str) -> str:
    """The lines of one section of an ini file, all of them where no group is asked for."""
    if not group:
        return text
    lines = []
    inside = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            inside = line == f"[{group}]"
        elif inside and line:
            lines.append(line)
    return "\n".join(lines)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (OSError, ValueError):
        return ""
