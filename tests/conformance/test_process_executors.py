"""What is asked of executors whose attempts are processes."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from conformance.executors import (
    GIVEN_UP_S,
    GOOD,
    HANGS,
    LIMIT_S,
    PROCESS_FACTORIES,
    STUBBORN,
    CancelledAt,
    MakeBench,
    Scenario,
    exhaust,
    exhaust_acting,
)

from iopio_async.errors import InfrastructureError
from iopio_async.execution.executor import LAUNCH_DELAYS_S
from iopio_async.model.outcome import Outcome
from iopio_async.wire import messages as msg

pytestmark = [
    pytest.mark.usefixtures("leaves_nothing"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc"),
]


@pytest.fixture(params=PROCESS_FACTORIES)
def make_bench(request: pytest.FixtureRequest) -> MakeBench:
    return PROCESS_FACTORIES[request.param]


def finished(messages: list[msg.AnyMessage]) -> list[msg.Finished]:
    return [message for message in messages if isinstance(message, msg.Finished)]


def run(make_bench: MakeBench, folder: Path, source: str, **settings: Any) -> Any:
    """Run one attempt at a module to its end: its messages, and how it ended."""

    async def main() -> Any:
        scenario = Scenario(source)
        bench = make_bench(folder, scenario, **settings)
        async with bench.executor, bench.start(scenario, slot=3) as attempt:
            return await exhaust(attempt)

    return anyio.run(main)


def test_process_has_its_own_session_directory_and_slot(
    make_bench: MakeBench, tmp_path: Path
) -> None:
    messages, gone = run(
        make_bench,
        tmp_path,
        """
import os, tempfile
def test_process():
    assert os.getsid(0) == os.getpgid(0) == os.getpid()
    assert os.environ["IOPIO_SLOT"] == "3"
    assert os.environ["IOPIO_RUN_ID"].startswith("conformance-")
    assert tempfile.gettempdir() == os.environ["TMPDIR"]
    assert os.stat(tempfile.gettempdir()).st_mode & 0o777 == 0o700
    assert os.getcwd() == os.path.dirname(os.path.realpath(__file__))
""",
    )
    (test,) = finished(messages)
    assert test.outcome is Outcome.PASSED, test.failures
    assert gone.cpu_s > 0
    assert gone.peak_rss_bytes > 1024 * 1024


def test_output_is_kept(make_bench: MakeBench, tmp_path: Path) -> None:
    _, gone = run(
        make_bench,
        tmp_path,
        """
import os
def test_prints():
    os.write(1, b"to stdout\\n")
    os.write(2, b"to stderr\\xff\\n")
""",
    )
    assert gone.stdout.text.startswith("to stdout\n")
    assert gone.stderr.text == "to stderr\\xff\n"


def test_much_output_is_cut_and_counted(make_bench: MakeBench, tmp_path: Path) -> None:
    _, gone = run(
        make_bench,
        tmp_path,
        """
import os
def test_prints():
    for _ in range(100):
        os.write(1, b"x" * 100_000)
""",
        output_bytes=1000,
    )
    assert gone.stdout.total_bytes >= 10_000_000
    assert gone.stdout.kept_bytes == 1000
    assert gone.exit_status.ok


@pytest.mark.parametrize(
    ("deed", "code", "number"),
    [("os._exit(7)", 7, None), ("os.kill(os.getpid(), 9)", None, 9), ("os.abort()", None, 6)],
)
def test_how_it_ended(
    make_bench: MakeBench, tmp_path: Path, deed: str, code: int | None, number: int | None
) -> None:
    messages, gone = run(make_bench, tmp_path, f"import os\ndef test_ends():\n    {deed}\n")
    assert isinstance(messages[-1], msg.Started)
    assert (gone.exit_status.code, gone.exit_status.signal) == (code, number)
    assert not gone.stopped
    assert not gone.timed_out


def test_all_stacks_are_told_when_time_is_up(make_bench: MakeBench, tmp_path: Path) -> None:
    source = """
import threading
def stands_beside():
    threading.Event().wait()
def test_hangs():
    threading.Thread(target=stands_beside, daemon=True).start()
    threading.Event().wait()
"""

    async def main() -> Any:
        scenario = Scenario(source)
        bench = make_bench(tmp_path, scenario)
        async with bench.executor, bench.start(scenario, timeout_s=LIMIT_S) as attempt:
            return await exhaust(attempt)

    _, gone = anyio.run(main)
    assert gone.timed_out
    assert "in test_hangs" in gone.stacks
    assert "in stands_beside" in gone.stacks


def test_stopping_lets_fixtures_be_torn_down(make_bench: MakeBench, tmp_path: Path) -> None:
    async def main() -> None:
        bench = make_bench(tmp_path, HANGS)
        async with bench.executor, bench.start(HANGS) as attempt:
            await exhaust_acting(bench, attempt, attempt.stop)
            assert bench.mark.exists()

    anyio.run(main)


def test_a_child_that_holds_the_output_is_a_leak(make_bench: MakeBench, tmp_path: Path) -> None:
    messages, gone = run(
        make_bench,
        tmp_path,
        """
import subprocess, sys
def test_leaves_one():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
""",
    )
    assert isinstance(messages[-1], msg.End)
    assert gone.exit_status.ok
    assert gone.leaked


def test_a_child_in_a_session_of_its_own_is_found(make_bench: MakeBench, tmp_path: Path) -> None:
    _, gone = run(
        make_bench,
        tmp_path,
        """
import subprocess, sys
def test_leaves_one():
    subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
""",
    )
    assert gone.exit_status.ok
    (leaked,) = gone.leaked
    assert "time.sleep(600)" in leaked


def test_a_child_that_ends_by_itself_is_no_leak(make_bench: MakeBench, tmp_path: Path) -> None:
    _, gone = run(
        make_bench,
        tmp_path,
        """
import subprocess, sys
def test_waits_for_it():
    subprocess.run([sys.executable, "-c", "print('done')"], check=True)
""",
    )
    assert gone.leaked == ()
    assert "done" in gone.stdout.text


def test_suspended_time_does_not_count(make_bench: MakeBench, tmp_path: Path) -> None:
    source = """
import os
def test_waits():
    open(os.environ["READY"], "w").close()
    open(os.environ["READY"]).close()
"""

    def state(pid: int) -> str:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]

    async def main() -> None:
        scenario = Scenario(source)
        bench = make_bench(tmp_path, scenario)
        messages: list[msg.AnyMessage] = []
        with anyio.fail_after(GIVEN_UP_S):
            async with bench.executor, bench.start(scenario, timeout_s=LIMIT_S) as attempt:
                async for batch in attempt.messages():
                    messages += [message for message, _ in batch]
                    if isinstance(messages[-1], msg.Started):
                        await bench.until_ready()
                        bench.executor.suspend()
                        while state(attempt.pid) != "T":
                            await anyio.lowlevel.checkpoint()
                        # Another one, with the same limit, comes to its end meanwhile.
                        async with bench.start(HANGS, timeout_s=LIMIT_S) as other:
                            await bench.until_ready()
                            assert (await exhaust(other))[1].timed_out
                        assert state(attempt.pid) == "T"
                        bench.executor.resume()
                        await anyio.to_thread.run_sync(bench.release)
                gone = attempt.gone
        assert not gone.timed_out
        assert isinstance(messages[-1], msg.End)
        (test,) = finished(messages)
        assert test.outcome is Outcome.PASSED

    anyio.run(main)


def test_a_process_that_stops_itself_is_timed_out(make_bench: MakeBench, tmp_path: Path) -> None:
    async def main() -> Any:
        scenario = Scenario("import os, signal\ndef test_x():\n    os.kill(0, signal.SIGSTOP)\n")
        bench = make_bench(tmp_path, scenario, grace_s=0.2)
        async with bench.executor, bench.start(scenario, timeout_s=LIMIT_S) as attempt:
            return await exhaust(attempt)

    _, gone = anyio.run(main)
    assert gone.timed_out


def test_an_interpreter_that_is_not_there(make_bench: MakeBench, tmp_path: Path) -> None:
    async def main() -> None:
        bench = make_bench(tmp_path, GOOD, interpreter=(str(tmp_path / "no-python"),))
        async with bench.executor:
            with pytest.raises(InfrastructureError, match="no process could be started for test_m"):
                async with bench.start(GOOD):
                    pass

    anyio.run(main)


def test_an_interpreter_that_is_none(make_bench: MakeBench, tmp_path: Path) -> None:
    async def main() -> Any:
        bench = make_bench(tmp_path, GOOD, interpreter=("/bin/false",))
        async with bench.executor, bench.start(GOOD) as attempt:
            return await exhaust(attempt)

    messages, gone = anyio.run(main)
    assert messages == []
    assert gone.exit_status.code == 1


class Refusing:
    """Stands in for ``start_worker`` until the system lets it have its way."""

    def __init__(self, executor: Any, error: int, times: int) -> None:
        self._real = executor.start_worker
        self._error = error
        self.refusals = times

    def __call__(self, *args: Any, **options: Any) -> int:
        if self.refusals:
            self.refusals -= 1
            raise OSError(self._error, os.strerror(self._error))
        return int(self._real(*args, **options))


def test_a_shortage_that_passes_is_waited_for(make_bench: MakeBench, tmp_path: Path) -> None:
    async def main() -> None:
        bench = make_bench(tmp_path, GOOD)
        bench.executor.start_worker = Refusing(bench.executor, 11, 2)  # type: ignore[attr-defined]
        async with bench.executor, bench.start(GOOD) as attempt:
            _, gone = await exhaust(attempt)
        assert gone.exit_status.ok

    anyio.run(main)


@pytest.mark.slow
def test_a_shortage_that_stays_is_an_error(make_bench: MakeBench, tmp_path: Path) -> None:
    async def main() -> None:
        bench = make_bench(tmp_path, GOOD)
        refusing = Refusing(bench.executor, 12, 1000)
        bench.executor.start_worker = refusing  # type: ignore[attr-defined]
        async with bench.executor:
            with pytest.raises(InfrastructureError) as caught:
                async with bench.start(GOOD):
                    pass
            assert "limits" in caught.value.hint
        assert refusing.refusals == 1000 - len(LAUNCH_DELAYS_S) - 1

    anyio.run(main)


def cancel_at(make_bench: MakeBench, folder: Path, scenario: Scenario, turn: int) -> bool:
    """Cancel a run at its ``turn``-th wait; True if it came that far."""

    async def scene() -> None:
        bench = make_bench(folder, scenario, grace_s=0.2)
        async with bench.executor, bench.start(scenario) as attempt:
            await exhaust(attempt)

    async def main() -> bool:
        with anyio.CancelScope() as scope:
            awaited = CancelledAt(scene(), scope, turn)
            await awaited
        return awaited.turns > turn

    return anyio.run(main)


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_cancelling_at_an_early_wait_ends_everything(
    make_bench: MakeBench, tmp_path: Path, turn: int
) -> None:
    assert cancel_at(make_bench, tmp_path, GOOD, turn)


@pytest.mark.slow
def test_cancelling_at_any_wait_ends_everything(make_bench: MakeBench, tmp_path: Path) -> None:
    turn = 0
    while cancel_at(make_bench, tmp_path, GOOD, turn):
        turn += 1
    # How often it waits depends on the pieces that the stream arrives in.
    assert turn > 3


def test_a_killed_attempt_takes_its_group_along(make_bench: MakeBench, tmp_path: Path) -> None:
    source = STUBBORN.source.replace(
        "def test_hangs():\n",
        "import subprocess, sys\ndef test_hangs():\n"
        '    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])\n',
    )

    async def main() -> None:
        scenario = Scenario(source)
        bench = make_bench(tmp_path, scenario)
        async with bench.executor, bench.start(scenario) as attempt:
            _, gone = await exhaust_acting(bench, attempt, attempt.kill)
        assert gone.exit_status.signal == signal.SIGKILL

    anyio.run(main)
