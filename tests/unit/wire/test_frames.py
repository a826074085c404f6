import pytest

from iopio_async.errors import ProtocolError
from iopio_async.wire.frames import MAX_FRAME_BYTES, FrameSplitter, checksum, frame

BODIES = [b"", b"a", b"bc" * 100, b"\x00\x00\x00\x01"]


def test_a_frame_is_its_length_and_its_body() -> None:
    assert frame(b"abc") == b"\x00\x00\x00\x03abc"
    assert frame(b"") == b"\x00\x00\x00\x00"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_chunks_of_any_size_give_the_same_bodies(size: int) -> None:
    stream = b"".join(map(frame, BODIES))
    splitter = FrameSplitter()
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert [body for chunk in chunks for body in splitter.feed(chunk)] == BODIES
    assert splitter.pending_bytes == 0


def test_a_cut_stream_leaves_pending_bytes() -> None:
    splitter = FrameSplitter()
    assert list(splitter.feed(frame(b"whole") + frame(b"cut off")[:-3])) == [b"whole"]
    assert splitter.pending_bytes == 8


def test_a_length_beyond_the_bound_is_refused_at_its_header() -> None:
    splitter = FrameSplitter()
    with pytest.raises(ProtocolError, match=f"4294967295 bytes, the bound is {MAX_FRAME_BYTES}"):
        list(splitter.feed(b"\xff\xff\xff\xff"))


def test_what_came_before_a_refused_length_is_still_given() -> None:
    feed = FrameSplitter(max_bytes=4).feed(frame(b"good") + frame(b"wrong"))
    assert next(feed) == b"good"
    with pytest.raises(ProtocolError):
        next(feed)


def test_a_frame_of_exactly_the_bound_is_taken() -> None:
    assert list(FrameSplitter(max_bytes=4).feed(frame(b"good"))) == [b"good"]


def test_a_consumer_may_stop_in_the_middle_of_a_chunk() -> None:
    splitter = FrameSplitter()
    feed = splitter.feed(frame(b"a") + frame(b"b"))
    assert next(feed) == b"a"
    feed.close()  # type: ignore[attr-defined]
    assert list(splitter.feed(frame(b"c"))) == [b"b", b"c"]


def test_the_checksum_runs_on() -> None:
    assert checksum(b"b", checksum(b"a")) == checksum(b"ab") != checksum(b"ba")
