"""What the scheduler knows as one thing, where that is not a module: a part of one, or a batch.

Both have names of their own there. What became of a module under another name is found in the run's
statistics: attempts are counted over all names.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from iopio_async.model import events as ev
from iopio_async.model.config import ModuleSettings
from iopio_async.model.module import TestModule
from iopio_async.model.outcome import ModuleStatus
from iopio_async.model.stats import ModuleStats
from iopio_async.orchestration.batches import BatchNarration
from iopio_async.orchestration.parts import PartNarration, SplitAttempt
from iopio_async.planning.batches import Batch
from iopio_async.planning.parts import Part
from iopio_async.planning.scheduler import Finish

#: What is scheduled.
Unit = TestModule | Part | Batch

#: What is to be scheduled of modules, in order.
Divide = Callable[[Sequence[TestModule]], Sequence[Unit]]

#: What another attempt has to end as for the module to be flaky.
_HEALED = frozenset({ModuleStatus.PASSED, ModuleStatus.LEAKED})


def in_order(
    modules: Iterable[TestModule], pieces: Iterable[Part | Batch], expected_s: Mapping[str, float]
) -> list[Unit]:
    """What is to start, in order: modules, and what some of them are put into or split into.

    Each piece stands before the modules behind its own that take less, and where it is put at the
    first of its modules at the earliest.
    """
    at: dict[str, list[tuple[float, Part | Batch]]] = {}
    taken: set[str] = set()
    order = list(modules)
    ranks = {module.path: rank for rank, module in enumerate(order)}
    for piece in pieces:
        if isinstance(piece, Part):
            paths, takes_s = [piece.module.path], piece.expected_s
        else:
            paths = [module.path for module in piece.modules]
            takes_s = expected_s.get(piece.name, 0.0)
        taken.update(paths)
        at.setdefault(min(paths, key=ranks.__getitem__), []).append((takes_s, piece))
    waiting: list[tuple[float, Part | Batch]] = []
    started: list[Unit] = []
    for module in order:
        waiting += at.get(module.path, ())
        waiting.sort(key=lambda each: -each[0])
        while waiting and waiting[0][0] >= expected_s.get(module.path, 0.0):
            started.append(waiting.pop(0)[1])
        if module.path not in taken:
            started.append(module)
    return [*started, *(piece for _, piece in waiting)]


class Units:
    """The parts and batches of a run."""

    def __init__(self, settings_of: Callable[[str], ModuleSettings]) -> None:
        self._settings_of = settings_of
        self._splits: dict[str, SplitAttempt] = {}
        self._narrations: dict[str, PartNarration | BatchNarration] = {}

    def enlist(self, units: Iterable[Unit]) -> None:
        """These are going to be scheduled; all parts of a module at once."""
        parts: dict[str, list[Part]] = {}
        for unit in units:
            if isinstance(unit, Part):
                parts.setdefault(unit.module.path, []).append(unit)
            elif isinstance(unit, Batch):
                narration = BatchNarration(unit, self._settings_of)
                self._narrations[unit.name] = narration
        for path, own in parts.items():
            own.sort(key=lambda part: part.number)
            split = SplitAttempt(own, retries=self._settings_of(path).retries)
            self._splits[path] = split
            for part in own:
                self._narrations[part.name] = split.narration(part.number)

    def narration(self, name: str) -> PartNarration | BatchNarration | None:
        """The narration of a part or batch, or ``None`` where the name is a module's."""
        return self._narrations.get(name)

    def splits(self) -> Iterable[SplitAttempt]:
        """The first attempts at all modules that are split."""
        return self._splits.values()

    def last_attempt(self, path: str) -> int:
        """The number of the last attempt that a module may get."""
        retries = self._settings_of(path).retries
        return 1 + (max(retries, 1) if path in self._splits else retries)

    def proved_whole(self, word: ev.ModuleFinished) -> bool:
        """The module passed as a whole, after it had failed in parts."""
        split = self._splits.get(word.module)
        return split is not None and split.torn and word.status is ModuleStatus.FLAKY


def final_status(finish: Finish, module: ModuleStats) -> ModuleStatus:
    """What a module ends as that may have had attempts under another name before."""
    last = module.last_attempt
    if last is None or module.attempts <= finish.attempts:
        return finish.status
    if not finish.attempts:
        return last.status
    return ModuleStatus.FLAKY if finish.status in _HEALED else finish.status


def whole_warning(word: ev.ModuleFinished) -> ev.WarningIssued:
    """What is to be said of a module that passed as a whole, after it had failed in parts."""
    return ev.WarningIssued(
        message=(
            f"{word.module} failed in several processes and passed in one: its tests need each "
            "other, or are flaky; it will not be split again"
        ),
        category="iopio",
    )
