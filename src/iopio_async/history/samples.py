"""What is remembered of one module as a whole: how its last clean runs went, in one small row.

The middle of the last five durations is what the module is expected to take, so one run on a busy
machine moves nothing; of the peaks of memory the highest counts, since too little would be worse.
Both are worked out when a row is written: whoever plans a run reads twenty thousand of them.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple, Self

from iopio_async.model.outcome import ModuleStatus
from iopio_async.planning.estimate import ModuleSummary

#: Clean runs that are remembered of each module.
KEPT_SAMPLES = 5

#: Expected duration and CPU seconds, peak in bytes · status · number of samples · number of tests.
_HEAD = struct.Struct("<3f2BI")
#: Day · the samples, latest first.
_TAIL = struct.Struct(f"<H{3 * KEPT_SAMPLES}f")
_DAY = struct.Struct("<H")
ROW_BYTES = _HEAD.size + _TAIL.size

#: Statuses by the number that stands for them in a row. Rows outlive a run: only ever append.
_STATUSES = (
    None,
    ModuleStatus.PASSED,
    ModuleStatus.FAILED,
    ModuleStatus.FLAKY,
    ModuleStatus.EMPTY,
    ModuleStatus.ERROR,
    ModuleStatus.TIMED_OUT,
    ModuleStatus.CRASHED,
    ModuleStatus.INCOMPLETE,
    ModuleStatus.LEAKED,
    ModuleStatus.NOT_RUN,
)
_NUMBERS = {status: number for number, status in enumerate(_STATUSES)}

_LAST_DAY = 0xFFFF
_LAST_COUNT = 0xFFFFFFFF

#: No honest figure is higher, seconds and bytes alike.
_HIGHEST = 1e15


class Sample(NamedTuple):
    """One clean run of a module."""

    duration_s: float
    cpu_s: float
    peak_rss_bytes: float

    @property
    def sensible(self) -> bool:
        """True where all figures are ones that a run can have."""
        return all(0.0 <= figure <= _HIGHEST for figure in self)


class ModuleRecord(NamedTuple):
    """One module. ``samples`` come latest first; ``seen_day`` counts from 1970."""

    status: ModuleStatus | None = None
    seen_day: int = 0
    tests: int = 0
    samples: tuple[Sample, ...] = ()

    def pack(self) -> bytes:
        """The row that :meth:`unpack` and :func:`summary` read."""
        samples = self.samples[:KEPT_SAMPLES]
        figures = [figure for sample in samples for figure in sample]
        head = _HEAD.pack(
            _median([sample.duration_s for sample in samples]),
            _median([sample.cpu_s for sample in samples]),
            max((sample.peak_rss_bytes for sample in samples), default=0.0),
            _NUMBERS[self.status],
            len(samples),
            min(self.tests, _LAST_COUNT),
        )
        return head + _TAIL.pack(
            min(max(self.seen_day, 0), _LAST_DAY),
            *figures,
            *[0.0] * (3 * KEPT_SAMPLES - len(figures)),
        )

    @classmethod
    def unpack(cls, rows: bytes, number: int) -> Self:
        """The record in row ``number``, as far as it makes sense."""
        at = number * ROW_BYTES
        _, _, _, status, count, tests = _HEAD.unpack_from(rows, at)
        day, *figures = _TAIL.unpack_from(rows, at + _HEAD.size)
        samples = [
            Sample(*figures[3 * place : 3 * place + 3]) for place in range(min(count, KEPT_SAMPLES))
        ]
        return cls(
            status=_status(status),
            seen_day=day,
            tests=tests,
            samples=tuple(sample for sample in samples if sample.sensible),
        )


def summary(rows: bytes, number: int) -> ModuleSummary:
    """What planning wants to know of the module in row ``number``."""
    duration_s, cpu_s, peak, status, count, tests = _HEAD.unpack_from(rows, number * ROW_BYTES)
    if not count or not (
        0.0 <= duration_s <= _HIGHEST and 0.0 <= cpu_s <= _HIGHEST and 0.0 <= peak <= _HIGHEST
    ):
        return ModuleSummary(status=_status(status))
    return ModuleSummary(
        duration_s=duration_s,
        cpu_s=cpu_s,
        peak_rss_bytes=int(peak),
        status=_status(status),
        tests=tests,
    )


def seen_day(rows: bytes, number: int) -> int:
    """The day on which the module in row ``number`` was last in a run."""
    day: int = _DAY.unpack_from(rows, number * ROW_BYTES + _HEAD.size)[0]
    return day


def _status(number: int) -> ModuleStatus | None:
    return _STATUSES[number] if number < len(_STATUSES) else None


def _median(figures: Sequence[float]) -> float:
    if not figures:
        return 0.0
    ordered = sorted(figures)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
