"""The stored results, as the original's cache object shows them: a view over the real store.

What runs have stored is read from the store each time that it is asked for, and is believed by runs
only while all that it was made from is unchanged; this view says what is there, not what will be
used. :meth:`TestResultCache.put_result` keeps a result beside them for whoever asks for it again:
it is an answer to :meth:`~TestResultCache.get_result`, and never saves a test from being executed.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from platform import python_version
from types import MappingProxyType
from typing import Any, NamedTuple

from iopio_async import state
from iopio_async.cache import entries
from iopio_async.cache.census import Found, files_in, files_of, read_entry
from iopio_async.cache.lifetime import DEFAULT_TTL_S
from iopio_async.cache.maintenance import clear
from iopio_async.cache.reader import ACTIONS, DiskReader
from iopio_async.dropin.parcels import name_of
from iopio_async.dropin.project import glob_of, project_root
from iopio_async.dropin.results import PASSES, SKIPS
from iopio_async.errors import ProtocolError
from iopio_async.model import events as ev
from iopio_async.model.trace import StoredResult
from iopio_async.wire.codec import decode_events

#: Below the version's own folder: results that were put in by hand.
_GIVEN = "given"


class _Stored(NamedTuple):
    """A test's stored result; ``module`` is the entry's, empty for one that was put in by hand."""

    key: str
    test: str
    args: str
    module: str
    result: dict[str, Any]
    stored_s: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "result": self.result,
            "timestamp": datetime.fromtimestamp(self.stored_s).isoformat(),  # noqa: DTZ006 - local, as ever
            "test_path": self.test,
            "test_args": self.args,
        }


class TestResultCache:
    """The results in ``cache_dir``, by default ``.test_cache`` in the project's root."""

    __test__ = False

    def __init__(self, cache_dir: str | os.PathLike[str] | None = None) -> None:
        self._root = project_root()
        folder = state.folder_of(self._root) if cache_dir is None else os.fspath(cache_dir)
        self.cache_dir = Path(os.path.abspath(folder))

    @property
    def _cache(self) -> Mapping[str, dict[str, Any]]:
        """All stored results that have not ended, by their keys; read afresh each time."""
        return MappingProxyType({each.key: each.as_dict() for each in self._stored()})

    def get_result(self, path: str, args: str = "") -> dict[str, Any] | None:
        """The stored result of a test, with its time; ``None`` where there is none that holds."""
        with contextlib.suppress(OSError, ValueError):
            given = _read_given(self._given_file(path, args))
            if given is not None:
                return given.as_dict()
        found = None
        for each in self._stored_by_runs():
            is_newer = found is None or each.stored_s > found.stored_s
            if not args and each.test == self._spelled(path) and is_newer:
                found = each
        return None if found is None else found.as_dict()

    def put_result(self, path: str, result: dict[str, Any], args: str = "") -> None:
        """Keep a result for :meth:`get_result`, for 24 hours.

        Raises:
            InfrastructureError: the folder can't be used.
            OSError: it can't be written.
        """
        state.ensure(str(self.cache_dir), _GIVEN)
        data = {"path": path, "args": args, "result": result, "stored_s": time.time()}
        file = self._given_file(path, args)
        state.write_atomically(file, json.dumps(data, default=str).encode())

    def invalidate(self, path: str | None = None) -> None:
        """Forget the results of a test, a file or a directory, or all of them.

        A file may be named without the folders that it is in; ``file::test`` is one test, whose
        whole file is executed again then.

        Raises:
            InfrastructureError: the folder can't be trusted or written.
        """
        folder = str(self.cache_dir)
        if path is None:
            clear(folder)
            self._forget_given(None)
            return
        wanted = self._spelled(path)
        modules = {each.module for each in self._stored_by_runs(ended=True) if _is_of(each, wanted)}
        if modules:
            clear(folder, [glob_of(module) for module in modules])
        self._forget_given(wanted)

    def _forget_given(self, wanted: str | None) -> None:
        for found in self._given_files():
            with contextlib.suppress(OSError, ValueError):
                given = _read_given(found.file, ended=True)
                if wanted is None or (given is not None and _is_of(given, wanted)):
                    os.unlink(found.file)

    # -- reading ---------------------------------------------------------------------------------

    def _stored(self) -> Iterator[_Stored]:
        yield from self._stored_by_runs()
        for found in self._given_files():
            with contextlib.suppress(OSError, ValueError):
                given = _read_given(found.file)
                if given is not None:
                    yield given

    def _stored_by_runs(self, *, ended: bool = False) -> Iterator[_Stored]:
        """The tests of the newest result of each entry; with ``ended``, also of one that ended."""
        folder, now_s = str(self.cache_dir), time.time()
        # Looking must not complain: a run that meets the damage does.
        reader = DiskReader(folder, warn=lambda _message: None)
        for found in files_of(folder, ACTIONS):
            with contextlib.suppress(OSError, entries.DamagedError, ProtocolError):
                entry = read_entry(found)
                results = entry.results if entry is not None else ()
                if entry is None or not results or not (ended or results[0].expires_at_s > now_s):
                    continue
                yield from _tests(reader, entry.key, entry.module, results[0])

    def _given_files(self) -> list[Found]:
        folder = str(self.cache_dir)
        if not state.is_there(folder, _GIVEN):
            return []
        return list(files_in(state.path(folder, _GIVEN)))

    def _given_file(self, path: str, args: str) -> str:
        return state.path(str(self.cache_dir), _GIVEN, _key(self._spelled(path), args))

    def _spelled(self, path: str) -> str:
        """A test's or a file's path as runs spell it: relative to the root where it is inside."""
        file, colons, test = str(path).partition("::")
        whole = os.path.normpath(file)
        if os.path.isabs(whole) and whole.startswith(f"{self._root}{os.sep}"):
            whole = os.path.relpath(whole, self._root)
        return f"{whole}{colons}{test}".replace(os.sep, "/")


def _tests(reader: DiskReader, key: str, module: str, result: StoredResult) -> Iterator[_Stored]:
    name = name_of(module)
    for event in decode_events(reader.blob(result.events) or b"[]"):
        if isinstance(event, ev.TestFinished):
            value = {
                "success": event.outcome in PASSES | SKIPS,
                "error": None,
                "outcome": str(event.outcome),
                "execution_time": event.duration_s,
            }
            test = event.id if name is None else name
            at = sha256(f"{key} {event.id}".encode("utf-8", "surrogatepass")).hexdigest()
            yield _Stored(at, test, "", module, value, result.executed_at_s)


def _read_given(file: str, *, ended: bool = False) -> _Stored | None:
    """A result that was put in by hand; ``None`` where it is too old.

    Raises:
        OSError: it can't be read.
        ValueError: it is not what was written.
    """
    data = json.loads(state.read(file))
    match data:
        case {"path": str(path), "args": str(args), "result": dict(result), "stored_s": float(at)}:
            is_young = 0 <= time.time() - at < DEFAULT_TTL_S
            key = os.path.basename(file)
            return _Stored(key, path, args, "", result, at) if is_young or ended else None
    raise ValueError(f"{file} is not what was written there")


def _key(path: str, args: str) -> str:
    text = f"{path}\0{args}\0{python_version()}"
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _is_of(stored: _Stored, wanted: str) -> bool:
    """Say whether a stored test is the one, or of the file or folder, that is named."""
    file, _, test = stored.test.partition("::")
    wanted_file, colons, wanted_test = wanted.partition("::")
    if file != wanted_file and not file.endswith(f"/{wanted_file}"):
        return not colons and file.startswith(f"{wanted_file.rstrip('/')}/")
    if not colons:
        return True
    return test == wanted_test or test.startswith((f"{wanted_test}::", f"{wanted_test}["))
