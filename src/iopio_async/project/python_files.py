"""The Python files below a folder, as static analysis looks at them: all but what is not its own.

Hidden folders, caches and virtual environments are left out, and links to folders are not followed.
One listing stands for all questions about what is there and what isn't.
"""

import os
import stat

from iopio_async.errors import InfrastructureError
from iopio_async.project.digests import Status

#: Folders of these names hold nothing of the project's own.
FOREIGN = frozenset({"__pycache__", "node_modules", "site-packages"})
#: A tree with more entries than this is not searched to its end.
MOST_ENTRIES = 300_000


def python_files(root: str, *, most_entries: int = MOST_ENTRIES) -> dict[str, Status]:
    """The status of each ``.py`` file below ``root``, by its path relative to that, with slashes.

    Raises:
        InfrastructureError: there is more than can be searched in reasonable time.
    """
    found: dict[str, Status] = {}
    waiting = [""]
    count = 0
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(os.path.join(root, folder) if folder else root) as entries:
                listed = list(entries)
        except OSError:
            continue
        count += len(listed)
        if count > most_entries:
            raise InfrastructureError(f"more than {most_entries} files and folders in {root}")
        if folder and any(entry.name == "pyvenv.cfg" for entry in listed):
            continue
        for entry in listed:
            name = entry.name
            path = f"{folder}/{name}" if folder else name
            try:
                if name.endswith(".py"):
                    st = entry.stat()
                    # What is no UTF-8 can't be written down, and not be imported by name either.
                    if stat.S_ISREG(st.st_mode) and path.isprintable():
                        found[path] = (
                            *(st.st_dev, st.st_ino, st.st_size),
                            *(st.st_mtime_ns, st.st_ctime_ns, st.st_mode),
                        )
                elif not (
                    name.startswith(".")
                    or name in FOREIGN
                    or not entry.is_dir(follow_symlinks=False)
                ):
                    waiting.append(path)
            except OSError:
                continue
    return found
