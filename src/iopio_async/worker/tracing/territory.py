"""Which paths are told at all, and how a path is spelled when it is told.

A told path is absolute and lexically normal. Where ``..`` follows a symbolic link, normalising it
would lead elsewhere: the part before it is resolved first.
"""

import os
import posixpath
import sys

_getcwd, _readlink, _lstat, _normpath, _realpath = (
    os.getcwd,
    os.readlink,
    os.lstat,
    posixpath.normpath,
    posixpath.realpath,
)
_fspath, _fsdecode = os.fspath, os.fsdecode

#: iopio's own source tree.
OWN_TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

#: The tracer's own files.
TRACING = f"{OWN_TREE}/worker/tracing/"

#: Devices that give the same to everybody, or to nobody.
HARMLESS_DEVICES = frozenset(
    f"/dev/{name}"
    for name in [
        "null",
        "zero",
        "full",
        "random",
        "urandom",
        "tty",
        "stdin",
        "stdout",
        "stderr",
        "fd",
        "ptmx",
    ]
)

#: Counters that change as the clock does, and the shape of the machine, which stays: ``psutil``,
#: ``joblib``, ``torch`` and others look at them when they are imported.
HARMLESS_STATE = (
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/mounts",
    "/proc/stat",
    "/proc/sys/kernel/osrelease",
    "/proc/uptime",
    "/proc/version",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/fs/cgroup",
)


class Territory:
    """The paths that are not told, for one attempt."""

    def __init__(self) -> None:
        self.root = ""
        self._private: tuple[str, ...] = ()
        self._above_private: frozenset[str] = frozenset()
        #: The folders that private directories lie in, side by side with those of other modules.
        self._runs: frozenset[str] = frozenset()
        self._excepted: tuple[str, ...] = ()
        self._dropped: tuple[str, ...] = ()
        self._exact: frozenset[str] = frozenset()
        self._single: frozenset[str] = frozenset()
        self._settled: str | None = None
        #: The files whose doings are iopio's own, not the tests'.
        self.own_code = f"{OWN_TREE}/worker/"

    def settle(
        self,
        root: str,
        private: tuple[str, ...],
        files: tuple[str, ...] = (),
        *,
        alone: bool = False,
    ) -> None:
        """The project's root, the private directories, and single files that are not told.

        Unless the private directories stand ``alone``, they lie in a folder of the run's own.
        """
        self.root = root
        folders = {spelling for path in private for spelling in (path, _realpath(path)) if path}
        self._private = tuple(f"{folder}/" for folder in folders)
        self._above_private = frozenset(
            parent for folder in folders for parent in (folder, *_parents(folder))
        )
        self._runs = frozenset(map(os.path.dirname, folders))
        if alone:
            self._above_private, self._runs = frozenset(folders), frozenset()
        if self._settled != root:
            self._settle_root(root)
            self._settled = root
        self._single = frozenset(files)

    def _settle_root(self, root: str) -> None:
        library = os.path.dirname(os.__file__)
        libraries = {
            spelling
            for path in (library, getattr(sys, "_stdlib_dir", None) or library, _dynamic_library())
            for spelling in (path, _realpath(path))
        }
        archive = f"python{sys.version_info[0]}{sys.version_info[1]}.zip"
        self._excepted = tuple(
            f"{folder}/{packages}/"
            for folder in libraries
            for packages in ("site-packages", "dist-packages")
        )
        dropped = set(libraries)
        # A project that holds iopio itself is traced like any other.
        if "/site-packages/" in OWN_TREE or not OWN_TREE.startswith(f"{root}/"):
            dropped.add(OWN_TREE)
        else:
            self.own_code = TRACING
        self._dropped = tuple(f"{folder}/" for folder in dropped)
        if f"{root}/".startswith(self._dropped):
            self._excepted += (f"{root}/",)
        interpreters = {sys.executable, getattr(sys, "_base_executable", "") or sys.executable}
        self._exact = frozenset(
            {
                *dropped,
                *(f"{os.path.dirname(folder)}/{archive}" for folder in libraries),
                *interpreters,
                *map(_realpath, interpreters),
            }
        )

    def drops(self, path: str) -> bool:
        """True for what is never told. ``path`` is absolute and normal."""
        if path.startswith(self._private):
            return True
        if path.startswith(self._dropped):
            return not path.startswith(self._excepted)
        return path in self._exact or path in self._single

    def drops_status(self, path: str) -> bool:
        """The same, where only a status is asked for."""
        if path in self._above_private or self.drops(path):
            return True
        # Who looks for a configuration upwards, from a temporary directory, comes by the run's own
        # folder. It is new in each run: what is not there now is in no other one either.
        return path.rpartition("/")[0] in self._runs and not _is_there(path)

    def drops_private(self, path: str) -> bool:
        """True for what is in the private directories."""
        return path.startswith(self._private)

    def inside_project(self, path: str) -> bool:
        """True for the project's own files; what is installed below it is not its own."""
        return path.startswith(f"{self.root}/") and "/site-packages/" not in path


territory = Territory()


def absolute(path: object, descriptor: int = -1) -> str:
    """The path as it is told, or ``""`` where it is none; relative ones begin at ``descriptor``."""
    if type(path) is not str:
        if path is None:
            path = "."
        elif type(path) is int:
            # ``listdir`` and others take descriptors.
            return _behind(path)
        try:
            path = _fsdecode(_fspath(path))  # type: ignore[call-overload]
        except TypeError:
            return ""
    if "\0" in path:
        return ""
    if not path.startswith("/"):
        if not path:
            return ""
        base = _current() if descriptor < 0 else _behind(descriptor)
        if not base:
            return ""
        path = f"{base}/{path}"
    if "/../" in path or path.endswith("/.."):
        path = _without_parents(path)
    path = _normpath(path)
    return path[1:] if path.startswith("//") else path


def _current() -> str:
    try:
        return _getcwd()
    except OSError:
        return ""


def _behind(descriptor: int) -> str:
    try:
        path = _readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""
    return path if path.startswith("/") else ""


def _without_parents(path: str) -> str:
    """Resolve what is in front of the first ``..``, if that is not what it seems."""
    while True:
        head, separator, rest = f"{path}/".partition("/../")
        if not separator:
            return path
        resolved = _realpath(head) if head else ""
        path = f"{os.path.dirname(resolved).rstrip('/')}/{rest}".rstrip("/") or "/"


def _dynamic_library() -> str:
    library = os.path.dirname(os.__file__)
    folder = os.path.join(sys.base_exec_prefix, "lib", os.path.basename(library), "lib-dynload")
    return folder if os.path.isdir(folder) else library


def _is_there(path: str) -> bool:
    try:
        _lstat(path)
    except OSError:
        return False
    return True


def _parents(path: str) -> "list[str]":
    found = []
    while (parent := os.path.dirname(path)) != path:
        found.append(parent)
        path = parent
    return found


def special(path: str) -> str | None:
    """Of a path in ``/dev``, ``/proc``, ``/sys``: ``"drop"``, ``"impure"``; ``None`` for others."""
    if not path.startswith(("/dev/", "/proc/", "/sys/")) and path not in {"/proc", "/sys"}:
        return None
    if path in HARMLESS_DEVICES or path.startswith(("/dev/fd/", "/dev/pts/")):
        return "drop"
    if path.startswith("/dev/shm/"):
        return None
    if path.startswith(("/proc/self/", f"/proc/{os.getpid()}/", "/proc/thread-self/")):
        return "drop"
    for harmless in HARMLESS_STATE:
        if path == harmless or path.startswith(f"{harmless}/"):
            return "drop"
    return "impure"
