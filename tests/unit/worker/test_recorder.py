import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from iopio_async.model.action import SCHEMA_VERSION, Limits
from iopio_async.model.outcome import Failure, Outcome, Section, SubTest
from iopio_async.wire import messages as msg
from iopio_async.wire.certificate import Certificate
from iopio_async.wire.codec import decode_message
from iopio_async.wire.frames import MAX_FRAME_BYTES, FrameSplitter
from iopio_async.worker.recorder import FLUSH_BYTES, PLAN_PIECE, Recorder, clean, cut


class Pipe:
    """A pipe whose reading end never blocks."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)

    def bytes(self) -> bytes:
        read = b""
        while True:
            try:
                chunk = os.read(self.reading, 1 << 20)
            except BlockingIOError:
                return read
            if not chunk:
                return read
            read += chunk

    def messages(self) -> list[msg.AnyMessage]:
        return [decode_message(body) for body in FrameSplitter().feed(self.bytes())]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    for descriptor in (pipe.reading, pipe.writing):
        try:
            os.close(descriptor)
        except OSError:
            continue


@pytest.fixture
def recorder(pipe: Pipe) -> Recorder:
    return Recorder(pipe.writing)


def test_a_stream_as_a_worker_writes_it_is_complete(pipe: Pipe, recorder: Recorder) -> None:
    recorder.hello({"python": "3.11"})
    recorder.plan(["a", "b"], deselected=2, foreign_collectors=True)
    for index, outcome in enumerate((Outcome.PASSED, Outcome.FAILED)):
        recorder.started(index)
        recorder.finished(index, outcome, 0.1234567, call_s=0.1)
    recorder.warned("old", "DeprecationWarning", test="a", path="/p", line=3)
    recorder.note(Failure("careful"))
    recorder.end(1)
    certificate = Certificate()
    for body in FrameSplitter().feed(pipe.bytes()):
        certificate.accept(decode_message(body), body)
    assert certificate.complete
    assert certificate.hello == msg.Hello(SCHEMA_VERSION, os.getpid(), {"python": "3.11"})
    assert certificate.outcomes == [Outcome.PASSED, Outcome.FAILED]
    assert (certificate.deselected, certificate.foreign_collectors) == (2, True)
    assert certificate.end is not None
    assert certificate.end.exit_code == 1


def test_all_fields_arrive(pipe: Pipe, recorder: Recorder) -> None:
    failure = Failure("message", "text", "setup", "/p/test_a.py", 3)
    recorder.finished(
        0,
        Outcome.FAILED,
        0.5,
        call_s=0.25,
        reason="because",
        failures=[failure],
        sections=[Section("title", "text")],
        properties=[("name", "value")],
        subtests=[SubTest("(i=1)", Outcome.FAILED, failure)],
        reruns=2,
        line=7,
    )
    recorder.flush()
    assert pipe.messages() == [
        msg.Finished(
            0,
            Outcome.FAILED,
            0.5,
            0.25,
            "because",
            (failure,),
            (Section("title", "text"),),
            (("name", "value"),),
            (SubTest("(i=1)", Outcome.FAILED, failure),),
            2,
            7,
        )
    ]


def test_a_start_goes_out_at_once_with_the_end_before_it(pipe: Pipe, recorder: Recorder) -> None:
    recorder.started(0)
    assert pipe.messages() == [msg.Started(0)]
    recorder.finished(0, Outcome.PASSED, 0.5)
    assert pipe.messages() == []
    recorder.started(1)
    assert pipe.messages() == [msg.Finished(0, Outcome.PASSED, 0.5), msg.Started(1)]


def test_much_is_not_held_back(pipe: Pipe, recorder: Recorder) -> None:
    section = Section("out", "x" * (FLUSH_BYTES + 1))
    recorder.finished(0, Outcome.PASSED, 0.5, sections=[section])
    assert len(pipe.messages()) == 1


def test_a_long_plan_goes_in_pieces(pipe: Pipe, recorder: Recorder) -> None:
    ids = [f"id {number}" for number in range(2 * PLAN_PIECE + 1)]
    recorder.plan(ids)
    plans: Any = pipe.messages()
    assert [len(plan.ids) for plan in plans] == [PLAN_PIECE, PLAN_PIECE, 1, 0]
    assert [plan.last for plan in plans] == [False, False, False, True]
    assert [one for plan in plans for one in plan.ids] == ids


def test_an_empty_plan_is_a_plan(pipe: Pipe, recorder: Recorder) -> None:
    recorder.plan([])
    assert pipe.messages() == [msg.Plan((), True)]


def test_texts_are_cut_to_their_limits(pipe: Pipe) -> None:
    recorder = Recorder(pipe.writing, Limits(failure_chars=100, section_chars=50, property_chars=9))
    long = "a" * 1000 + "z"
    failure = Failure(long, long)
    recorder.finished(
        0,
        Outcome.FAILED,
        0.5,
        reason=long,
        failures=[failure],
        sections=[Section(long, long)],
        properties=[(long, long)],
        subtests=[SubTest(long, Outcome.FAILED, failure)],
    )
    recorder.flush()
    (finished,) = pipe.messages()
    assert isinstance(finished, msg.Finished)
    assert finished.reason == "aaaa\n[... 993 characters left out ...]\naaaz"
    assert finished.failures[0].text.startswith("a" * 50 + "\n[... 901 characters")
    assert finished.sections[0].text.endswith("a" * 24 + "z")
    assert max(map(len, (finished.properties[0][1], finished.subtests[0].description))) < 100


def test_surrogates_and_controls_are_sent_as_text(pipe: Pipe, recorder: Recorder) -> None:
    nasty = "a\ud800\x00\x1b[31m\u202e\N{SNOWMAN}"
    recorder.plan([nasty])
    recorder.warned(nasty, "UserWarning", test=nasty, path=nasty)
    recorder.note(Failure(nasty, nasty, "call", nasty))
    recorder.flush()
    escaped = "a\\ud800\x00\x1b[31m\u202e\N{SNOWMAN}"
    plan, _, warned, note = pipe.messages()
    assert plan == msg.Plan((escaped,))
    assert warned == msg.Warned(escaped, "UserWarning", escaped, escaped)
    assert note == msg.Note(Failure(escaped, escaped, "call", escaped))


def _closed(pipe: Pipe, path: Path) -> None:
    os.close(pipe.writing)


def _replaced_by_a_file(pipe: Pipe, path: Path) -> None:
    with path.open("wb") as file:
        os.dup2(file.fileno(), pipe.writing)


def _reader_gone(pipe: Pipe, path: Path) -> None:
    os.close(pipe.reading)


@pytest.mark.parametrize("spoil", [_closed, _replaced_by_a_file, _reader_gone])
def test_a_lost_descriptor_ends_the_stream_and_harms_nothing(
    spoil: Callable[[Pipe, Path], None], pipe: Pipe, recorder: Recorder, tmp_path: Path
) -> None:
    path = tmp_path / "somebody_elses_file"
    path.touch()
    spoil(pipe, path)
    recorder.started(0)
    recorder.end(0)
    assert path.read_bytes() == b""


def test_a_stream_that_was_lost_stays_lost(pipe: Pipe, recorder: Recorder, tmp_path: Path) -> None:
    kept = os.dup(pipe.writing)
    try:
        _replaced_by_a_file(pipe, tmp_path / "file")
        recorder.started(0)
        os.dup2(kept, pipe.writing)
        recorder.started(1)
    finally:
        os.close(kept)
    assert pipe.messages() == []


def test_patched_functions_of_os_are_not_used(
    pipe: Pipe, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("patched")

    with monkeypatch.context() as patched:
        for name in ("write", "fstat", "getpid"):
            patched.setattr(os, name, broken)
        recorder.started(0)
    assert pipe.messages() == [msg.Started(0)]


def test_a_forked_child_writes_nothing(pipe: Pipe, recorder: Recorder) -> None:
    recorder.finished(0, Outcome.PASSED, 0.5)
    pid = os.fork()
    if pid == 0:
        recorder.started(1)
        recorder.end(0)
        os._exit(0 if not recorder.owned() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    recorder.started(2)
    assert pipe.messages() == [msg.Finished(0, Outcome.PASSED, 0.5), msg.Started(2)]


def test_short_writes_are_carried_on(pipe: Pipe, recorder: Recorder) -> None:
    write = recorder._write
    recorder._write = lambda descriptor, data: write(descriptor, data[:7])
    recorder.plan([f"a rather long id {number}" for number in range(20)])
    assert len(pipe.messages()) == 2


def test_the_largest_texts_of_one_failure_fit_into_a_frame() -> None:
    limits = Limits()
    failure = Failure(
        "\N{SNOWMAN}" * limits.property_chars, "\N{GRINNING FACE}" * limits.failure_chars
    )
    finished = msg.Finished(
        0,
        Outcome.FAILED,
        0.5,
        failures=(failure,) * 3,
        sections=(Section("out", "\N{GRINNING FACE}" * limits.section_chars),) * 6,
    )
    assert len(msgspec.msgpack.encode(finished)) < MAX_FRAME_BYTES


@pytest.mark.parametrize(
    ("text", "limit", "short"),
    [
        ("abc", 3, "abc"),
        ("abcdef", 4, "ab\n[... 2 characters left out ...]\nef"),
        ("abcdefg", 5, "ab\n[... 3 characters left out ...]\nfg"),
        ("\udcff", 3, "\\udcff"),
    ],
)
def test_cutting(text: str, limit: int, short: str) -> None:
    assert cut(text, limit) == short


def test_cleaning_leaves_other_text_alone() -> None:
    assert clean("plain") == "plain"
    assert clean("ü\N{SNOWMAN}") == "ü\N{SNOWMAN}"
