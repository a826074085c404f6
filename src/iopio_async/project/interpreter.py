"""Which interpreter the tests run in: part of every action's key.

Its standard library is covered by its version and build, and by the digest of its binary; so
nothing that lies in :func:`standard_library` is an input of its own.
"""

import os
import sys
from hashlib import sha256

from iopio_async.project.digests import Digests, look


def identity(digests: Digests) -> str:
    """A digest of all that tells this interpreter, and how it was started, from another one."""
    binary = os.path.realpath(sys.executable)
    machine = os.uname() if hasattr(os, "uname") else None
    about = (
        sys.version,
        sys.implementation.name,
        sys.implementation.cache_tag,
        getattr(sys, "abiflags", ""),
        sys.platform,
        machine and (machine.sysname, machine.machine),
        sys.prefix,
        sys.base_prefix,
        sys.executable,
        [_content(digests, path) for path in (binary, f"{sys.prefix}/pyvenv.cfg")],
        tuple(sys.flags),
        sys.warnoptions,
        sorted(sys._xoptions.items()),
        sys.getfilesystemencoding(),
    )
    return sha256(repr(about).encode("utf-8", "surrogateescape")).hexdigest()


def standard_library() -> tuple[str, ...]:
    """The directories (and the archive) of the standard library, also by their real names."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    found = {os.path.dirname(os.__file__): None}
    for prefix in dict.fromkeys((sys.base_prefix, sys.base_exec_prefix)):
        for library in dict.fromkeys(("lib", sys.platlibdir)):
            found[f"{prefix}/{library}/python{version}"] = None
            found[f"{prefix}/{library}/python{version.replace('.', '')}.zip"] = None
    return tuple(dict.fromkeys([*found, *map(os.path.realpath, found)]))


def _content(digests: Digests, path: str) -> str:
    status = look(path)
    return status if isinstance(status, str) else digests.of(path, status)
