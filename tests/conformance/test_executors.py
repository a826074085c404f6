"""What the orchestration relies on, of every executor."""

from pathlib import Path

import anyio
import pytest
from conformance.executors import (
    FACTORIES,
    GOOD,
    HANGS,
    LIMIT_S,
    SHORT_S,
    SLOWLY_STARTED,
    STUBBORN,
    MakeBench,
    exhaust,
    exhaust_acting,
)

from iopio_async.errors import InfrastructureError, ProtocolError
from iopio_async.model.action import SCHEMA_VERSION
from iopio_async.model.outcome import Outcome
from iopio_async.wire import messages as msg
from iopio_async.wire.certificate import Certificate
from iopio_async.wire.codec import decode_message

pytestmark = pytest.mark.usefixtures("leaves_nothing")


@pytest.fixture(params=FACTORIES)
def make_bench(request: pytest.FixtureRequest) -> MakeBench:
    return FACTORIES[request.param]


def test_an_attempt_in_good_order(make_bench: MakeBench, tmp_path: Path) -> None:
    async def main() -> None:
        bench = make_bench(tmp_path, GOOD)
        certificate = Certificate()
        async with bench.executor, bench.start(GOOD) as attempt:
            assert attempt.pid > 0
            async for batch in attempt.messages():
                assert batch
                for message, body in batch:
                    assert decode_message(body) == message
                    certificate.accept(message, body)
            gone = attempt.gone
        assert certificate.hello is not None
        assert certificate.hello.schema_version == SCHEMA_VERSION
        assert certificate.complete
        assert certificate.ids == ["test_module.py::test_one", "test_module.py::test_two"]
        assert certificate.outcomes == [Outcome.PASSED, Outcome.FAILED]
        assert gone.exit_status.code == 0
        assert not gone.timed_out
        assert not gone.stopped
        assert not gone.lingered
        assert gone.leaked == ()
        assert gone.protocol_error == ""
        assert gone.duration_s >= 0

    anyio.run(main)


def test_how_it_ended_is_not_told_before_its_end(make_bench: MakeBench, tmp_path: Path) -> None:
    async def main() -> None:
        bench = make_bench(tmp_path, GOOD)
        async with bench.executor, bench.start(GOOD) as attempt:
            with pytest.raises(AssertionError, match="end"):
                assert attempt.gone
            await exhaust(attempt)
            assert attempt.gone.exit_status.ok

    anyio.run(main)


def test_attempts_one_after_another_and_at_once(make_bench: MakeBench, tmp_path: Path) -> None:
    async def main() -> None:
        bench = make_bench(tmp_path, GOOD)
        ends: list[bool] = []

        async def run_one(slot: int) -> None:
            async with bench.start(GOOD, slot=slot) as attempt:
                messages, gone = await exhaust(attempt)
            ends.append(isinstance(messages[-1], msg.End) and gone.exit_status.ok)

        async with bench.executor:
            await run_one(0)
            async with anyio.create_task_group() as tasks:
                for slot in range(3):
                    tasks.start_soon(run_one, slot)
        assert ends == [True] * 4

    anyio.run(main)


def test_stop_ends_it(make_bench: MakeBench, tmp_path: Path) -> None:
    async def main() -> None:
        bench = make_bench(tmp_path, HANGS)
        async with bench.executor, bench.start(HANGS) as attempt:
            messages, gone = await exhaust_acting(bench, attempt, attempt.stop)
        assert gone.stopped
        assert not gone.timed_out
        assert not any(isinstance(message, msg.Finished) for message in messages)
        # Whoever can tear down does: that is what the grace period is for.
        assert bench.mark.exists() == bench.of_processes

    anyio.run(main)


def test_stop_kills_once_the_grace_is_over(make_bench: MakeBench, tmp_path: Path) -> None:
    async def main() -> None:
        bench = make_bench(tmp_path, STUBBORN, grace_s=SHORT_S)
        async with bench.executor, bench.start(STUBBORN) as attempt:
            _, gone = await exhaust_acting(bench, attempt, attempt.stop)
        assert gone.stopped
        assert gone.exit_status.signal is not None
        assert gone.duration_s >= SHORT_S

    anyio.run(main)


def test_kill_ends_it_at_once(make_bench: MakeBench, tmp_path: Path) -> None:
    async def main() -> None:
        bench = make_bench(tmp_path, STUBBORN)
        async with bench.executor, bench.start(STUBBORN) as attempt:
            _, gone = await exhaust_acting(bench, attempt, attempt.kill)
        assert gone.exit_status.signal == 9
        assert not gone.timed_out

    anyio.run(main)


def test_killing_and_stopping_what_has_ended_is_allowed(
    make_bench: MakeBench, tmp_path: Path
) -> None:
    async def main() -> None:
        bench = make_bench(tmp_path, GOOD)
        async with bench.executor, bench.start(GOOD) as attempt:
            _, gone = await exhaust(attempt)
            attempt.kill()
            attempt.stop()
        assert gone.exit_status.code == 0

    anyio.run(main)


def test_its_time_is_limited(make_bench: MakeBench, tmp_path: Path) -> None:
    async def main() -> None:
        bench = make_bench(tmp_path, HANGS)
        async with bench.executor, bench.start(HANGS, timeout_s=LIMIT_S) as attempt:
            messages, gone = await exhaust(attempt)
        assert gone.timed_out
        assert not gone.stopped
        assert gone.duration_s >= LIMIT_S
        assert isinstance(messages[-1], msg.Started)

    anyio.run(main)


def test_distrust_ends_it_and_is_remembered(make_bench: MakeBench, tmp_path: Path) -> None:
    async def main() -> None:
        bench = make_bench(tmp_path, STUBBORN)
        async with bench.executor, bench.start(STUBBORN) as attempt:
            _, gone = await exhaust_acting(
                bench, attempt, lambda: attempt.distrust(ProtocolError("what nobody says"))
            )
        assert gone.protocol_error == "what nobody says"

    anyio.run(main)


def test_leaving_the_context_ends_it(make_bench: MakeBench, tmp_path: Path) -> None:
    async def main() -> None:
        bench = make_bench(tmp_path, STUBBORN)
        async with bench.executor:
            with anyio.fail_after(30):
                async with bench.start(STUBBORN) as attempt:
                    async for batch in attempt.messages():
                        if any(isinstance(message, msg.Started) for message, _ in batch):
                            await bench.until_ready()
                            break

    anyio.run(main)


def test_an_error_inside_the_context_ends_it(make_bench: MakeBench, tmp_path: Path) -> None:
    async def main() -> None:
        bench = make_bench(tmp_path, STUBBORN)
        async with bench.executor, bench.start(STUBBORN):
            raise LookupError("inside")

    with pytest.raises((LookupError, BaseExceptionGroup)) as caught:
        anyio.run(main)
    error: BaseException | None = caught.value
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, LookupError)


def test_cancelling_ends_it(make_bench: MakeBench, tmp_path: Path) -> None:
    async def main() -> None:
        bench = make_bench(tmp_path, STUBBORN)
        with anyio.CancelScope() as scope:
            async with bench.executor, bench.start(STUBBORN) as attempt:
                await exhaust_acting(bench, attempt, scope.cancel)
        assert scope.cancelled_caught

    anyio.run(main)


def test_once_halted_it_starts_nothing(make_bench: MakeBench, tmp_path: Path) -> None:
    async def main() -> None:
        bench = make_bench(tmp_path, SLOWLY_STARTED)
        async with bench.executor:
            bench.executor.halt()
            with pytest.raises(InfrastructureError, match="nothing is started"):
                async with bench.start(SLOWLY_STARTED):
                    pass

    anyio.run(main)
