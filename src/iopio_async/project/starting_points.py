"""Where discovery starts: the paths of the command line, or what stands in for them.

The first of these that names anything: paths on the command line (pytest's own arguments among
them), iopio's ``testpaths``, pytest's ``testpaths``, the folder ``tests``, the directory in which
the run was started. pytest's ``testpaths`` and the folder ``tests`` count only for a run that is
started in the root directory, as in pytest: whoever stands in a folder below it means that folder.
"""

import glob
import os
from collections.abc import Sequence
from typing import Literal

import msgspec

from iopio_async.errors import UsageError
from iopio_async.planning.selection import split_node_id
from iopio_async.project.pytest_arguments import expand_argument_files
from iopio_async.project.pytest_config import PytestConfig
from iopio_async.project.tree import Tree, find_module

Origin = Literal["paths", "iopio testpaths", "pytest testpaths", "tests folder", "directory"]


class StartingPoints(msgspec.Struct, frozen=True, kw_only=True):
    """Existing files and directories, absolute, each once.

    ``directories`` are those of the paths that are no files. ``arguments`` are what pytest would
    be given for them. ``unresolved`` says that a package's name was not found by looking: only an
    import can tell where it is.
    """

    paths: tuple[str, ...]
    directories: frozenset[str]
    arguments: tuple[str, ...]
    origin: Origin
    unresolved: bool = False
    warnings: tuple[str, ...] = ()


def starting_points(
    tree: Tree,
    config: PytestConfig,
    here: str,
    *,
    paths: Sequence[str],
    testpaths: Sequence[str],
    search_path: Sequence[str],
) -> StartingPoints:
    """Decide where to look.

    Raises:
        UsageError: something named does not exist, or is neither a file nor a directory.
    """
    given = expand_argument_files(paths, lambda name: _read_text(tree, os.path.join(here, name)))
    arguments, origin, warnings = _arguments(
        tree, config, here, given=[*config.positionals, *given], testpaths=testpaths
    )
    found: dict[str, str] = {}
    unresolved = False
    for argument in arguments:
        address = split_node_id(argument)
        path = ""
        if config.pyargs and origin in {"paths", "pytest testpaths"}:
            path = find_module(
                tree, address.path, search_path, namespace_packages=config.namespace_packages
            )
        path = path or os.path.normpath(os.path.join(here, address.path))
        kind = tree.kind(path)
        if kind == "missing" and config.pyargs and "/" not in address.path:
            unresolved = True
            warnings.append(f"{address.path}: not found without importing it")
            continue
        _check(argument, address.path, kind, has_names=bool(address.names), here=here)
        found[path] = kind
    return StartingPoints(
        paths=tuple(found),
        directories=frozenset(path for path, kind in found.items() if kind == "directory"),
        arguments=tuple(arguments),
        origin=origin,
        unresolved=unresolved,
        warnings=tuple(warnings),
    )


def _arguments(
    tree: Tree, config: PytestConfig, here: str, *, given: list[str], testpaths: Sequence[str]
) -> tuple[list[str], Origin, list[str]]:
    if given:
        return given, "paths", []
    if testpaths:
        return _named_by_iopio(tree, here, testpaths), "iopio testpaths", []
    warnings: list[str] = []
    if here == config.root:
        if config.testpaths:
            matches = list(config.testpaths) if config.pyargs else _globbed(here, config.testpaths)
            if matches:
                return matches, "pytest testpaths", []
            warnings.append(
                f"pytest's testpaths match nothing: {' '.join(config.testpaths)};"
                " the whole directory is searched, as pytest does"
            )
        elif tree.is_directory(os.path.join(here, "tests")):
            return ["tests"], "tests folder", []
    return [here], "directory", warnings


def _globbed(base: str, patterns: Sequence[str]) -> list[str]:
    return [
        match
        for pattern in patterns
        for match in sorted(glob.glob(pattern, root_dir=base, recursive=True))
    ]


def _named_by_iopio(tree: Tree, here: str, testpaths: Sequence[str]) -> list[str]:
    """Make iopio's testpaths, which are relative to the root, relative to here.

    Raises:
        UsageError: one matches nothing. pytest would go on; here nobody has to guess.
    """
    arguments: list[str] = []
    for pattern in testpaths:
        matches = _globbed(tree.root, [pattern])
        if not matches:
            raise UsageError(
                f"no such file or directory: {pattern}",
                hint=f"testpaths in [tool.iopio] are relative to {tree.root}",
            )
        arguments += (os.path.relpath(os.path.join(tree.root, match), here) for match in matches)
    return arguments


def _check(argument: str, path: str, kind: str, *, has_names: bool, here: str) -> None:
    """Refuse what pytest would refuse.

    Raises:
        UsageError: the path does not exist, is of no use, or is a directory with tests' names.
    """
    if kind == "missing":
        raise UsageError(f"no such file or directory: {path}", hint=f"paths are relative to {here}")
    if kind == "directory" and has_names:
        raise UsageError(f"a directory holds no tests of its own: {argument}")
    if kind not in {"file", "directory"}:
        raise UsageError(f"neither a file nor a directory but a {kind}: {path}")


def _read_text(tree: Tree, path: str) -> str:
    if not tree.is_file(path):
        raise OSError(0, "no such file")
    return tree.read(path).decode("utf-8", "surrogateescape")
