"""Stored results × the inputs as they are now → a hit, or the first input that changed.

A result holds where each of its inputs has the value that it had. Source files have a second
chance: where their digest differs, the functions that were executed may all be the same still. That
is believed only of a file whose ``<module>`` was seen to be executed; otherwise the interpreter
began to tell of the file when a part of it had run already.

Pure: what the inputs are now is asked of ``current`` and ``scopes_of``, once each for all results
of a run.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from iopio_async.model.trace import Input, InputKind, Level, StoredResult

#: The scope of a source file that is executed when it is imported.
MODULE_SCOPE = "<module>"

#: The digest of a function that is not there any more.
GONE = "absent"

#: Gives the value of an input as it is now, or ``None`` where nobody can tell.
Current = Callable[[Input], str | None]

#: Gives digests of the functions in a source file by their names, as ``Input.scopes`` has them;
#: ``None`` where the file can only be taken as a whole.
ScopesOf = Callable[[str], Mapping[str, str] | None]


class Crossing(NamedTuple):
    """``writer``, a module that is going to be executed, wrote the path ``subject`` last time."""

    writer: str
    subject: str


class Change(NamedTuple):
    """An input that is not what it was.

    ``old`` and ``new`` are values as in ``Input``; ``new`` is ``None`` where nobody can tell. If
    ``scope`` names a function, they are that function's digests.
    """

    kind: InputKind
    subject: str
    old: str
    new: str | None
    scope: str = ""


class Hit(NamedTuple):
    """A result that holds: what is needed to replay it."""

    events: str
    coverage: str
    executed_at_s: float
    expires_at_s: float
    duration_s: float
    level: Level = Level.PRECISE

    @classmethod
    def of(cls, result: StoredResult) -> "Hit":
        """The result, without its trace."""
        return cls(
            result.events,
            result.coverage,
            result.executed_at_s,
            result.expires_at_s,
            result.duration_s,
            result.trace.level,
        )


class Miss(NamedTuple):
    """No result holds.

    ``change`` is the first input of the newest one that is not what it was; ``expired`` says that
    there are results, but all of them have ended; ``refusal`` is why the last execution's result
    was not stored; ``crossing`` says that a result does hold, but not for long.
    """

    change: Change | None = None
    expired: bool = False
    refusal: str = ""
    crossing: Crossing | None = None


class Judge:
    """Tells which inputs changed, looking at each of them once."""

    def __init__(self, current: Current, scopes_of: ScopesOf | None = None) -> None:
        self._current = current
        self._scopes_of = scopes_of
        self._values: dict[tuple[str, str], str | None] = {}
        self._scopes: dict[str, Mapping[str, str] | None] = {}

    def value(self, given: Input) -> str | None:
        """The value of the input as it is now."""
        # Members of an enumeration are ten times as slow to hash as their values.
        place = (given.kind.value, given.subject)
        if place not in self._values:
            self._values[place] = self._current(given)
        return self._values[place]

    def change(self, given: Input) -> Change | None:
        """How the input changed; ``None`` where it holds."""
        new = self.value(given)
        if new == given.value:
            return None
        now = self._scopes_now(given)
        if now is None or new is None:
            return Change(given.kind, given.subject, given.value, new)
        for name, old in given.scopes:
            if now.get(name, GONE) != old:
                return Change(given.kind, given.subject, old, now.get(name, GONE), name)
        return None

    def _scopes_now(self, given: Input) -> Mapping[str, str] | None:
        """The functions of a source, where they count and not the file as a whole."""
        if given.kind is not InputKind.SOURCE or self._scopes_of is None:
            return None
        if all(name != MODULE_SCOPE for name, _ in given.scopes):
            return None
        if given.subject not in self._scopes:
            self._scopes[given.subject] = self._scopes_of(given.subject)
        return self._scopes[given.subject]

    def first_change(self, inputs: Iterable[Input]) -> Change | None:
        """The first of the inputs that changed; ``None`` where all hold."""
        return next((change for each in inputs if (change := self.change(each))), None)


def newest_valid(
    results: Iterable[StoredResult], judge: Judge, is_living: Callable[[StoredResult], bool]
) -> Hit | Miss:
    """The newest of the results that holds, or what changed for the newest that has not ended."""
    first: Change | None = None
    some = living = False
    for result in results:
        some = True
        if not is_living(result):
            continue
        change = judge.first_change(result.trace.inputs)
        if change is None:
            return Hit.of(result)
        if not living:
            first = change
        living = True
    return Miss(change=first, expired=some and not living)
