"""The entry point for other programs, with real processes: nothing is left, nothing is hidden."""

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import msgspec
import pytest
from fakes.grammar import check

import iopio_async
from iopio_async import Config, InfrastructureError, RunStats, UsageError, open_run, run_tests
from iopio_async.history import last_failed
from iopio_async.model import events as ev
from iopio_async.model.config import StartMethod
from iopio_async.model.outcome import CancelReason, ModuleStatus, Outcome
from iopio_async.orchestration import embedding
from iopio_async.orchestration.embedding import Run, load_config

pytestmark = pytest.mark.anyio

#: No case takes nearly as long; one that hangs is ended.
PATIENCE_S = 60

GOOD = "def test_good(): pass\n"
BAD = "def test_good(): pass\ndef test_bad(): assert 0\n"
#: Hangs, and has started a process that has left its group and hangs as well.
HANGING = """\
import subprocess, time

def test_good():
    subprocess.Popen(["sleep", "600"], start_new_session=True)

def test_endless():
    time.sleep(600)
"""

#: Collects an item from each YAML file.
COLLECTING = """\
import pytest

class Item(pytest.Item):
    def runtest(self): pass

class File(pytest.File):
    def collect(self): yield Item.from_parent(self, name="item")

def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".yaml":
        return File.from_parent(parent, path=file_path)
"""

Make = Callable[..., Config]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a project of test modules, and the configuration of a run of it."""

    def project(folder: str = "project", workers: int = 2, **modules: str) -> Config:
        root = tmp_path / folder
        root.mkdir()
        (root / "pytest.ini").write_text("[pytest]\n")
        for name, source in modules.items():
            (root / f"test_{name}.py").write_text(source)
        return load_config(root, workers=workers, grace_s=5.0)

    return project


def processes(run: Run) -> list[str]:
    """Processes that carry the run's cookie."""
    cookie = f"IOPIO_RUN_ID={run.run_id}".encode()
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if cookie in entries:
            found.append(command.decode())
    return found


def hangs(envelope: ev.Envelope) -> bool:
    """The endless test has been started."""
    return isinstance(envelope.event, ev.TestStarted) and envelope.event.id.endswith("endless")


async def until_it_hangs(run: Run) -> None:
    """Consume envelopes until the endless test has been started."""
    async for envelope in run:
        if hangs(envelope):
            return
    pytest.fail("the hanging test was not started")


def write(config: Config, name: str, text: str) -> None:
    path = Path(config.root, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def journal(config: Config) -> list[ev.Envelope]:
    [file] = (Path(config.root) / ".test_cache/v1/runs").glob("*.jsonl")
    return [msgspec.json.decode(line, type=ev.Envelope) for line in file.read_bytes().splitlines()]


def outcomes(stats: RunStats) -> dict[str, Outcome]:
    return {
        test.id: test.outcome for module in stats.modules.values() for test in module.tests.values()
    }


def check_cut_off(run: Run, config: Config) -> None:
    """The books of a run that was cut off are closed, and nothing of it is left."""
    assert processes(run) == []
    assert run.stats.exit_code == 1
    assert run.stats.cancelled is CancelReason.EMBEDDER
    assert {module.status for module in run.stats.modules.values()} <= set(ModuleStatus)
    assert isinstance(journal(config)[-1].event, ev.RunFinished)


# -- to the end --------------------------------------------------------------------------------


async def test_a_run_is_told_to_its_end(make: Make) -> None:
    config = make(good=GOOD, bad=BAD)
    with anyio.fail_after(PATIENCE_S):
        async with open_run(config) as run:
            told = [envelope async for envelope in run]

    assert check(told) == run.stats
    assert outcomes(run.stats) == {
        "test_bad.py::test_bad": Outcome.FAILED,
        "test_bad.py::test_good": Outcome.PASSED,
        "test_good.py::test_good": Outcome.PASSED,
    }
    assert run.stats.exit_code == 1
    assert run.fault is None
    assert processes(run) == []
    assert journal(config) == [one for one in told if not isinstance(one.event, ev.TestStarted)]
    assert last_failed.load(config.root) == {"test_bad.py": ("test_bad.py::test_bad",)}


async def test_what_a_conftest_collects_is_a_module_of_the_plan(make: Make) -> None:
    config = make(good=GOOD)
    write(config, "conftest.py", COLLECTING)
    write(config, "data.yaml", "")
    with anyio.fail_after(PATIENCE_S):
        async with open_run(config) as run:
            told = [envelope async for envelope in run]

    assert check(told) == run.stats
    assert outcomes(run.stats) == {
        "test_good.py::test_good": Outcome.PASSED,
        "data.yaml::item": Outcome.PASSED,
    }


async def test_run_tests_is_the_same_in_one_call(make: Make) -> None:
    with anyio.fail_after(PATIENCE_S):
        stats = await run_tests(make(good=GOOD))

    assert (stats.passed, stats.failed, stats.exit_code) == (1, 0, 0)


async def test_an_iteration_can_be_taken_up_again(make: Make) -> None:
    told = []
    with anyio.fail_after(PATIENCE_S):
        async with open_run(make(good=GOOD, other=GOOD)) as run:
            async for envelope in run:
                told.append(envelope)
                if isinstance(envelope.event, ev.RunStarted):
                    break
            async for batch in run.batches():
                told += batch
                break
            async for envelope in run:
                told.append(envelope)

    assert check(told) == run.stats


async def test_two_runs_at_once_do_not_disturb_each_other(make: Make) -> None:
    configs = [make("one", good=GOOD, other=GOOD), make("two", bad=BAD)]
    runs: list[Run] = []

    async def go(config: Config) -> None:
        async with open_run(config) as run:
            runs.append(run)
            async for _ in run:
                pass

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            for config in configs:
                tasks.start_soon(go, config)

    assert len({run.run_id for run in runs}) == 2
    by_root = {run.config.root: run.stats for run in runs}
    assert [by_root[config.root].exit_code for config in configs] == [0, 1]
    assert [by_root[config.root].total for config in configs] == [2, 2]


# -- cut off -----------------------------------------------------------------------------------


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
async def test_cancelling_the_scope_around_a_run_ends_every_process(
    make: Make, start_method: StartMethod
) -> None:
    config = make(hanging=HANGING, waiting=GOOD, workers=1)
    config = msgspec.structs.replace(config, start_method=start_method)
    runs: list[Run] = []

    async def embed(scope: anyio.CancelScope) -> None:
        with scope:
            async with open_run(config) as run:
                runs.append(run)
                await until_it_hangs(run)
                assert any("sleep" in command for command in processes(run))
                running.set()
                await anyio.sleep_forever()

    running, scope = anyio.Event(), anyio.CancelScope()
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(embed, scope)
            await running.wait()
            scope.cancel()

    [run] = runs
    check_cut_off(run, config)
    assert outcomes(run.stats) == {
        "test_hanging.py::test_good": Outcome.PASSED,
        "test_hanging.py::test_endless": Outcome.NOT_RUN,
    }
    statuses = {path: module.status for path, module in run.stats.modules.items()}
    assert statuses == dict.fromkeys(["test_hanging.py", "test_waiting.py"], ModuleStatus.NOT_RUN)


async def test_leaving_a_run_ends_every_process(make: Make) -> None:
    config = make(hanging=HANGING)
    with anyio.fail_after(PATIENCE_S):
        async with open_run(config) as run:
            await until_it_hangs(run)

    check_cut_off(run, config)


async def test_a_run_may_be_left_before_it_has_begun(make: Make) -> None:
    config = make(good=GOOD)
    with anyio.fail_after(PATIENCE_S):
        async with open_run(config) as run:
            pass

    check_cut_off(run, config)


async def test_what_is_left_of_a_run_that_was_left_can_be_read(make: Make) -> None:
    config = make(hanging=HANGING)
    told = []
    with anyio.fail_after(PATIENCE_S):
        async with open_run(config) as run:
            async for envelope in run:
                told.append(envelope)
                if isinstance(envelope.event, ev.TestStarted):
                    break
        told += [envelope async for envelope in run]

    assert check(told) == run.stats


async def test_a_consumer_may_cancel_its_run_and_hear_it_to_its_end(make: Make) -> None:
    # More modules wait than envelopes may be on their way.
    waiting = {f"waiting_{number}": GOOD for number in range(embedding.BUFFERED_BATCHES + 10)}
    config = make(**{"hanging": HANGING, **waiting}, workers=1)
    told = []
    with anyio.fail_after(PATIENCE_S):
        async with open_run(config) as run:
            async for envelope in run:
                told.append(envelope)
                if hangs(envelope):
                    await run.cancel(CancelReason.INTERRUPT)
                    run.kill()

    assert check(told) == run.stats
    assert run.stats.exit_code == 130
    assert run.stats.modules["test_hanging.py"].status is ModuleStatus.NOT_RUN
    assert processes(run) == []


# -- exceptions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [ValueError("mine"), ExceptionGroup("mine", [ValueError(), OSError()]), SystemExit(7)],
    ids=lambda error: type(error).__name__,
)
async def test_what_the_body_raises_arrives_as_it_is(make: Make, error: BaseException) -> None:
    config = make(hanging=HANGING)
    error.__cause__ = cause = RuntimeError("the cause")
    caught: BaseException | None = None
    with anyio.fail_after(PATIENCE_S):
        try:
            async with open_run(config) as run:
                await until_it_hangs(run)
                raise error
        except BaseException as arrived:
            caught = arrived

    assert caught is error
    assert error.__cause__ is cause
    assert error.__context__ is None
    check_cut_off(run, config)


async def test_what_can_not_be_used_is_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        async with open_run(load_config(tmp_path, paths=("nowhere",))):
            pytest.fail("the run began")


async def test_a_run_that_can_not_be_set_up_is_told_and_raised(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make(good=GOOD)
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    told = []
    with anyio.fail_after(PATIENCE_S), pytest.raises(InfrastructureError, match="can't be set up"):
        async with open_run(config) as run:
            told = [envelope async for envelope in run]

    assert check(told) == run.stats
    assert run.stats.exit_code == 3
    assert run.stats.modules["test_good.py"].status is ModuleStatus.NOT_RUN
    assert told[-1].elapsed_s < PATIENCE_S


async def test_a_fault_of_iopio_itself_ends_the_run_with_its_books_closed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_plan(config: Config, *, color: bool) -> embedding.Plan:
        def make_action(module: object, start: object) -> None:
            raise RuntimeError("a bug")

        plan = prepare(config, color=color)
        return msgspec.structs.replace(plan, make_action=make_action)

    prepare = embedding.prepare
    monkeypatch.setattr(embedding, "prepare", broken_plan)
    with anyio.fail_after(PATIENCE_S):
        async with open_run(make(good=GOOD)) as run:
            told = [envelope async for envelope in run]

    assert check(told) == run.stats
    assert run.stats.exit_code == 3
    assert isinstance(run.fault, RuntimeError)


# -- what is remembered ------------------------------------------------------------------------


@pytest.mark.parametrize("in_the_way", [".test_cache", ".test_cache/v1/last_failed.json/full"])
async def test_what_can_not_be_remembered_is_told_once_and_changes_nothing(
    make: Make, in_the_way: str
) -> None:
    config = make(good=GOOD, bad=BAD)
    write(config, in_the_way, "")
    with anyio.fail_after(PATIENCE_S):
        async with open_run(config) as run:
            told = [envelope async for envelope in run]

    assert check(told) == run.stats
    [warning] = [
        one.event.message
        for one in told
        if isinstance(one.event, ev.WarningIssued) and one.event.category == "iopio"
    ]
    assert ".test_cache" in warning
    assert run.stats.exit_code == 1
    assert run.stats.total == 3


async def test_a_narrowed_run_forgets_nothing_else(make: Make) -> None:
    config = make(bad="def test_x(): assert 0\ndef test_y(): assert 0\n")
    with anyio.fail_after(PATIENCE_S):
        await run_tests(config)
        write(config, "test_bad.py", "def test_x(): pass\ndef test_y(): assert 0\n")
        await run_tests(load_config(config.root, paths=("test_bad.py::test_x",)))

    assert last_failed.load(config.root) == {"test_bad.py": ("test_bad.py::test_y",)}


# -- the surface -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", iopio_async.__all__)
async def test_every_public_name_is_there(name: str) -> None:
    assert getattr(iopio_async, name) is not None
