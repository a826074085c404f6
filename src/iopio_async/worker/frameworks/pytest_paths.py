"""Tells the tracer where it may matter by which paths a module was selected.

Whoever looks at the paths is found by ``tracing.paths``. Besides, a path that was named is spared
the hooks and rules by which others are ignored; so the paths count where one of those would have
had, or may have had, another say.
"""

import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from iopio_async.worker.tracing import paths

#: Attributes that hold, or come of, the paths.
_ATTRIBUTES = (
    (pytest.Config, ("args", "args_source")),
    (pytest.Config.InvocationParams, ("args",)),
    (pytest.Session, ("_initialpaths", "_initialpaths_with_parents")),
)

#: Hooks by which plugins may take the command line as an argument.
_TAKING = ("pytest_cmdline_parse", "pytest_load_initial_conftests")

#: Plugins with such hooks that don't go by the paths: Hypothesis has its own folder ignored,
#: pytest-cov looks for an option.
_HARMLESS = frozenset({"_hypothesis_pytestplugin", "pytest_cov.plugin"})

#: Where the words of the command line are among the options.
_WORDS = "file_or_dir"


class PathsWatch:
    """A plugin for a session that is traced; ``chain`` gives what leads to the module, and it."""

    def __init__(self, chain: Callable[[], frozenset[str]]) -> None:
        self._chain = chain
        for owner, names in _ATTRIBUTES:
            for name in names:
                if not isinstance(owner.__dict__.get(name), paths.Attribute):
                    setattr(owner, name, paths.Attribute(name))
        # The first is the program.
        sys.argv = paths.Words(sys.argv, harmless=1)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_load_initial_conftests(
        self, early_config: pytest.Config
    ) -> Generator[None, Any, Any]:
        """Watch the words, and who else is given them."""
        _watch_words(early_config.known_args_namespace)
        for name in _TAKING:
            for implementation in getattr(early_config.hook, name).get_hookimpls():
                if "args" in implementation.argnames and _is_foreign(implementation):
                    paths.told()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, Any, Any]:
        """Watch the words as they were parsed at last."""
        _watch_words(config.known_args_namespace)
        words = getattr(config.option, _WORDS, None)
        is_all = words is config.args
        watched = _watch_words(config.option)
        if is_all and watched is not None:
            config.args = watched
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Any) -> Generator[None, Any, Any]:
        """See what is ignored on the way, since it was not named."""
        ignored = yield
        if ignored and str(collection_path) in self._chain():
            paths.told()
        return ignored

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """See what would have been ignored, had it not been named."""
        config = session.config
        steps = [step for step in map(Path, self._chain()) if config.rootpath in step.parents]
        if not hasattr(session, "_initialpaths_with_parents"):
            # A version of pytest that goes other ways.
            paths.told()
            return
        spared = [step for step in steps if session.isinitpath(step, with_parents=True)]
        if any(_may_ignore(config, step) for step in spared):
            paths.told()


def _watch_words(options: Any) -> Any:
    """Replace the list of words by one that tells; the new one, where there is one."""
    words = getattr(options, _WORDS, None)
    if type(words) is list:
        words = paths.Words(words)
        setattr(options, _WORDS, words)
    return words


def _may_ignore(config: pytest.Config, path: Path) -> bool:
    """True unless a path that is not named is certainly not ignored."""
    implementations = config.hook.pytest_ignore_collect.get_hookimpls()
    if any(map(_is_foreign, implementations)):
        return True
    rules = getattr(config.pluginmanager.get_plugin("main"), "pytest_ignore_collect", None)
    return rules is None or bool(rules(collection_path=path, config=config))


def _is_foreign(implementation: Any) -> bool:
    module = getattr(implementation.function, "__module__", None) or ""
    return not (module.startswith(("_pytest.", "iopio_async.")) or module in _HARMLESS)
