"""The worker as a process: an action in, a stream and an exit code out."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from iopio_async.model.action import SCHEMA_VERSION, Action, Limits
from iopio_async.model.module import Framework
from iopio_async.model.outcome import Outcome
from iopio_async.wire import messages as msg
from iopio_async.wire.certificate import Certificate
from iopio_async.wire.codec import decode_message, encode_action
from iopio_async.wire.frames import FrameSplitter
from iopio_async.worker.__main__ import UNUSABLE

SOURCE = "def test_one():\n    pass\ndef test_two():\n    assert False, 'x' * 5000\n"


class Ran(NamedTuple):
    code: int
    certificate: Certificate
    messages: list[msg.AnyMessage]
    stderr: str


def work(folder: Path, action: bytes) -> Ran:
    """Run a worker over the bytes of an action."""
    file = folder / "action"
    file.write_bytes(action)
    lifeline, held = os.pipe()
    reading, writing = os.pipe()
    command = ["-P", "-m", "iopio_async.worker", str(file), str(writing), str(lifeline)]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TMPDIR": str(folder)}
    try:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env=environment,
            pass_fds=(writing, lifeline),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    finally:
        os.close(writing)
        os.close(lifeline)
    with open(reading, "rb") as stream:
        data = stream.read()
    _, stderr = process.communicate()
    os.close(held)
    certificate, messages = Certificate(), []
    for body in FrameSplitter().feed(data):
        messages.append(decode_message(body))
        certificate.accept(messages[-1], body)
    return Ran(process.returncode, certificate, messages, stderr.decode())


def action_for(folder: Path, **fields: Any) -> Action:
    folder.joinpath("test_it.py").write_text(SOURCE)
    defaults: dict[str, Any] = {
        "path": "test_it.py",
        "root": str(folder),
        "invocation_dir": str(folder),
        "private_dir": str(folder),
        "framework": Framework.FUNCTIONS,
        "import_root": str(folder),
    }
    return Action(**(defaults | fields))


@pytest.mark.parametrize("framework", list(Framework))
def test_a_stream_in_good_order(tmp_path: Path, framework: Framework) -> None:
    by_pytest = framework is Framework.PYTEST
    action = action_for(
        tmp_path, framework=framework, arguments=("test_it.py",) if by_pytest else ()
    )
    ran = work(tmp_path, encode_action(action))
    assert ran.code == 0, ran.stderr
    assert ran.certificate.complete
    hello = ran.messages[0]
    assert isinstance(hello, msg.Hello)
    assert hello.schema_version == SCHEMA_VERSION
    # What is no unittest test is none, whoever runs the module.
    tests = [] if framework is Framework.UNITTEST else [Outcome.PASSED, Outcome.FAILED]
    assert ran.certificate.outcomes == tests


def test_texts_are_cut_as_the_action_says(tmp_path: Path) -> None:
    action = action_for(tmp_path, limits=Limits(failure_chars=200, property_chars=100))
    ran = work(tmp_path, encode_action(action))
    (failure,) = [
        failure
        for message in ran.messages
        if isinstance(message, msg.Finished)
        for failure in message.failures
    ]
    assert len(failure.text) < 300
    assert len(failure.message) < 200
    assert "left out" in failure.text


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda body: b"", "not an action"),
        (lambda body: b"\xc1" * 20, "not an action"),
        (lambda body: body[:-3], "not an action"),
    ],
    ids=["empty", "garbage", "cut"],
)
def test_an_action_that_is_none(tmp_path: Path, spoil: Any, said: str) -> None:
    ran = work(tmp_path, spoil(encode_action(action_for(tmp_path))))
    assert ran.code == UNUSABLE
    assert ran.messages == []
    assert ran.stderr.startswith("iopio worker: ")
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_action_of_another_version(tmp_path: Path) -> None:
    action = msgspec.structs.replace(action_for(tmp_path), schema_version=SCHEMA_VERSION + 1)
    ran = work(tmp_path, encode_action(action))
    assert ran.code == UNUSABLE
    assert f"schema {SCHEMA_VERSION + 1}" in ran.stderr


@pytest.mark.parametrize(
    ("conftest", "code", "said"),
    [
        ("import sys\nsys.exit(0)\n", 0, "SystemExit: 0"),
        ("import sys\nsys.exit('why')\n", 1, "SystemExit: why"),
        ("raise KeyboardInterrupt\n", 1, "KeyboardInterrupt"),
    ],
)
def test_a_framework_that_breaks_down_is_told(
    tmp_path: Path, conftest: str, code: int, said: str
) -> None:
    tmp_path.joinpath("conftest.py").write_text(conftest)
    action = action_for(tmp_path, framework=Framework.PYTEST, arguments=("test_it.py",))
    ran = work(tmp_path, encode_action(action))
    assert ran.code == code
    (note,) = [message for message in ran.messages if isinstance(message, msg.Note)]
    assert said in note.failure.message
    assert not ran.certificate.complete
