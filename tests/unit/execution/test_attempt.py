"""An attempt's stream is read to its end, and believed only as far as it makes sense."""

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from iopio_async.execution.attempt import AttemptSettings, ProcessAttempt
from iopio_async.execution.ports import Gone
from iopio_async.model.action import SCHEMA_VERSION
from iopio_async.wire import messages as msg
from iopio_async.wire.codec import encode_message
from iopio_async.wire.frames import MAX_FRAME_BYTES, PREFIX, frame

HELLO = frame(encode_message(msg.Hello(SCHEMA_VERSION, 1)))
PLAN = frame(encode_message(msg.Plan(("test_a.py::test_a",), last=True)))


def _start(source: str, data: bytes, result: int, stdout: int, stderr: int) -> int:
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", source, str(result), data.hex()],
        stdout=stdout,
        stderr=stderr,
        pass_fds=(result,),
        start_new_session=True,
    )
    # The attempt takes its status.
    process.returncode = 0
    return process.pid


def _no_strays(attempt: ProcessAttempt) -> list[int]:
    return []


def read(folder: Path, data: bytes, *, stays: bool = False) -> tuple[list[msg.AnyMessage], Gone]:
    """Have a process write ``data`` to its result pipe; what is made of it."""
    source = "import os, sys, time\nos.write(int(sys.argv[1]), bytes.fromhex(sys.argv[2]))\n"
    if stays:
        source += "time.sleep(600)\n"

    async def main() -> tuple[list[msg.AnyMessage], Gone]:
        attempt = ProcessAttempt(AttemptSettings(), str(folder), "cookie")
        result, stdout, stderr = attempt.open_pipes()
        attempt.began(_start(source, data, result, stdout, stderr), result, stdout, stderr)
        messages: list[msg.AnyMessage] = []
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(attempt.supervise, None, _no_strays)
                async for batch in attempt.messages():
                    messages += [message for message, _ in batch]
        attempt.close()
        return messages, attempt.gone

    return anyio.run(main)


def test_what_is_whole_is_told(tmp_path: Path) -> None:
    messages, gone = read(tmp_path, HELLO + PLAN)
    assert [type(message) for message in messages] == [msg.Hello, msg.Plan]
    assert gone.protocol_error == ""
    assert gone.exit_status.code == 0


@pytest.mark.parametrize("length", [1, 3, 4, 5, len(PLAN) - 1])
def test_a_cut_message_is_noticed(tmp_path: Path, length: int) -> None:
    messages, gone = read(tmp_path, HELLO + PLAN[:length])
    assert [type(message) for message in messages] == [msg.Hello]
    assert "cut in the middle" in gone.protocol_error


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (PREFIX.pack(MAX_FRAME_BYTES + 1), f"claims {MAX_FRAME_BYTES + 1} bytes"),
        (frame(b"\xc1 garbage"), "holds no message"),
        (frame(b""), "holds no message"),
    ],
    ids=["too long", "garbage", "empty"],
)
def test_what_no_worker_writes_ends_the_process(tmp_path: Path, data: bytes, said: str) -> None:
    messages, gone = read(tmp_path, HELLO + data, stays=True)
    assert [type(message) for message in messages] == [msg.Hello]
    assert said in gone.protocol_error
    assert gone.exit_status.signal == 9
