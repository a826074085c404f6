"""What an execution read, and what came of it: the values of the result cache.

A *trace* lists the inputs that one execution of an action read, each with how it is validated and
what it was. The same action, with the same inputs, would run the same thing again; so its result
may be replayed (constructive traces, as in *Build Systems à la Carte*).

Paths in a trace are relative to the project where they are inside of it; outside of it they are
absolute.
"""

from enum import StrEnum

import msgspec

#: Counted up whenever traces of one version can't be judged by another.
TRACE_VERSION = 2


class InputKind(StrEnum):
    """How an input is validated; in the comment, what ``value`` holds."""

    #: Content of a file: SHA-256 in hex, or ``absent``, ``directory``, ``other``.
    FILE = "file"
    #: Like ``file``, or else the digests of the functions that were executed (``scopes``).
    SOURCE = "source"
    #: What a path leads to: ``file``, ``directory``, ``absent``, ``other``, with ``link:`` before
    #: it where it is itself a symbolic link.
    TYPE = "type"
    #: Type, permissions, and of a file the content.
    STAT = "stat"
    #: Time of last modification, in nanoseconds.
    MTIME = "mtime"
    #: Target of a symbolic link.
    LINK = "link"
    #: Names and types in a directory, less caches: a digest.
    LISTING = "listing"
    #: Of ``subject``, a directory and after a ``|`` a name: what could be imported by that name.
    LOOKUP = "lookup"
    #: An environment variable: a keyed digest, or ``absent``.
    VARIABLE = "variable"
    #: The whole environment: a keyed digest.
    ENVIRONMENT = "environment"
    #: An installed distribution, by its site directory and after a ``|`` its name: its version and
    #: the digest of its list of files, or ``absent``.
    DISTRIBUTION = "distribution"
    #: All installed distributions of a site directory, or after a ``|`` those with entry points of
    #: a group.
    DISTRIBUTIONS = "distributions"
    #: All files of the project: a digest.
    PROJECT = "project"
    #: The paths that pytest was called with, where somebody looked at them, and with ``conftests``
    #: as the subject the conftests that it loads for them at its start: as text, or a digest.
    PATHS = "paths"


#: A subject of ``InputKind.PATHS``.
INITIAL_CONFTESTS = "conftests"


class Level(StrEnum):
    """How well the inputs are known: the ladder from which nothing opaque is left out."""

    PRECISE = "precise"
    #: Something was read that could not be followed: all files of the project are an input too.
    COARSE = "coarse"
    #: The result must not be stored at all.
    UNCACHEABLE = "uncacheable"


class Input(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """One input. ``scopes`` are executed functions by their place in the source, with digests."""

    kind: InputKind
    subject: str
    value: str
    scopes: tuple[tuple[str, str], ...] = ()


class Trace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All inputs of one execution. ``reasons`` say why the level is not better than it is."""

    level: Level = Level.PRECISE
    inputs: tuple[Input, ...] = ()
    reasons: tuple[str, ...] = ()


class StoredResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One execution of an action: where its events are, what it read, and how long it holds.

    ``events`` and ``coverage`` name blobs by their SHA-256; times are seconds since the epoch,
    counted from the execution.
    """

    trace: Trace
    events: str = ""
    coverage: str = ""
    executed_at_s: float = 0.0
    expires_at_s: float = 0.0
    duration_s: float = 0.0


class ActionEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the cache knows of one action: results with different inputs, the newest first.

    ``refusal`` is why the last execution's result was not stored, or ``""``.
    """

    key: str
    module: str
    results: tuple[StoredResult, ...] = ()
    refusal: str = ""
    trace_version: int = TRACE_VERSION
