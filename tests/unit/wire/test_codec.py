import json

import msgspec
import pytest

from iopio_async.errors import ProtocolError
from iopio_async.model.action import SCHEMA_VERSION, Action, Limits
from iopio_async.model.events import Envelope, TestFinished
from iopio_async.model.module import Framework
from iopio_async.model.outcome import Failure, Outcome, Section, SubTest
from iopio_async.wire import messages as msg
from iopio_async.wire.codec import (
    decode_action,
    decode_message,
    encode_action,
    encode_envelope_json,
    encode_message,
)

FAILURE = Failure("ValueError: no", "Traceback …\n", "setup", "/p/test_a.py", 3)

MESSAGES: list[msg.AnyMessage] = [
    msg.Hello(SCHEMA_VERSION, 4711, {"python": "3.11"}),
    msg.Plan(("a::b", "ü::\N{SNOWMAN}")),
    msg.Plan((), True, 3, True),
    msg.Started(7),
    msg.Finished(7, Outcome.PASSED, 0.25),
    msg.Finished(
        0,
        Outcome.FAILED,
        0.25,
        0.125,
        "reason",
        (FAILURE,),
        (Section("Captured stdout call", "out"),),
        (("name", "value"),),
        (SubTest("(i=1)", Outcome.FAILED, FAILURE), SubTest("(i=2)", Outcome.PASSED)),
        2,
        12,
    ),
    msg.Warned("old", "DeprecationWarning", "a::b", "/p/a.py", 3),
    msg.Note(FAILURE),
    msg.End(3, 0xFFFFFFFF, 1, True),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_messages_come_back_as_they_were(message: msg.AnyMessage) -> None:
    assert decode_message(encode_message(message)) == message


def test_messages_are_arrays_that_begin_with_their_kind() -> None:
    assert msgspec.msgpack.decode(encode_message(msg.Started(7))) == [2, 7]
    passed = msg.Finished(7, Outcome.PASSED, 0.5)
    assert msgspec.msgpack.decode(encode_message(passed))[:4] == [3, 7, "passed", 0.5]


def test_fields_that_a_sender_leaves_out_have_their_defaults() -> None:
    body = msgspec.msgpack.encode([3, 7, "passed", 0.5])
    assert decode_message(body) == msg.Finished(7, Outcome.PASSED, 0.5)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x00",
        b"\x90",
        msgspec.msgpack.encode([99]),
        msgspec.msgpack.encode([2]),
        msgspec.msgpack.encode([2, "seven"]),
        msgspec.msgpack.encode([3, 0, "maybe", 0.5]),
        msgspec.msgpack.encode({"index": 7}),
        encode_message(msg.Started(7)) + b"\x00",
        b"\x93\x01\x91\xa1\xff\xc3",
        b"\x91" * 100_000,
    ],
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError, match=f"a frame of {len(body)} bytes holds no message"):
        decode_message(body)


def test_actions_come_back_as_they_were() -> None:
    action = Action(
        path="tests/test_a.py",
        root="/p",
        invocation_dir="/p/tests",
        framework=Framework.UNITTEST,
        arguments=("-v",),
        selectors=("tests/test_a.py::test_a",),
        maxfail=3,
        limits=Limits(failure_chars=10),
    )
    assert decode_action(encode_action(action)) == action


def test_actions_of_another_version_are_refused() -> None:
    action = Action(path="a", root="/", invocation_dir="/", schema_version=SCHEMA_VERSION + 1)
    with pytest.raises(ProtocolError, match=f"has schema {SCHEMA_VERSION + 1}, this worker has"):
        decode_action(encode_action(action))


@pytest.mark.parametrize("body", [b"", b"\x80", b"\x81\xa4path\x01", b"hello"])
def test_what_is_no_action_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="not an action"):
        decode_action(body)


def test_envelopes_are_one_line_of_json() -> None:
    event = TestFinished(
        module="test_a.py", attempt=1, id="test_a.py::t", outcome=Outcome.PASSED, duration_s=0.5
    )
    line = encode_envelope_json(Envelope(3, 1.5, event))
    assert b"\n" not in line
    assert json.loads(line) == {
        "seq": 3,
        "elapsed_s": 1.5,
        "event": {
            "event": "test_finished",
            "module": "test_a.py",
            "attempt": 1,
            "id": "test_a.py::t",
            "outcome": "passed",
            "duration_s": 0.5,
        },
    }
