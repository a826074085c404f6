"""The audit hook: a table from events to the parts that know what they mean.

The hook is called for every event of the interpreter, most of which are none of ours: one look into
the table is all that those cost. It never raises, whatever it is given.
"""

import sys

from iopio_async.wire.observations import OPAQUE
from iopio_async.worker.tracing import extensions, files, functions, imports, network, processes
from iopio_async.worker.tracing.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HANDLERS: "dict[str, Callable[[tuple[Any, ...]], None]]" = {
    "code.__new__": functions.made,
    "cpython.run_file": processes.script_run,
    "ctypes.dlopen": extensions.library_opened,
    "ctypes.dlsym": extensions.symbol_taken,
    "exec": functions.executed,
    "import": imports.imported,
    "open": files.opened,
    "os.chmod": files.changed,
    "os.chown": files.changed,
    "os.exec": processes.executed,
    "os.getxattr": files.attributes_read,
    "os.link": files.renamed,
    "os.listdir": files.listed,
    "os.listxattr": files.attributes_read,
    "os.mkdir": files.changed,
    "os.posix_spawn": processes.executed,
    "os.remove": files.removed,
    "os.removexattr": files.truncated,
    "os.rename": files.renamed,
    "os.rmdir": files.removed,
    "os.scandir": files.listed,
    "os.setxattr": files.truncated,
    "os.symlink": files.linked,
    "os.system": processes.shell_run,
    "os.truncate": files.truncated,
    "os.utime": files.changed,
    "socket.bind": network.bound,
    "socket.connect": network.connected,
    "socket.getaddrinfo": network.looked_up,
    "socket.gethostbyaddr": network.looked_up,
    "socket.gethostbyname": network.looked_up,
    "socket.getnameinfo": network.looked_up,
    "socket.sendmsg": network.connected,
    "socket.sendto": network.connected,
    "sqlite3.connect": files.database_connected,
}


def install() -> None:
    """Add the hook; it stays for good."""
    handler_of = dict(HANDLERS).get

    def hook(event: str, arguments: "tuple[Any, ...]") -> None:
        handler = handler_of(event)
        if handler is not None and not record.quiet:
            try:
                handler(arguments)
            except (AttributeError, IndexError, TypeError, UnicodeError, ValueError) as error:
                # Arguments of other types than the interpreter's own: somebody else's event.
                record.tell_reason(OPAQUE, f"an event {event} can't be understood: {error}")

    sys.addaudithook(hook)
