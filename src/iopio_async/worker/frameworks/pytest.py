"""pytest's hooks → the recorder's messages.

pytest is called with the arguments that a plain run would get, so that root directory,
configuration file and initial conftests are found by pytest itself, in its own way. Only then is
the collection narrowed to the one module: arguments that can't lead to it are dropped, and every
path off the way to it is ignored. What plain pytest would not have collected is thus not collected
here either, whatever the static discovery believed.
"""

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from iopio_async.model.action import Action
from iopio_async.model.module import ModuleKind
from iopio_async.model.outcome import Failure
from iopio_async.worker.frameworks.pytest_reports import Phases, failure_of
from iopio_async.worker.recorder import Recorder, told_id

#: Options of pytest and of well-known plugins that would spread one module over processes, or have
#: all modules write the same file; each with the value that turns it off.
NEUTRAL_OPTIONS: dict[str, Any] = {
    "numprocesses": None,
    "dist": "no",
    "tx": [],
    "distload": False,
    "looponfail": False,
    "xmlpath": None,
    "htmlpath": None,
    "report_log": None,
    "json_report_file": "none",
    "csv_path": None,
    "md_report_output": None,
    "cov_fail_under": None,
    "cov_report": {},
    # What failed last time is the orchestrator's business, for all modules together.
    "stepwise": False,
    "stepwise_skip": False,
    # One module's collection error must not keep its doctests from running.
    "continue_on_collection_errors": True,
}

#: Plugins, by the names that they register under, that keep a copy of the options as ``options``.
KEEP_OPTIONS = ("_cov",)

#: Plugins whose ``pytest_collect_file`` only finds what the discovery knows about.
KNOWN_COLLECTORS = frozenset({"python", "doctest", "unittest", "main"})


#: Waits for the point up to which a session may be shared; returns what is to be run from there.
Born = Callable[[], tuple[Action, Recorder]]


def run(action: Action, recorder: Recorder) -> int:
    """Run the action's module by pytest; return pytest's exit code."""
    session = _Session(action)
    session.telling.begin(action, recorder)
    return session.run(lambda: (action, recorder))


def run_from(template: Action, level: str, born: Born) -> int:
    """Start a session like the template's, and go on with what ``born`` returns.

    At level ``session`` it is called when the initial conftests are loaded and the session is
    started, just before anything is collected; at ``plugins`` when the plugins are loaded, before
    the first conftest is.
    """
    return _Session(template).run(born, level)


class _Session:
    """One call of pytest, with the plugins that confine it and tell of it."""

    def __init__(self, template: Action) -> None:
        self._template = template
        self.narrowing = Narrowing(template)
        self.telling = Telling()

    def run(self, born: Born, level: str = "session") -> int:
        self._born = born
        self._level = level
        # The collector goes on resting, but the tests' side finds it enabled, and may disable it.
        gc.set_threshold(0)
        gc.enable()
        plugins = [self, self.narrowing, self.telling]
        code = int(pytest.main(list(self._template.arguments), plugins=plugins))
        self.telling.end(code)
        return code

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_load_initial_conftests(self) -> Generator[None, Any, Any]:
        """Wait here for what is to be run, if conftests are not to be shared."""
        if self._level == "plugins":
            action, recorder = self._born()
            self.telling.begin(action, recorder)
            self._born = lambda: (action, recorder)
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Wait here for what is to be collected."""
        action, recorder = self._born()
        self.narrowing.focus(session.config, action)
        self.telling.begin(action, recorder)
        return (yield)


class Narrowing:
    """Confines a session to one module, or for the remainder to all but the known ones."""

    def __init__(self, template: Action) -> None:
        self._action = template
        self._target = ""
        self._chain: frozenset[str] = frozenset()
        self._known: frozenset[str] = frozenset()

    def focus(self, config: pytest.Config, action: Action) -> None:
        """Confine the session to what ``action`` names, with folders of its own."""
        self._action = action
        self._target = os.path.normpath(os.path.join(action.root, action.path))
        self._chain = frozenset({self._target, *_parents(self._target)})
        self._known = frozenset(
            os.path.normpath(os.path.join(action.root, path)) for path in action.known_paths
        )
        private = Path(action.private_dir)
        factory = getattr(config, "_tmp_path_factory", None)
        if factory is not None:
            factory._given_basetemp, factory._basetemp = private / "basetemp", None
        cache = getattr(config, "cache", None)
        if cache is not None:
            cache._cachedir = private / "cache"

    @pytest.hookimpl(wrapper=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, Any, Any]:
        """Turn off what does not go together with one process a module."""
        keepers = map(config.pluginmanager.get_plugin, KEEP_OPTIONS)
        for options in (config.option, *(getattr(keeper, "options", None) for keeper in keepers)):
            for option, value in NEUTRAL_OPTIONS.items():
                if hasattr(options, option):
                    setattr(options, option, value)
        if self._action.maxfail:
            config.option.maxfail = self._action.maxfail
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Keep pytest's own cache out of the project: runs at the same time would race in it."""
        config._inicache["cache_dir"] = os.path.join(self._action.private_dir, "cache")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Spare the plugins that note all ids in pytest's cache, which nobody will read."""
        for name in ("lfplugin", "nfplugin"):
            plugin = session.config.pluginmanager.getplugin(name)
            # They also break down over ids that are not UTF-8.
            if plugin is not None and not plugin.active:
                session.config.pluginmanager.unregister(plugin)

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Collect only along the way to the module."""
        config = session.config
        if self._action.kind is ModuleKind.FILE:
            config.args[:] = self._leading(config) or [self._target]
            with _narrow_listings(self._chain):
                return (yield)
        return (yield)

    def _leading(self, config: pytest.Config) -> list[str]:
        """The arguments that lead to the module; all that can't be told by their path stay."""
        if config.option.pyargs:
            return list(config.args)
        base = str(config.invocation_params.dir)
        kept = []
        for argument in config.args:
            path = os.path.normpath(os.path.join(base, _path_part(argument)))
            if path in self._chain:
                kept.append(argument)
        return kept

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Any) -> bool | None:
        """Ignore what is off the way."""
        path = str(collection_path)
        if self._action.kind is ModuleKind.FILE:
            return None if path in self._chain else True
        return True if path in self._known else None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Keep the selected tests, where only some are wanted."""
        if not self._action.selectors:
            return
        selectors, limits = frozenset(self._action.selectors), self._action.limits
        wanted = [item for item in items if told_id(item.nodeid, limits) in selectors]
        if len(wanted) < len(items):
            chosen = set(wanted)
            config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
            items[:] = wanted


class Telling:
    """Tells the recorder what the session does."""

    def __init__(self) -> None:
        self._action: Action
        self._recorder: Recorder
        self._begun = False
        #: Warnings of the time before there was anybody to tell.
        self._early: list[tuple[Any, str]] = []
        self._session: pytest.Session | None = None
        #: Collectors that failed or were skipped as a whole: they count as tests of their own.
        self._collected: list[Phases] = []
        self._deselected = 0
        self._planned = False
        #: The plan's indices of each item, by the item's identity: ids need not be unique, and
        #: plugins put the same item into the session several times.
        self._indices: dict[int, list[int]] = {}
        self._by_id: dict[str, list[int]] = {}
        #: Indices of the tests that have had their turn.
        self._taken: set[int] = set()
        #: Tests that a plugin runs in a way of its own, by their ids.
        self._open: dict[str, Phases] = {}
        self._current: Phases | None = None
        self._gc_threshold = gc.get_threshold()

    def begin(self, action: Action, recorder: Recorder) -> None:
        """From now on there is somebody to tell."""
        if self._begun:
            return
        self._begun = True
        self._action = action
        self._recorder = recorder
        recorder.hello({"pytest": pytest.__version__, "python": sys.version.split()[0]})
        for warning_message, node_id in self._early:
            self._warn(warning_message, node_id)
        self._early.clear()

    def end(self, exit_code: int) -> None:
        """Pytest has ended."""
        if self._begun:
            self._recorder.end(exit_code, stopped_early=self.stopped_early)

    @property
    def stopped_early(self) -> bool:
        """The session stopped because it had as many failures as it was told to stop at."""
        return self._session is not None and bool(self._session.shouldfail)

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Silence pytest's own terminal output: plugins may use it, nobody reads it."""
        reporter = config.pluginmanager.getplugin("terminalreporter")
        writer = getattr(reporter, "_tw", None)
        if writer is not None:
            writer._file = _Nowhere()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Let the garbage collector run again, unless a conftest has settings of its own."""
        self._session = session
        # pytest collects garbage twice at its end: what was loaded before need not be walked over.
        gc.freeze()
        if gc.get_threshold()[0] == 0:
            gc.set_threshold(*self._gc_threshold)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember what could not be collected, or skipped itself as a whole."""
        if report.outcome == "passed":
            return
        phases = Phases(str(report.nodeid) or self._action.path, 0, None)
        phases.add_collection(report, color=self._action.color)
        self._collected.append(phases)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count what was deselected."""
        self._deselected += len(items)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Announce the plan just before the first test; hold nothing back after the last."""
        self._plan(session, session.items)
        try:
            return (yield)
        finally:
            self._recorder.flush()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Enclose all that happens for one item, however a plugin runs it.

        Where an exit request passes through, the test has no outcome: it was in flight.
        """
        index = self._next_index(self._indices.get(id(item), ()))
        if index is None:
            return (yield)
        phases = self._current = Phases(item.nodeid, index, item.location[1])
        self._recorder.started(index)
        try:
            result = yield
        finally:
            self._current = None
        phases.tell(self._recorder)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the phases of the current item, or of another one that a plugin reports."""
        node_id, phases = report.nodeid, self._current
        if phases is not None and (phases.id == node_id or node_id not in self._by_id):
            phases.add(report, color=self._action.color)
            return
        phases = self._open.get(node_id)
        if phases is None:
            index = self._next_index(self._by_id.get(node_id, ()))
            if index is None:
                self._note_surplus(report)
                return
            phases = self._open[node_id] = Phases(node_id, index, report.location[1])
            self._recorder.started(index)
        phases.add(report, color=self._action.color)
        if report.when == "teardown":
            self._open.pop(node_id).tell(self._recorder)

    def _next_index(self, indices: Sequence[int]) -> int | None:
        """The first of these that has not had its turn; it has it now."""
        for index in indices:
            if index not in self._taken:
                self._taken.add(index)
                return index
        return None

    def _note_surplus(self, report: pytest.TestReport) -> None:
        """A plugin ran a test once more than was planned: only a failure must not be lost."""
        if report.outcome == "failed":
            failure = failure_of(report, "session", color=self._action.color)
            message = f"{report.nodeid} failed when it was run once more: {failure.message}"
            self._recorder.note(msgspec.structs.replace(failure, message=message))

    def pytest_warning_recorded(self, warning_message: Any, nodeid: str) -> None:
        """Pass a warning on, or keep it until there is somebody to tell."""
        if self._begun:
            self._warn(warning_message, str(nodeid))
        else:
            self._early.append((warning_message, str(nodeid)))

    def _warn(self, warning_message: Any, node_id: str) -> None:
        self._recorder.warned(
            str(warning_message.message),
            warning_message.category.__name__,
            test=node_id,
            path=str(warning_message.filename),
            line=int(warning_message.lineno),
        )

    def pytest_internalerror(self, excrepr: Any) -> None:
        """The session is lost: say why."""
        if not self._begun:
            return
        text = str(excrepr)
        last = text.rstrip().rpartition("\n")[2]
        self._recorder.note(Failure(f"internal error of pytest: {last}", text, "session"))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """A test or a hook ended the session, other than by a failure limit."""
        if not self._begun:
            return
        reason = f"the session was ended by {excinfo.typename}: {excinfo.value}"
        self._recorder.note(Failure(reason, str(excinfo.getrepr(style="short")), "session"))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Plan late if collection was cut short; finish what plugins ran in their own way."""
        if self._collected:
            self._plan(session, ())
        for phases in self._open.values():
            phases.tell(self._recorder)
        self._open.clear()

    def _plan(self, session: pytest.Session, items: Sequence[pytest.Item]) -> None:
        if self._planned:
            return
        self._planned = True
        ids = [phases.id for phases in self._collected]
        for item in items:
            self._indices.setdefault(id(item), []).append(len(ids))
            self._by_id.setdefault(item.nodeid, []).append(len(ids))
            ids.append(str(item.nodeid))
        self._recorder.plan(
            ids,
            deselected=self._deselected,
            foreign_collectors=_foreign_collectors(session.config),
        )
        for index, phases in enumerate(self._collected):
            phases.index = index
            phases.tell(self._recorder)


class _Nowhere:
    """A stream that takes everything and keeps nothing."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


@contextlib.contextmanager
def _narrow_listings(chain: frozenset[str]) -> Iterator[None]:
    """Have pytest's directory listings show only what leads to the module.

    Ignoring each sibling through its hook gives the same result, but costs a hook call a sibling
    a module: quadratic in the size of a directory. Where a version of pytest keeps its listing
    function elsewhere, the hook alone does it.
    """
    holders = [
        (module, module.scandir)
        for name in ("_pytest.main", "_pytest.python")
        if (module := sys.modules.get(name)) is not None and hasattr(module, "scandir")
    ]

    def patched(original: Callable[..., list[os.DirEntry[str]]]) -> Callable[..., Any]:
        def scandir(*args: Any, **kwargs: Any) -> list[os.DirEntry[str]]:
            return [entry for entry in original(*args, **kwargs) if entry.path in chain]

        return scandir

    for module, original in holders:
        module.scandir = patched(original)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module, original in holders:
            module.scandir = original  # type: ignore[attr-defined]


def _foreign_collectors(config: pytest.Config) -> bool:
    """Do plugins or conftests collect from files that are no test modules by name?"""
    return any(
        implementation.plugin_name not in KNOWN_COLLECTORS
        for implementation in config.hook.pytest_collect_file.get_hookimpls()
    )


def _path_part(argument: str) -> str:
    """The path in front of a node id's names; brackets may hold the separator."""
    return argument.partition("[")[0].partition("::")[0]


def _parents(path: str) -> Iterator[str]:
    while (parent := os.path.dirname(path)) != path:
        yield parent
        path = parent
