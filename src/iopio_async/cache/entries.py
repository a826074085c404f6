"""Action entry ↔ bytes: two lines of JSON, the first of which vouches for the second.

The first line names what the file is, the versions of its format and of its traces, and the length
and SHA-256 of the rest; the digest is over these too. There is one way to write it, so that any bit
that differs anywhere is seen. The entry holds its own key: found under another one, it is damaged.
An entry of another version that is whole is just not ours: it is neither used nor harmed. For that,
the first line stays as it is in all versions.
"""

import json
from collections.abc import Iterable
from hashlib import sha256

import msgspec

from iopio_async.model.trace import TRACE_VERSION, ActionEntry, StoredResult

#: Counted up whenever one version can not read, or must not trust, the entries of another.
FORMAT_VERSION = 3

#: Results of one action that are kept, with different inputs.
KEPT_RESULTS = 16

_DIGEST_CHARS = 64
_HEX = frozenset("0123456789abcdef")

_decoder: msgspec.json.Decoder[ActionEntry] = msgspec.json.Decoder(ActionEntry)


class DamagedError(Exception):
    """A file of the cache is not what was written there; the message says in which way."""


class _Header(msgspec.Struct, frozen=True):
    iopio: str
    format: int
    trace: int
    bytes: int
    sha256: str


_header_decoder: msgspec.json.Decoder[_Header] = msgspec.json.Decoder(_Header)


def digest_of(data: bytes) -> str:
    """The name of a blob: its SHA-256 in hex."""
    return sha256(data).hexdigest()


def is_digest(name: str) -> bool:
    """Say whether this may be a key or the name of a blob; nothing else becomes a path."""
    return len(name) == _DIGEST_CHARS and _HEX.issuperset(name)


def encode(entry: ActionEntry) -> bytes:
    """The bytes that :func:`decode` reads."""
    import orjson

    plain = msgspec.to_builtins(entry)
    try:
        body = orjson.dumps(plain)
    except TypeError:
        # Lone surrogates, which stand for the bytes of names that are no UTF-8.
        body = json.dumps(plain, allow_nan=False).encode("ascii")
    return _header(FORMAT_VERSION, entry.trace_version, body) + body


def decode(data: bytes, key: str) -> ActionEntry | None:
    """The entry of ``key``; ``None`` where another version wrote it.

    Raises:
        DamagedError: this is not what was written for this key.
    """
    line, _, body = data.partition(b"\n")
    if line + b"\n" != _header(FORMAT_VERSION, TRACE_VERSION, body):
        if _is_of_another_version(line + b"\n", body):
            return None
        raise DamagedError("its length or checksum is wrong")
    entry = _decode_body(body)
    if entry.key != key:
        raise DamagedError("it belongs to another key")
    return entry


def blobs_of(entry: ActionEntry) -> set[str]:
    """The names of all blobs that the entry needs."""
    return {name for each in entry.results for name in blobs_of_result(each)}


def blobs_of_result(result: StoredResult) -> set[str]:
    """The names of the blobs that one result needs."""
    return {name for name in (result.events, result.coverage) if name}


def blobs_for(result: StoredResult, blobs: Iterable[bytes]) -> dict[str, bytes]:
    """The blobs by their names, being all that the result needs.

    Raises:
        ValueError: the result names one that is not among them.
    """
    given = {digest_of(data): data for data in blobs}
    missing = blobs_of_result(result) - given.keys()
    if missing:
        raise ValueError(f"the result names blobs that are not given: {', '.join(sorted(missing))}")
    return given


def with_result(
    before: ActionEntry | None, key: str, module: str, result: StoredResult, now_s: float
) -> ActionEntry:
    """The entry with one more result: the newest first, and one for the same inputs."""
    earlier = before.results if before else ()
    kept = [result, *(each for each in earlier if each.trace.inputs != result.trace.inputs)]
    return ActionEntry(key=key, module=module, results=_newest(kept, now_s))


def with_refusal(
    before: ActionEntry | None, key: str, module: str, refusal: str, now_s: float
) -> ActionEntry:
    """The entry with a reason why there is no newer result; the earlier ones still hold."""
    earlier = before.results if before else ()
    return ActionEntry(key=key, module=module, results=_newest(earlier, now_s), refusal=refusal)


def _newest(results: Iterable[StoredResult], now_s: float) -> tuple[StoredResult, ...]:
    # What has ended, or claims to be from the future, is never used again: it would only be in the
    # way of others.
    living = [each for each in results if each.executed_at_s <= now_s < each.expires_at_s]
    living.sort(key=lambda each: each.executed_at_s, reverse=True)
    return tuple(living[:KEPT_RESULTS])


def _header(format_version: int, trace_version: int, body: bytes) -> bytes:
    about = b'{"iopio":"action","format":%d,"trace":%d,"bytes":%d' % (
        format_version,
        trace_version,
        len(body),
    )
    digest = sha256(about)
    digest.update(b"\n")
    digest.update(body)
    return b'%s,"sha256":"%s"}\n' % (about, digest.hexdigest().encode())


def _is_of_another_version(line: bytes, body: bytes) -> bool:
    try:
        header = _header_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return line == _header(header.format, header.trace, body)


def _decode_body(body: bytes) -> ActionEntry:
    try:
        try:
            return _decoder.decode(body)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            # The one kind of honest text that it can't read is a lone surrogate.
            return msgspec.convert(json.loads(body), ActionEntry)
    except (ValueError, RecursionError) as error:
        raise DamagedError("it is not an entry") from error
