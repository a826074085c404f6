"""Puts a Python function in the place of one of ``os``, as inconspicuously as can be.

What stands in is a bound method: as a class attribute it does not bind again, which a plain
function would and the built-in one does not. It is pickled as the name that it has in ``os``, is a
member of the ``os.supports_*`` sets that the true one is a member of, and has its documentation.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class _Os:
    """What the methods are bound to; it is pickled as the module ``os`` is found."""

    def __reduce__(self) -> "tuple[Any, ...]":
        return (__import__, ("os",))

    def __deepcopy__(self, memo: object) -> "_Os":
        return self

    def __repr__(self) -> str:
        return "<module 'os'>"


_bound_to = _Os()

_Method: "Any" = type(_bound_to.__repr__)

#: Sets of functions with an ability.
_ABILITIES = (
    "supports_dir_fd",
    "supports_effective_ids",
    "supports_fd",
    "supports_follow_symlinks",
)


def stand_in(name: str, function: "Callable[..., Any]") -> None:
    """Let ``os.NAME`` be ``function``, whose first parameter is not the caller's."""
    true = getattr(os, name)
    function.__module__, function.__qualname__ = "os", name
    function.__name__, function.__doc__ = name, true.__doc__
    method = _Method(function, _bound_to)
    for ability in _ABILITIES:
        able = getattr(os, ability)
        if true in able:
            able.add(method)
    setattr(os, name, method)
