"""Why is a module executed, or not? In the words of somebody who edits files."""

from collections.abc import Collection, Mapping, Sequence

from iopio_async.cache.validate import GONE, MODULE_SCOPE, Change, Hit, Miss
from iopio_async.model.module import REMAINDER_PATH
from iopio_async.model.trace import INITIAL_CONFTESTS, InputKind, Level
from iopio_async.project.digests import ABSENT

#: Letters of a digest that are shown.
_SHOWN = 12

#: So many reasons why modules run again are told, and so many of the modules named.
_MOST_REASONS = 9
_NAMED = 2

_NEVER_RUN = "miss: it has not been run in this way before"

_OTHERS = {
    InputKind.LINK: "the link {subject} leads elsewhere",
    InputKind.LISTING: "what is in {subject} changed",
    InputKind.ENVIRONMENT: "the environment changed",
    InputKind.PROJECT: "a file of the project changed",
    InputKind.PATHS: "the paths that pytest is called with, which it looks at, are others",
    InputKind.MTIME: "{subject} was modified",
    InputKind.DISTRIBUTIONS: "the installed distributions changed in {subject}",
}


def told(verdict: Hit | Miss, *, failed: bool = False) -> str:
    """The verdict in one line; ``failed`` says that the module did when it was run last."""
    if isinstance(verdict, Hit):
        return "hit: nothing that it read has changed"
    if verdict.crossing is not None:
        writer, subject = verdict.crossing
        return f"miss: it reads {subject}, which {writer} writes, and that is run again"
    if verdict.change is not None:
        return f"miss: {of_change(verdict.change)}"
    if verdict.refusal:
        return f"not cacheable: {verdict.refusal}"
    if verdict.expired:
        return "miss: its result is too old"
    if failed:
        return "miss: it failed when it was run last, and what fails is run again"
    return _NEVER_RUN


def run_again(verdicts: Mapping[str, Hit | Miss], failed: Collection[str] = ()) -> list[str]:
    """Why modules are executed, a line for each distinct reason, those of the most modules first.

    ``failed`` are the modules that did when they were run last. Nothing is said where none has been
    run before.
    """
    alike: dict[str, list[str]] = {}
    for path, verdict in verdicts.items():
        # Nobody knows whether there is anything beyond the files before it was looked for.
        beyond = path == REMAINDER_PATH and verdict == Miss()
        if isinstance(verdict, Miss) and not beyond:
            alike.setdefault(told(verdict, failed=path in failed), []).append(path)
    if alike.keys() <= {_NEVER_RUN}:
        return []
    first = sorted(alike, key=lambda reason: (-len(alike[reason]), reason))
    shown, rest = first[:_MOST_REASONS], first[_MOST_REASONS:]
    lines = [f"run again: {_some(alike[reason], reason)}" for reason in shown]
    if rest:
        count = sum(len(alike[reason]) for reason in rest)
        lines.append(f"run again: {count} more, for {len(rest)} other reasons; iopio why tells all")
    return lines


def _some(paths: Sequence[str], reason: str) -> str:
    """Some of the modules, and the reason; its own file need not be named twice."""
    named = sorted(paths)
    more = "" if len(named) <= _NAMED + 1 else f" and {len(named) - _NAMED} more"
    if more:
        named = named[:_NAMED]
    words = reason.removeprefix("miss: ")
    return f"{', '.join(named)}{more}: {words.removeprefix(f'{paths[0]}: ')}"


def of_change(change: Change) -> str:
    """What changed, in one line."""
    kind, subject = change.kind, change.subject
    if kind is InputKind.VARIABLE:
        return f"environment variable {subject} {_became(change, 'is set now', 'is not set now')}"
    if kind is InputKind.LOOKUP:
        return _of_lookup(change)
    if kind is InputKind.DISTRIBUTION:
        name = subject.rpartition("|")[2]
        words = ("is installed now", "is not installed any more")
        return f"distribution {name} {_became(change, *words)}"
    if kind is InputKind.PATHS and subject == INITIAL_CONFTESTS:
        return "pytest loads other conftests at its start, by the paths that it is called with"
    if kind in _OTHERS:
        place, _, group = subject.partition("|")
        return _OTHERS[kind].format(subject=place or ".") + (f" ({group})" if group else "")
    if change.scope:
        part = "its top level" if change.scope == MODULE_SCOPE else f"function {change.scope}"
        return f"{subject}: {part} {'is gone' if change.new == GONE else 'changed'}"
    if change.old == ABSENT:
        return f"new file {subject}" if change.new != "directory" else f"new directory {subject}"
    return f"{subject} {'is gone' if change.new == ABSENT else 'changed'}"


def _became(change: Change, appeared: str, vanished: str) -> str:
    if change.old == ABSENT:
        return appeared
    return vanished if change.new == ABSENT else "changed"


def _of_lookup(change: Change) -> str:
    folder, _, name = change.subject.rpartition("|")
    before, now = (
        set(filter(None, (value or "").split("/"))) for value in (change.old, change.new)
    )
    place = f"{folder}/" if folder not in {"", "."} else ""
    for new in sorted(now - before):
        return f"new file {place}{new}, which an import of {name} finds"
    for gone in sorted(before - now):
        return f"{place}{gone} is gone, which an import of {name} found"
    return f"what an import of {name} finds in {folder or '.'} changed"


def old_and_new(change: Change) -> str:
    """The two values, as far as they can be shown."""
    if change.kind is InputKind.PATHS:
        return f"was {change.old or 'nothing'}, is {change.new or 'nothing'}"
    return f"was {_shown(change.old)}, is {_shown(change.new)}"


def _shown(value: str | None) -> str:
    if value is None:
        return "unknown"
    return value[:_SHOWN] if len(value) >= 2 * _SHOWN else value or "nothing"


def level_told(level: Level) -> str:
    """How well the inputs of a result are known."""
    if level is Level.COARSE:
        return "coarse: any change to a file of the project makes it run"
    return "precise"
