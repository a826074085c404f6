"""What a forked child must not inherit, and how it gets its own.

========================  =========================================================================
state                     in the child
========================  =========================================================================
process group, session    its own (``setsid``, in ``server``)
descriptors               the server's control socket and watches are closed; every descriptor that
                          is the server's standard output or error, wherever it was duplicated to,
                          becomes the child's
capture files             every anonymous temporary file gets a private copy under its number, with
                          content and position: siblings would otherwise write into each other's
environment               ``TMPDIR``, ``IOPIO_SLOT``, the attempt's cookie; the latter also in the
                          block of ``/proc/self/environ``, so that strays can be told apart
temporary directory       ``tempfile`` forgets the server's
main thread               the number that the kernel knows it by
random state              ``random`` reseeds itself at a fork; numpy's legacy generator is reseeded
import caches             invalidated: files may have come since the server listed their folders
collector                 as the framework's start left it; all that the server had stays frozen
                          until a test first looks at the heap (``surroundings.reveal_heap``)
lifeline, stacks file     its own (``surroundings``)
========================  =========================================================================

Working directory, umask, locale, ``sys.path``, ``sys.argv``, signal handlers and masks, warnings
filters, logging, exit handlers, event loop policies and ``multiprocessing``'s state are as the
framework's start left them, which is what a fresh process would have as well: the server runs
nothing else, and ``warmth`` refuses it where that start had effects that can't be shared. Where
coverage is measured, servers fork before that begins.
``tests/end_to_end/test_pristine.py`` compares all of these with a fresh process.
"""

import contextlib
import ctypes
import fcntl
import importlib
import os
import sys
import tempfile
import threading
from collections.abc import Mapping
from typing import NamedTuple, Self

_ACCESS = os.O_WRONLY | os.O_RDWR


class StandardStreams(NamedTuple):
    """The files that standard output and error are: device and inode."""

    output: tuple[int, int]
    error: tuple[int, int]

    @classmethod
    def current(cls) -> Self:
        """Those of this process."""
        return cls(_identity(1), _identity(2))

    def replace(self, output: int, error: int) -> None:
        """Let all descriptors of these files be ``output`` and ``error``; both are used up."""
        copies: dict[tuple[int, int], int] = {}
        for descriptor in open_descriptors():
            if descriptor in {output, error}:
                continue
            identity = _identity(descriptor)
            if identity == self.output:
                _become(descriptor, output)
            elif identity == self.error:
                _become(descriptor, error)
            elif identity in copies:
                _become(descriptor, copies[identity])
            elif _is_anonymous_file(descriptor):
                copies[identity] = _copy(descriptor)
                _become(descriptor, copies[identity])
        for descriptor in (output, error, *copies.values()):
            os.close(descriptor)


def open_descriptors() -> list[int]:
    """Numbers of all open descriptors."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            os.fstat(int(name))
            found.append(int(name))
    return found


def _identity(descriptor: int) -> tuple[int, int]:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return (-1, -1)
    return (status.st_dev, status.st_ino)


def _is_anonymous_file(descriptor: int) -> bool:
    """A file that has no name any more and is open for writing."""
    try:
        target = os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return False
    if not target.endswith(" (deleted)"):
        return False
    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & _ACCESS)


def _copy(descriptor: int) -> int:
    copy = os.memfd_create("iopio-capture", os.MFD_CLOEXEC)
    size = os.fstat(descriptor).st_size
    position = 0
    while position < size and (piece := os.pread(descriptor, 1 << 20, position)):
        os.write(copy, piece)
        position += len(piece)
    os.lseek(copy, os.lseek(descriptor, 0, os.SEEK_CUR), os.SEEK_SET)
    return copy


def _become(descriptor: int, other: int) -> None:
    os.dup2(other, descriptor, inheritable=os.get_inheritable(descriptor))


def restore(environment: Mapping[str, str]) -> None:
    """Give a forked child what must be its own, descriptors apart."""
    for name, value in environment.items():
        _show_in_block(name, value)
        os.environ[name] = value
    tempfile.tempdir = None
    # A fork gives the thread a new number, and Python goes on with the server's.
    threading.main_thread()._set_native_id()  # type: ignore[attr-defined]
    importlib.invalidate_caches()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _show_in_block(name: str, value: str) -> None:
    """Overwrite a variable of the same length in the block that the process began with."""
    before = os.environ.get(name)
    if before is None or len(os.fsencode(before)) != len(os.fsencode(value)):
        return
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_void_p
    address = getenv(os.fsencode(name))
    if address:
        ctypes.memmove(address, os.fsencode(value), len(os.fsencode(value)))
