"""Which compiled files of the project are believed.

Python takes a compiled file for that of its source if time and size of the source are the ones that
are written in it: an edit of the same size in the same second goes unnoticed, and so does an editor
that restores times. Here a compiled file must also be younger than the last change of its source,
by more than the granularity of any clock involved; a fresh edit is thus compiled once more.
Compiled files that hold a digest of their source are always checked. This applies whether or not
anything is traced.
"""

import _imp
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_stat, _lstat = os.stat, os.lstat
_open = open

#: The standard library, which nobody edits.
_LIBRARY = f"{os.path.dirname(os.__file__)}/"

#: Comes between a module's name and the rest of its compiled file's.
_TAG = f".{sys.implementation.cache_tag}"

#: Flags in the head of a compiled file that is checked by its source's digest.
_CHECKED = b"\x03\0\0\0"

#: How much younger a compiled file must be than its source.
MARGIN_NS = 1_000_000_000


def believable(bytecode_ns: int, source_mtime_ns: int, source_ctime_ns: int) -> bool:
    """True if what was compiled then can only be what the source holds now."""
    return bytecode_ns > max(source_mtime_ns, source_ctime_ns) + MARGIN_NS


def _may_be_edited(source: str, inside: str) -> bool:
    if "/site-packages/" in source or "/dist-packages/" in source:
        return False
    return source.startswith(inside) or not source.startswith(_LIBRARY)


def _believed(bytecode: str, source: str) -> bool:
    try:
        compiled, origin, link = _stat(bytecode), _stat(source), _lstat(source)
    except (OSError, ValueError):
        return False
    # A link that was led elsewhere is younger than what it leads to.
    changed_ns = max(origin.st_ctime_ns, link.st_ctime_ns)
    return believable(compiled.st_mtime_ns, origin.st_mtime_ns, changed_ns)


def install(root: str) -> None:
    """Have the import system doubt compiled files of what may be edited.

    Those are the sources below ``root``, and others that are not installed: a project beside it.
    """
    machinery: Any = sys.modules["_frozen_importlib_external"]
    true_validate = machinery._validate_timestamp_pyc
    inside = f"{root}/"

    def _validate_timestamp_pyc(
        data: "Any", source_mtime: "Any", source_size: "Any", name: str, exc_details: "Any"
    ) -> None:
        bytecode = exc_details["path"]
        source = source_of(bytecode)
        if _may_be_edited(source, inside) and not _believed(bytecode, source):
            raise ImportError(f"bytecode of {name!r} may be stale", **exc_details)
        true_validate(data, source_mtime, source_size, name, exc_details)

    machinery._validate_timestamp_pyc = _validate_timestamp_pyc
    _imp.check_hash_based_pycs = "always"


def install_for_pytest(root: str) -> None:
    """The same for the compiled files that pytest makes of what it rewrites, once it is loaded."""
    rewrite: Any = sys.modules.get("_pytest.assertion.rewrite")
    true_read = getattr(rewrite, "_read_pyc", None)
    if true_read is None:
        return
    inside = f"{root}/"

    def _read_pyc(source: "Any", pyc: "Any", *arguments: "Any", **options: "Any") -> "Any":
        path = str(pyc)
        text = str(source)
        if _may_be_edited(text, inside) and _by_time(path) and not _believed(path, text):
            return None
        return true_read(source, pyc, *arguments, **options)

    rewrite._read_pyc = _read_pyc


def _by_time(bytecode: str) -> bool:
    """True unless the file says that it is to be checked by its source's digest."""
    try:
        with _open(bytecode, "rb") as file:
            return file.read(8)[4:] != _CHECKED
    except OSError:
        return True


def source_of(bytecode: str) -> str:
    """The source file that a compiled one belongs to by its name, or itself."""
    folder, _, name = bytecode.rpartition("/")
    parent, _, last = folder.rpartition("/")
    prefix = (sys.pycache_prefix or "").rstrip("/")
    if prefix and folder.startswith(f"{prefix}/"):
        parent = folder[len(prefix) :]
    elif last != "__pycache__":
        return bytecode
    # The name of a module may hold dots, and so may pytest's version, which follows the tag.
    return f"{parent}/{name.rpartition(_TAG)[0] or name.partition('.')[0]}.py"
