"""Encoders and decoders: messages of workers, the event stream, and the action a worker reads.

An action holds paths, which may be any bytes: lone surrogates stand for those that are no UTF-8.
The standard library's JSON carries them, which MessagePack by definition does not.
"""

import json
import re
from collections.abc import Sequence

import msgspec

from iopio_async.errors import ProtocolError
from iopio_async.model.action import SCHEMA_VERSION, Action
from iopio_async.model.events import AnyEvent, Envelope
from iopio_async.wire.messages import AnyMessage

_encoder = msgspec.msgpack.Encoder()
_message_decoder: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)
_json_encoder = msgspec.json.Encoder()
_events_decoder: msgspec.json.Decoder[list[AnyEvent]] = msgspec.json.Decoder(list[AnyEvent])

encode_message = _encoder.encode


def decode_message(body: bytes) -> AnyMessage:
    """The message in a frame's body.

    Raises:
        ProtocolError: it is not one.
    """
    try:
        return _message_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"a frame of {len(body)} bytes holds no message: {error}") from error


def encode_action(action: Action) -> bytes:
    """The bytes that :func:`decode_action` reads."""
    return json.dumps(msgspec.to_builtins(action)).encode("ascii")


def decode_action(body: bytes) -> Action:
    """The action that a worker is to execute.

    Raises:
        ProtocolError: it is none, or of another version of iopio.
    """
    try:
        action = msgspec.convert(json.loads(body), Action)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"this is not an action: {error}") from error
    if action.schema_version != SCHEMA_VERSION:
        raise ProtocolError(
            f"the action has schema {action.schema_version}, this worker has {SCHEMA_VERSION}",
            hint="the tests' interpreter has another version of iopio installed",
        )
    return action


def encode_events(events: Sequence[AnyEvent]) -> bytes:
    """The bytes that :func:`decode_events` reads."""
    try:
        return _json_encoder.encode(events)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(events)).encode("ascii")


def decode_events(data: bytes) -> list[AnyEvent]:
    """The events of a stored result.

    Raises:
        ProtocolError: these are none.
    """
    try:
        try:
            return _events_decoder.decode(data)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            # The one kind of honest text that it can't read is a lone surrogate.
            return msgspec.convert(json.loads(data), list[AnyEvent])
    except (ValueError, RecursionError) as error:
        raise ProtocolError("these are not the events of a result") from error


def encode_envelope_json(envelope: Envelope) -> bytes:
    """One line of the ``--json`` stream, without the newline.

    Lone surrogates, which stand for the bytes of a file name that is not UTF-8, are spelled out.
    """
    try:
        return _json_encoder.encode(envelope)
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(envelope), ensure_ascii=False)
        return re.sub("[\ud800-\udfff]", lambda one: rf"\\u{ord(one[0]):x}", text).encode()
