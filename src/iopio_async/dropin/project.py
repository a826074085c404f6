"""The project that the callers are in: its root, its settings, and the files of its tests.

The root is the one that ``iopio run`` would have in the current directory, whatever is run; so the
same cache serves a directory however its path is spelled. Which framework runs a file is decided by
what the file needs: the original called plain functions, so that is what happens unless something
in the file, or around it, is pytest's.
"""

import glob
import importlib.util
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from iopio_async.analysis.outline import outline
from iopio_async.errors import UsageError
from iopio_async.model.config import Config, Override
from iopio_async.model.module import Framework
from iopio_async.orchestration.embedding import load_config
from iopio_async.project.cpus import usable_cpus
from iopio_async.project.pytest_config import locate_pytest_config
from iopio_async.project.tree import Tree

#: The most workers that are taken without being asked for.
MOST_WORKERS = 8

#: Files of tests, as the original's option has them.
PATTERN = "test_*.py"

_LEFT_OUT = frozenset({"__pycache__", "node_modules", "site-packages"})

#: What only pytest understands.
_NEEDS_PYTEST = re.compile(
    rb"\bpytest\s*\.\s*(?:fixture|mark|param|importorskip|register_assert_rewrite)\b"
    rb"|^[ \t]*from\s+pytest\s+import|^pytest(?:mark|_plugins)\b|^[ \t]*@fixture\b"
    rb"|^[ \t]+(?:async\s+)?def\s+test\w*\(\s*self\s*,\s*\w",
    re.MULTILINE,
)

#: What the original's tests rely on, and pytest does not know: its own skips, and coroutines.
_BEYOND_PYTEST = re.compile(rb"^[ \t]*async\s+def\s+test|\bSkipTestException\b", re.MULTILINE)


def default_workers() -> int:
    """As many workers as there are CPUs to use, but not too many."""
    return min(usable_cpus(), MOST_WORKERS)


def check_workers(workers: int | None) -> int:
    """The number of workers to take where ``workers`` was asked for.

    Raises:
        ValueError: it is no positive number.
    """
    if workers is None:
        return default_workers()
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ValueError(f"max_workers must be a positive number, not {workers!r}")
    return workers


def settings(
    *, workers: int, cache_dir: str | None, paths: Sequence[str] = (), root: str = ""
) -> Config:
    """The project's settings, for a run with ``workers``; ``cache_dir`` ``None`` is no cache.

    Raises:
        UsageError: the project's configuration is at fault.
    """
    flags: dict[str, object] = {"workers": workers, "cwd_on_path": True}
    if paths:
        flags["paths"] = list(paths)
    if root:
        flags["rootdir"] = root
    if cache_dir is None:
        flags["no_cache"] = True
    else:
        flags["cache_dir"] = cache_dir
    return load_config(".", **flags)


def project_root() -> str:
    """The root of the project that the current directory is in, absolute."""
    return load_config(".").root


def files_of_tests(directory: str, pattern: str = PATTERN) -> list[str]:
    """The files below a directory that the pattern matches, in order, spelled as it is.

    Raises:
        UsageError: there is no such directory.
    """
    if not os.path.isdir(directory):
        is_there = os.path.exists(directory)
        raise UsageError(
            f"{'not a' if is_there else 'no such'} directory: {directory}",
            hint="give a directory that holds tests",
        )
    return list(_walk(directory, pattern))


def _walk(directory: str, pattern: str) -> Iterator[str]:
    for folder, subfolders, names in os.walk(directory):
        subfolders[:] = sorted(name for name in subfolders if _enters(folder, name))
        for name in sorted(names):
            path = os.path.join(folder, name)
            if name.endswith(".py") and _fits(name, path, directory, pattern):
                yield path


def _fits(name: str, path: str, directory: str, pattern: str) -> bool:
    below = os.path.relpath(path, directory).replace(os.sep, "/")
    return fnmatchcase(name, pattern) or fnmatchcase(below, pattern)


def _enters(folder: str, name: str) -> bool:
    is_hidden = name.startswith(".") or name in _LEFT_OUT
    return not is_hidden and not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))


def with_frameworks(config: Config, files: Iterable[str]) -> Config:
    """The settings with the framework of each file (absolute), unless the project chose one."""
    if config.framework != "auto":
        return config
    has_pytest = importlib.util.find_spec("pytest") is not None
    here = Path(config.invocation_dir)
    configured = locate_pytest_config(here, (), config.arguments, os.environ).configured
    tree = Tree(config.root)
    chosen: dict[Framework, list[str]] = {}
    for file in files:
        by_default = configured or _has_conftest(tree, file)
        framework = _framework(tree.read(file), by_default=by_default, has_pytest=has_pytest)
        chosen.setdefault(framework, []).append(glob_of(tree.name(file)))
    # The project's own overrides have the last word.
    overrides = [Override(paths=tuple(globs), framework=each) for each, globs in chosen.items()]
    return msgspec.structs.replace(config, overrides=(*overrides, *config.overrides))


def _framework(source: bytes, *, by_default: bool, has_pytest: bool) -> Framework:
    seen = outline(source)
    if has_pytest:
        if _NEEDS_PYTEST.search(source) or seen.functions > seen.bare_functions:
            return Framework.PYTEST
        if by_default and not _BEYOND_PYTEST.search(source):
            return Framework.PYTEST
    return Framework.UNITTEST if seen.load_tests else Framework.FUNCTIONS


def _has_conftest(tree: Tree, file: str) -> bool:
    folder = os.path.dirname(file)
    while True:
        if tree.is_file(os.path.join(folder, "conftest.py")):
            return True
        above = os.path.dirname(folder)
        if folder in {tree.root, above}:
            return False
        folder = above


def glob_of(path: str) -> str:
    """The glob that matches this path alone."""
    return glob.escape(path)
