"""The event stream: every envelope, one line each, readable again."""

import io
import os
import threading
from types import ModuleType

import msgspec
import pytest

from iopio_async.errors import InfrastructureError
from iopio_async.model import events as ev
from iopio_async.model.module import Framework
from iopio_async.model.stats import RunStats
from iopio_async.reporting.escape import encodable
from iopio_async.reporting.sink import Sink
from iopio_async.reporting.stream import StreamReporter, check_sink


def test_every_envelope_is_a_line_that_decodes_to_it(story: ModuleType) -> None:
    stream = io.StringIO()
    envelopes = story.tell()
    story.report(StreamReporter(stream), envelopes)
    decoder = msgspec.json.Decoder(ev.Envelope)
    lines = stream.getvalue().splitlines()
    assert len(lines) == len(envelopes)
    for line, envelope in zip(lines, envelopes, strict=True):
        if r"\\ud800" not in line:
            assert decoder.decode(line) == envelope
    # Those that hold what UTF-8 can't are there too, spelled out.
    spelled = [decoder.decode(line) for line in lines if r"\\ud800" in line]
    assert [type(envelope.event) for envelope in spelled] == [ev.TestFinished]


def test_the_first_line_is_the_start_of_the_run(story: ModuleType) -> None:
    stream = io.StringIO()
    story.report(StreamReporter(stream), story.tell())
    first = msgspec.json.decode(stream.getvalue().splitlines()[0])
    assert first["event"]["event"] == "run_started"


def test_a_file_name_that_is_not_utf8_is_spelled() -> None:
    stream = io.StringIO()
    reporter = StreamReporter(stream)
    event = ev.ModulePlanned(module="test_\udc80.py", framework=Framework.PYTEST)
    reporter.handle(ev.Envelope(0, 0.0, event), RunStats())
    assert msgspec.json.decode(stream.getvalue())["event"]["module"] == r"test_\udc80.py"


def test_a_reader_that_has_gone_is_no_error(story: ModuleType) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    told = threading.Event()
    with os.fdopen(writing, "w") as stream:
        reporter = StreamReporter(stream, on_broken=told.set)
        story.report(reporter, story.tell())
        assert reporter.sink.broken
        assert told.is_set()


def test_any_other_error_is_raised_at_the_end() -> None:
    sink = Sink(None)
    check_sink(sink)
    sink.fault = OSError(28, "No space left on device")
    with pytest.raises(InfrastructureError, match="could not write the output: no space left"):
        check_sink(sink)


def test_containers_are_cleaned_throughout() -> None:
    value = {"a\ud800": ["b\udfff", ("c", 1, None)]}
    assert encodable(value) == {r"a\ud800": [r"b\udfff", ["c", 1, None]]}
