"""What a module was seen to do with things that other modules may use, too, by its trace.

Names are those that the static analysis gives: ``path:data/state.json``, ``path:/srv/state``,
``port:8000``. What is nobody's business is left out here: what is installed, what tools keep for
themselves (``places``), caches of the user, files that only serve to lock others, and private
directories, which are not even told.

A file that is added to or changed in place counts as written only where its content did change
since the run began; one that is emptied or made anew does in any case. A database is opened by a
library that tells nothing: it is written if it changed, and read if not. Folders are never written:
what is in them is.

A port that was handed out by the kernel is another one each time. Who asks for such ports, and
binds others of that range, has asked for those before.
"""

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from iopio_async.model.trace import InputKind
from iopio_async.orchestration.observed import Observed
from iopio_async.orchestration.places import Places
from iopio_async.planning.learned import Use
from iopio_async.project.digests import look
from iopio_async.project.distributions import site_of
from iopio_async.wire import observations as wire

#: Systems hand out ports from here on, or from a higher number.
LOWEST_HANDED_OUT = 32_768

#: Clocks of file systems are as coarse as this.
_SLACK_NS = 20_000_000

_GUARDS = (".lock", ".lck", ".pid")


class Seen(NamedTuple):
    """What one module used: what it read apart, since that is a lot and seldom of interest.

    ``reads`` are paths of files as they are spelled in names.
    """

    uses: dict[str, Use]
    reads: Sequence[str] = ()


class Sights:
    """Looks at what modules of one run did, which began at ``start_ns``.

    ``environ`` names the user's folders, ``own`` is one that iopio keeps for itself.
    """

    def __init__(
        self, places: Places, *, start_ns: int, environ: Mapping[str, str], own: str
    ) -> None:
        self._places = places
        self._start_ns = start_ns - _SLACK_NS
        home = environ.get("HOME", "")
        folders = (f"{home}/.cache" if home else "", environ.get("XDG_CACHE_HOME", ""), own)
        self._caches = tuple(f"{folder.rstrip('/')}/" for folder in folders if folder)
        self._subjects: dict[bytes, str] = {}

    def of(self, folds: Sequence[Observed]) -> Seen:
        """What these processes of one module did, apart from what they inherited."""
        uses: dict[str, Use] = {}
        for fold in folds:
            for path, only_kept in fold.wrote.items():
                self._written(fold, path, only_kept, uses)
            for path in fold.databases:
                subject = self._subject(path)
                status = look(os.fsdecode(path)) if subject else ""
                if not isinstance(status, str) and status[3] >= self._start_ns:
                    uses[f"path:{subject}"] = Use.WROTE
        self._sockets(folds, uses)
        reads = {
            subject: None
            for fold in folds
            for path in fold.asked[wire.READ]
            if (subject := self._subject(path)) and f"path:{subject}" not in uses
        }
        return Seen(uses, tuple(reads))

    def _written(
        self,
        fold: Observed,
        path: bytes,
        only_kept: bool,
        uses: dict[str, Use],
    ) -> None:
        subject = self._subject(path)
        if not subject:
            return
        name, spelled = f"path:{subject}", os.fsdecode(path)
        status = look(spelled)
        if isinstance(status, str):
            use = Use.APPENDED if only_kept else Use.WROTE
        elif not stat.S_ISREG(status[5]):
            return
        elif not only_kept:
            use = Use.WROTE
        elif not status[2] or (path not in fold.created and status[3] < self._start_ns):
            # Nothing was added: it is there to be locked, or only its mode or its time was changed.
            return
        else:
            use = Use.WROTE if path in fold.rewritten else Use.APPENDED
        if uses.get(name) is not Use.WROTE:
            uses[name] = use

    def _sockets(self, folds: Iterable[Observed], uses: dict[str, Use]) -> None:
        bound = {place for fold in folds for place in fold.bound}
        connected = {place for fold in folds for place in fold.connected}
        handed_out = b"0" in bound
        for places, use in ((connected, Use.CONNECTED), (bound, Use.BOUND)):
            for place in places:
                if place.startswith(b"/"):
                    subject = self._subject(place)
                    if subject:
                        uses[f"path:{subject}"] = use
                elif (
                    place.isdigit()
                    and 0 < int(place) < 65_536
                    and not (handed_out and int(place) >= LOWEST_HANDED_OUT)
                ):
                    uses[f"port:{int(place)}"] = use

    def _subject(self, path: bytes) -> str:
        """How names spell a path; ``""`` where it is nobody's business."""
        known = self._subjects.get(path)
        if known is None:
            known = self._subjects[path] = self._judged(path)
        return known

    def _judged(self, path: bytes) -> str:
        try:
            spelled = path.decode()
        except UnicodeDecodeError:
            # Nothing can be declared of a name that is no text.
            return ""
        if spelled.endswith(_GUARDS) or spelled.startswith(self._caches) or site_of(spelled):
            return ""
        if "/.git/" in spelled:
            return ""
        for kind, subject in self._places.about(InputKind.FILE, path):
            if kind is InputKind.FILE:
                return subject
        return ""
