"""Conflicts between modules that were seen to use the same thing, and for how long they hold.

The source does not tell everything: a name may be computed. What modules were observed to do with
paths and ports is compared over a run. A resource that two of them used, at least one of them in a
way that the other can notice, is *contested*: each of its users gets a claim on it. Those that only
append to the same file are left alone, since a log that nobody reads keeps no test from passing;
so are files that tools keep for themselves.

A user that was executed ``FORGET_AFTER`` times without touching the resource again is forgotten; at
once where its source has changed meanwhile. What is left of fewer than two users, or of readers
alone, is no conflict any more. A module that was not executed, or not observed whole, says nothing.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from iopio_async.model.module import Claim, Evidence, Mode

#: So many whole executions in a row without a sight of the resource end a learned claim.
FORGET_AFTER = 3

#: Names of folders and files, anywhere in a path, that tools keep for themselves.
_TOOLS_NAMES = frozenset(
    {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".coverage"}
)
_TOOLS_STARTS = (".coverage.",)
_TOOLS_ENDS = (".pyc", ".pyo")


class Use(StrEnum):
    """What a module was seen to do with a resource."""

    READ = "read"
    APPENDED = "appended to"
    WROTE = "wrote"
    BOUND = "bound"


#: Any two of these by two modules, in either order, leave both results as they are.
_PEACEFUL = frozenset({(Use.READ, Use.READ), (Use.APPENDED, Use.APPENDED)})


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What one whole execution of a module was seen to use, by the names of resources.

    ``digest`` is that of the module's source; private folders are left out by who looks.
    """

    digest: str
    uses: Mapping[str, Use] = {}


class Learned(msgspec.Struct, frozen=True, array_like=True):
    """One user of a contested resource: how, in which state of its source, and unseen since."""

    use: Use
    digest: str
    unseen: int = 0


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
    """What is known after a run in which these modules were executed and observed whole."""
    users: Conflicts = {}
    for resource, before in known.items():
        kept = users[resource] = {}
        for module, learned in before.items():
            left = _left(learned, sights.get(module), resource)
            if left is not None:
                kept[module] = left
    for module, sight in sights.items():
        for resource, use in sight.uses.items():
            if is_shareable(resource):
                users.setdefault(resource, {})[module] = Learned(use, sight.digest)
    return {
        resource: dict(sorted(users[resource].items()))
        for resource in sorted(users)
        if _is_contested(each.use for each in users[resource].values())
    }


def claims_of_learned(conflicts: Conflicts) -> dict[str, tuple[Claim, ...]]:
    """The claims that keep the users of contested resources apart, by module."""
    found: dict[str, list[Claim]] = {}
    for resource, users in conflicts.items():
        for module, learned in users.items():
            mode = Mode.SHARED if learned.use is Use.READ else Mode.EXCLUSIVE
            others = [f"{other} {each.use} it" for other, each in users.items() if other != module]
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            why = f"was seen: {learned.use} it, and {others[0]}{more}"
            found.setdefault(module, []).append(
                Claim(resource, mode, evidence=(Evidence(module, 1, why),))
            )
    return {module: tuple(claims) for module, claims in found.items()}


def _left(learned: Learned, sight: Sight | None, resource: str) -> Learned | None:
    """What is left of a user, after an execution that may have touched the resource or not."""
    if sight is None or resource in sight.uses:
        return learned
    if sight.digest != learned.digest or learned.unseen + 1 >= FORGET_AFTER:
        return None
    return Learned(learned.use, learned.digest, learned.unseen + 1)


def _is_contested(uses: Iterable[Use]) -> bool:
    """Two users, one of which can notice the other."""
    every = list(uses)
    # Where all others are at peace with the first they all do the same, and so with each other.
    return any((every[0], other) not in _PEACEFUL for other in every[1:])
