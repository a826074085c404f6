"""What modules are expected to take, and the order and the time left that follow from it.

A module that has a history is expected to take what it took. One that has none is measured by its
source: its bytes, and its tests where its outline is known, each test counting as so many bytes;
the modules of the same run that do have a history tell how long a byte takes. Without any, the
order is still that of the sources' weights.

The longest start first, so that what comes last is short and all workers end at about the same
time; what takes several slots counts as so much longer. Where the first failure ends the run, those
that failed when they last ran come before.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from iopio_async.analysis.outline import Outline
from iopio_async.model.module import TestModule
from iopio_async.model.outcome import BAD_STATUSES, ModuleStatus

#: A test makes a module as heavy as so many bytes of source: the middle of several large suites.
BYTES_A_TEST = 500

#: How long a byte takes where no module of the run has a history.
SECONDS_A_BYTE = 1e-4

#: Usual peaks of memory are told apart by about this share, so that there are few different ones.
PEAK_STEPS = 64

#: A module that runs longer than expected is expected to go on for this share of what it has run.
OVERRUN_SHARE = 0.2


class ModuleSummary(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of a module from its last runs.

    ``duration_s`` is what it is expected to take in one process, ``None`` where it has never run
    as a whole to its end; then the figures after it mean nothing. ``peak_rss_bytes`` is the highest
    of late, ``status`` how it ended last, ``tests`` the number of its tests.
    """

    duration_s: float | None = None
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0
    status: ModuleStatus | None = None
    tests: int = 0

    @property
    def failed(self) -> bool:
        """True where the last run of the module was red."""
        return self.status in BAD_STATUSES


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What is expected of a run's modules, by path.

    ``durations_s`` is what each will take; ``known_share`` the share of their sum that is known
    from history. ``peaks_bytes`` is the memory that a module's process usually takes at its peak,
    where that is known, rounded up a little. ``slots`` is how many it takes, where not one.
    """

    durations_s: dict[str, float] = {}
    known_share: float = 0.0
    peaks_bytes: dict[str, int] = {}
    slots: dict[str, int] = {}


def outlook(
    modules: Sequence[TestModule],
    summaries: Mapping[str, ModuleSummary],
    *,
    whole: bool = True,
    slots: Mapping[str, int] | None = None,
) -> Outlook:
    """What is expected of the modules; where only parts of them run, durations aren't known."""
    durations_s = expected_durations_s(modules, summaries)
    known_s = sum(
        durations_s[module.path]
        for module in modules
        if not module.selectors
        and (summary := summaries.get(module.path)) is not None
        and summary.duration_s is not None
    )
    total_s = sum(durations_s.values())
    return Outlook(
        durations_s=durations_s,
        known_share=known_s / total_s if whole and total_s > 0 else 0.0,
        peaks_bytes={
            path: rounded_up(summary.peak_rss_bytes)
            for path, summary in summaries.items()
            if summary.peak_rss_bytes > 0
        },
        slots=dict(slots or {}),
    )


def rounded_up(peak_bytes: int) -> int:
    """A peak, rounded up by at most one of ``PEAK_STEPS`` steps between it and its double."""
    step = max(1, (1 << peak_bytes.bit_length()) // (2 * PEAK_STEPS))
    return -(-peak_bytes // step) * step


def weight_bytes(module: TestModule, outline: Outline | None = None) -> float:
    """How heavy a module's source is: its bytes, or the mean of its bytes and its tests'."""
    if outline is None:
        return module.size_bytes
    return (module.size_bytes + outline.tests * BYTES_A_TEST) / 2


def expected_durations_s(
    modules: Sequence[TestModule],
    summaries: Mapping[str, ModuleSummary],
    outlines: Mapping[str, Outline] | None = None,
) -> dict[str, float]:
    """The seconds that each module is expected to take, by path; summaries and outlines as well."""
    outlines = outlines or {}
    expected_s: dict[str, float] = {}
    weights = {}
    paces = []
    for module in modules:
        weight = weight_bytes(module, outlines.get(module.path))
        summary = summaries.get(module.path)
        if summary is None or summary.duration_s is None:
            weights[module.path] = weight
        else:
            expected_s[module.path] = summary.duration_s
            if weight > 0:
                paces.append(summary.duration_s / weight)
    pace = sorted(paces)[len(paces) // 2] if paces else SECONDS_A_BYTE
    return expected_s | {path: weight * pace for path, weight in weights.items()}


def ordered(
    modules: Sequence[TestModule],
    summaries: Mapping[str, ModuleSummary],
    *,
    failed_first: bool = False,
    outlines: Mapping[str, Outline] | None = None,
    slots: Mapping[str, int] | None = None,
) -> tuple[TestModule, ...]:
    """The modules in the order in which they should start, whatever order they come in.

    ``slots`` says, by path, how many a module takes, where that is not one.
    """
    expected_s = expected_durations_s(modules, summaries, outlines)
    slots = slots or {}

    def key(module: TestModule) -> tuple[bool, float, str]:
        path = module.path
        summary = summaries.get(path)
        first = failed_first and summary is not None and summary.failed
        return not first, -expected_s[path] * slots.get(path, 1), path

    return tuple(sorted(modules, key=key))


def remaining_s(
    waiting_s: float, longest_s: float, running_s: Iterable[tuple[float, float]], workers: int
) -> float:
    """The seconds that a run will still take.

    ``waiting_s`` is what the waiting modules are expected to take, all together, and ``longest_s``
    the longest of them; ``running_s`` is the same of each running one, with how long it has been
    running.
    """
    rests_s = [
        max(whole_s - elapsed_s, elapsed_s * OVERRUN_SHARE) for whole_s, elapsed_s in running_s
    ]
    total_s = sum(rests_s) + waiting_s
    # The longest that waits starts as soon as there is a worker for it.
    free_in_s = min(rests_s) if len(rests_s) >= workers else 0.0
    return max(total_s / workers, free_in_s + longest_s, *rests_s, 0.0)
