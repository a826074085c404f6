"""Disks that fail: every call by which a store reads or writes, counted, with a fault at any one.

Only calls with a path below the watched folder count, and writes into files opened there. What a
fault does is up to the test: raise, kill the process, remove the folder.
"""

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiofiles.threadpool

#: The functions of ``os`` by which paths are reached.
CALLS = ("open", "mkdir", "lstat", "stat", "rename", "replace", "utime")

Fault = Callable[[], None]


def failing(number: int) -> Fault:
    """A fault that raises this error."""

    def fail() -> None:
        raise OSError(number, os.strerror(number))

    return fail


class Disk:
    """Counts calls from 1; at ``at`` and, if ``for_good``, from there on, ``fault`` happens."""

    def __init__(
        self, folder: str, fault: Fault | None = None, *, at: int = 0, for_good: bool = False
    ) -> None:
        self._folder = folder
        self._fault = fault
        self._at = at
        self._for_good = for_good
        self.calls = 0

    def call(self) -> None:
        self.calls += 1
        if self._fault and (self.calls == self._at or (self._for_good and self.calls > self._at)):
            self._fault()

    def concerns(self, path: Any) -> bool:
        if isinstance(path, int):
            try:
                path = os.readlink(f"/proc/self/fd/{path}")
            except OSError:
                return False
        return os.fsdecode(path).startswith(self._folder)


class _File(io.FileIO):
    """A file on such a disk. Writes are short where they may be: nobody promised otherwise."""

    disk: Disk

    def write(self, data: Any) -> int:
        self.disk.call()
        view = memoryview(data)
        return super().write(view[: max(1, len(view) // 2)])

    def close(self) -> None:
        first = not self.closed
        super().close()
        if first:
            self.disk.call()


@contextmanager
def on(disk: Disk) -> Iterator[Disk]:
    """Everything below the folder is on this disk."""

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def function(path: Any, *args: Any, **keywords: Any) -> Any:
            if disk.concerns(path):
                disk.call()
            return real(path, *args, **keywords)

        return function

    def open_file(file: Any, mode: str, *, opener: Any, **_: Any) -> io.BufferedWriter:
        raw = _File(file, mode.replace("b", ""), opener=opener)
        raw.disk = disk
        # So small a buffer that there are many writes.
        return io.BufferedWriter(raw, buffer_size=64)

    with ExitStack() as stack:
        for name in CALLS:
            stack.enter_context(patch.object(os, name, watched(getattr(os, name))))
        stack.enter_context(patch.object(aiofiles.threadpool, "sync_open", open_file))
        # It was wrapped when it was imported.
        for name in ("stat", "replace"):
            wrapped = aiofiles.os.wrap(getattr(os, name))
            stack.enter_context(patch.object(aiofiles.os, name, wrapped))
        yield disk


#: What a disk may say when there is no room on it, or it is broken.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def left_behind(folder: str) -> list[str]:
    """Temporary files that nobody removed."""
    return [path.name for path in Path(folder).rglob(".iopio-*")]
