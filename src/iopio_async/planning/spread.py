"""Claims that overlap without having the same name, made to meet under the same names.

The lock table knows names alone. A folder lies over the files in it, a server over its databases,
and a module that runs alone over all others: whoever claims the outer one is given each inner one
that anybody claims, in the same mode. So two writers of different files in a folder stay
independent, and whoever deletes the folder waits for both.
"""

from collections.abc import Mapping

from iopio_async.model.module import Claim, Mode, Reach
from iopio_async.planning.claims import ALONE


def spread(claims: Mapping[str, tuple[Claim, ...]]) -> dict[str, tuple[Claim, ...]]:
    """The claims of all modules of a run, by path, with what lies within each added."""
    inner = _within({claim.resource for each in claims.values() for claim in each})
    alone = {
        path
        for path, each in claims.items()
        if any(claim.resource == ALONE and claim.mode is Mode.EXCLUSIVE for claim in each)
    }
    result: dict[str, tuple[Claim, ...]] = {}
    for path, each in claims.items():
        added = [
            Claim(name, claim.mode, claim.scope, claim.evidence)
            for claim in each
            for name in inner.get(claim.resource, ())
        ]
        if alone and path not in alone:
            added.append(Claim(ALONE, Mode.SHARED, Reach.MACHINE))
        result[path] = (*each, *added)
    return result


def binding(claims: Mapping[str, tuple[Claim, ...]]) -> dict[str, tuple[Claim, ...]]:
    """Only the claims that can make a module of this run wait for another one of it.

    What everybody shares, or only one module claims, keeps nobody waiting here; between two runs it
    may.
    """
    users: dict[str, set[str]] = {}
    written: set[str] = set()
    for path, each in claims.items():
        for claim in each:
            users.setdefault(claim.resource, set()).add(path)
            if claim.mode is Mode.EXCLUSIVE:
                written.add(claim.resource)
    return {
        path: tuple(
            claim for claim in each if claim.resource in written and len(users[claim.resource]) > 1
        )
        for path, each in claims.items()
    }


def _within(names: set[str]) -> dict[str, list[str]]:
    """For each name those that lie within it."""
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        at = name.find("/")
        while at > 0:
            outer = name[:at]
            if outer in names and outer != name:
                found.setdefault(outer, []).append(name)
            at = name.find("/", at + 1)
        kind, colon, _ = name.partition(":")
        if colon and kind in names:
            found.setdefault(kind, []).append(name)
    return found
