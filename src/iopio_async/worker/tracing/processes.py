"""Programs that are started: Python ones are traced in their turn, others can't be.

A program that runs this very interpreter finds the folder ``inject`` first on its ``PYTHONPATH``,
with a ``sitecustomize`` that installs the tracer there and removes the traces of it. Programs that
were forked and not replaced inherit the tracer as it is.
"""

import os
import sys

from iopio_async.wire.observations import LINK, OPAQUE, PROCESS
from iopio_async.worker.tracing import files
from iopio_async.worker.tracing.environment import current
from iopio_async.worker.tracing.record import record
from iopio_async.worker.tracing.settlement import ENVIRONMENT_VARIABLE, settlement
from iopio_async.worker.tracing.standins import stand_in
from iopio_async.worker.tracing.territory import absolute, territory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_fsencode, _fsdecode, _fspath = os.fsencode, os.fsdecode, os.fspath
_realpath, _access, _lstat = os.path.realpath, os.access, os.lstat
_open, _read, _close = os.open, os.read, os.close

#: The folder that holds our ``sitecustomize``.
INJECT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inject")

#: Options of the interpreter that keep it from running our ``sitecustomize``.
ISOLATING = frozenset("IES")

#: Options of the interpreter with a value that may be an argument of its own.
WITH_VALUE = frozenset("WX")

#: Programs of the system that read nothing but their arguments and the machine's identity, and
#: what they read where it is one file.
HARMLESS_PROGRAMS: "dict[str, str]" = {
    "arch": "",
    "echo": "",
    "false": "",
    "getconf": "",
    "ldconfig": "/etc/ld.so.cache",
    "nproc": "",
    "sleep": "",
    "true": "",
    "uname": "",
}
#: Programs of the system that read the files that they are given, and their standard input.
FILTERS = frozenset({"cat", "cut", "head", "tail", "tr", "wc"})
SYSTEM_FOLDERS = frozenset({"/bin", "/sbin", "/usr/bin", "/usr/sbin"})

_BYTES_OF_FIRST_LINE = 256


class _State:
    """The interpreter's own files, by which programs are recognised."""

    def __init__(self) -> None:
        self.interpreters: set[str] = set()
        #: A program is being started by one of our own functions, which has told of it.
        self.told = False


_state = _State()


def install() -> None:
    """Wrap what starts programs."""
    interpreters = {sys.executable, getattr(sys, "_base_executable", "") or sys.executable}
    _state.interpreters = {_realpath(path) for path in interpreters if path}
    _wrap_fork_exec()
    _wrap_os()


def _wrap_fork_exec() -> None:
    import _posixsubprocess

    true: Any = _posixsubprocess.fork_exec

    def fork_exec(arguments: "Any", executables: "Any", *rest: "Any") -> int:
        # Of the rest: the directory, the environment, and behind others group, groups and user.
        try:
            changed = prepared(executables, arguments, rest[3], rest[2])
            if changed is not None and any(other is not None for other in rest[15:18]):
                # Another user may not be allowed to write our file.
                told_process(_first_of(executables, rest[2]))
                changed = None
        except (IndexError, TypeError, ValueError):
            changed = None
        if changed is not None:
            rest = (*rest[:3], changed, *rest[4:])
        return true(arguments, executables, *rest)  # type: ignore[no-any-return]

    _posixsubprocess.fork_exec = fork_exec
    subprocess = sys.modules.get("subprocess")
    if subprocess is not None and getattr(subprocess, "_fork_exec", None) is true:
        subprocess._fork_exec = fork_exec  # type: ignore[attr-defined]


def _wrap_os() -> None:
    true_execv, true_execve = os.execv, os.execve
    true_spawn, true_spawnp = os.posix_spawn, os.posix_spawnp

    def execv(_os: object, path: "Any", argv: "Any", /) -> "Any":
        changed = _told_by_us(lambda: prepared([path], argv, None))
        if changed is None:
            return true_execv(path, argv)
        return true_execve(path, argv, _mapping(changed))

    def execve(_os: object, path: "Any", argv: "Any", env: "Any") -> "Any":
        if type(path) is int:
            return true_execve(path, argv, env)
        changed = _told_by_us(lambda: prepared([path], argv, _listed(env)))
        return true_execve(path, argv, env if changed is None else _mapping(changed))

    def posix_spawn(_os: object, path: "Any", argv: "Any", env: "Any", /, **options: "Any") -> int:
        changed = _told_by_us(lambda: prepared([path], argv, _listed(env)))
        return true_spawn(path, argv, env if changed is None else _mapping(changed), **options)

    def posix_spawnp(_os: object, path: "Any", argv: "Any", env: "Any", /, **options: "Any") -> int:
        given = _listed(env)
        changed = _told_by_us(lambda: prepared(_candidates(path), argv, given))
        return true_spawnp(path, argv, env if changed is None else _mapping(changed), **options)

    for function in (execv, execve, posix_spawn, posix_spawnp):
        stand_in(function.__name__, function)


def _told_by_us(prepare: "Any") -> "list[bytes] | None":
    try:
        changed: list[bytes] | None = prepare()
    except (TypeError, ValueError, AttributeError):
        # What is wrong with the arguments is said by the true function.
        return None
    _state.told = True
    return changed


def _listed(environment: "Any") -> "list[bytes] | None":
    if environment is None or environment is os.environ or environment is os.environb:
        return None
    return [_fsencode(name) + b"=" + _fsencode(value) for name, value in dict(environment).items()]


def _mapping(variables: "Sequence[bytes]") -> "dict[bytes, bytes]":
    pairs = (variable.partition(b"=") for variable in variables)
    return {name: value for name, _, value in pairs}


def _candidates(name: "Any") -> "list[str]":
    text = _fsdecode(_fspath(name))
    if "/" in text:
        return [text]
    return [os.path.join(folder, text) for folder in os.get_exec_path()]


def executed(arguments: "tuple[Any, ...]") -> None:
    """``os.exec``, ``os.posix_spawn``: the path first. Unless one of ours has told already."""
    if _state.told:
        _state.told = False
        return
    told_process(absolute(arguments[0]))


def shell_run(_arguments: "tuple[Any, ...]") -> None:
    """``os.system``."""
    told_process("/bin/sh")


def script_run(arguments: "tuple[Any, ...]") -> None:
    """``cpython.run_file``: the file is run as the main program."""
    path = absolute(arguments[0])
    if path:
        files.told_read(path)


def told_process(path: str, options: "Sequence[bytes] | None" = None, base: "Any" = None) -> None:
    """A program is started that can't be traced, with these arguments, in this directory."""
    if not path:
        return
    folder, _, name = path.rpartition("/")
    if folder in SYSTEM_FOLDERS and name in HARMLESS_PROGRAMS:
        files.told_read(path)
        if HARMLESS_PROGRAMS[name]:
            files.told_read(HARMLESS_PROGRAMS[name])
    elif folder in SYSTEM_FOLDERS and name in FILTERS and options is not None:
        files.told_read(path)
        for option in options:
            if not option.startswith(b"-"):
                files.told_read(_below(base, _fsdecode(option)))
    elif territory.drops(path):
        # The test made it itself: what counts is what runs it.
        interpreter, _ = _interpreter_of(_first_line(path))
        if interpreter:
            record.tell(PROCESS, _fsencode(interpreter))
        else:
            record.tell_reason(OPAQUE, f"a program {name} that a test made can't be traced")
    else:
        record.tell(PROCESS, _fsencode(path))


def prepared(
    executables: "Sequence[Any]",
    arguments: "Sequence[Any]",
    environment: "Sequence[bytes] | None",
    folder: "Any" = None,
) -> "list[bytes] | None":
    """Tell of a program to be started; its environment where it is to be traced, else ``None``.

    ``executables`` are tried in turn by the system. ``environment`` holds ``NAME=VALUE``, ``None``
    for this process's own.
    """
    if record.quiet:
        return None
    path = _first_of(executables, folder)
    if not path:
        return None
    options = [_fsencode(argument) for argument in list(arguments)[1:]]
    interpreter = _realpath(path)
    if interpreter not in _state.interpreters:
        interpreter, script_options = _interpreter_of(_first_line(path))
        if interpreter not in _state.interpreters:
            told_process(path, options, folder)
            return None
        files.told_read(path)
        options = script_options
    elif path not in _state.interpreters and not territory.drops_status(path):
        record.tell(LINK, _fsencode(path))
    if isolated(options):
        record.tell(PROCESS, _fsencode(path))
        return None
    if environment is None:
        environment = [name + b"=" + value for name, value in current().items()]
    return injected(environment)


def _first_of(executables: "Sequence[Any]", folder: "Any") -> str:
    """The first of these that can be executed; those before it are told as they are missing."""
    last = ""
    for candidate in executables:
        last = _below(folder, _fsdecode(_fspath(candidate)))
        if last and _access(last, os.X_OK):
            return last
        if last:
            files.told_type(last)
    return ""


def _below(folder: "Any", path: str) -> str:
    if folder is not None and not path.startswith("/"):
        path = os.path.join(_fsdecode(_fspath(folder)), path)
    return absolute(path)


def _first_line(path: str) -> bytes:
    quiet, record.quiet = record.quiet, True
    try:
        descriptor = _open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _read(descriptor, _BYTES_OF_FIRST_LINE).partition(b"\n")[0]
        finally:
            _close(descriptor)
    except OSError:
        return b""
    finally:
        record.quiet = quiet


def _interpreter_of(line: bytes) -> "tuple[str, list[bytes]]":
    """What a script's first line says that it is to be run by, with which options."""
    if not line.startswith(b"#!"):
        return "", []
    words = line[2:].split(None, 1)
    if not words:
        return "", []
    return _realpath(_fsdecode(words[0])), [word.strip() for word in words[1:]]


def isolated(options: "Sequence[bytes]") -> bool:
    """True if an interpreter with these arguments would not run our ``sitecustomize``."""
    skip = False
    for option in options:
        if skip:
            skip = False
            continue
        text = option.decode("ascii", "replace")
        if not text.startswith("-") or text in {"-", "--"} or text.startswith("--"):
            return False
        for place, letter in enumerate(text[1:], 1):
            if letter in "cm":
                return False
            if letter in ISOLATING:
                return True
            if letter in WITH_VALUE:
                skip = place == len(text) - 1
                break
    return False


def injected(environment: "Sequence[bytes]") -> "list[bytes]":
    """The environment of a program that is to be traced."""
    kept, python_path = [], None
    for variable in environment:
        if variable.startswith(b"PYTHONPATH="):
            python_path = variable.partition(b"=")[2]
        elif not variable.startswith(ENVIRONMENT_VARIABLE.encode() + b"="):
            kept.append(variable)
    folder = _fsencode(INJECT)
    kept.append(b"PYTHONPATH=" + (folder + b":" + python_path if python_path else folder))
    told = settlement.spelled(had_path=python_path is not None)
    kept.append(ENVIRONMENT_VARIABLE.encode() + b"=" + _fsencode(told))
    return kept
