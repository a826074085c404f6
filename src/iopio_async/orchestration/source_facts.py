"""Facts of the project's source files, kept by the digest of their content.

A file is read when something about it is asked for the first time; what is known of its content
from an earlier run is not read at all. Facts stay encoded until somebody wants them.
"""

import os
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256

import msgspec

from iopio_async import state
from iopio_async.analysis.claims import read_facts, tells
from iopio_async.analysis.facts import FACTS_VERSION, FileFacts
from iopio_async.analysis.rule_table import DEFAULT_TABLE
from iopio_async.errors import InfrastructureError
from iopio_async.planning.sources import glimpsed_imports

#: The name of what is kept, and the version of its form.
FACTS, FORMAT = "facts", 1
#: Less is kept of a project with more facts than this, encoded.
MOST_BYTES = state.MAX_FILE_BYTES * 3 // 4
#: Larger files are not looked at: nobody has written them by hand.
MOST_SOURCE_BYTES = 4 * 1024 * 1024

_PLUGINS = re.compile(rb"^pytest_plugins\b[^=]*=\s*([\[(]?[^\])]*)", re.MULTILINE)
_QUOTED = re.compile(rb"[\"']([\w.]+)[\"']")


class Glimpse(msgspec.Struct, array_like=True):
    """What a quick look at a source tells. A ``wide`` one may depend on any file, unseen."""

    tells: bool
    imports: tuple[str, ...]
    wide: bool = False


class _Kept(msgspec.Struct, array_like=True):
    format: int
    rules: str
    glimpses: dict[str, Glimpse]
    facts: dict[str, msgspec.Raw]


_decoder = msgspec.msgpack.Decoder(_Kept)
_facts_decoder = msgspec.msgpack.Decoder(FileFacts)
_encoder = msgspec.msgpack.Encoder()
_RULES = f"{FACTS_VERSION} {DEFAULT_TABLE.digest}"


def glimpse(source: bytes) -> Glimpse:
    """Look at a source."""
    plugins = [
        name.decode() for found in _PLUGINS.findall(source) for name in _QUOTED.findall(found)
    ]
    imports = tuple(dict.fromkeys([*glimpsed_imports(source), *plugins]))
    return Glimpse(tells(source), imports, b"DJANGO_SETTINGS" in source)


class FactsStore:
    """The facts of one project's files, whose digests are given.

    ``changed`` says that a file was another one by the time that it was read.
    """

    def __init__(self, root: str, digests: Mapping[str, str], kept: _Kept | None = None) -> None:
        self._root = root
        self._digests = digests
        self._glimpses = kept.glimpses if kept is not None else {}
        self._encoded = kept.facts if kept is not None else {}
        self._facts: dict[str, FileFacts] = {}
        self._sources: dict[str, bytes] = {}
        self._strange: dict[str, Glimpse] = {}
        self._new = False
        self.changed = False

    @classmethod
    def load(cls, folder: str, root: str, digests: Mapping[str, str]) -> "FactsStore":
        """What is kept in the state folder ``folder``, if anything is."""
        try:
            if state.is_there(folder):
                kept = _decoder.decode(state.read(state.path(folder, FACTS)))
                if (kept.format, kept.rules) == (FORMAT, _RULES):
                    return cls(root, digests, kept)
        except (InfrastructureError, OSError, msgspec.DecodeError, UnicodeDecodeError):
            pass
        return cls(root, digests)

    def tells(self, path: str) -> bool:
        """Say whether a file has any word by which it may touch something."""
        return self._glimpse(path).tells

    def imports(self, path: str) -> Iterable[str]:
        """The modules that a file may import."""
        return self._glimpse(path).imports

    def is_wide(self, path: str) -> bool:
        """Say whether what a file depends on can't be told by its imports."""
        return self._glimpse(path).wide

    def facts(self, path: str) -> FileFacts:
        """The facts of a file."""
        digest = self._digests[path]
        known = self._facts.get(digest)
        if known is not None:
            return known
        encoded = self._encoded.get(digest)
        if encoded is not None:
            try:
                facts = _facts_decoder.decode(encoded)
            except (msgspec.DecodeError, UnicodeDecodeError):
                encoded = None
        if encoded is None:
            source, same = self._read(path)
            facts = read_facts(source)
            if not same:
                return facts
            self._sources.pop(path, None)
            self._encoded[digest] = msgspec.Raw(_encoder.encode(facts))
            self._new = True
        self._facts[digest] = facts
        return facts

    def _glimpse(self, path: str) -> Glimpse:
        digest = self._digests[path]
        known = self._glimpses.get(digest) or self._strange.get(path)
        if known is None:
            source, same = self._read(path)
            known = glimpse(source)
            if same:
                self._glimpses[digest] = known
                self._sources[path] = source
                self._new = True
            else:
                self._strange[path] = known
        return known

    def _read(self, path: str) -> tuple[bytes, bool]:
        """The content of a file, and whether it is what its digest says."""
        source = self._sources.get(path)
        if source is not None:
            return source, True
        try:
            descriptor = os.open(
                os.path.join(self._root, path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
            )
            with open(descriptor, "rb") as file:
                source = file.read(MOST_SOURCE_BYTES + 1)
        except OSError:
            source = b""
        if len(source) > MOST_SOURCE_BYTES:
            return b"", True
        same = sha256(source).hexdigest() == self._digests[path]
        self.changed = self.changed or not same
        return source, same

    def save(self, folder: str) -> None:
        """Keep what is known in this folder, less what no file has any more.

        Raises:
            OSError: it can't be written.
        """
        if not self._new:
            return
        present = set(self._digests.values())
        facts: dict[str, msgspec.Raw] = {}
        size_bytes = 0
        for digest, encoded in self._encoded.items():
            size_bytes += len(bytes(encoded))
            if size_bytes > MOST_BYTES:
                break
            if digest in present:
                facts[digest] = encoded
        glimpses = {digest: each for digest, each in self._glimpses.items() if digest in present}
        kept = _Kept(FORMAT, _RULES, glimpses, facts)
        state.write_atomically(os.path.join(folder, FACTS), _encoder.encode(kept))
