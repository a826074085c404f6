"""What a worker arranges around the tests, and how it leaves.

* the result descriptor moves out of reach of children, and stays below no number that tests use;
* the lifeline: when the orchestrator is gone, the kernel kills this process group;
* ``faulthandler`` writes all stacks to a private file on ``STACKS_SIGNAL``;
* ``sys.path``, ``sys.argv`` and the working directory are those of a plain run;
* what was loaded before the tests may be frozen, and is there for tests that look at the heap.
"""

import atexit
import faulthandler
import fcntl
import functools
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from iopio_async.model.action import Action
from iopio_async.model.module import Framework
from iopio_async.wire.contract import STACKS_FILE, STACKS_SIGNAL

#: The worker's own descriptors have numbers from here on: tests expect the low ones to be free.
LOWEST_DESCRIPTOR = 64

#: The functions of ``gc`` that show, or collect, the heap as a whole.
HEAP_FUNCTIONS = ("collect", "get_freeze_count", "get_objects", "get_referrers")

#: Modules that collect garbage for good measure only, each time that a session ends.
TIDY_MODULES = frozenset({"_pytest.unraisableexception"})

# Bound before any test can patch them.
_exit = os._exit
_getpid = os.getpid


def make_private(descriptor: int) -> int:
    """Move a descriptor above the low numbers, close it for children; return its new number."""
    try:
        private = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LOWEST_DESCRIPTOR)
    except OSError:
        # The limit on descriptors is below that.
        private = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return private


def hold_lifeline(descriptor: int) -> None:
    """Have the kernel SIGKILL this process group once the pipe's last writer is gone.

    The pipe is opened anew, since the owner of its signals belongs to the open file description,
    which all workers would share. Where the platform can't do this, the guard process alone
    stands in.
    """
    set_signal = getattr(fcntl, "F_SETSIG", None)
    if set_signal is not None:
        try:
            own = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            lifeline = make_private(own)
            fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
            fcntl.fcntl(lifeline, set_signal, signal.SIGKILL)
            fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
            # It may have been gone before the signal was armed.
            if _at_end(lifeline):
                _exit(1)
        except OSError:
            pass


def _at_end(descriptor: int) -> bool:
    try:
        return os.read(descriptor, 1) == b""
    except BlockingIOError:
        return False


def keep_stacks(action: Action) -> None:
    """Have all threads' stacks written to the private directory on ``STACKS_SIGNAL``."""
    stacks = make_private(
        os.open(
            os.path.join(action.private_dir, STACKS_FILE),
            os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC,
            0o600,
        )
    )
    faulthandler.register(STACKS_SIGNAL, file=stacks, all_threads=True, chain=False)


def reveal_heap() -> None:
    """Have the functions that look at the heap see what is frozen as well.

    Freezing what is loaded ahead of the tests saves full collections some 20 ms a module. But what
    is frozen has no referrers, and garbage in it stays: so the first look thaws it.
    """
    for name in HEAP_FUNCTIONS:
        setattr(gc, name, _thawing(getattr(gc, name)))


def _thawing(look: Callable[..., Any]) -> Callable[..., Any]:
    thaw, frame = gc.unfreeze, sys._getframe

    @functools.wraps(look)
    def looks(*args: Any, **options: Any) -> Any:
        if frame(1).f_globals.get("__name__") not in TIDY_MODULES:
            thaw()
        return look(*args, **options)

    return looks


def arrange(action: Action) -> None:
    """Make the process look to the tests as a plain run of their framework would."""
    reveal_heap()
    if action.framework is not Framework.PYTEST:
        # pytest enables it itself, on a copy of the true standard error.
        faulthandler.enable(all_threads=True)
    scripts = os.path.dirname(sys.executable)
    # A script finds its own directory first on the path, ``python -m`` the current one.
    if action.cwd_on_path:
        sys.path.insert(0, action.invocation_dir)
    elif action.framework is Framework.PYTEST:
        sys.path.insert(0, scripts)
    program = os.path.join(scripts, action.framework)
    sys.argv[:] = [program, *action.arguments]


def exit_code(leaving: SystemExit) -> int:
    """The exit code that the interpreter would make of a ``SystemExit``."""
    if leaving.code is None:
        return 0
    if isinstance(leaving.code, int):
        return leaving.code & 0xFF
    sys.stderr.write(f"{leaving.code}\n")
    return 1


def leave(code: int) -> None:
    """End the process as the interpreter would, short of taking itself apart."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue
    _exit(code)
