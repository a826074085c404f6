"""Which first steps of importing a module warm processes do ahead, for which modules.

A child may be forked from a process that has done exactly what importing the child's module would
do first thing anyway, in the same order: a prefix of the module's own steps, never anything else.
A step is the name of a module to import, or an absolute path to put first on ``sys.path``. Modules
that share a prefix share such a process. The prefixes form a tree, each process forked from its
parent's, so that nothing is imported twice.
"""

from collections import Counter
from collections.abc import Mapping

Prefix = tuple[str, ...]

#: The way to a process through the tree: at each stage, the steps that are done on top.
Stages = tuple[Prefix, ...]

#: So many modules have to share a prefix for a process of its own.
SHARED_BY = 3

#: The most processes that one run keeps warm for this.
MOST = 12

#: The test framework is there already.
_PRESENT = frozenset({"pytest", "_pytest"})


def plan_preloads(leading: Mapping[str, Prefix]) -> dict[str, Stages]:
    """Module path → what is to be done ahead for it, where that is worth it.

    ``leading`` holds each module's steps in order. A path alone is not worth a process.
    """
    sequences = {
        path: tuple(name for name in names if name.partition(".")[0] not in _PRESENT)
        for path, names in leading.items()
    }
    counts: Counter[Prefix] = Counter(
        names[:length]
        for names in sequences.values()
        for length in range(1, len(names) + 1)
        if not names[length - 1].startswith("/")
    )
    shared = [prefix for prefix, count in counts.items() if count >= SHARED_BY]
    # The most shared first; of two that are shared by the same modules, the longer one is enough.
    shared.sort(key=lambda prefix: (-counts[prefix], -len(prefix), prefix))
    chosen: set[Prefix] = set()
    for prefix in shared:
        if len(chosen) == MOST:
            break
        if not any(
            longer[: len(prefix)] == prefix and counts[longer] == counts[prefix]
            for longer in chosen
        ):
            chosen.add(prefix)
    plans = {path: _stages(names, chosen) for path, names in sequences.items()}
    return {path: stages for path, stages in plans.items() if stages}


def _stages(names: Prefix, chosen: set[Prefix]) -> Stages:
    stages = []
    done = 0
    for length in range(1, len(names) + 1):
        if names[:length] in chosen:
            stages.append(names[done:length])
            done = length
    return tuple(stages)
