"""Head, tail and true size of a stream, whatever the pieces it comes in."""

from hypothesis import given
from hypothesis import strategies as st

from iopio_async.execution.output import OutputKeeper


@given(
    chunks=st.lists(st.binary(max_size=60), max_size=30),
    limit=st.integers(min_value=2, max_value=100),
)
def test_keeps_head_and_tail_and_counts_all(chunks: list[bytes], limit: int) -> None:
    keeper = OutputKeeper(limit)
    for chunk in chunks:
        keeper.feed(chunk)
    whole = b"".join(chunks)
    captured = keeper.captured()
    assert captured.total_bytes == len(whole)
    assert captured.kept_bytes == min(len(whole), limit)
    if len(whole) <= limit:
        assert captured.text == whole.decode("utf-8", "backslashreplace")
        assert captured.tail == ""
    else:
        head, tail = whole[: limit // 2], whole[-(limit - limit // 2) :]
        assert captured.head == head.decode("utf-8", "backslashreplace")
        assert captured.tail == tail.decode("utf-8", "backslashreplace")
        assert f"{len(whole) - limit} of {len(whole)} bytes" in captured.text


def test_memory_is_bounded_by_the_limit() -> None:
    keeper = OutputKeeper(1000)
    for _ in range(10_000):
        keeper.feed(b"x" * 700)
    assert len(keeper._head) + len(keeper._tail) <= 3000
    assert keeper.total_bytes == 7_000_000


def test_nothing() -> None:
    captured = OutputKeeper(10).captured()
    assert (captured.text, captured.total_bytes) == ("", 0)
