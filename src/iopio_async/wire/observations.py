"""What a tracer writes down: one record an observation, appended to the module's trace file.

The worker, what it forks and every Python process that its tests start append to the same file,
each record in one ``write`` before the observed thing happens; so a process that is killed has told
everything that it had seen. A record is a length, a letter and fields, separated by NUL (which
neither a path nor the name of a variable can hold). This file imports nothing: it is loaded into
the processes of tests.

==============  ====================================  ==============================================
letter          fields                                what was observed
==============  ====================================  ==============================================
``BEGIN``       pid, ``1`` if functions are told      a process is traced from here on
``INCLUDE``     file, bytes                           so much of another trace comes before
``READ``        path                                  a file's content was read
``SOURCE``      path                                  a source file was imported
``WRITE``       path, existed, kept                   opened for writing, created, renamed,
                                                      removed: ``existed`` where it was there
                                                      before, ``kept`` where its content was
``LIST``        path                                  a directory was listed
``TYPE``        path                                  its type or existence was asked for
``STAT``        path                                  all of its status was asked for
``MTIME``       path                                  only its time was asked for
``LINK``        path                                  a symbolic link was read
``SEARCH``      number, entries …                     a search path, to be named by number
``FIND``        number, name                          a module was looked for along it
``VARIABLE``    name                                  an environment variable was read
``VARIABLES``                                         all of the environment was read
``PACKAGE``     name                                  a distribution was looked up; empty: all
``CODE``        path, qualified name, first line      a function of a source file was begun
``PROCESS``     executable                            a program that can't be traced was begun
``PATHS``                                             the paths that pytest was called with count
``BIND``        port, or path                         a socket is bound to it; ``0``: to any port
``CONNECT``     port, or path                         a socket is connected to somebody else's,
                                                      on this machine
``DATABASE``    path                                  a file that a library may read and write
``OPAQUE``      reason                                something that can't be followed
``IMPURE``      reason                                something that can't be repeated
==============  ====================================  ==============================================

Paths are absolute and lexically normal, as bytes of the file system. ``kept`` is told of what was
not there before, too, where its content is added to; it is ``2`` where only the mode, the owner or
the times are changed, or a folder is made.
"""

BEGIN = b"B"
INCLUDE = b"I"
READ = b"R"
SOURCE = b"P"
WRITE = b"W"
LIST = b"L"
TYPE = b"T"
STAT = b"S"
MTIME = b"M"
LINK = b"K"
SEARCH = b"Y"
FIND = b"F"
VARIABLE = b"E"
VARIABLES = b"A"
PACKAGE = b"D"
CODE = b"C"
PROCESS = b"X"
PATHS = b"G"
BIND = b"N"
CONNECT = b"Q"
DATABASE = b"J"
OPAQUE = b"O"
IMPURE = b"U"

#: Bytes of the length in front of each record, big-endian.
LENGTH_BYTES = 4

#: No honest record is longer.
MAX_RECORD_BYTES = 1 << 20


def encode(letter: bytes, *fields: bytes) -> bytes:
    """The bytes of one record."""
    body = letter + b"\0".join(fields)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def decode(data: bytes) -> "tuple[list[tuple[bytes, tuple[bytes, ...]]], bool]":
    """The records in ``data``, and whether they fill it without a remnant."""
    records = []
    position, end = 0, len(data)
    while position + LENGTH_BYTES <= end:
        start = position + LENGTH_BYTES
        length = int.from_bytes(data[position:start], "big")
        if not 0 < length <= MAX_RECORD_BYTES or start + length > end:
            break
        position = start + length
        letter, rest = data[start : start + 1], data[start + 1 : position]
        records.append((letter, tuple(rest.split(b"\0")) if rest else ()))
    return records, position == end
