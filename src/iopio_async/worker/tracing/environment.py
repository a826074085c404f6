"""``os.environ``: which variables are read, and whether all of them are.

The dictionary behind ``os.environ`` and ``os.environb`` is replaced by one that tells. A variable
that this process has itself set or deleted is no input, until it is put back as it was before.
"""

import os

from iopio_async.wire.observations import VARIABLE, VARIABLES
from iopio_async.worker.tracing.callers import OWN, caller, role_of
from iopio_async.worker.tracing.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

#: Another one for each attempt, or set by iopio for all of them.
NEVER_TOLD = frozenset({b"TMPDIR", b"PYTHONHASHSEED", b"PYTEST_CURRENT_TEST", b"PYTEST_VERSION"})
OWN_PREFIX = b"IOPIO_"

#: Functions, by the end of their file's name, that read variables in a way no outcome depends on:
#: to restore them later, to empty the environment, to find the temporary directory (iopio's own is
#: the first one found), to lay out what pytest prints, which nobody reads.
IDLE_READERS = (
    ("unittest/mock.py", "_patch_dict"),
    ("unittest/mock.py", "_unpatch_dict"),
    ("unittest/mock.py", "_clear_dict"),
    ("_pytest/monkeypatch.py", "setitem"),
    ("_pytest/monkeypatch.py", "undo"),
    ("<frozen _collections_abc>", "clear"),
    ("_collections_abc.py", "clear"),
    ("tempfile.py", "_candidate_tempdir_list"),
    ("_pytest/_io/terminalwriter.py", ""),
    ("_pytest/terminal.py", ""),
)

_get, _items = dict.get, dict.items


class Variables(dict):  # type: ignore[type-arg]
    """The variables by their names, as bytes; tells who reads them."""

    __slots__ = ("_before", "_changed", "_known")

    def __init__(self, variables: "dict[bytes, bytes]") -> None:
        super().__init__(variables)
        self._before = dict(variables)
        #: Those that the process itself has set, and those that need not be told (any more).
        self._changed: set[bytes] = set()
        self._known: set[bytes] = set()

    def __getitem__(self, name: bytes) -> bytes:
        if name not in self._known:
            self._told(name)
        return dict.__getitem__(self, name)  # type: ignore[no-any-return]

    def __contains__(self, name: object) -> bool:
        if name not in self._known:
            self._told(name)
        return dict.__contains__(self, name)

    # What follows is what dictionaries do, and telling of it.

    def get(self, name: bytes, default: "Any" = None) -> "Any":  # noqa: D102
        if name not in self._known:
            self._told(name)
        return _get(self, name, default)

    def __setitem__(self, name: bytes, value: bytes) -> None:
        dict.__setitem__(self, name, value)
        self._note_change(name, self._before.get(name) != value)

    def __delitem__(self, name: bytes) -> None:
        dict.__delitem__(self, name)
        self._note_change(name, name in self._before)

    def _note_change(self, name: bytes, differs: bool) -> None:
        if differs:
            self._changed.add(name)
            self._known.add(name)
        elif name in self._changed:
            # Whoever reads it from here on reads what was given.
            self._changed.remove(name)
            self._known.discard(name)

    def __iter__(self) -> "Any":
        self._told_all()
        return dict.__iter__(self)

    def keys(self) -> "Any":  # noqa: D102
        self._told_all()
        return dict.keys(self)

    def values(self) -> "Any":  # noqa: D102
        self._told_all()
        return dict.values(self)

    def items(self) -> "Any":  # noqa: D102
        self._told_all()
        return _items(self)

    def copy(self) -> "dict[bytes, bytes]":  # noqa: D102
        self._told_all()
        return dict(_items(self))

    def __reduce__(self) -> "tuple[Any, ...]":
        return (dict, (self.copy(),))

    def __reduce_ex__(self, protocol: "Any") -> "tuple[Any, ...]":
        return self.__reduce__()

    def forget(self) -> None:
        """From here on tell again what was told."""
        self._known = set(self._changed)

    def _told(self, name: object) -> None:
        if type(name) is not bytes or record.quiet:
            return
        if name in NEVER_TOLD or name.startswith(OWN_PREFIX):
            self._known.add(name)
        elif not _idle(caller(2)):
            record.tell(VARIABLE, name.replace(b"\0", b""))
            self._known.add(name)

    def _told_all(self) -> None:
        if not record.quiet and not _idle(caller(2)):
            record.tell(VARIABLES)


def _idle(frame: "FrameType | None") -> bool:
    """True where no outcome depends on what is read."""
    while frame is not None:
        code = frame.f_code
        file = code.co_filename
        for end, name in IDLE_READERS:
            if file.endswith(end) and name in {"", code.co_name}:
                return True
        # ``os`` and the abstract classes stand between the dictionary and whoever reads it, and
        # ``shutil`` between it and the size of a terminal.
        if not file.startswith(("<frozen os>", "<frozen _collections_abc>")) and not file.endswith(
            ("/os.py", "/_collections_abc.py", "/shutil.py")
        ):
            return role_of(file) == OWN
        frame = frame.f_back
    return False


def install() -> None:
    """Replace the dictionary behind ``os.environ``."""
    variables = Variables(os.environ._data)  # type: ignore[attr-defined]
    os.environ._data = os.environb._data = variables  # type: ignore[attr-defined]


def forget() -> None:
    """From here on tell again what was told."""
    data = os.environ._data  # type: ignore[attr-defined]
    if type(data) is Variables:
        data.forget()


def current() -> "dict[bytes, bytes]":
    """All variables, without telling of it."""
    data = os.environ._data  # type: ignore[attr-defined]
    return dict(_items(data))


def variable(name: bytes) -> bytes:
    """A variable, without telling of it."""
    try:
        return _get(os.environ._data, name, b"")  # type: ignore[attr-defined, no-any-return]
    except (AttributeError, TypeError):
        return b""
