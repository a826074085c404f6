"""The wire format under any chunking, any garbage and any mutation.

The promise behind it: a stream that is not byte for byte what a worker wrote never certifies more
than the worker said.
"""

import itertools
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from iopio_async.errors import ProtocolError
from iopio_async.model.action import SCHEMA_VERSION
from iopio_async.model.outcome import Failure, Outcome, Section, SubTest
from iopio_async.wire import messages as msg
from iopio_async.wire.certificate import Certificate
from iopio_async.wire.codec import decode_message, encode_message
from iopio_async.wire.frames import FrameSplitter, checksum, frame

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
durations = st.floats(0, 1e6, allow_nan=False)
outcomes = st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.NOT_RUN])
failures = st.builds(Failure, texts, texts, texts, texts, st.integers(0, 2**31))
subtests = st.builds(SubTest, texts, outcomes, st.none() | failures)


@st.composite
def finishes(draw: st.DrawFn, index: int) -> msg.Finished:
    return msg.Finished(
        index,
        draw(outcomes),
        draw(durations),
        draw(durations),
        draw(texts),
        tuple(draw(st.lists(failures, max_size=2))),
        tuple(draw(st.lists(st.builds(Section, texts, texts), max_size=2))),
        tuple(draw(st.lists(st.tuples(texts, texts), max_size=2))),
        tuple(draw(st.lists(subtests, max_size=2))),
        draw(st.integers(0, 5)),
        draw(st.integers(0, 10_000)),
    )


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """The bodies of an honest worker's frames, from its greeting to its end."""
    ids = draw(st.lists(texts, max_size=6))
    cut = draw(st.integers(0, len(ids)))
    messages: list[msg.AnyMessage] = [
        msg.Hello(SCHEMA_VERSION, draw(st.integers(1, 2**22)), {"python": "3.11"}),
        msg.Plan(tuple(ids[:cut])),
        msg.Plan(tuple(ids[cut:]), True, draw(st.integers(0, 9))),
    ]
    order = draw(st.permutations(range(len(ids))))
    for index in order[: draw(st.integers(0, len(ids)))] if draw(st.booleans()) else order:
        messages += [msg.Started(index), draw(finishes(index))]
        if draw(st.booleans()):
            messages.append(msg.Warned(draw(texts), "UserWarning", draw(texts), "", 3))
    bodies = [encode_message(message) for message in messages]
    finished = sum(isinstance(message, msg.Finished) for message in messages)
    end = msg.End(finished, checksum(b"".join(bodies)), draw(st.integers(0, 5)))
    return [*bodies, encode_message(end)]


def _chunks(stream: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[start:end] for start, end in itertools.pairwise(places)]


def _read(stream: bytes) -> tuple[Certificate, list[msg.AnyMessage]] | None:
    """What a stream says, or ``None`` where it is not believed."""
    splitter, certificate, messages = FrameSplitter(), Certificate(), []
    try:
        for body in splitter.feed(stream):
            message = decode_message(body)
            certificate.accept(message, body)
            messages.append(message)
    except ProtocolError:
        return None
    return None if splitter.pending_bytes else (certificate, messages)


@given(st.lists(st.binary(max_size=50)), st.lists(st.integers(0), max_size=20))
def test_any_chunking_gives_the_same_frames(bodies: list[bytes], cuts: list[int]) -> None:
    splitter = FrameSplitter()
    stream = b"".join(map(frame, bodies))
    got = [body for chunk in _chunks(stream, cuts) for body in splitter.feed(chunk)]
    assert got == bodies
    assert splitter.pending_bytes == 0


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_garbage_is_refused_or_kept_within_bounds(chunks: list[bytes]) -> None:
    splitter = FrameSplitter(max_bytes=64)
    for chunk in chunks:
        try:
            for body in splitter.feed(chunk):
                assert len(body) <= 64
        except ProtocolError:
            return
        assert splitter.pending_bytes < 4 + 64


@given(st.binary(max_size=100))
def test_garbage_is_no_message_or_one_that_can_be_said_again(body: bytes) -> None:
    try:
        message = decode_message(body)
    except ProtocolError:
        return
    assert decode_message(encode_message(message)) == message


@given(streams())
def test_an_honest_stream_is_believed(bodies: list[bytes]) -> None:
    read = _read(b"".join(map(frame, bodies)))
    assert read is not None
    certificate, messages = read
    assert certificate.end is not None
    assert certificate.complete is (not certificate.unfinished())
    assert [encode_message(message) for message in messages] == bodies


@given(streams(), st.data())
def test_a_cut_stream_is_never_complete(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(frame, bodies))
    read = _read(stream[: data.draw(st.integers(0, len(stream) - 1))])
    assert read is None or not read[0].complete


@given(streams(), st.data())
def test_changed_bytes_never_certify_anything_else(
    bodies: list[bytes], data: st.DataObject
) -> None:
    stream = bytearray(b"".join(map(frame, bodies)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(stream) - 1))
        stream[place] = data.draw(st.integers(0, 255))
    _never_says_more(bytes(stream), bodies)


@given(streams(), st.data())
def test_lost_doubled_and_swapped_frames_never_certify_anything_else(
    bodies: list[bytes], data: st.DataObject
) -> None:
    changed = list(bodies)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(changed) - 1))
        match data.draw(st.sampled_from(["lose", "double", "swap"])):
            case "lose" if len(changed) > 1:
                del changed[place]
            case "double":
                changed.insert(place, changed[place])
            case _:
                other = data.draw(st.integers(0, len(changed) - 1))
                changed[place], changed[other] = changed[other], changed[place]
    _never_says_more(b"".join(map(frame, changed)), bodies)


@given(streams(), st.binary(min_size=1, max_size=40), st.data())
def test_foreign_bytes_in_between_never_certify_anything_else(
    bodies: list[bytes], foreign: bytes, data: st.DataObject
) -> None:
    stream = b"".join(map(frame, bodies))
    place = data.draw(st.integers(0, len(stream)))
    _never_says_more(stream[:place] + foreign + stream[place:], bodies)


def _never_says_more(stream: bytes, bodies: list[bytes]) -> None:
    """A complete certificate holds what the worker said: the exit code alone may be another.

    It is in the last frame, which no checksum covers, and a wrong one makes nothing pass that the
    outcomes do not let pass.
    """
    read = _read(stream)
    if read is None or not read[0].complete:
        return
    *said, end = [decode_message(body) for body in bodies]
    *heard, heard_end = read[1]
    assert heard == said
    assert isinstance(end, msg.End)
    assert isinstance(heard_end, msg.End)
    assert (heard_end.finished, heard_end.digest) == (end.finished, end.digest)
