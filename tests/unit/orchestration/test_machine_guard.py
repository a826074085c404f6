"""Waiting for other runs, in simulated time over a real table."""

import itertools
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from iopio_async.model.config import Config
from iopio_async.model.module import Claim
from iopio_async.orchestration.machine_guard import TELL_AFTER_S, MachineGuard, open_guard
from iopio_async.planning.machine import wanted
from iopio_async.project.machine_locks import MachineLocks

DB = (Claim("db"),)


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        with anyio.fail_after(3600):
            await scene()

    trio.run(bounded, clock=trio.testing.MockClock(autojump_threshold=0))


class World:
    """A run of its own project, and another one beside it."""

    def __init__(self, place: Path) -> None:
        self.told: list[str] = []
        self.place = place
        self.other = MachineLocks(str(place / "iopio"), "/projects/other")
        self.guard = self.new("/projects/mine")

    def new(self, root: str) -> MachineGuard:
        table = MachineLocks(str(self.place / "iopio"), root)
        return MachineGuard(table, root, {}, self.told.append, here="/projects/mine")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_nobody_holds_is_had_at_once(world: World) -> None:
    async def scene() -> None:
        began_s = trio.current_time()
        await world.guard.acquire("a", DB)
        assert trio.current_time() == began_s

    play(scene)
    assert world.told == []
    entry = world.other.apply(wanted(DB, "/projects/other", {}))
    assert entry.obstacle is not None
    world.guard.close()
    assert world.other.retry(entry)


def test_who_claims_nothing_leaves_no_trace(world: World) -> None:
    play(lambda: world.guard.acquire("a", ()))
    world.guard.release("a")

    assert list(world.place.iterdir()) == []


def test_a_wait_is_told_once_and_ends_with_what_is_waited_for(world: World) -> None:
    held = world.other.apply(wanted(DB, "/projects/other", {}))

    async def scene() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.guard.acquire, "a", DB)
            await trio.sleep(100 * TELL_AFTER_S)
            assert world.told == [f"waits for db, held by pid {os.getpid()} in ../other"]
            world.other.give_back(held)

    play(scene)
    assert len(world.told) == 1
    world.guard.release("a")


def test_a_short_wait_is_not_told(world: World) -> None:
    held = world.other.apply(wanted(DB, "/projects/other", {}))

    async def scene() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.guard.acquire, "a", DB)
            await trio.sleep(TELL_AFTER_S / 4)
            world.other.give_back(held)

    play(scene)
    assert world.told == []


def test_a_wait_that_is_cancelled_leaves_the_line(world: World) -> None:
    held = world.other.apply(wanted(DB, "/projects/other", {}))

    async def scene() -> None:
        with anyio.move_on_after(TELL_AFTER_S / 2):
            await world.guard.acquire("a", DB)

    play(scene)
    world.other.give_back(held)
    assert os.listdir(world.place / "iopio" / "v1" / "locks") == ["mutex"]
    world.guard.release("a")


def test_it_looks_at_the_table_at_most_twenty_times_a_second(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.other.apply(wanted(DB, "/projects/other", {}))
    looks: list[float] = []
    retry = MachineLocks.retry

    def counted(table: MachineLocks, entry: Any) -> bool:
        looks.append(trio.current_time())
        return retry(table, entry)

    monkeypatch.setattr(MachineLocks, "retry", counted)

    async def scene() -> None:
        with anyio.move_on_after(60):
            await world.guard.acquire("a", DB)

    play(scene)
    pauses_s = [later - earlier for earlier, later in itertools.pairwise(looks)]
    assert min(pauses_s) >= 0.049
    # The death of another run is noticed soon, however long the wait has been.
    assert max(pauses_s) <= 0.5


def test_a_table_that_can_not_be_used_is_told_of_once(tmp_path: Path, world: World) -> None:
    (tmp_path / "iopio").write_text("in the way")

    async def scene() -> None:
        for name in ("a", "b"):
            await world.guard.acquire(name, DB)
            world.guard.release(name)

    play(scene)
    assert len(world.told) == 1
    assert world.told[0].startswith("other runs on this machine are not minded: ")


@pytest.mark.parametrize("inside", [True, False])
def test_a_run_inside_of_another_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: bool
) -> None:
    if inside:
        monkeypatch.setenv("IOPIO_RUN_ID", "outer")
    else:
        monkeypatch.delenv("IOPIO_RUN_ID", raising=False)
    root = str(tmp_path)
    told: list[str] = []

    assert (open_guard(Config(root=root, invocation_dir=root), told.append) is None) is inside
    without = Config(root=root, invocation_dir=root, no_locks=True)
    assert open_guard(without, told.append) is None
