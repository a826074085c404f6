"""Which modules of a run are split, and into which parts: each part is a process of its own.

Splitting must not change what tests come to. So only a module is split whose last run was green:
where a part then fails, it may be for want of the tests that used to run before, and the module is
run again as a whole, which decides. A module of which that happened stays whole from then on, and
so does one that holds a resource alone, or of which only a selection is to run.

Every part but the last one names its tests; the last one leaves out what the others name. So a test
that is new runs with the last part, and one that has vanished is missed by nobody.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from iopio_async.model.config import ModuleSettings
from iopio_async.model.module import Framework, Mode, ModuleKind, TestModule
from iopio_async.model.outcome import ModuleStatus
from iopio_async.planning.chunks import Chunk, LongModule, plan_chunks, worth_splitting
from iopio_async.planning.estimate import ModuleSummary

#: What another process costs at least, beside what it sets up for its tests.
PROCESS_S = 0.05

#: How a module must have ended when it last ran.
_SOUND = frozenset({ModuleStatus.PASSED, ModuleStatus.LEAKED})


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a module's tests: seconds by id, in order, and what ties them.

    ``shared_s`` is the part of them that each process has anew; a ``whole`` module is never split.
    """

    durations_s: Mapping[str, float]
    scopes: Mapping[str, int]
    shared_s: float = 0.0
    whole: bool = False


class Part(NamedTuple):
    """A part of a module, for a process of its own; ``number`` counts from 0.

    It runs ``tests``, or, the last one, all but those that it is to ``leave_out``.
    """

    module: TestModule
    number: int
    tests: tuple[str, ...]
    leave_out: tuple[str, ...]
    expected_s: float

    @property
    def name(self) -> str:
        """What tells it from all modules and parts."""
        return f"{self.module.path}\0{self.number}"


def may_be_split(
    module: TestModule, settings: ModuleSettings, summary: ModuleSummary | None
) -> bool:
    """Say whether anything stands against splitting, beside what is known of its tests."""
    return (
        module.kind is ModuleKind.FILE
        and module.framework is Framework.PYTEST
        and not module.selectors
        and settings.split
        and not module.group
        and settings.workers == 1
        and all(claim.mode is Mode.SHARED for claim in module.claims)
        and summary is not None
        and summary.duration_s is not None
        and summary.tests > 1
        and summary.status in _SOUND
    )


def plan_parts(
    modules: Sequence[TestModule],
    durations_s: Mapping[str, float],
    recorded: Callable[[str], Recorded],
    workers: int,
    *,
    splittable: Callable[[TestModule], bool],
) -> dict[str, tuple[Part, ...]]:
    """The parts of those modules that are split; by path, as ``durations_s`` and ``recorded``."""
    expected_s = {module.path: durations_s.get(module.path, 0.0) for module in modules}
    long = [path for path in worth_splitting(expected_s, workers) if expected_s[path] > PROCESS_S]
    by_path = {module.path: module for module in modules}
    candidates = {}
    for path in long:
        if splittable(by_path[path]):
            known = recorded(path)
            if not known.whole and len(known.durations_s) > 1:
                candidates[path] = _long_module(known, expected_s[path])
    if not candidates:
        return {}
    others_s = [duration_s for path, duration_s in expected_s.items() if path not in candidates]
    chunks = plan_chunks(candidates, others_s, workers)
    return {path: _parts(by_path[path], each) for path, each in chunks.items()}


def _long_module(known: Recorded, whole_s: float) -> LongModule:
    # What each process sets up anew stands in the duration of whichever test came first.
    tests_s = sum(known.durations_s.values())
    shared_s = min(known.shared_s, tests_s)
    share = 1.0 - shared_s / tests_s if tests_s > 0 else 1.0
    return LongModule(
        tests=[(test, taken_s * share) for test, taken_s in known.durations_s.items()],
        whole_s=max(whole_s, tests_s),
        overhead_s=shared_s + PROCESS_S,
        together=known.scopes,
    )


def _parts(module: TestModule, chunks: Sequence[Chunk]) -> tuple[Part, ...]:
    last = len(chunks) - 1
    named = tuple(test for chunk in chunks[:-1] for test in chunk.tests)
    return tuple(
        Part(
            module,
            number,
            () if number == last else chunk.tests,
            named if number == last else (),
            chunk.expected_s,
        )
        for number, chunk in enumerate(chunks)
    )
