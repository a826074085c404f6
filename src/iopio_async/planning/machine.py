"""What a module claims among all runs on a machine: names that mean the same in every project.

Within a run a resource is named as its source names it. Between runs that does not do: a path in
the project means another file in another checkout, and a variable of the environment may lead
elsewhere in another terminal. So relative paths are put below the root, variables are replaced by
what they hold, and what only the modules of one project mean by a name is marked as this project's.
Paths and the environment are passed in.

Here no run knows the names of the others, so what lies within what is decided by pairs: a folder
lies over its files, a server over its databases, a kind over all of its kind.
"""

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256

import msgspec

from iopio_async.analysis.resources import resource
from iopio_async.model.module import Claim, Mode, Reach
from iopio_async.planning.claims import ALONE, GROUP

#: Names that each project gives to something of its own.
OWN = frozenset({ALONE, "compose", "django-database"})

_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")
_DIGEST_CHARS = 16


class Wanted(msgspec.Struct, frozen=True, order=True, array_like=True):
    """A claim between runs: the name to compare by, the mode, and the resource in words.

    A name does not tell what a variable holds, which may be a password.
    """

    name: str
    exclusive: bool
    words: str


def wanted(claims: Iterable[Claim], root: str, environ: Mapping[str, str]) -> tuple[Wanted, ...]:
    """The claims among processes, each once, in the stronger mode, sorted by their names.

    Claims of units are left out. ``root`` is the project's real path.
    """
    found: dict[str, Wanted] = {}
    for claim in claims:
        if claim.scope is not Reach.MACHINE or claim.units:
            continue
        name = encodable(machine_name(claim.resource, root, environ))
        exclusive = claim.mode is Mode.EXCLUSIVE
        known = found.get(name)
        if known is None or exclusive > known.exclusive:
            found[name] = Wanted(name, exclusive, encodable(claim.resource))
    return tuple(found[name] for name in sorted(found))


def machine_name(name: str, root: str, environ: Mapping[str, str]) -> str:
    """The name on this machine of what a project at ``root`` calls ``name``."""
    kind, colon, place = name.partition(":")
    if name in OWN or name.startswith(GROUP):
        return _of_project(name, root)
    if kind == "path" and colon:
        return _of_path(place, root, environ)
    variables = _VARIABLE.findall(name)
    if not variables:
        return name
    if any(variable not in environ for variable in variables):
        return _of_project(name, root)
    text = _VARIABLE.sub(lambda match: environ[match[1]], place)
    meant = resource("port" if kind == "port" else "url", text) if kind in {"port", "dsn"} else None
    # What has no canonical name is still the same thing wherever it is spelled the same.
    return meant or f"{kind}:={_digest(text)}"


def _of_path(place: str, root: str, environ: Mapping[str, str]) -> str:
    if any(variable not in environ for variable in _VARIABLE.findall(place)):
        return _of_project(f"path:{place}", root)
    place = _VARIABLE.sub(lambda match: environ[match[1]], place)
    if place == "~" or place.startswith("~/"):
        place = environ.get("HOME", "~") + place[1:]
    if not place.startswith(("/", "~")):
        place = f"{root}/{place}"
    return resource("path", place) or f"path:{place}"


def _of_project(name: str, root: str) -> str:
    return f"{name}@{_digest(root)}"


def encodable(text: str) -> str:
    """The text without lone surrogates, which names of files may hold."""
    return text.encode("utf-8", "backslashreplace").decode()


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARS]


def conflict(ours: Iterable[Wanted], theirs: Iterable[Wanted]) -> Wanted | None:
    """The first of ``ours`` that can't be held at the same time as ``theirs``, or ``None``."""
    others = list(theirs)
    for mine in ours:
        for other in others:
            if (mine.exclusive or other.exclusive) and overlap(mine.name, other.name):
                return mine
    return None


def overlap(one: str, two: str) -> bool:
    """Say whether two names are the same, or one lies within the other."""
    return one == two or _within(one, two) or _within(two, one)


def _within(inner: str, outer: str) -> bool:
    return inner.startswith(f"{outer}/") or inner.partition(":")[0] == outer
