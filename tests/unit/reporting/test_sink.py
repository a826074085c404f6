"""The sink: nothing that happens to a stream holds up or breaks the run."""

import errno
import io
import os
import pty
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from iopio_async.reporting.sink import Sink


class Pipe:
    """A pipe whose writing end is a text stream."""

    def __init__(self) -> None:
        self.reading, writing = os.pipe()
        self.stream = os.fdopen(writing, "w", encoding="utf-8")

    def read_all(self) -> str:
        with os.fdopen(self.reading, "rb") as file:
            return file.read().decode()

    def hang_up(self) -> None:
        os.close(self.reading)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.stream.close()


def test_text_arrives_in_order(pipe: Pipe) -> None:
    sink = Sink(pipe.stream)
    for number in range(500):
        assert sink.write(f"{number}\n")
    assert sink.close()
    pipe.stream.close()
    assert pipe.read_all() == "".join(f"{number}\n" for number in range(500))


def test_what_python_has_buffered_comes_first(pipe: Pipe) -> None:
    pipe.stream.write("before\n")
    sink = Sink(pipe.stream)
    sink.write("after\n")
    sink.close()
    pipe.stream.close()
    assert pipe.read_all() == "before\nafter\n"


def test_a_blocked_reader_costs_text_but_no_time(pipe: Pipe) -> None:
    sink = Sink(pipe.stream, limit_bytes=300_000)
    line = "x" * 99 + "\n"
    accepted = sum(sink.write(line) for _ in range(10_000))
    assert accepted < 10_000
    # The pipe's own buffer comes on top of what is queued.
    assert sink.backlog_bytes <= 300_000
    assert sink.write("kept\n", keep=True)
    text: list[str] = []
    reader = threading.Thread(target=lambda: text.append(pipe.read_all()))
    reader.start()
    assert sink.close()
    pipe.stream.close()
    reader.join()
    # While the pipe's own buffer fills, there may be room again for a moment: then there are
    # several gaps, each with its own notice.
    gaps = re.findall(r"\n\[(\d+) bytes of output left out: nobody read them in time\]\n", text[0])
    assert sum(map(int, gaps)) == (10_000 - accepted) * 100
    assert text[0].count(line) == accepted
    assert text[0].endswith(" in time]\nkept\n")


def test_a_gap_at_the_end_is_told_too(pipe: Pipe) -> None:
    sink = Sink(pipe.stream, limit_bytes=10)
    block = "x" * 1_000_000
    assert sink.write(block)
    assert not sink.write("lost")
    text: list[str] = []
    reader = threading.Thread(target=lambda: text.append(pipe.read_all()))
    reader.start()
    sink.close()
    pipe.stream.close()
    reader.join()
    assert text[0] == f"{block}\n[4 bytes of output left out: nobody read them in time]\n"


def test_data_waits_for_its_reader(pipe: Pipe) -> None:
    sink = Sink(pipe.stream, limit_bytes=1000)
    lines = [b"%06d\n" % number * 100 for number in range(1000)]
    writer = threading.Thread(target=lambda: [sink.put(line) for line in lines])
    writer.start()
    text: list[str] = []
    reader = threading.Thread(target=lambda: text.append(pipe.read_all()))
    reader.start()
    writer.join()
    assert sink.close()
    pipe.stream.close()
    reader.join()
    assert text[0].encode() == b"".join(lines)


def test_a_reader_that_has_gone_ends_it_quietly(pipe: Pipe) -> None:
    told = threading.Event()
    sink = Sink(pipe.stream, on_broken=told.set)
    pipe.hang_up()
    sink.write("anything\n")
    assert told.wait(10)
    assert sink.broken
    assert sink.fault is None
    assert not sink.write("more\n")
    sink.put(b"data is discarded too, rather than waited for\n")
    assert sink.close()


def test_data_that_waits_is_released_when_the_reader_goes(pipe: Pipe) -> None:
    sink = Sink(pipe.stream, limit_bytes=1000)
    started = threading.Event()

    def write() -> None:
        for _ in range(100):
            sink.put(b"x" * 10_000)
            started.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert started.wait(10)
    pipe.hang_up()
    writer.join(10)
    assert not writer.is_alive()
    assert sink.broken


def test_no_stream_takes_everything() -> None:
    sink = Sink(None)
    assert not sink.write("text")
    sink.put(b"data")
    assert sink.close()
    assert not sink.broken


def test_a_closed_stream_is_no_stream() -> None:
    stream = io.StringIO()
    stream.close()
    sink = Sink(stream)
    assert not sink.write("text")
    assert sink.close()


def test_a_closed_descriptor_is_no_stream(pipe: Pipe) -> None:
    spare = os.dup(pipe.stream.fileno())
    os.close(pipe.stream.fileno())
    try:
        sink = Sink(pipe.stream)
        sink.write("text")
        assert sink.close()
        assert not sink.broken
        assert sink.fault is None
    finally:
        # The stream closes its descriptor once more at the end.
        os.dup2(spare, pipe.stream.fileno())
        os.close(spare)
        pipe.hang_up()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_kept_for_its_owner_to_tell() -> None:
    with open("/dev/full", "w", encoding="utf-8", buffering=1) as stream:
        sink = Sink(stream)
        sink.write("text")
        assert sink.close()
        assert sink.fault is not None
        assert sink.fault.errno == errno.ENOSPC


def test_a_buffer_in_memory_is_written_at_once() -> None:
    stream = io.StringIO()
    sink = Sink(stream)
    assert sink.write("text é\n")
    sink.put(b"data\n")
    assert stream.getvalue() == "text é\ndata\n"


def test_what_the_encoding_lacks_is_spelled() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Sink(stream).write("é \ud800\n")
    assert raw.getvalue() == b"\\xe9 \\ud800\n"


def test_a_terminal_that_takes_nothing_is_given_up() -> None:
    controlling, terminal = pty.openpty()
    with os.fdopen(terminal, "w", encoding="utf-8") as stream:
        sink = Sink(stream)
        assert sink.is_terminal
        sink.write("x" * 1_000_000)
        assert not sink.close(stall_s=0.05)
        # The thread is blocked in its write until the other side goes.
        os.close(controlling)


def test_a_non_blocking_descriptor_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.stream.fileno(), False)
    sink = Sink(pipe.stream)
    sink.write("x" * 1_000_000)
    text: list[str] = []
    reader = threading.Thread(target=lambda: text.append(pipe.read_all()))
    reader.start()
    assert sink.close()
    pipe.stream.close()
    reader.join()
    assert text == ["x" * 1_000_000]
