"""How a module was selected, as far as its outcome may hang on it: a part of its key.

``iopio run`` and ``iopio run tests/test_a.py`` do the same with ``tests/test_a.py`` where pytest
starts in the same way for both: with the same root directory and configuration file (a part of the
key) and the same initial conftests (an input of each module). Then it does not matter whether the
file or a folder above it was named, for the process is confined to the one file. Keys are kept
apart, by the paths as they lead to the module, where

* only some of its tests were named, several paths lead to it, or it is one of a group;
* it is named, and would not be collected, or in another way, by its name alone;
* the paths can't be told from the values of options, or are packages' names.

What looks at the paths by itself (a test at ``sys.argv``, a conftest at ``config.args``) makes them
an input of its module, so that a result holds for just these: see ``worker.tracing.paths``.
"""

import os
import shlex
from collections.abc import Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType

from iopio_async.model.config import Config
from iopio_async.model.module import Framework, ModuleKind, TestModule
from iopio_async.model.trace import INITIAL_CONFTESTS
from iopio_async.planning.selection import Patterns, split_node_id
from iopio_async.project.discovery import Discovery
from iopio_async.project.initial_conftests import initial_conftests
from iopio_async.project.pytest_config import PytestConfig
from iopio_async.project.tree import Tree, upwards

#: Paths that are longer, as text, are told by their digest.
_SHOWN_CHARS = 200


class Naming:
    """How the modules of one run were selected.

    ``options`` are pytest's arguments but for ``given``, the paths that it is called with.
    """

    def __init__(
        self,
        config: Config,
        pytest_config: PytestConfig,
        found: Discovery,
        tree: Tree,
        *,
        options: Sequence[str],
        given: Sequence[str],
    ) -> None:
        here = config.invocation_dir
        self._root = config.root
        self._given = tuple(given)
        self._python_files = Patterns(pytest_config.python_files)
        conftests = initial_conftests(tree, pytest_config, here, found.roots)
        #: Values of inputs, by subject.
        self.paths = {
            "": _as_text(self._given),
            INITIAL_CONFTESTS: _as_text(list(map(tree.name, conftests))),
        }
        self._start = (*options, "", pytest_config.file)
        # Nothing was named, and what stands in for it was not found: pytest warns of that.
        astray = found.origin == "directory" and bool(pytest_config.testpaths)
        self._as_given = (
            astray
            or pytest_config.pyargs
            or any(path.startswith("@") for path in config.paths)
            or any(_is_there(here, word) for word in pytest_config.words)
        )
        self._leading: dict[str, list[tuple[int, str]]] = {}
        for number, argument in enumerate(found.roots):
            path = split_node_id(argument).path
            absolute = os.path.normpath(os.path.join(here, path))
            self._leading.setdefault(absolute, []).append((number, argument[len(path) :]))

    def of(self, module: TestModule) -> tuple[str, ...]:
        """What of pytest's arguments the module's outcome may hang on."""
        if module.framework is not Framework.PYTEST:
            return ()
        # Who shares a process with others depends on which others there are.
        if module.kind is not ModuleKind.FILE or module.group or self._as_given:
            return (*self._start, "", *self._given)
        path = os.path.normpath(os.path.join(self._root, module.path))
        ways = sorted(
            (number, step, names)
            for step in upwards(path)
            for number, names in self._leading.get(step, ())
        )
        if not ways:
            return (*self._start, "", *self._given)
        if len(ways) == 1 and not ways[0][2] and (ways[0][1] != path or self._is_usual(path)):
            return self._start
        return (*self._start, "", *(step + names for _, step, names in ways))

    def _is_usual(self, path: str) -> bool:
        """A file that is collected in the same way whether it is named or met in its folder."""
        name = os.path.basename(path)
        usual = name.endswith(".py") and name != "__init__.py"
        return usual and self._python_files.match(name, path)


class Unnamed:
    """For runs of no framework that is called with paths."""

    paths: Mapping[str, str] = MappingProxyType({})

    def of(self, _: TestModule) -> tuple[str, ...] | None:
        """Nothing to put in the place of an action's own arguments."""
        return None


def _as_text(paths: Sequence[str]) -> str:
    text = shlex.join(paths)
    if len(text) <= _SHOWN_CHARS and text.isprintable():
        return text
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _is_there(here: str, word: str) -> bool:
    try:
        return os.path.lexists(os.path.join(here, word.partition("::")[0]))
    except ValueError:
        return False
