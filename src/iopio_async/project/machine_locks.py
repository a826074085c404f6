"""The table of what the runs of this user hold on this machine, kept in a folder of small files.

Each unit of a run that holds something, or waits for it, has one file in the folder. The file says
who it is and what it claims, and its owner keeps it locked (``flock``) for as long as it counts:
when a process dies, however it dies, the kernel gives up the lock, and the file means nothing from
that moment on. So nothing is ever stale, and nobody has to clean up for others, though whoever
comes upon such a file removes it. Descriptors are closed on exec and in forked children, so that no
test's process prolongs what its run held.

The folder is read and changed only by whoever has the lock on ``mutex``, which nobody keeps for
longer than that takes. A unit takes all of its claims then, or none; so no two can wait for each
other. Who comes first is served first: the files are numbered, and a unit doesn't take what stands
against a unit that waits already. A waiting unit has to look again now and then; if it has not for
:data:`ASLEEP_S` (its run was stopped, perhaps), others don't stand behind it any longer.

One lock for each resource would not do: a folder that is claimed lies over all claims on files in
it, of which nobody has the list.
"""

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from iopio_async import state
from iopio_async.planning.machine import Wanted, conflict, encodable

#: A unit that waits but has not looked again for so long is passed over.
ASLEEP_S = 2.0

_HOLDS, _WAITS = "holds", "waits"
_MUTEX = "mutex"
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAX_BYTES = 1024 * 1024

#: Descriptors that a forked child has to close: with them it would share the locks.
_ours: set[int] = set()


def _forget() -> None:
    for descriptor in _ours:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _ours.clear()


os.register_at_fork(after_in_child=_forget)


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """The content of a file: whose it is, where its project is, and what it claims."""

    pid: int
    root: str
    claims: tuple[Wanted, ...]


_decoder = msgspec.json.Decoder(Ticket)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a unit has to wait: what it can't have, and whose turn it is. ``None``: the table's."""

    claim: Wanted | None = None
    holder: Ticket | None = None
    holds: bool = True


@dataclass(slots=True)
class Entry:
    """A unit in the table; ``obstacle`` is ``None`` while it holds its claims."""

    claims: tuple[Wanted, ...]
    name: str = ""
    descriptor: int = -1
    obstacle: Obstacle | None = Obstacle()


@dataclass(frozen=True, slots=True)
class _Other:
    """A file of somebody who is alive."""

    number: int
    holds: bool
    awake: bool
    ticket: Ticket


def folder(environ: Mapping[str, str]) -> str:
    """Where the runs of this user meet, whatever their projects.

    The same for all terminals, so that it doesn't follow ``TMPDIR``.
    """
    user = os.geteuid()
    for place in (environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{user}"):
        if os.path.isabs(place) and os.path.isdir(place) and os.access(place, os.W_OK):
            return os.path.join(place, "iopio")
    return f"/tmp/iopio-{user}"


class MachineLocks:
    """The table in ``folder``, for the units of one run of the project at ``root``.

    ``now_s`` is a clock that all processes of the machine share. Not for several threads at once.
    """

    def __init__(
        self, folder: str, root: str, *, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = folder
        self._root = root
        self._now_s = now_s
        self._place = ""
        self._mutex = -1

    def apply(self, claims: tuple[Wanted, ...]) -> Entry:
        """Take all of this, or stand in line for it: see :func:`retry`.

        Raises:
            OSError: the table can't be used, or the file system has no locks.
            InfrastructureError: its folder can't be trusted.
        """
        entry = Entry(claims)
        self.retry(entry)
        return entry

    def retry(self, entry: Entry) -> bool:
        """Take what ``entry`` waits for if that is free by now; true where it holds it.

        Raises:
            OSError, InfrastructureError: as for :func:`apply`.
        """
        if entry.obstacle is None:
            return True
        if not self._enter():
            entry.obstacle = Obstacle()
            return False
        try:
            if entry.name and not os.path.lexists(os.path.join(self._place, entry.name)):
                # Somebody has removed it, with the whole folder perhaps: to the end of the line.
                _close(entry.descriptor)
                entry.name, entry.descriptor = "", -1
            others = self._others(entry)
            number = _number_of(entry.name) or 1 + max((each.number for each in others), default=0)
            entry.obstacle = _obstacle(entry.claims, number, others)
            self._note(entry, number)
        except BaseException:
            self.give_back(entry)
            raise
        finally:
            fcntl.flock(self._mutex, fcntl.LOCK_UN)
        return entry.obstacle is None

    def give_back(self, entry: Entry) -> None:
        """Take ``entry`` out of the table, whether it holds its claims or waits for them."""
        descriptor, entry.descriptor = entry.descriptor, -1
        if descriptor < 0:
            return
        # The file goes first: without its lock, its name could be somebody else's to remove.
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self._place, entry.name))
        with contextlib.suppress(OSError):
            # Even where another process got hold of the descriptor.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        _close(descriptor)

    def close(self) -> None:
        """Let go of the table; entries are given back one by one."""
        if self._mutex >= 0:
            _close(self._mutex)
            self._mutex = -1

    def _enter(self) -> bool:
        """Get the mutex, unless somebody else has it just now."""
        if self._mutex >= 0 and not self._is_current():
            self.close()
        if self._mutex < 0:
            self._place = state.ensure(self._folder, "locks")
            path = os.path.join(self._place, _MUTEX)
            self._mutex = _open(path, _FLAGS | os.O_CREAT)
        return _lock(self._mutex)

    def _is_current(self) -> bool:
        """False where the folder has been removed, and made anew, maybe."""
        try:
            there = os.lstat(os.path.join(self._place, _MUTEX))
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._mutex))

    def _others(self, entry: Entry) -> list[_Other]:
        """Who else is in the table; what the dead have left is removed."""
        found: list[_Other] = []
        for name in os.listdir(self._place):
            number = _number_of(name)
            if not number or name == entry.name:
                continue
            path = os.path.join(self._place, name)
            try:
                descriptor = os.open(path, _FLAGS)
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno not in {errno.ELOOP, errno.ENXIO, errno.EISDIR}:
                    raise
                # It is nothing that a run has put there.
                continue
            try:
                if _lock(descriptor):
                    # Its owner may have been giving it back, and removed it already.
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(path)
                    continue
                ticket = _ticket(descriptor)
                age_s = self._now_s() - os.fstat(descriptor).st_mtime
            finally:
                os.close(descriptor)
            holds = name.endswith(_HOLDS)
            found.append(_Other(number, holds, -ASLEEP_S < age_s < ASLEEP_S, ticket))
        return found

    def _note(self, entry: Entry, number: int) -> None:
        """Have the table say how it stands with ``entry``, and that it is awake."""
        name = f"{number:012}-{_HOLDS if entry.obstacle is None else _WAITS}"
        path = os.path.join(self._place, name)
        if entry.descriptor < 0:
            self._create(entry, name, path)
        elif entry.name != name:
            os.rename(os.path.join(self._place, entry.name), path)
            entry.name = name
        now_s = self._now_s()
        os.utime(entry.descriptor, (now_s, now_s))

    def _create(self, entry: Entry, name: str, path: str) -> None:
        ticket = Ticket(os.getpid(), encodable(self._root), entry.claims)
        descriptor = entry.descriptor = _open(path, _FLAGS | os.O_CREAT | os.O_EXCL)
        entry.name = name
        if not _lock(descriptor):
            raise OSError(errno.EAGAIN, "a new file is locked already", path)
        data = msgspec.json.encode(ticket)
        while data:
            data = data[os.write(descriptor, data) :]


def _obstacle(claims: tuple[Wanted, ...], number: int, others: list[_Other]) -> Obstacle | None:
    """Whom a unit of this number has to wait for, if for anybody; holders come first."""
    for other in sorted(others, key=lambda each: (not each.holds, each.number)):
        if other.holds or (other.awake and other.number < number):
            claim = conflict(claims, other.ticket.claims)
            if claim is not None:
                return Obstacle(claim, other.ticket, other.holds)
    return None


def _number_of(name: str) -> int:
    """The number in the name of a unit's file; 0 for other files."""
    number, _, kind = name.partition("-")
    return int(number) if kind in {_HOLDS, _WAITS} and number.isdecimal() else 0


def _ticket(descriptor: int) -> Ticket:
    """What somebody's file says.

    Raises:
        OSError: it is not what a run writes.
    """
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        raise OSError(errno.EINVAL, "not a file that iopio wrote")
    try:
        return _decoder.decode(os.read(descriptor, _MAX_BYTES))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise OSError(errno.EINVAL, "not a file that iopio wrote") from error


def _open(path: str, flags: int) -> int:
    descriptor = os.open(path, flags, 0o600)
    _ours.add(descriptor)
    return descriptor


def _close(descriptor: int) -> None:
    _ours.discard(descriptor)
    os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Get a lock without waiting; false where another process, or unit, has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
