"""Conflicts between modules that were seen to use the same thing, and for how long they hold.

The source does not tell everything: a name may be computed. What modules were observed to do with
paths and ports is compared over a run. A resource that two of them used, at least one of them in a
way that the other can notice, is *contested*: each of its users gets a claim on it. Those that only
append to the same file are left alone, since a log that nobody reads keeps no test from passing;
so are files that tools keep for themselves. A cache that several modules make, but only where it is
not there, is forgotten with the next run, in which all of them read it. What most of many modules
use alike is set up for all of them, by a conftest or a plugin: it would keep everything from
overlapping, and is told instead of learned (``crowds``).

A user that was executed ``FORGET_AFTER`` times without touching the resource again is forgotten; at
once where its source has changed meanwhile. What is left of fewer than two users, or of readers
alone, is no conflict any more. A module that was not executed says nothing, and one that did not
run to its proper end does not say what it leaves alone.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from iopio_async.model.module import Claim, Evidence, Mode

#: So many whole executions in a row without a sight of the resource end a learned claim.
FORGET_AFTER = 3

#: Begins why a module claims what it was seen to use.
WAS_SEEN = "was seen: "

#: Names of folders and files, anywhere in a path, that tools keep for themselves.
_TOOLS_NAMES = frozenset(
    {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".coverage"}
)
#: Something that so many modules use alike, and most of those that ran, belongs to all of them.
CROWD = 10

_TOOLS_STARTS = (".coverage.",)
_TOOLS_ENDS = (".pyc", ".pyo")


class Use(StrEnum):
    """What a module was seen to do with a resource."""

    READ = "read"
    APPENDED = "appended to"
    WROTE = "wrote"
    BOUND = "bound"
    CONNECTED = "connected to"


#: Any two of these by two modules, in either order, leave both results as they are.
_GENTLE = frozenset({Use.READ, Use.CONNECTED})
_PEACEFUL = frozenset(
    {*((one, other) for one in _GENTLE for other in _GENTLE), (Use.APPENDED, Use.APPENDED)}
)


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What one execution of a module was seen to use, by the names of resources.

    ``digest`` is that of the module's source; private folders are left out by who looks. It is
    ``whole`` where the module ran to its proper end.
    """

    digest: str
    uses: Mapping[str, Use] = {}
    whole: bool = True


class Learned(msgspec.Struct, frozen=True, array_like=True):
    """One user of a contested resource: how, in which state of its source, and unseen since."""

    use: Use
    digest: str
    unseen: int = 0


#: Stands for all modules, where they use something alike.
EVERYBODY = "*"
_OF_ALL = Learned(Use.WROTE, "")

#: The users of each contested resource, by module.
Conflicts = dict[str, dict[str, Learned]]


def is_shareable(resource: str) -> bool:
    """False for what no two modules can get in each other's way with, whatever was seen."""
    kind, _, name = resource.partition(":")
    if kind == "port":
        return name != "0"
    parts = name.split("/")
    return _TOOLS_NAMES.isdisjoint(parts) and not (
        parts[-1].startswith(_TOOLS_STARTS) or parts[-1].endswith(_TOOLS_ENDS)
    )


def learn(known: Conflicts, sights: Mapping[str, Sight]) -> Conflicts:
    """What is known after a run in which these modules were executed."""
    common = _common(known, sights)
    users: Conflicts = {}
    for resource, before in known.items():
        kept = users[resource] = {}
        for module, learned in before.items():
            left = _left(learned, sights.get(module), resource)
            if module != EVERYBODY and left is not None:
                kept[module] = left
    for module, sight in sights.items():
        for resource, use in sight.uses.items():
            if is_shareable(resource):
                users.setdefault(resource, {})[module] = Learned(use, sight.digest)
    found = {
        resource: dict(sorted(each.items()))
        for resource, each in users.items()
        if resource not in common and is_contested(each.values())
    }
    found.update({resource: {EVERYBODY: _OF_ALL} for resource in common})
    return dict(sorted(found.items()))


def _common(known: Conflicts, sights: Mapping[str, Sight]) -> set[str]:
    """What belongs to all modules; only a run of many can tell that it does not any more."""
    common = set(crowds(sights))
    if len(sights) < CROWD:
        common.update(resource for resource, users in known.items() if EVERYBODY in users)
    return common


def crowds(sights: Mapping[str, Sight]) -> dict[str, int]:
    """What is contested by most of many modules that ran alike, and by how many."""
    counts: Counter[tuple[str, Use]] = Counter()
    for sight in sights.values():
        counts.update(each for each in sight.uses.items())
    return {
        resource: count
        for (resource, use), count in sorted(counts.items())
        if count >= CROWD and 2 * count > len(sights) and (use, use) not in _PEACEFUL
        if is_shareable(resource)
    }


def disturbs(one: Learned, other: Learned) -> bool:
    """Say whether one of two users of a resource can notice the other."""
    return (one.use, other.use) not in _PEACEFUL


def claims_of_learned(conflicts: Conflicts) -> dict[str, tuple[Claim, ...]]:
    """The claims that keep the users of contested resources apart, by module."""
    found: dict[str, list[Claim]] = {}
    for resource, users in conflicts.items():
        if EVERYBODY in users:
            continue
        together = _together(each.use for each in users.values())
        for module, learned in users.items():
            mode = Mode.SHARED if learned.use in together else Mode.EXCLUSIVE
            others = [f"{other} {each.use} it" for other, each in users.items() if other != module]
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            why = f"{WAS_SEEN}{learned.use} it, and {others[0]}{more}"
            found.setdefault(module, []).append(
                Claim(resource, mode, evidence=(Evidence(module, 1, why),))
            )
    return {module: tuple(claims) for module, claims in found.items()}


def _left(learned: Learned, sight: Sight | None, resource: str) -> Learned | None:
    """What is left of a user, after an execution that may have touched the resource or not."""
    if sight is None or resource in sight.uses or not sight.whole:
        return learned
    if sight.digest != learned.digest or learned.unseen + 1 >= FORGET_AFTER:
        return None
    return Learned(learned.use, learned.digest, learned.unseen + 1)


def _together(uses: Iterable[Use]) -> frozenset[Use]:
    """The uses that need not be alone: either all that read or all that add, whoever is more."""
    counts = Counter(uses)
    reading = sum(counts[use] for use in _GENTLE)
    return _GENTLE if reading >= counts[Use.APPENDED] else frozenset({Use.APPENDED})


def is_contested(users: Iterable[Learned]) -> bool:
    """Two users, one of which can notice the other."""
    every = list(users)
    # Where all others are at peace with the first they are with each other, too.
    return any(disturbs(every[0], other) for other in every[1:])
