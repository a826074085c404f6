"""Connections and name look-ups.

What stays within the traced processes can be repeated: connecting, over the loopback interface or
a socket in the private directory, to somebody of this very attempt. So can looking up what this
machine calls itself, where files say it, which are inputs then. Everything else is impure.

Which ports and sockets of this machine are bound, and which of others are connected to, is told as
well: two modules that do so get in each other's way. It is told before it is tried, as all is, and
whatever comes of it: a port that could not be had because somebody else had it is the very case.
"""

import os

from iopio_async.wire.observations import BIND, CONNECT, IMPURE, READ
from iopio_async.worker.tracing.environment import variable
from iopio_async.worker.tracing.record import record
from iopio_async.worker.tracing.territory import absolute, territory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_listdir, _readlink, _open, _read, _close = os.listdir, os.readlink, os.open, os.read, os.close

#: Marks the processes of one attempt, in their environments.
_COOKIE = b"IOPIO_ATTEMPT_ID"

#: Where the kernel lists sockets: the state of those that listen, or take datagrams.
_TABLES = (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07"))

#: The files in which the system looks names up, and which say where it looks else.
HOSTS, SOURCES = "/etc/hosts", "/etc/nsswitch.conf"

#: Ports of this attempt's own that were connected to.
_own_ports: set[int] = set()


def connected(arguments: "tuple[Any, ...]") -> None:
    """``socket.connect``, ``sendto``, ``sendmsg``: the socket, and an address or ``None``."""
    address = arguments[1]
    if address is None:
        return
    if isinstance(address, tuple):
        if len(address) >= 2 and isinstance(address[0], str) and isinstance(address[1], int):
            local = is_loopback(address[0])
            if not (local and _is_own(address[1])):
                _impure(f"connects to {address[0]}:{address[1]}")
                if local:
                    record.tell(CONNECT, b"%d" % address[1])
        elif not _is_netlink(address):
            _impure(f"connects to {address}")
    elif isinstance(address, (str, bytes)):
        text = os.fsdecode(address)
        # An abstract name begins with NUL: nobody else's by accident.
        path = absolute(text) if text[:1] not in {"", "\0"} else ""
        if path and not territory.drops_private(path):
            _impure(f"connects to {text}")
            record.tell(CONNECT, os.fsencode(path))


def bound(arguments: "tuple[Any, ...]") -> None:
    """``socket.bind``: the socket, and an address."""
    address = arguments[1]
    if isinstance(address, tuple):
        if len(address) >= 2 and isinstance(address[0], str) and isinstance(address[1], int):
            record.tell(BIND, b"%d" % address[1])
    elif isinstance(address, (str, bytes)):
        text = os.fsdecode(address)
        path = absolute(text) if text[:1] not in {"", "\0"} else ""
        if path and not territory.drops_private(path):
            record.tell(BIND, os.fsencode(path))


def looked_up(arguments: "tuple[Any, ...]") -> None:
    """``socket.getaddrinfo`` and its older relatives: a host's name first."""
    host = arguments[0]
    if isinstance(host, tuple):
        host = host[0] if host else None
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str) or is_loopback(host) or is_numeric(host):
        return
    if not _is_own_name(host.lower()):
        _impure(f"looks up {host}")


def is_loopback(host: str) -> bool:
    """True for the names and numbers of this machine for itself."""
    return (
        host in {"", "localhost", "localhost.localdomain", "ip6-localhost", "::1", "0.0.0.0", "::"}
        or (host.startswith("127.") and is_numeric(host))
        or host.endswith(".localhost")
    )


def is_numeric(host: str) -> bool:
    """True for what is an address and no name."""
    return ":" in host or (bool(host) and not host.strip("0123456789."))


def _is_own_name(host: str) -> bool:
    """True for a name of this machine that is found without asking anybody: the files are told."""
    if host not in _own_names():
        return False
    for file, says_it in ((HOSTS, _is_listed), (SOURCES, _is_derived)):
        record.tell(READ, os.fsencode(file))
        if says_it(_lines(file), host):
            return True
    return False


def _own_names() -> "set[str]":
    name = os.uname().nodename.lower()
    return {name, name.partition(".")[0]}


def _is_listed(lines: "list[list[str]]", host: str) -> bool:
    return any(host in words[1:] for words in lines)


def _is_derived(lines: "list[list[str]]", _: str) -> bool:
    """True where the machine's name leads to its own addresses before anybody else is asked."""
    for words in lines:
        if words[0] == "hosts:":
            return next(
                (word for word in words[1:] if word not in {"files", "mymachines"}), ""
            ) == ("myhostname")
    return False


def _lines(file: str) -> "list[list[str]]":
    quiet, record.quiet = record.quiet, True
    try:
        text = _content(file).decode("utf-8", "replace")
    finally:
        record.quiet = quiet
    lines = (line.partition("#")[0].lower().split() for line in text.splitlines())
    return [words for words in lines if words]


def _is_netlink(address: "tuple[Any, ...]") -> bool:
    return len(address) == 2 and all(isinstance(part, int) for part in address)


def _impure(what: str) -> None:
    test = variable(b"PYTEST_CURRENT_TEST").decode("utf-8", "replace").rpartition(" (")[0]
    record.tell_reason(IMPURE, f"{what} in {test}" if test else what)


def _is_own(port: int) -> bool:
    """True if a process of this attempt listens on the port."""
    if port in _own_ports:
        return True
    quiet, record.quiet = record.quiet, True
    try:
        inodes = {inode for table, state in _TABLES for inode in _listening(table, state, port)}
        if inodes and (_holds("self", inodes) or any(_holds(pid, inodes) for pid in _relatives())):
            _own_ports.add(port)
            return True
        return False
    finally:
        record.quiet = quiet


def _listening(table: str, state: str, port: int) -> "list[str]":
    found = []
    wanted = f":{port:04X}"
    for line in _content(f"/proc/self/net/{table}").decode("ascii", "replace").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[1].endswith(wanted) and fields[3] == state:
            found.append(f"socket:[{fields[9]}]")
    return found


def _relatives() -> "list[str]":
    """The processes of this attempt."""
    cookie = variable(_COOKIE)
    if not cookie:
        return []
    mark = b"%s=%s\0" % (_COOKIE, cookie)
    try:
        names = _listdir("/proc")
    except OSError:
        return []
    return [pid for pid in names if pid.isdigit() and mark in _content(f"/proc/{pid}/environ")]


def _holds(pid: str, inodes: "set[str]") -> bool:
    try:
        descriptors = _listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for descriptor in descriptors:
        try:
            if _readlink(f"/proc/{pid}/fd/{descriptor}") in inodes:
                return True
        except OSError:
            continue
    return False


def _content(path: str) -> bytes:
    try:
        descriptor = _open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    pieces = []
    try:
        while piece := _read(descriptor, 1 << 16):
            pieces.append(piece)
    except OSError:
        pass
    finally:
        _close(descriptor)
    return b"".join(pieces)
