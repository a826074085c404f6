"""Which files and directories does this process look at? For the receipt of a run.

While a :class:`Watch` is entered, every path whose status is asked for, that is listed or that is
opened is noted. The functions of ``os`` are replaced for that time: settings and discovery are
read by them alone.
"""

import builtins
import io
import os
from collections.abc import Callable
from typing import Any, Self

from iopio_async.cli.receipt import Status, status_of

#: Functions of ``os`` that take a path first, and whether they follow a link at its end.
_FUNCTIONS = {"stat": True, "lstat": False, "scandir": True, "listdir": True, "open": True}


#: What the kernel makes up when it is read: it has no times that mean anything.
_KERNEL = ("/proc/", "/sys/")


class Watch:
    """Notes paths, absolute, with their status: ``followed`` ones, and links themselves."""

    def __init__(self) -> None:
        self.followed: dict[str, Status] = {}
        self.unfollowed: dict[str, Status] = {}
        self.listed: set[str] = set()
        self._functions: dict[str, Callable[..., Any]] = {}
        self._open: Any = None

    def __enter__(self) -> Self:
        for name, follows in _FUNCTIONS.items():
            function = self._functions[name] = getattr(os, name)
            lists = name in {"scandir", "listdir"}
            setattr(os, name, self._noting(function, follows=follows, lists=lists))
        self._open = builtins.open
        opens = self._noting(self._open, follows=True)
        builtins.open = io.open = opens
        return self

    def __exit__(self, *details: object) -> None:
        for name, function in self._functions.items():
            setattr(os, name, function)
        builtins.open = io.open = self._open

    def _noting(
        self, function: Callable[..., Any], *, follows: bool, lists: bool = False
    ) -> Callable[..., Any]:
        def noting(path: Any = ".", *args: Any, **options: Any) -> Any:
            if not isinstance(path, int):
                followed = follows and options.get("follow_symlinks", True)
                name = os.path.abspath(os.fsdecode(path))
                # Before the call: what changes later than this is seen to have changed.
                noted = self.followed if followed else self.unfollowed
                if name not in noted and not name.startswith(_KERNEL):
                    noted[name] = status_of(name, follow=followed)
                if lists:
                    self.listed.add(name)
            return function(path, *args, **options)

        return noting
