"""Do the paths on the command line exist? If not: what may have been meant?

A path may carry a selection, as in ``tests/test_a.py::TestB::test_c[1-2]``; only the part before
the first ``::`` is a path. Suggestions come from the deepest folder of the path that does exist.
"""

import os
from collections.abc import Sequence
from itertools import islice

from iopio_async.errors import UsageError
from iopio_async.planning.selection import split_node_id
from iopio_async.project.quotation import plainly, shown, suggestion

#: So many entries of a folder are looked at for a suggestion.
_MAX_ENTRIES = 5000


def check_given_paths(paths: Sequence[str], *, invocation_dir: str, root: str) -> None:
    """Check that every path exists, relative to ``invocation_dir``.

    Raises:
        UsageError: one does not, with a suggestion where there is a likely one.
    """
    for given in paths:
        if given.startswith("@"):
            # A file of arguments, which the discovery opens.
            continue
        path = split_node_id(given).path
        if not os.path.lexists(path_in(invocation_dir, path)):
            # A folder of the path may have a bracket in its name.
            path = given.partition("::")[0]
        separator, selection = given[len(path) : len(path) + 2], given[len(path) + 2 :]
        if not path or "\0" in path:
            raise UsageError(f"not a path: {shown(given)}")
        try:
            is_dir = os.path.isdir(path_in(invocation_dir, path))
            os.stat(path_in(invocation_dir, path))
        except (FileNotFoundError, NotADirectoryError):
            hint = _hint(path, separator + selection, invocation_dir, root)
            raise UsageError(f"no such file or directory: {plainly(path)}", hint=hint) from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UsageError(f"can't use the path {plainly(path)}: {reason}") from None
        if is_dir and separator:
            raise UsageError(
                f"{plainly(path)} is a directory: "
                f"{plainly(separator + selection)} can be selected in a file only"
            )


def path_in(folder: str, path: str) -> str:
    """Make ``path`` absolute and normal, without following links."""
    return os.path.normpath(os.path.join(folder, path))


def module_paths(given: str, *, invocation_dir: str, root: str) -> tuple[str, str]:
    """The paths from the root that a module's name may mean: as seen from here, or from the root.

    A selection in it (``::test_a``) is left out.
    """
    path = given.partition("::")[0]
    return path_in(invocation_dir, path).removeprefix(root.rstrip("/") + "/"), path


def nearest_path(path: str, folder: str) -> str:
    """Find an existing path much like ``path``, relative to ``folder``, or ``""``."""
    done = "/" if path.startswith("/") else ""
    parts = [part for part in path.split("/") if part not in {"", "."}]
    for index, part in enumerate(parts):
        step = f"{done}{part}"
        if os.path.exists(path_in(folder, step)):
            done = f"{step}/"
            continue
        near = suggestion(part, _entries(path_in(folder, done or ".")))
        if not near:
            return ""
        whole = "/".join([f"{done}{near}", *parts[index + 1 :]])
        return whole if os.path.exists(path_in(folder, whole)) else f"{done}{near}"
    return ""


def _hint(path: str, selection: str, invocation_dir: str, root: str) -> str:
    if os.path.lexists(path_in(invocation_dir, path)):
        return "it is a symbolic link to nothing"
    if not os.path.isabs(path) and os.path.exists(path_in(root, path)):
        there = os.path.relpath(path_in(root, path), invocation_dir)
        return f"paths are relative to the current directory: did you mean {there}{selection}?"
    near = nearest_path(path, invocation_dir)
    if near:
        return f"did you mean {near}{selection if near.endswith('.py') else ''}?"
    if path.isidentifier():
        return f"to select tests by name: -k {path}"
    return ""


def _entries(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in islice(entries, _MAX_ENTRIES)]
    except OSError:
        return []
