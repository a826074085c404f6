"""All files of a project: what a module depends on of which not everything could be followed.

Where the project is kept by git, these are the files that git tracks and those that it neither
tracks nor ignores; otherwise all files below the root. Caches and virtual environments are no part
of it.
"""

import os
from collections.abc import Callable, Iterator

from iopio_async.project.listings import DIRECTORY, Listing, is_cache

#: What a virtual environment has in its folder.
_ENVIRONMENT_MARK = "pyvenv.cfg"

#: git answers much faster than this, or hangs on a file system that does.
GIT_DEADLINE_S = 10.0


def project_files(root: str, listing: Callable[[str], Listing]) -> list[str]:
    """The paths of all files, relative to the root, sorted. Links are files, not followed."""
    listed = _by_git(root)
    if listed is None:
        return sorted(walk(root, "", listing))
    found: set[str] = set()
    for path in listed:
        # A repository inside of this one is a single entry.
        inner = f"{root}/{path.rstrip('/')}"
        if os.path.isdir(inner) and not os.path.islink(inner):
            found.update(walk(root, path.rstrip("/"), listing))
        elif not any(map(is_cache, path.split("/"))):
            found.add(path)
    return sorted(found)


def walk(root: str, below: str, listing: Callable[[str], Listing]) -> Iterator[str]:
    """The paths of the files below a directory of the root, relative to the root."""
    waiting = [below]
    while waiting:
        folder = waiting.pop()
        types = listing(f"{root}/{folder}" if folder else root).types
        if _ENVIRONMENT_MARK in types:
            continue
        for name, kind in types.items():
            if not is_cache(name):
                path = f"{folder}/{name}" if folder else name
                if kind == DIRECTORY:
                    waiting.append(path)
                else:
                    yield path


def _by_git(root: str) -> list[str] | None:
    """What git says; None where there is no git, or the project is not kept by it."""
    here = root
    while not os.path.lexists(f"{here}/.git"):
        parent = os.path.dirname(here)
        if parent == here:
            return None
        here = parent
    # Late: only modules that could not be followed need it.
    import subprocess

    command = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},
            timeout=GIT_DEADLINE_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    # A project that git ignores as a whole is none that it keeps.
    return [path for path in os.fsdecode(answer.stdout).split("\0") if path] or None
