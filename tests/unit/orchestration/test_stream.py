"""The way of the envelopes: nothing is lost, nothing overtakes, and only who paces waits."""

from collections.abc import Awaitable, Callable

import anyio
import pytest
import trio
import trio.testing

from iopio_async.model import events as ev
from iopio_async.orchestration.stream import EventStream


def envelope(number: int) -> ev.Envelope:
    return ev.Envelope(number, 0.0, ev.WarningIssued(message=str(number), category="iopio"))


def batch(*numbers: int) -> list[ev.Envelope]:
    return [envelope(number) for number in numbers]


def play(script: Callable[[], Awaitable[None]]) -> None:
    """Run to the end, in no time."""
    trio.run(script, clock=trio.testing.MockClock(autojump_threshold=0))


def test_batches_come_in_order_and_then_nothing() -> None:
    async def script() -> None:
        stream = EventStream(64)
        stream.put(batch(0, 1))
        stream.put(batch(2))
        stream.close()

        assert await stream.receive() == batch(0, 1)
        assert await stream.receive() == batch(2)
        assert await stream.receive() == []
        assert await stream.receive() == []
        assert await stream.receive_one() is None

    play(script)


def test_one_by_one_and_in_batches_can_be_mixed() -> None:
    async def script() -> None:
        stream = EventStream(64)
        stream.put(batch(0, 1, 2))
        stream.put(batch(3, 4))

        assert await stream.receive_one() == envelope(0)
        assert await stream.receive() == batch(1, 2)
        assert await stream.receive_one() == envelope(3)
        assert await stream.receive_one() == envelope(4)

    play(script)


@pytest.mark.parametrize("closed", [False, True])
def test_who_receives_waits_for_news(closed: bool) -> None:
    async def script() -> None:
        stream = EventStream(64)

        async def put_later() -> None:
            await anyio.sleep(5)
            if closed:
                stream.close()
            else:
                stream.put(batch(0))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(put_later)
            began_s = anyio.current_time()
            assert await stream.receive() == ([] if closed else batch(0))
            assert anyio.current_time() - began_s == 5

    play(script)


def test_several_may_receive_and_each_batch_comes_once() -> None:
    async def script() -> None:
        stream = EventStream(64)
        heard: list[ev.Envelope] = []

        async def consume() -> None:
            while more := await stream.receive():
                heard.extend(more)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(consume)
            tasks.start_soon(consume)
            for number in range(10):
                stream.put(batch(number))
                await anyio.sleep(1)
            stream.close()
        assert heard == batch(*range(10))

    play(script)


def test_who_paces_waits_while_too_much_is_on_its_way() -> None:
    async def script() -> None:
        stream = EventStream(2)
        for number in range(4):
            stream.put(batch(number))
        waited_s: list[float] = []

        async def pace() -> None:
            await stream.pace()
            waited_s.append(anyio.current_time() - began_s)

        began_s = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pace)
            tasks.start_soon(pace)
            for _ in range(4):
                await anyio.sleep(1)
                await stream.receive()
        assert waited_s == [2, 2]

    play(script)


def test_what_was_put_is_there_even_if_its_teller_was_cancelled() -> None:
    async def script() -> None:
        stream = EventStream(0)
        with anyio.move_on_after(1):
            stream.put(batch(0))
            await stream.pace()
        stream.put(batch(1))

        assert [await stream.receive(), await stream.receive()] == [batch(0), batch(1)]

    play(script)


def test_a_consumer_that_is_cancelled_takes_nothing() -> None:
    async def script() -> None:
        stream = EventStream(0)
        stream.put(batch(0))
        with anyio.CancelScope() as scope:
            scope.cancel()
            await stream.receive()
            pytest.fail("it was cancelled")

        assert await stream.receive() == batch(0)

    play(script)
