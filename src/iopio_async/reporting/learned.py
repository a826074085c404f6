"""Conflicts that were learned, as text: each resource, who used it and how, what comes of it."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from iopio_async.planning.learned import Learned
from iopio_async.reporting.escape import encodable, escape_line
from iopio_async.reporting.graph import branches


class Standing(StrEnum):
    """What becomes of a use that was seen."""

    LEARNED = "kept apart by what was seen"
    KNOWN = "its source tells, too"
    DECLARED = "what it shares is declared"


class LearnedUse(msgspec.Struct, frozen=True, kw_only=True):
    """One module's use of a resource."""

    module: str
    learned: Learned
    standing: Standing


#: Uses by resource.
LearnedUses = Mapping[str, Sequence[LearnedUse]]


def tree(uses: LearnedUses, *, unicode: bool) -> str:
    """Resources with the modules that were seen to use them, below each other."""
    if not uses:
        return "nothing was learned: no two modules were seen to contend for anything\n"
    lines: list[str] = []
    for name, users in uses.items():
        lines.append(escape_line(name))
        lines += branches([_told(each) for each in users], unicode)
    return "\n".join(lines) + "\n"


def as_json(uses: LearnedUses) -> str:
    """A JSON object of the same."""
    about = {
        "learned": [
            {
                "resource": name,
                "users": [
                    {
                        "module": each.module,
                        "use": each.learned.use.value,
                        "unseen": each.learned.unseen,
                        "standing": each.standing.name.lower(),
                    }
                    for each in users
                ],
            }
            for name, users in uses.items()
        ]
    }
    return msgspec.json.encode(encodable(about)).decode() + "\n"


def _told(use: LearnedUse) -> str:
    told = f"{escape_line(use.module)} {use.learned.use.value} it"
    if use.learned.unseen:
        told += f", but not in its last {use.learned.unseen} executions"
    return told if use.standing is Standing.LEARNED else f"{told} ({use.standing.value})"
