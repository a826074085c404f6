"""Functions of the project's files as they are begun, by ``sys.monitoring``.

Each is told once; from then on the interpreter does not call back for it, so a function costs the
same as without from its second call on.
"""

import os
import sys

from iopio_async.wire.observations import CODE, READ
from iopio_async.worker.tracing import files
from iopio_async.worker.tracing.record import record
from iopio_async.worker.tracing.territory import absolute, territory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

#: Tool identifiers in the order of preference: the last ones have names, and other tools want them.
TOOLS = (4, 3, 2, 5, 0, 1)

_fsencode = os.fsencode

#: Files of the project, as they are told; empty for all others.
_files: dict[str, bytes] = {}


def available() -> bool:
    """True where the interpreter can tell which functions are begun."""
    return hasattr(sys, "monitoring")


def install() -> bool:
    """Tell each function of the project that is begun from here on; False if no tool is free."""
    monitoring: Any = getattr(sys, "monitoring")  # noqa: B009 - unknown to 3.11
    tool = next((number for number in TOOLS if monitoring.get_tool(number) is None), None)
    if tool is None:
        return False
    disable = monitoring.DISABLE

    def begun(code: "CodeType", _offset: int) -> object:
        file = _files.get(code.co_filename)
        if file is None:
            file = _files[code.co_filename] = _spelled(code.co_filename)
        # Lambdas, comprehensions and generator expressions belong to the code around them.
        if record.quiet:
            # Between a fork and the child's own trace: it is told when it is begun again.
            return None
        if file and (code.co_name[0] != "<" or code.co_name == "<module>"):
            record.tell(CODE, file, code.co_qualname.encode(), b"%d" % code.co_firstlineno)
        return disable

    monitoring.use_tool_id(tool, "iopio")
    monitoring.register_callback(tool, monitoring.events.PY_START, begun)
    monitoring.set_events(tool, monitoring.events.PY_START)
    return True


def _spelled(file: str) -> bytes:
    if file[:1] == "<":
        return b""
    path = absolute(file)
    if not path or not territory.inside_project(path) or territory.drops(path):
        return b""
    if files.watch.whole:
        record.tell(READ, _fsencode(path))
    return _fsencode(path)
