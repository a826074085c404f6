"""Databases that SQLite attaches to a connection: no audit event tells of them.

A connection that was just made gets an authorizer, which SQLite asks while it prepares a statement;
this one allows everything and tells of files that are attached. A test that sets one of its own
takes its place.
"""

from iopio_async.wire.observations import OPAQUE
from iopio_async.worker.tracing import files
from iopio_async.worker.tracing.callers import caller
from iopio_async.worker.tracing.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Numbers of SQLite's interface: an ``ATTACH`` is being prepared; everything is allowed.
_ATTACH, _ALLOWED = 24, 0

#: Installed coverage.py brings its own files of data together in this way.
_MEASUREMENT = "-packages/coverage/"


def watch_attaching(dbapi2: "Any") -> None:
    """Let ``connect`` give connections that tell what is attached to them."""
    true, set_authorizer = dbapi2.connect, dbapi2.Connection.set_authorizer

    def connect(*arguments: "Any", **options: "Any") -> "Any":
        __tracebackhide__ = True
        connection = true(*arguments, **options)
        if isinstance(connection, dbapi2.Connection):
            set_authorizer(connection, _authorize)
        return connection

    connect.__module__, connect.__qualname__ = true.__module__, true.__qualname__
    connect.__doc__ = true.__doc__
    dbapi2.connect = connect


def _authorize(action: int, name: "str | None", *_: object) -> int:
    if action == _ATTACH:
        if name is not None:
            files.database_connected((name,))
        elif not _measures():
            record.tell_reason(OPAQUE, "attaches a database whose name is computed")
    return _ALLOWED


def _measures() -> bool:
    """Say whether coverage.py prepares the statement, as the caller's caller."""
    frame = caller(2)
    return frame is not None and _MEASUREMENT in frame.f_code.co_filename
