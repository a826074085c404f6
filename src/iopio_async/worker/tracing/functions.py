"""Functions of the project's files as they are begun, by ``sys.monitoring``.

Code is watched from the moment that it is about to be executed as a module, with all functions that
it holds; nobody else's code is touched. Each function is told once; from then on the interpreter
does not call back for it, so it costs the same as without from its second call on.
"""

import os
import sys

from iopio_async.worker.tracing import files
from iopio_async.worker.tracing.record import record
from iopio_async.worker.tracing.territory import absolute, territory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

#: Tool identifiers in the order of preference: the others have names, and other tools want them.
TOOLS = (4, 3, 2, 5, 0, 1)

_fsencode = os.fsencode
_Code = type(absolute.__code__)


class _Watch:
    """The tool's number, or -1; files of the project as they are told, empty for all others."""

    def __init__(self) -> None:
        self.tool = -1
        self.files: dict[str, bytes] = {}


_watch = _Watch()
_monitoring: "Any" = getattr(sys, "monitoring", None)


def available() -> bool:
    """True where the interpreter can tell which functions are begun."""
    return _monitoring is not None


def install() -> bool:
    """Tell each function of the project that is begun from here on; False if no tool is free."""
    tool = next((number for number in TOOLS if _monitoring.get_tool(number) is None), -1)
    if tool < 0:
        return False
    disable = _monitoring.DISABLE

    def begun(code: "CodeType", _offset: int) -> object:
        if record.quiet:
            # Between a fork and the child's own trace: it is told when it is begun again.
            return None
        file = _spelled(code.co_filename)
        # Lambdas, comprehensions and generator expressions belong to the code around them.
        if file and (code.co_name[0] != "<" or code.co_name == "<module>"):
            record.tell_function(file, code.co_qualname.encode(), b"%d" % code.co_firstlineno)
        return disable

    _monitoring.use_tool_id(tool, "iopio")
    _monitoring.register_callback(tool, _monitoring.events.PY_START, begun)
    _watch.tool = tool
    return True


def watch_again() -> None:
    """Tell again of functions that were begun before."""
    if _watch.tool >= 0:
        _monitoring.restart_events()


def executed(arguments: "tuple[Any, ...]") -> None:
    """``exec``: code is about to be executed, by ``exec``, ``eval`` or the import system."""
    code = arguments[0]
    if _watch.tool >= 0 and type(code) is _Code and _spelled(code.co_filename):
        _watch_code(code)


def made(arguments: "tuple[Any, ...]") -> None:
    """``code.__new__``: a function's code is made of another's: it can't be told from that."""
    name = arguments[1]
    if type(name) is str and _watch.tool >= 0 and _spelled(name):
        files.told_read(os.fsdecode(_spelled(name)))


def _watch_code(code: "CodeType") -> None:
    events = _monitoring.events.PY_START
    pending = [code]
    while pending:
        code = pending.pop()
        name = code.co_name
        if name[0] != "<" or name == "<module>":
            _monitoring.set_local_events(_watch.tool, code, events)
        pending.extend(inner for inner in code.co_consts if type(inner) is _Code)


def _spelled(file: str) -> bytes:
    """A file of the project as it is told; empty for all others."""
    spelled = _watch.files.get(file)
    if spelled is None:
        path = absolute(file) if file[:1] != "<" else ""
        inside = path and territory.inside_project(path) and not territory.drops(path)
        spelled = _watch.files[file] = _fsencode(path) if inside else b""
    return spelled
