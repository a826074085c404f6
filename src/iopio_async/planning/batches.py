"""Which modules share a process: those of a group, one after the other.

A group is for modules that share what is dear to set up: it is set up once for all of them. They
have to agree on what a process has but once, which is its environment and the framework; modules of
a group that do not are in batches of their own. One that runs only in a selection of its tests, or
that alone is left of its group, runs as any other does.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from iopio_async.model.config import ModuleSettings
from iopio_async.model.module import Framework, ModuleKind, TestModule


class Batch(NamedTuple):
    """Modules that run in one process, in this order."""

    group: str
    modules: tuple[TestModule, ...]

    @property
    def name(self) -> str:
        """What tells it from all modules, parts and batches."""
        return f"{self.modules[0].path}\0{self.group}"

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of the modules."""
        return tuple(module.path for module in self.modules)

    @property
    def lead(self) -> TestModule:
        """What stands for all of them where a process is started."""
        claims = tuple(claim for module in self.modules for claim in module.claims)
        return msgspec.structs.replace(self.modules[0], claims=claims, preload=())


def plan_batches(
    modules: Sequence[TestModule], settings_of: Callable[[str], ModuleSettings]
) -> tuple[list[Batch], list[TestModule]]:
    """The batches of those modules that are to share a process, and the other modules, in order."""
    together: dict[tuple[object, ...], list[TestModule]] = {}
    for module in modules:
        if _may_share(module):
            env = tuple(sorted(settings_of(module.path).env.items()))
            together.setdefault((module.group, env), []).append(module)
    batches = [
        # The order of the paths is the one in which they are collected.
        Batch(str(key[0]), tuple(sorted(members, key=lambda module: module.path)))
        for key, members in together.items()
        if len(members) > 1
    ]
    taken = {module.path for batch in batches for module in batch.modules}
    return batches, [module for module in modules if module.path not in taken]


def _may_share(module: TestModule) -> bool:
    return (
        bool(module.group)
        and module.kind is ModuleKind.FILE
        and module.framework is Framework.PYTEST
        and not module.selectors
    )
