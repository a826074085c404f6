"""How long modules and their tests took in run after run, by the kind of machine.

Of a module there are, for each machine, its last durations and those of its tests, as rows of
32-bit floats, oldest first. Tests that never took long enough to be worth a word are left out. Only
clean figures of whole modules count, as in ``durations``.

Modules share a few files, by a digest of their paths: to replace a file takes long, whatever its
size, so that a file for each module would hold up large runs, and one for all of them small ones.
Two runs at the same time may lose some of their samples to each other, but nothing else.
"""

import contextlib
import hashlib
import os
import time
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from iopio_async import state
from iopio_async.errors import InfrastructureError
from iopio_async.history import sealed
from iopio_async.history.durations import is_clean
from iopio_async.history.machine import Machine
from iopio_async.history.regressions import KEPT_RUNS, MIN_EFFECT_S, Verdict, judge
from iopio_async.history.timings import printable
from iopio_async.model.stats import ModuleStats, RunStats

FOLDER = ("durations", "series")

_MARK = b"iopio series 1\n"

#: So many files share the modules.
FILES = 64

#: So many kinds of machines are remembered of each module, the latest.
KEPT_MACHINES = 4

#: No honest file is larger once it is unpacked.
_MAX_BODY_BYTES = 256 * 1024 * 1024

_SECONDS_A_DAY = 86_400


class _Rows(msgspec.Struct, array_like=True):
    label: str
    day: int
    module: bytes
    tests: dict[str, bytes]


#: Machines by their ids, the latest last.
_Machines = dict[str, _Rows]

#: What a file holds: modules by their paths.
_Modules = dict[str, _Machines]


class Series(NamedTuple):
    """What is known of a module on one kind of machine; durations in seconds, oldest first."""

    machine: Machine
    module: Sequence[float]
    tests: Mapping[str, Sequence[float]]


class Regression(NamedTuple):
    """A module, or a test by its id, that has become slower."""

    name: str
    verdict: Verdict


def record(
    root: str,
    stats: RunStats,
    machine: Machine,
    *,
    asked: Mapping[str, Sequence[str]] | None = None,
    today: int | None = None,
) -> None:
    """Add what a run measured; modules that ``asked`` narrows to some tests tell nothing.

    Raises:
        InfrastructureError: it can't be written.
    """
    news = {path: each for path, each in _measured(stats) if not (asked or {}).get(path)}
    if not news:
        return
    today = int(time.time() // _SECONDS_A_DAY) if today is None else today
    folder = state.ensure(state.folder_of(root), *FOLDER)
    try:
        for file, paths in _by_file(folder, news).items():
            modules = _read(file)
            for path in paths:
                _add(modules.setdefault(printable(path), {}), news[path], machine, today)
            _write(file, modules)
    except OSError as error:
        raise InfrastructureError(
            f"{folder} can't be written: {error.strerror or error}",
            hint="durations of this run are not remembered",
        ) from error


def remove(root: str, paths: Iterable[str]) -> None:
    """Forget modules, as far as anything is known of them."""
    for file, gone in _by_file(_folder(root), paths).items():
        modules = _read(file)
        names = set(map(printable, gone))
        kept = {path: each for path, each in modules.items() if path not in names}
        if len(kept) < len(modules):
            with contextlib.suppress(OSError):
                _write(file, kept)


def of_module(root: str, path: str) -> list[Series]:
    """What is known of a module, the machine that ran it last first; none where nothing is."""
    return _series(_read(_file(_folder(root), path)).get(printable(path), {}))


def of_all(root: str) -> Iterator[tuple[str, list[Series]]]:
    """What is known of all modules, by path."""
    folder = _folder(root)
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    known: _Modules = {}
    for name in names:
        known |= _read(os.path.join(folder, name))
    for path in sorted(known):
        yield path, _series(known[path])


def regressions(
    root: str, stats: RunStats, machine: Machine, *, threshold: float
) -> list[Regression]:
    """What of this run's modules and tests, already recorded, has become slower, the worst first.

    A module whose tests are named is named itself only where it became slower than they explain.
    """
    judged: list[tuple[str, str, Sequence[float]]] = []
    for file, paths in _by_file(_folder(root), dict(_measured(stats))).items():
        modules = _read(file)
        for path in paths:
            for series in _series(modules.get(printable(path), {})):
                if series.machine.id == machine.id:
                    judged.append((path, path, series.module))
                    judged += [(path, test, values) for test, values in series.tests.items()]
    found: dict[str, list[Regression]] = {}
    for path, name, values in judged:
        verdict = judge(values, threshold=threshold, judged=len(judged))
        if verdict is not None and verdict.slower:
            found.setdefault(path, []).append(Regression(name, verdict))
    kept: list[Regression] = []
    for path, own in found.items():
        lost_s = sum(
            each.verdict.now_s - each.verdict.before_s for each in own if each.name != path
        )
        for each in own:
            explained = 1.5 * lost_s >= each.verdict.now_s - each.verdict.before_s
            if each.name != path or not explained:
                kept.append(each)
    return sorted(kept, key=lambda each: -each.verdict.change)


def _folder(root: str) -> str:
    return state.path(state.folder_of(root), *FOLDER)


def _measured(stats: RunStats) -> Iterable[tuple[str, ModuleStats]]:
    return [(path, module) for path, module in stats.modules.items() if is_clean(module)]


def _add(machines: _Machines, module: ModuleStats, machine: Machine, today: int) -> None:
    rows = machines.pop(machine.id, None) or _Rows(machine.label, today, b"", {})
    rows.day = today
    rows.module = _appended(rows.module, module.duration_s)
    taken_s: dict[str, float] = {}
    for (test, _), finished in module.tests.items():
        name = printable(test)
        taken_s[name] = taken_s.get(name, 0.0) + finished.duration_s
    rows.tests = {
        name: _appended(rows.tests.get(name, b""), value_s)
        for name, value_s in taken_s.items()
        if value_s >= MIN_EFFECT_S or name in rows.tests
    }
    # The latest last, so that the first are those to be forgotten.
    machines[machine.id] = rows
    for machine_id in list(machines)[:-KEPT_MACHINES]:
        del machines[machine_id]


def _appended(values: bytes, value_s: float) -> bytes:
    # In this order, what is not a number becomes nothing.
    return (values + array("f", [max(0.0, value_s)]).tobytes())[-4 * KEPT_RUNS :]


def _series(machines: _Machines) -> list[Series]:
    return [
        Series(
            Machine(machine_id, rows.label),
            _floats(rows.module),
            {test: _floats(values) for test, values in rows.tests.items()},
        )
        for machine_id, rows in reversed(machines.items())
    ]


def _floats(values: bytes) -> Sequence[float]:
    return array("f", values[: len(values) // 4 * 4])


def _by_file(folder: str, paths: Iterable[str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for path in paths:
        grouped.setdefault(_file(folder, path), []).append(path)
    return grouped


def _file(folder: str, path: str) -> str:
    digest = hashlib.blake2b(printable(path).encode(), digest_size=1).digest()
    return os.path.join(folder, f"{digest[0] % FILES:02x}")


def _write(file: str, modules: _Modules) -> None:
    sealed.write(file, _MARK, zlib.compress(msgspec.msgpack.encode(modules), 1))


def _read(file: str) -> _Modules:
    body = sealed.read(file, _MARK)
    if body is None:
        return {}
    try:
        plain = zlib.decompressobj().decompress(body, _MAX_BODY_BYTES)
        return msgspec.msgpack.decode(plain, type=_Modules)
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError):
        return {}
