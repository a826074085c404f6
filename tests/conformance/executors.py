"""What the conformance suite runs executors on: scenarios, and one way to make each executor.

A scenario is a test module's source for executors of processes, and a script that behaves the same
for the fake one. A new executor joins the suite by a row in :data:`FACTORIES`.
"""

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from fakes.executor import FakeExecutor, Hang, Script, passes, plan

from iopio_async.execution.executor import ExecutorSettings
from iopio_async.execution.forkserver import ForkserverExecutor
from iopio_async.execution.ports import Attempt, Executor, Gone, Placement
from iopio_async.execution.subprocess import SpawnExecutor
from iopio_async.model.action import Action
from iopio_async.model.module import Framework
from iopio_async.model.outcome import Outcome
from iopio_async.wire import messages as msg

#: Another one in each test process: what is left is looked for on the whole machine.
RUN_ID = f"conformance-{os.getpid()}"

#: Where a test that hangs for good is given up.
GIVEN_UP_S = 60.0

#: The time limit of attempts that are to hit it.
LIMIT_S = 1.0

#: A grace period that is over soon, and one that never is.
SHORT_S, LONG_S = 0.3, 50.0

_HANGS = (*plan(["test_module.py::test_hangs"]), msg.Started(0), Hang())


@dataclass(frozen=True)
class Scenario:
    """A module, and how the fake plays it."""

    source: str
    script: Script = field(default_factory=Script)


GOOD = Scenario(
    "def test_one():\n    pass\ndef test_two():\n    assert False\n",
    Script(
        passes(
            {
                "test_module.py::test_one": Outcome.PASSED,
                "test_module.py::test_two": Outcome.FAILED,
            },
            test_s=0.0,
        )
    ),
)
#: The same, where it takes a moment to have a process.
SLOWLY_STARTED = replace(GOOD, script=replace(GOOD.script, spawn_s=0.01))
HANGS = Scenario(
    """
import os, threading
def test_hangs():
    try:
        open(os.environ["READY"], "w").close()
        threading.Event().wait()
    finally:
        open(os.environ["MARK"], "w").close()
""",
    Script(_HANGS),
)
#: Does not heed SIGINT and SIGTERM.
STUBBORN = Scenario(
    """
import os, signal, threading
def test_hangs():
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    open(os.environ["READY"], "w").close()
    threading.Event().wait()
""",
    Script(_HANGS, stop_s=SHORT_S),
)


@dataclass
class Bench:
    """One executor, and where its attempts run."""

    executor: Executor
    folder: Path
    framework: Framework
    of_processes: bool
    env: dict[str, str] = field(default_factory=dict)

    @property
    def mark(self) -> Path:
        """The file that a scenario may leave as a sign."""
        return self.folder / "mark"

    @property
    def _ready(self) -> Path:
        return self.folder / "ready"

    async def until_ready(self) -> None:
        """Wait until a hanging test says that it is where it hangs."""
        if self.of_processes:
            # The other end of a named pipe opens when the test opens its own.
            await anyio.to_thread.run_sync(lambda: open(self._ready).close())

    def release(self) -> None:
        """Let a test go on that waits for the named pipe in its turn."""
        with open(self._ready, "w"):
            pass

    def action(self, scenario: Scenario) -> Action:
        """Lay the scenario out; what an attempt at it executes."""
        path = self.folder / "test_module.py"
        path.write_text(scenario.source, encoding="utf-8")
        if not self._ready.exists():
            os.mkfifo(self._ready)
        by_pytest = self.framework is Framework.PYTEST
        return Action(
            path="test_module.py",
            root=str(self.folder),
            invocation_dir=str(self.folder),
            framework=self.framework,
            arguments=("-s", "-p", "no:cacheprovider", "test_module.py") if by_pytest else (),
            import_root="" if by_pytest else str(self.folder),
        )

    def placement(self, timeout_s: float | None = None, slot: int = 0) -> Placement:
        env = {"MARK": str(self.mark), "READY": str(self._ready), **self.env}
        return Placement(run_id=RUN_ID, slot=slot, attempt=1, timeout_s=timeout_s, env=env)

    def start(self, scenario: Scenario, timeout_s: float | None = None, slot: int = 0) -> Any:
        """Start an attempt; the executor's context manager."""
        return self.executor.start(self.action(scenario), self.placement(timeout_s, slot))


MakeBench = Callable[..., Bench]


def _process_bench(
    kind: type[SpawnExecutor],
    framework: Framework,
    folder: Path,
    scenario: Scenario,
    **settings: Any,
) -> Bench:
    environment = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("IOPIO", "PYTEST", "COV"))
    }
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    settings = {"grace_s": LONG_S, "environment": environment} | settings
    executor = kind(RUN_ID, ExecutorSettings(**settings))
    return Bench(executor, folder, framework, of_processes=True)


def spawn(folder: Path, scenario: Scenario, **settings: Any) -> Bench:
    return _process_bench(SpawnExecutor, Framework.FUNCTIONS, folder, scenario, **settings)


def forkserver(folder: Path, scenario: Scenario, **settings: Any) -> Bench:
    return _process_bench(ForkserverExecutor, Framework.PYTEST, folder, scenario, **settings)


def fake(folder: Path, scenario: Scenario, **settings: Any) -> Bench:
    executor = FakeExecutor(lambda action, placement: scenario.script)
    return Bench(executor, folder, Framework.FUNCTIONS, of_processes=False)


PROCESS_FACTORIES: Mapping[str, MakeBench] = {"spawn": spawn, "forkserver": forkserver}
FACTORIES: Mapping[str, MakeBench] = {"fake": fake, **PROCESS_FACTORIES}


async def exhaust(attempt: Attempt) -> tuple[list[msg.AnyMessage], Gone]:
    """Hear an attempt to its end: all messages, and how it ended."""
    with anyio.fail_after(GIVEN_UP_S):
        messages = [message async for batch in attempt.messages() for message, _ in batch]
    return messages, attempt.gone


async def exhaust_acting(
    bench: Bench, attempt: Attempt, act: Callable[[], None]
) -> tuple[list[msg.AnyMessage], Gone]:
    """The same, with ``act`` done as soon as the first test hangs."""
    messages: list[msg.AnyMessage] = []
    with anyio.fail_after(GIVEN_UP_S):
        async for batch in attempt.messages():
            for message, _ in batch:
                messages.append(message)
                if isinstance(message, msg.Started):
                    await bench.until_ready()
                    act()
    return messages, attempt.gone


def processes_of_run(run_id: str = RUN_ID) -> list[int]:
    """All processes that carry the run's id in their environment."""
    cookie = f"IOPIO_RUN_ID={run_id}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            environ = Path(f"/proc/{entry}/environ").read_bytes()
        except OSError:
            continue
        if cookie in environ.split(b"\0"):
            found.append(int(entry))
    return found


def descriptors() -> dict[str, str]:
    """This process's open descriptors, and what they are."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
    return found


@contextmanager
def nothing_left(temporary: Path) -> Iterator[None]:
    """Nothing is left of what happens inside: no process, no descriptor, no temporary file.

    Call it outside of the event loop, which has descriptors of its own.
    """
    before = descriptors()
    yield
    assert processes_of_run() == []
    assert list(temporary.glob("iopio-*")) == []
    # Another library's thread may still hold one open: what was there before is no leak.
    assert descriptors().keys() - before.keys() <= set()


class CancelledAt:
    """Awaits a coroutine, and cancels ``scope`` at its ``turn``-th wait for the event loop."""

    def __init__(self, coroutine: Any, scope: anyio.CancelScope, turn: int) -> None:
        self._coroutine = coroutine
        self._scope = scope
        self._turn = turn
        self.turns = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._coroutine.__await__()
        step, value = inner.send, None
        while True:
            try:
                wanted = step(value)
            except StopIteration as end:
                return end.value
            if self.turns == self._turn:
                self._scope.cancel()
            self.turns += 1
            try:
                step, value = inner.send, (yield wanted)
            except BaseException as error:
                step, value = inner.throw, error
