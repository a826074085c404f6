"""What orchestrator and fork server say to each other: one datagram a message.

``Ready``, then any number of ``Fork`` → ``Forked`` … ``Ended``, until one is answered by ``Stale``:
the server is to be replaced by a new one. A ``Fork`` carries, beside its bytes, the descriptors of
the child's result stream, standard output and standard error. A ``Branch`` brings about one more
server, which then speaks for itself over a socket of its own.
"""

import msgspec

from iopio_async.errors import ProtocolError


class Control(msgspec.Struct, frozen=True, array_like=True):
    """Base of the closed unions below."""


class Ready(Control, frozen=True, tag=0):
    """The server is warm and waits. ``doubts`` say why its children had better be started cold.

    ``early`` says why it waits at an earlier point than it was to, where it does.
    """

    pid: int
    doubts: tuple[str, ...] = ()
    early: str = ""


class Fork(Control, frozen=True, tag=1):
    """Fork a child for the action in the file, with these environment variables on top."""

    number: int
    action_file: str
    environment: dict[str, str]


class Branch(Control, frozen=True, tag=5):
    """Fork another server that does these first steps ahead; with its control socket."""

    number: int
    steps: tuple[str, ...]


class Forked(Control, frozen=True, tag=2):
    """Said by the child itself, once it leads a session of its own.

    A branch says it over its own socket, as number 0.
    """

    number: int
    pid: int


class Ended(Control, frozen=True, tag=3):
    """A child is gone: its wait status and what it used. Times in seconds."""

    number: int
    status: int
    cpu_s: float
    peak_rss_bytes: int


class Stale(Control, frozen=True, tag=6):
    """Nothing was forked: the file at ``path`` has changed since the server loaded it."""

    number: int
    path: str


class Unprepared(Control, frozen=True, tag=4):
    """The framework ended before it came to the point where children are forked."""

    exit_code: int


AnyControl = Ready | Fork | Branch | Forked | Ended | Unprepared | Stale

#: No message is longer.
MAX_CONTROL_BYTES = 128 * 1024

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyControl] = msgspec.msgpack.Decoder(AnyControl)

encode_control = _encoder.encode


def decode_control(data: bytes) -> AnyControl:
    """The message in a datagram.

    Raises:
        ProtocolError: it holds none.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"a datagram of {len(data)} bytes holds no message") from error
