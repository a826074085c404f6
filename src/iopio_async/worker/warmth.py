"""Is what the framework's start left behind fit to be shared by forked children?

A conftest or plugin may do things while it is loaded that belong to one process alone. Each kind
that can be seen is a doubt; with any doubt, the children are started at an earlier point, where
none of it has happened yet.
"""

import importlib
import os
import stat
import sys
import warnings
from collections.abc import Iterator

from iopio_async.model.action import Action

#: Variables that differ from child to child: whoever reads one while loading would get it wrong.
OWN_VARIABLES = (b"IOPIO_SLOT", b"IOPIO_ATTEMPT_ID")

#: Kinds of files that may be open: the framework's capture and the server's own pipes.
_HARMLESS = ("/dev/null", "/dev/urandom", "/dev/random", "pipe:")


def descriptors() -> dict[int, str]:
    """What each open descriptor is."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
    return found


def target(descriptor: int) -> str:
    """What an open descriptor is."""
    return os.readlink(f"/proc/self/fd/{descriptor}")


def import_ahead(steps: tuple[str, ...]) -> list[str]:
    """Do first steps of importing test modules; reasons why they had better do it themselves.

    A step is a module's name, or an absolute path to put first on ``sys.path``, as pytest does.

    Under a test framework, a warning or a line of output that an import causes belongs to the
    module that caused it, and may even fail it.
    """
    printed = _output_bytes()
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        for name in steps:
            if name.startswith("/"):
                if sys.path[0] != name:
                    sys.path.insert(0, name)
                continue
            try:
                importlib.import_module(name)
            except BaseException as error:
                return [f"importing {name} raises {type(error).__name__}"]
    found = [f"importing {', '.join(steps)} issues warnings"] if issued else []
    if _output_bytes() != printed:
        found.append(f"importing {', '.join(steps)} prints something")
    return found


def _output_bytes() -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    return os.fstat(1).st_size + os.fstat(2).st_size


def doubts(template: Action, before: dict[int, str]) -> list[str]:
    """Reasons, in words, not to fork here; ``before`` are the descriptors of the server's start."""
    return [
        *_threads(),
        *_children(),
        *_open_files(before),
        *_temporary_files(),
        *_measurement(),
        *_own_variables(template.root),
    ]


def _threads() -> Iterator[str]:
    count = _thread_count()
    if count > 1:
        # Libraries that can live with forks end their threads before one, and start them again
        # when they are needed next; what is still there after a fork does not do that.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        count = _thread_count()
    if count > 1:
        yield f"{count - 1} threads run since it was loaded"


def _thread_count() -> int:
    return len(os.listdir("/proc/self/task"))


def _children() -> Iterator[str]:
    with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
        if file.read().strip():
            yield "it started processes while it was loaded"


def _open_files(before: dict[int, str]) -> Iterator[str]:
    for descriptor, target in descriptors().items():
        if before.get(descriptor) == target or target in before.values():
            continue
        if target.endswith(" (deleted)") or target.startswith(_HARMLESS):
            continue
        try:
            os.fstat(descriptor)
        except OSError:
            # The descriptor of the listing itself.
            continue
        yield f"it keeps {target} open"


def _temporary_files() -> Iterator[str]:
    try:
        names = os.listdir(os.environ["TMPDIR"])
    except (KeyError, OSError):
        return
    if names:
        yield f"it made temporary files while it was loaded: {names[0]}"


def _measurement() -> Iterator[str]:
    coverage = sys.modules.get("coverage")
    current = getattr(getattr(coverage, "Coverage", None), "current", None)
    if current is not None and current() is not None:
        yield "coverage is being measured"
    if sys.gettrace() is not None or sys.getprofile() is not None:
        yield "a trace or profile function is set"


def _own_variables(root: str) -> Iterator[str]:
    prefix = root.rstrip("/") + "/"
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.startswith(prefix) or "site-packages" in file:
            continue
        try:
            if not stat.S_ISREG(os.stat(file).st_mode):
                continue
            with open(file, "rb") as source:
                text = source.read()
        except OSError:
            continue
        for variable in OWN_VARIABLES:
            if variable in text:
                yield f"{file} reads {variable.decode()}, which is another one for each module"
