"""On whose behalf a thing happens: the frame that asked for it, and what its file is.

The standard library's layers between a caller and the system (``pathlib`` above ``io``) are
transparent: what counts is who called them, and by which of their functions.
"""

import os
import sys

from iopio_async.worker.tracing.territory import TRACING, territory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

IMPORT = "import"
REWRITE = "rewrite"
PLUMBING = "plumbing"
METADATA = "metadata"
PYTEST = "pytest"
CACHING = "caching"
OWN = "own"
OTHER = "other"

LIBRARY = os.path.dirname(os.__file__) + "/"

#: Files of the standard library by what they are, without the library's folder and the suffix. A
#: frozen module's file is ``<frozen NAME>``.
_LIBRARY_ROLES = {
    "importlib._bootstrap": IMPORT,
    "importlib._bootstrap_external": IMPORT,
    "importlib/_bootstrap": IMPORT,
    "importlib/_bootstrap_external": IMPORT,
    "os": PLUMBING,
    "posixpath": PLUMBING,
    "genericpath": PLUMBING,
    "_collections_abc": PLUMBING,
    "codecs": PLUMBING,
    "contextlib": PLUMBING,
    "glob": PLUMBING,
    "fnmatch": PLUMBING,
    "pathlib": PLUMBING,
    "pathlib/_abc": PLUMBING,
    "pathlib/_local": PLUMBING,
    "shutil": PLUMBING,
    "tempfile": PLUMBING,
    "weakref": PLUMBING,
    "zipfile/_path/__init__": PLUMBING,
    "importlib/metadata/__init__": METADATA,
    "importlib/metadata/_functools": METADATA,
    "importlib/metadata/_itertools": METADATA,
    # They look whether what they have read before still holds; what they read is told.
    "linecache": CACHING,
    "inspect": CACHING,
    "py_compile": CACHING,
    "zipimport": CACHING,
}

_roles: dict[str, str] = {}


def role_of(file: str) -> str:
    """What the code in a file is."""
    role = _roles.get(file)
    if role is None:
        role = _roles[file] = _judge(file)
    return role


def _judge(file: str) -> str:
    if file.startswith("<frozen "):
        return _LIBRARY_ROLES.get(file[8:-1], OTHER)
    if file.startswith(LIBRARY) and not file.startswith(f"{LIBRARY}site-packages/"):
        return _LIBRARY_ROLES.get(file[len(LIBRARY) :].removesuffix(".py"), OTHER)
    if file.endswith("/_pytest/assertion/rewrite.py"):
        return REWRITE
    if "/_pytest/" in file or "/pluggy/" in file:
        return PYTEST
    if file.startswith(TRACING):
        # What stands in for a function is as transparent as the function was.
        return PLUMBING
    if file.startswith(territory.own_code):
        return OWN
    return OTHER


# ``sys._getframe`` looks at one frame only; the others are reached from it.
_getframe = sys._getframe


def caller(depth: int) -> "FrameType | None":
    """The frame so far above; 0 is the one that asks."""
    try:
        return _getframe(depth + 1)
    except ValueError:
        return None


def behind_plumbing(frame: "FrameType | None") -> "tuple[FrameType | None, str, list[str]]":
    """The first frame that is not plumbing, its role, and the plumbing's functions on the way."""
    names: list[str] = []
    while frame is not None:
        code = frame.f_code
        role = role_of(code.co_filename)
        if role != PLUMBING:
            return frame, role, names
        names.append(code.co_name)
        frame = frame.f_back
    return None, OTHER, names


def enumerates_plugins(frame: "FrameType | None") -> bool:
    """True where pytest or pluggy reads the metadata of all distributions to find its plugins."""
    while frame is not None:
        role = role_of(frame.f_code.co_filename)
        if role == PYTEST:
            return True
        if role not in {METADATA, PLUMBING}:
            return False
        frame = frame.f_back
    return False


#: Functions of pytest's that look where to start; what they come to is in each module's key.
_STARTING = frozenset(
    {
        "_set_initial_conftests",
        "_try_load_conftest",
        "get_common_ancestor",
        "get_dirs_from_args",
    }
)


def finds_its_start(frame: "FrameType | None") -> bool:
    """True where pytest looks at the paths it is called with, or for folders of tests in them."""
    if frame is not None and frame.f_code.co_name == "safe_exists":
        frame = frame.f_back
    if frame is None:
        return False
    outermost = frame.f_code.co_qualname.partition(".<locals>")[0]
    return outermost.rpartition(".")[2] in _STARTING
