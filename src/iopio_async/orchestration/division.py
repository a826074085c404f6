"""Reads from the history what is needed to split long modules, and has them split.

Modules of a group are batched first, and then count as one that takes as long as all of them.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

from iopio_async.history.durations import History
from iopio_async.model.config import ModuleSettings
from iopio_async.model.module import TestModule
from iopio_async.orchestration.units import Divide, Unit, in_order
from iopio_async.planning.batches import plan_batches
from iopio_async.planning.estimate import ModuleSummary
from iopio_async.planning.parts import Recorded, may_be_split, plan_parts


def divider(
    history: History,
    summaries: Mapping[str, ModuleSummary],
    durations_s: Mapping[str, float],
    settings_of: Callable[[str], ModuleSettings],
    workers: int,
    *,
    parts_wanted: bool = True,
) -> Divide:
    """What puts modules into batches and splits the long ones, and leaves the others alone.

    ``durations_s`` is what each module is expected to take. Where only parts of the modules run
    anyway, splitting is not ``parts_wanted``.
    """

    def splittable(module: TestModule) -> bool:
        if not parts_wanted or module.path not in summaries:
            return False
        return may_be_split(module, settings_of(module.path), summaries.get(module.path))

    def recorded(path: str) -> Recorded:
        known = history.timings(path)
        return Recorded(
            durations_s=known.durations_s,
            scopes=known.scopes,
            shared_s=known.shared_s,
            whole=known.whole,
        )

    def divide(modules: Sequence[TestModule]) -> Sequence[Unit]:
        batches, single = plan_batches(modules, settings_of)
        expected_s = dict(durations_s)
        for batch in batches:
            members_s = (durations_s.get(each.path, 0.0) for each in batch.modules)
            expected_s[batch.name] = sum(members_s)
        standing = {batch.name: TestModule(path=batch.name) for batch in batches}
        parts = plan_parts(
            [*single, *standing.values()], expected_s, recorded, workers, splittable=splittable
        )
        return in_order(modules, [*batches, *chain.from_iterable(parts.values())], expected_s)

    return divide
