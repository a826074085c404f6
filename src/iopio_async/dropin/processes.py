"""Callables and files of tests run in processes of their own: one plan each, by the embedding API.

A callable becomes a module of plain functions with that one test (see ``parcels``); from there on
its process, time limit, cache entry and the attribution of a crash are those of any module. Events
are folded into statistics, and these into results in the order that was asked for.
"""

import asyncio
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import NamedTuple, Self, TypeVar

import anyio
import msgspec

from iopio_async import state
from iopio_async.dropin.parcels import (
    AGAIN,
    FOLDER,
    NotPackedError,
    Parcel,
    pack,
    search_path,
    tidy,
)
from iopio_async.dropin.project import with_frameworks
from iopio_async.dropin.resources import Claims, Resources, between_processes
from iopio_async.dropin.results import Effort, Result
from iopio_async.dropin.threads import Call
from iopio_async.errors import InfrastructureError
from iopio_async.model import events as ev
from iopio_async.model.action import Action
from iopio_async.model.config import Config
from iopio_async.model.module import Framework, TestModule
from iopio_async.model.outcome import BAD_STATUSES, ModuleStatus, Outcome, Source
from iopio_async.model.stats import ModuleStats, RunStats
from iopio_async.orchestration.embedding import open_run
from iopio_async.orchestration.lookup import ResultCache, open_cache
from iopio_async.orchestration.preparation import Plan, prepare
from iopio_async.planning.overrides import settings_for
from iopio_async.planning.scheduler import Start
from iopio_async.project.tree import Tree
from iopio_async.wire.contract import TRACE_FILE

_T = TypeVar("_T")


class Ran(NamedTuple):
    """What came of it; ``unpacked`` are calls, by their place, that no process could make.

    ``results`` are by place, several where a file holds several tests.
    """

    results: dict[int, list[Result]]
    effort: Effort
    warnings: list[str]
    unpacked: dict[int, str]


def run_functions(calls: Mapping[int, Call], config: Config) -> Ran:
    """Run each callable in a process of its own."""
    parcels: dict[int, Parcel] = {}
    unpacked: dict[int, str] = {}
    entries = search_path()
    for place, each in calls.items():
        try:
            parcels[place] = pack(each.name, each.function, entries)
        except NotPackedError as error:
            unpacked[place] = f"it can't be carried into a process: {error}"
    if not parcels:
        return Ran({}, Effort(workers=config.workers), [], unpacked)
    with _Place(config) as place_of_files:
        prefix = Tree(config.root).name(place_of_files.folder)
        paths = _paths(prefix, parcels)
        locks = not config.no_locks
        rules = msgspec.structs.replace(
            config.cache, ignore=(*config.cache.ignore, f"{state.FOLDER}/**")
        )
        # Their claims are known: by the modules that carry them nothing can be found out.
        config = msgspec.structs.replace(config, cache=rules, no_locks=True)
        plan = _plan_of_functions(config, list(paths.values()))
        doubts: list[str] = []

        def begin(cache: ResultCache | None) -> Plan:
            missing = {
                place: path
                for place, path in paths.items()
                if cache is None or not cache.recalled(path)
            }
            for place, path in missing.items():
                place_of_files.write(parcels[place], path.removeprefix(f"{prefix}/"))
            if not locks or config.workers < 2 or len(missing) < 2:
                return plan
            functions = [calls[place].function for place in missing]
            resources = Resources(config.root)
            held = resources.of_functions(functions)
            doubts.extend(resources.warnings)
            return _with_claims(plan, dict(zip(missing.values(), held, strict=True)))

        stats, effort, warnings = _carry_out(config, plan, begin)
    results: dict[int, list[Result]] = {}
    for place, path in paths.items():
        result, trouble = _of_function(calls[place].name, stats.modules[path])
        if trouble:
            unpacked[place] = trouble
        else:
            results[place] = [result]
    return Ran(results, effort, [*warnings, *doubts], unpacked)


class _Place:
    """The folder that the parcels' files are in, while they are needed."""

    def __init__(self, config: Config) -> None:
        self._temporary = ""
        try:
            self.folder = state.ensure(state.folder_of(config.root), FOLDER)
        except InfrastructureError:
            self._make_temporary()
        else:
            tidy(self.folder)

    def _make_temporary(self) -> None:
        self._temporary = tempfile.mkdtemp(prefix="iopio-")
        self.folder = os.path.join(self._temporary, FOLDER)
        os.mkdir(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def write(self, parcel: Parcel, name: str) -> None:
        """Write a parcel as a module of this name.

        Raises:
            InfrastructureError: it can't be written.
        """
        try:
            parcel.write(os.path.join(self.folder, name))
        except OSError as error:
            raise InfrastructureError(
                f"a function can't be passed to its process: {error}",
                hint="make room in the project's .test_cache, or remove it",
            ) from error


def _paths(prefix: str, parcels: Mapping[int, Parcel]) -> dict[int, str]:
    """The path of each parcel's module: the same test, given twice, is two."""
    taken: set[str] = set()
    paths: dict[int, str] = {}
    for place, parcel in parcels.items():
        path, count = f"{prefix}/{parcel.file_name}", 1
        while path in taken:
            count += 1
            path = f"{prefix}/{count}{AGAIN}{parcel.file_name}"
        taken.add(path)
        paths[place] = path
    return paths


def _plan_of_functions(config: Config, paths: Sequence[str]) -> Plan:
    def make_action(module: TestModule, start: Start) -> Action:
        return Action(
            path=module.path,
            root=config.root,
            invocation_dir=config.invocation_dir,
            framework=Framework.FUNCTIONS,
            selectors=start.selectors,
            import_root=config.root,
            cwd_on_path=True,
            trace="" if config.no_cache else TRACE_FILE,
            trace_functions=True,
        )

    return Plan(
        modules=tuple(TestModule(path=path, framework=Framework.FUNCTIONS) for path in paths),
        make_action=make_action,
        settings_of=lambda path: settings_for(config, path),
    )


def _with_claims(plan: Plan, claims: Mapping[str, Claims]) -> Plan:
    binding = between_processes(claims)
    modules = (
        msgspec.structs.replace(module, claims=binding.get(module.path, ()))
        for module in plan.modules
    )
    return msgspec.structs.replace(plan, modules=tuple(modules))


def _of_function(name: str, module: ModuleStats) -> tuple[Result, str]:
    """The result of a callable, and why its process could not make the call, or ``""``."""
    finished = list(module.tests.values())
    for test in finished:
        if "::" not in test.id:
            # It was whole when it was packed, so that it can't be unpacked is no test's failure.
            message = test.failures[0].message if test.failures else "its process did not say why"
            return _result(name, test, module), f"its process can't unpack it: {message}"
    if finished:
        return _result(name, finished[-1], module), ""
    return _of_module(name, module), ""


def run_files(files: Mapping[int, str], directory: str, config: Config) -> Ran:
    """Run each file of tests (by place, absolute) in a process of its own.

    ``config`` has in its paths what pytest is to be called with; ``directory`` is the one whose
    files these are, where all are of one.
    """
    config = with_frameworks(config, files.values())
    plan = prepare(config)
    tree = Tree(config.root)
    paths = {place: tree.name(file) for place, file in files.items()}
    missing = set(paths.values()) - {module.path for module in plan.modules}
    if missing and directory:
        # Not called as pytest's own patterns have it.
        named = (file for place, file in files.items() if paths[place] in missing)
        given = [os.path.relpath(file, config.invocation_dir) for file in named]
        config = msgspec.structs.replace(config, paths=(*config.paths, *given))
        plan = prepare(config)
    wanted = set(paths.values())
    modules = [module for module in plan.modules if module.path in wanted]
    plan = msgspec.structs.replace(
        plan, modules=tuple(modules), remainder=None, remainder_expected=False
    )
    stats, effort, warnings = _carry_out(config, plan, lambda _cache: plan)
    results = {
        place: _of_file(path, stats.modules[path])
        for place, path in paths.items()
        if path in stats.modules
    }
    for place, path in paths.items():
        if place not in results:
            why = "it is left out by the project's configuration of pytest"
            results[place] = [Result(path, Outcome.NOT_RUN, error=why)]
    return Ran(results, effort, warnings, {})


def _of_file(path: str, module: ModuleStats) -> list[Result]:
    results = [_result(test.id, test, module) for test in module.tests.values()]
    is_bad = module.status in BAD_STATUSES
    if is_bad and not any(result.failed for result in results):
        results.append(_of_module(path, module))
    return results


def _result(name: str, test: ev.TestFinished, module: ModuleStats) -> Result:
    first = test.failures[0] if test.failures else None
    error = first.message if first is not None else test.reason
    if test.outcome is Outcome.NOT_RUN and not error:
        error = "it did not get its turn, since its process ended before"
    return Result(
        name,
        test.outcome,
        error=error or f"it ended as {test.outcome}",
        text="\n".join(failure.text for failure in test.failures),
        reason=test.reason,
        cached=module.source is not Source.EXECUTED,
        duration_s=test.duration_s,
    )


def _of_module(name: str, module: ModuleStats) -> Result:
    """What is to be said of a module beside its tests."""
    failure = module.finished.failure if module.finished is not None else None
    if failure is None and module.last_attempt is not None:
        failure = module.last_attempt.failure
    if module.status is ModuleStatus.EMPTY:
        return Result(name, Outcome.SKIPPED, reason="there is no test in it")
    status = module.status or "not-run"
    error = failure.message if failure is not None else f"its process ended as {status}"
    text = failure.text if failure is not None else ""
    return Result(name, Outcome.ERROR, error=error, text=text, duration_s=module.duration_s)


def _carry_out(
    config: Config, plan: Plan, begin: Callable[[ResultCache | None], Plan]
) -> tuple[RunStats, Effort, list[str]]:
    """Run a plan to its end; ``begin`` completes it once it is known what is recalled."""
    began_ns, began_s = time.time_ns(), time.perf_counter()
    cache = open_cache(config, plan, began_ns=began_ns)
    lookup_s = time.perf_counter() - began_s
    complete = begin(cache)
    warnings: list[str] = []

    async def drive() -> RunStats:
        async with open_run(config, plan=complete, cache=cache) as run:
            async for batch in run.batches():
                warnings.extend(_own_warnings(batch))
        return run.stats

    stats = _finish(drive)
    executed = [each for each in stats.modules.values() if each.source is Source.EXECUTED]
    effort = Effort(
        busy_s=sum(each.duration_s for each in executed),
        lookup_s=lookup_s if cache is not None else 0.0,
        peak_rss_bytes=max((each.peak_rss_bytes for each in executed), default=0),
        workers=config.workers,
    )
    return stats, effort, warnings


def _own_warnings(batch: Sequence[ev.Envelope]) -> Iterator[str]:
    for envelope in batch:
        event = envelope.event
        if isinstance(event, ev.WarningIssued) and event.category == "iopio":
            yield event.message


def _finish(drive: Callable[[], Coroutine[None, None, _T]]) -> _T:
    """Run a coroutine to its end, in a thread of its own where this one has a loop already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return anyio.run(drive)
    # A notebook, or a caller that is asynchronous itself.
    done: list[_T] = []
    failed: list[BaseException] = []

    def target() -> None:
        try:
            done.append(anyio.run(drive))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=target, name="iopio-run")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]
