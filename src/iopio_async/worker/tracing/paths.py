"""The paths that pytest is called with: does anybody look at them but pytest itself?

A module's process is confined to the module however it was selected, so which paths there were
does not matter, unless a test, a conftest or a plugin wants to know. They are in ``sys.argv``, in
the lists that options are parsed into, and in attributes of pytest's configuration and session.
The lists are replaced by ones that tell, the attributes by descriptors that do.
"""

from iopio_async.wire.observations import PATHS
from iopio_async.worker.tracing.callers import LIBRARY, OWN, PYTEST, REWRITE, caller, role_of
from iopio_async.worker.tracing.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

#: Functions of pytest's that answer others from what is watched.
ANSWERING = frozenset({"getoption", "getvalue", "getvalueorskip", "isinitpath"})

#: Who looks at them to no other end than to collect what they lead to.
_INITIATED = frozenset({OWN, PYTEST, REWRITE})

#: Modules of the standard library that look on behalf of their caller.
_BETWEEN = (f"{LIBRARY}argparse.py", f"{LIBRARY}copy.py")


def told() -> None:
    """The paths count."""
    record.tell(PATHS)


def asked(depth: int) -> None:
    """The paths count if the frame so far above this one's caller is neither pytest's nor ours."""
    frame = caller(depth + 1)
    while frame is not None and _is_between(frame):
        frame = frame.f_back
    if frame is not None and role_of(frame.f_code.co_filename) not in _INITIATED:
        told()


def _is_between(frame: "FrameType") -> bool:
    code = frame.f_code
    if code.co_filename in _BETWEEN:
        return True
    return code.co_name in ANSWERING and role_of(code.co_filename) == PYTEST


class Attribute:
    """Stands for an attribute of a class's instances."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: object = None) -> "Any":
        if instance is None or self._name not in instance.__dict__:
            raise AttributeError(self._name)
        asked(1)
        return instance.__dict__[self._name]

    def __set__(self, instance: object, value: object) -> None:
        instance.__dict__[self._name] = value

    def __delete__(self, instance: object) -> None:
        try:
            del instance.__dict__[self._name]
        except KeyError:
            raise AttributeError(self._name) from None


class Words(list):  # type: ignore[type-arg]
    """A list that tells who looks into it, further than at its first so many ``harmless`` items."""

    __slots__ = ("_harmless",)

    def __init__(self, words: "list[Any]", harmless: int = 0) -> None:
        super().__init__(words)
        self._harmless = harmless

    def __getitem__(self, index: "Any") -> "Any":
        if type(index) is int:
            harmless = 0 <= index < self._harmless
        else:
            harmless = type(index) is slice and index in _beginnings(self._harmless)
        if not harmless:
            asked(1)
        return list.__getitem__(self, index)

    def __reduce_ex__(self, _: object) -> "tuple[Any, ...]":
        asked(1)
        return list, (list(list.__iter__(self)),)

    # Equal lists are equal; none can be hashed.
    __hash__ = None


def _beginnings(count: int) -> "list[slice]":
    return [slice(start, count) for start in (None, 0)] if count else []


def _asking(name: str) -> "Callable[..., Any]":
    true = getattr(list, name)

    def method(self: Words, *arguments: "Any") -> "Any":
        asked(1)
        return true(self, *arguments)

    method.__name__, method.__doc__ = name, true.__doc__
    return method


for _name in (
    "__add__",
    "__contains__",
    "__eq__",
    "__ge__",
    "__gt__",
    "__iter__",
    "__le__",
    "__len__",
    "__lt__",
    "__mul__",
    "__ne__",
    "__repr__",
    "__reversed__",
    "__rmul__",
    "copy",
    "count",
    "index",
    "pop",
):
    setattr(Words, _name, _asking(_name))


def _radd(self: Words, other: "Any") -> "Any":
    asked(1)
    return other + list(list.__iter__(self)) if isinstance(other, list) else NotImplemented


Words.__radd__ = _radd  # type: ignore[attr-defined]
