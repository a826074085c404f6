"""Confines pytest's collection to one module, and what it runs to a part of that where wanted.

pytest has found its root directory, configuration file and initial conftests in its own way by
then. Arguments that can't lead to the module are dropped, and every path off the way to it is
ignored; the remainder is the other way round: all but the known modules. What is collected and then
left to other processes goes last of all, when plugins and conftests have had their say, so that all
of a module's processes agree on what there is.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from iopio_async.model.action import Action
from iopio_async.model.module import ModuleKind
from iopio_async.worker.recorder import told_id

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

#: How iopio's own mark is registered.
MARK = "iopio(group): modules of the same group run in one process (of iopio), one after the other"

#: Plugins, by the names that they register under, that keep a copy of the options as ``options``.
KEEP_OPTIONS = ("_cov",)


class Narrowing:
    """Confines a session to its module or modules; for the remainder, to all but the known ones."""

    def __init__(self, template: Action) -> None:
        self._action = template
        self._root = ""
        self._targets: dict[str, int] = {}
        #: What leads to the modules, and they themselves.
        self.chain: frozenset[str] = frozenset()
        self._known: frozenset[str] = frozenset()

    def focus(self, config: pytest.Config, action: Action) -> None:
        """Confine the session to what ``action`` names, with folders of its own."""
        self._action = action
        self._root = str(config.rootpath)
        self._targets = {
            os.path.normpath(os.path.join(action.root, path)): number
            for number, path in enumerate(action.batch or (action.path,))
        }
        self.chain = frozenset(
            step for target in self._targets for step in (target, *_parents(target))
        )
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
        config.addinivalue_line("markers", MARK)
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
            config.args[:] = self._leading(config)
            with _narrow_listings(self.chain):
                return (yield)
        return (yield)

    def _leading(self, config: pytest.Config) -> list[str]:
        """The arguments that lead to the modules; all that can't be told by their path stay.

        A module that none leads to is named itself.
        """
        if config.option.pyargs:
            return list(config.args)
        base = str(config.invocation_params.dir)
        kept = []
        led_to: set[str] = set()
        for argument in config.args:
            path = os.path.normpath(os.path.join(base, _path_part(argument)))
            if path in self.chain:
                kept.append(argument)
                below = path.rstrip(os.sep) + os.sep
                led_to.update(
                    target for target in self._targets if target == path or target.startswith(below)
                )
        return [*kept, *(target for target in self._targets if target not in led_to)]

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Any) -> bool | None:
        """Ignore what is off the way."""
        path = str(collection_path)
        if self._action.kind is ModuleKind.FILE:
            return None if path in self.chain else True
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

    def owner(self, node_id: str, path: str = "") -> int:
        """The number of the module that an item or collector belongs to."""
        path = path or os.path.normpath(os.path.join(self._root, _path_part(node_id)))
        if path in self._targets:
            return self._targets[path]
        below = path.rstrip(os.sep) + os.sep
        numbers = (number for target, number in self._targets.items() if target.startswith(below))
        return next(numbers, 0)

    def elsewhere(self, items: Sequence[pytest.Item]) -> list[bool]:
        """Of each of all the items that there are: whether another process runs it."""
        action = self._action
        if not (action.part or action.leave_out):
            return [False] * len(items)
        part, leave_out = frozenset(action.part), frozenset(action.leave_out)
        ids = [told_id(item.nodeid, action.limits) for item in items]
        return [test in leave_out or bool(part and test not in part) for test in ids]


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


def _path_part(argument: str) -> str:
    """The path in front of a node id's names; brackets may hold the separator."""
    return argument.partition("[")[0].partition("::")[0]


def _parents(path: str) -> Iterator[str]:
    while (parent := os.path.dirname(path)) != path:
        yield parent
        path = parent
