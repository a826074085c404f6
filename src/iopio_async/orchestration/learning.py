"""Conflicts that only show when modules run: learned at the end of a run, kept apart in the next.

What the modules did that were executed is brought into what is known from the runs before
(``planning.learned``), which is kept beside the claims that the source tells. Of what modules read
only that counts which somebody writes: all else is looked up once and let go, so this takes a time
that grows with what was read, and no more.

A module whose claims were declared is left alone: a declaration beats what was seen.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec

from iopio_async.history import learned as store
from iopio_async.model.module import Claim, Mode
from iopio_async.orchestration.claims import ClaimedPlan
from iopio_async.orchestration.keeping import Witnessed
from iopio_async.planning.claims import ModuleClaims
from iopio_async.planning.learned import (
    EVERYBODY,
    Conflicts,
    Learned,
    Sight,
    Use,
    claims_of_learned,
    crowds,
    disturbs,
    learn,
)

#: Among so many users of a resource a pair is looked for that may overlap.
_LOOKED_AT = 50


class Lesson(NamedTuple):
    """What a run has to say of what it saw; ``category`` is that of a warning."""

    message: str
    category: str


class _News(NamedTuple):
    """Two modules that may overlap by all that was known before, and what they contend for."""

    resource: str
    one: str
    one_use: Use
    other: str
    other_use: Use
    users: int


def learn_from(
    folder: str,
    witnessed: Mapping[str, Witnessed],
    plan: ClaimedPlan | None,
    *,
    root: str,
    filtered: bool = False,
) -> Sequence[Lesson]:
    """Bring what is known in ``folder`` up to date, and say what is new.

    ``root`` is the project's folder, ``plan`` what was known of claims in this run, ``None`` where
    nobody asked. Where the run was ``filtered``, modules may leave alone what they use otherwise.

    Raises:
        InfrastructureError: it can't be kept.
    """
    known = store.load(folder)
    sights = _sights(witnessed, known, filtered=filtered)
    lessons = [
        Lesson(
            f"{resource} is used by {count} of {len(sights)} modules, which is left to you: "
            "declare locks where they get into each other's way",
            "iopio-detail",
        )
        for resource, count in crowds(sights).items()
    ]
    if learn(known, sights) == known:
        return lessons
    before: Conflicts = {}

    def change(current: Conflicts) -> Conflicts:
        before.update(current)
        return learn(_without_gone(current, sights, root), sights)

    after = store.update(folder, change)
    news = [] if plan is None else list(_news(before, after, sights, plan))
    return [*lessons, *([Lesson(_told(news), "iopio")] if news else [])]


def with_learned(found: Mapping[str, ModuleClaims], folder: str) -> dict[str, ModuleClaims]:
    """The claims of modules with those that were learned, less where they were declared."""
    extended = dict(found)
    for path, claims in claims_of_learned(store.load(folder)).items():
        own = extended.get(path)
        if own is not None and not own.declared:
            extended[path] = _extended(own, claims)
    return extended


def _extended(own: ModuleClaims, claims: Sequence[Claim]) -> ModuleClaims:
    held = {claim.resource for claim in own.machine if claim.mode is Mode.EXCLUSIVE}
    held.update(name for name, _ in own.needs)
    more = tuple(claim for claim in claims if claim.resource not in held)
    kept = {claim.resource for claim in more if claim.mode is Mode.EXCLUSIVE}
    before = tuple(each for each in own.claims if each.resource not in kept)
    return msgspec.structs.replace(own, claims=(*before, *more)) if more else own


def _sights(
    witnessed: Mapping[str, Witnessed], known: Conflicts, *, filtered: bool
) -> dict[str, Sight]:
    """What each module used, with what it read of all that somebody does more with."""
    changed = {name for each in witnessed.values() for name in each.seen.uses}
    looked_for = {name.removeprefix("path:") for name in (*changed, *known) if name[:5] == "path:"}
    return {
        path: Sight(
            digest=each.digest,
            uses={
                **{f"path:{read}": Use.READ for read in each.seen.reads if read in looked_for},
                **each.seen.uses,
            },
            whole=each.whole and not filtered,
        )
        for path, each in witnessed.items()
        if not any("\ud800" <= char <= "\udfff" for char in path)
    }


def _without_gone(known: Conflicts, sights: Mapping[str, Sight], root: str) -> Conflicts:
    """What is known of modules that are there."""
    return {
        resource: {
            path: each
            for path, each in users.items()
            if path == EVERYBODY or path in sights or os.path.lexists(os.path.join(root, path))
        }
        for resource, users in known.items()
    }


def _news(
    before: Conflicts, after: Conflicts, sights: Mapping[str, Sight], plan: ClaimedPlan
) -> Iterator[_News]:
    """The resources that are contested anew by two modules which nothing has kept apart so far."""
    for resource, users in after.items():
        if EVERYBODY in users:
            continue
        free = {path: each for path, each in users.items() if not plan.of(path).declared}
        fresh = [path for path in free if path in sights and path not in before.get(resource, {})]
        pair = _overlapping(fresh, free, plan) if fresh else None
        if pair is not None:
            one, other = pair
            yield _News(resource, one, free[one].use, other, free[other].use, len(free))


def _overlapping(
    fresh: Sequence[str], users: Mapping[str, Learned], plan: ClaimedPlan
) -> tuple[str, str] | None:
    looked_at = {**dict.fromkeys(fresh[:_LOOKED_AT]), **dict.fromkeys(islice(users, _LOOKED_AT))}
    held = plan.held(looked_at)
    alone = {
        path: {claim.resource for claim in claims if claim.mode is Mode.EXCLUSIVE}
        for path, claims in held.items()
    }
    every = {path: {claim.resource for claim in claims} for path, claims in held.items()}
    for one in fresh[:_LOOKED_AT]:
        for other in looked_at:
            if (
                other != one
                and disturbs(users[one], users[other])
                and alone.get(one, set()).isdisjoint(every.get(other, ()))
                and alone.get(other, set()).isdisjoint(every.get(one, ()))
            ):
                return min(one, other), max(one, other)
    return None


def _told(news: Sequence[_News]) -> str:
    first = news[0]
    rest = first.users - 2
    more = f" (and {rest} more use it)" if rest > 1 else " (and one more uses it)" if rest else ""
    others = f" (so with {len(news) - 1} more)" if len(news) > 1 else ""
    return (
        f"{first.one} {first.one_use} {first.resource}, and {first.other} {first.other_use} it"
        f"{more}: they won't overlap from the next run on{others}; see iopio graph --learned"
    )
