"""Keeps the results of modules that have just passed, while others run.

What was read is known only afterwards; so its state is looked at when the module has ended, and
nothing may have changed since the run began. Modules that end shortly after each other are looked
at together: most of what they read they have in common.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import anyio.to_thread
import msgspec

from iopio_async.cache import collection
from iopio_async.cache.disk import DiskStore
from iopio_async.cache.entries import digest_of
from iopio_async.cache.index import Index
from iopio_async.cache.lifetime import expires_at_s
from iopio_async.cache.ports import CLEAN_STATUSES, Clean
from iopio_async.cache.reader import DiskReader
from iopio_async.errors import InfrastructureError
from iopio_async.model import events as ev
from iopio_async.model.module import ModuleKind, TestModule
from iopio_async.model.stats import ModuleStats
from iopio_async.model.trace import Input, InputKind, Level, StoredResult, Trace
from iopio_async.orchestration.coverage import Coverage
from iopio_async.orchestration.covered import packed
from iopio_async.orchestration.kept_traces import keep_trace
from iopio_async.orchestration.lookup import ResultCache, Variables
from iopio_async.orchestration.sights import Seen
from iopio_async.orchestration.tracing import TraceReader
from iopio_async.project.changes import Recheck
from iopio_async.project.digests import changed_ns
from iopio_async.project.observer import Observer
from iopio_async.wire.codec import encode_events

#: Results of modules that ended within so long are kept together.
GATHER_S = 0.5


class Witnessed(NamedTuple):
    """What a module was seen to do, the digest of its source, and whether it ran as a whole."""

    seen: Seen
    digest: str
    whole: bool


class _Story(NamedTuple):
    """What is told of a module that runs, and what its processes wrote down."""

    events: list[ev.AnyEvent]
    traces: list[bytes]


class _Ended(NamedTuple):
    """A module that is to be kept."""

    module: TestModule
    stats: ModuleStats
    story: _Story


class Keeper:
    """Keeps the results of one run, which looked ``cache`` up and began at ``began_ns``.

    From when it is made on, nothing may change that tests read.
    """

    def __init__(
        self,
        cache: ResultCache,
        reader: DiskReader,
        index: Index,
        coverage: Coverage,
        *,
        began_ns: int,
        warn: Callable[[str], None],
    ) -> None:
        self._cache = cache
        self._store = DiskStore(reader, index)
        self._coverage = coverage
        self._faults = reader.faults
        self._began_ns = began_ns
        self._start_ns = time.time_ns()
        self._warn = warn
        plan = cache.plan
        remainder = (plan.remainder,) if plan.remainder is not None else ()
        self._modules = {module.path: module for module in (*plan.modules, *remainder)}
        self._stories: dict[str, _Story] = {}
        self._ended: list[_Ended] = []
        self._kept_s = time.monotonic()
        self._readers: dict[Variables, TraceReader] = {}
        self._disturbed = False
        #: What modules did that were executed, by path.
        self.witnessed: dict[str, Witnessed] = {}

    def heard(self, events: Sequence[ev.AnyEvent]) -> None:
        """These were told in this run."""
        for event in events:
            path = getattr(event, "module", "")
            if type(event) is ev.AttemptStarted and event.attempt == 1:
                self._stories.setdefault(path, _Story([], []))
            if path in self._stories:
                self._stories[path].events.append(event)

    def traced(self, path: str, trace: bytes) -> None:
        """A process of this module is gone; ``trace`` is what its tracer wrote down."""
        if path in self._stories:
            self._stories[path].traces.append(trace)
        with contextlib.suppress(OSError):
            keep_trace(path, trace, _read_beginning)

    async def keep(self, path: str, stats: ModuleStats) -> None:
        """Keep the module's result if it has its final word, and is one to be kept; or soon."""
        if stats.finished is None or path not in self._stories:
            return
        story = self._stories.pop(path)
        self._cache.audit(path, story.events)
        if path in self._modules:
            self._ended.append(_Ended(self._modules[path], stats, story))
        if time.monotonic() >= self._kept_s + GATHER_S:
            await self._keep_all()

    async def close(self) -> None:
        """Keep what waits to be kept; remove what nobody needs, once a day."""
        await self._keep_all()
        await self._store.save_index()
        folder = self._cache.folder
        if self._faults.writes and collection.is_due(folder):
            with contextlib.suppress(InfrastructureError):
                await anyio.to_thread.run_sync(collection.collect, folder)

    async def _keep_all(self) -> None:
        ended, self._ended = self._ended, []
        self._kept_s = time.monotonic()
        # All of these are over: one more look at the world serves them all.
        rechecks: dict[Variables, Recheck] = {}
        for each in ended:
            if not self._faults.writes:
                return
            variables = self._cache.variables(each.module.path)
            observer = self._cache.observer_for(variables)
            recheck = rechecks.setdefault(variables, Recheck(observer, self._start_ns))
            try:
                await self._keep(each, observer, recheck)
            except Exception as error:
                self._cache.give_up(error)

    async def _keep(self, ended: _Ended, observer: Observer, recheck: Recheck) -> None:
        module, stats, story = ended
        key = self._cache.key(module)
        trace, written, seen = self._reader(module, observer).read(
            *story.traces, module=module.path, framework=module.framework
        )
        is_clean = stats.status in CLEAN_STATUSES and stats.attempts == 1
        # What modules of a group do is told of all of them together.
        if seen is not None and module.kind is ModuleKind.FILE and not module.group:
            digest = observer.value(InputKind.FILE, module.path)
            whole = is_clean and not module.selectors
            self.witnessed[module.path] = Witnessed(seen, digest, whole)
        self._cache.wrote(module.path, written, whole=is_clean)
        if not is_clean:
            return
        if trace.level is Level.UNCACHEABLE:
            await self._store.refuse(key, module.path, "; ".join(trace.reasons))
            return
        changed = recheck.changed(trace.inputs)
        if changed:
            subject = self._disturbing(observer, changed[0])
            await self._store.refuse(key, module.path, f"{subject} changed while tests ran")
            return
        events = encode_events(story.events)
        folders = self._coverage.folders_of(module.path)
        covered = packed(folders) if folders else b""
        executed_at_s = self._began_ns / 1e9
        result = StoredResult(
            # Lines of a report move with every edit above them.
            trace=in_whole_files(trace) if covered else trace,
            events=digest_of(events),
            coverage=digest_of(covered) if covered else "",
            executed_at_s=executed_at_s,
            expires_at_s=expires_at_s(key, executed_at_s, self._cache.config.cache_ttl_s),
            duration_s=stats.duration_s,
        )
        clean = Clean.judged(stats, result)
        if isinstance(clean, str):
            await self._store.refuse(key, module.path, clean)
        else:
            await self._store.put(key, clean, [events, *([covered] if covered else [])])

    def _reader(self, module: TestModule, observer: Observer) -> TraceReader:
        variables = self._cache.variables(module.path)
        if variables not in self._readers:
            self._readers[variables] = TraceReader(
                observer,
                _read_beginning,
                start_ns=self._start_ns,
                rules=self._cache.config.cache,
                own=self._cache.folder,
            )
        return self._readers[variables]

    def _disturbing(self, observer: Observer, given: Input) -> str:
        """The name of what changed; the first time, it is worth a warning."""
        subject = given.subject or "the project"
        if not self._disturbed and not self._is_only_young(observer, given):
            self._disturbed = True
            self._warn(f"{subject} changed while tests ran: results that depend on it are not kept")
        return subject

    def _is_only_young(self, observer: Observer, given: Input) -> bool:
        """It changed so shortly before the start that nobody can tell, as new projects do."""
        again = observer.again()
        status = again.status(again.path(given.subject.partition("|")[0]))
        if isinstance(status, str) or again.current(given) != given.value:
            return False
        return changed_ns(status, time.time_ns()) < self._start_ns


def in_whole_files(trace: Trace) -> Trace:
    """The trace with whole files in place of executed functions."""
    inputs = tuple(
        Input(InputKind.FILE, each.subject, each.value) if each.kind is InputKind.SOURCE else each
        for each in trace.inputs
    )
    return msgspec.structs.replace(trace, inputs=inputs)


def _read_beginning(path: bytes, length_bytes: int) -> bytes:
    with open(path, "rb") as file:
        return file.read(length_bytes)
