"""The conftests that pytest loads at its start, before it collects anything.

Only these may add options and take part in the session's beginning: those in and above the places
that the command line names, and in the folders ``test*`` right below. Which they are, and in what
order, is so much of a command line that outcomes may hang on it whatever is collected then.
"""

import os
from collections.abc import Iterable, Sequence

from iopio_async.planning.selection import split_node_id
from iopio_async.project.pytest_config import PytestConfig
from iopio_async.project.tree import Tree


def initial_conftests(
    tree: Tree, config: PytestConfig, here: str, arguments: Sequence[str]
) -> tuple[str, ...]:
    """Their absolute paths, each once.

    ``arguments`` are the paths that pytest is called with, or takes for want of any; words that may
    be paths, or the values of a plugin's options, are looked at as well.
    """
    if config.noconftest:
        return ()
    folders: dict[str, None] = {}
    for argument in (*arguments, *config.words):
        anchor = os.path.normpath(os.path.join(here, split_node_id(argument).path))
        kind = tree.kind(anchor)
        if kind == "missing":
            continue
        folder = anchor if kind == "directory" else os.path.dirname(anchor)
        folders[folder] = None
        if kind == "directory":
            folders.update(dict.fromkeys(_tests_in(tree, folder)))
    cut = config.confcutdir or config.root
    found: dict[str, None] = {}
    seen: set[str] = set()
    for folder in folders:
        for above in reversed(_unseen_upwards(folder, seen)):
            conftest = os.path.join(above, "conftest.py")
            if not _is_above(above, cut) and tree.is_file(conftest):
                found[conftest] = None
    return tuple(found)


def _tests_in(tree: Tree, folder: str) -> Iterable[str]:
    try:
        entries = tree.scan(folder)
    except OSError:
        return []
    return [
        entry.path
        for entry in entries
        if entry.name.startswith("test") and tree.is_directory(entry.path)
    ]


def _unseen_upwards(folder: str, seen: set[str]) -> list[str]:
    """The folder and those above it, as far as they were not asked for before."""
    found = []
    while folder not in seen:
        seen.add(folder)
        found.append(folder)
        folder = os.path.dirname(folder)
    return found


def _is_above(folder: str, cut: str) -> bool:
    return folder != cut and cut.startswith(folder.rstrip("/") + "/")
