"""Keeps the units of a run apart from those of other runs on this machine.

A unit waits here, with its slot, until the table of this user's runs (``project.machine_locks``)
lets it have all that it claims. It looks at the table some times a second: seldom enough to cost
nothing, and often enough that the death of another run is noticed at once. What it waits for, and
who holds that, is told once a wait, unless the wait is too short to be noticed.

Nothing here fails a run: where the table can't be used that is told once, and the run goes on as if
it were alone.
"""

import os
from collections.abc import Callable, Mapping

import anyio

from iopio_async.errors import InfrastructureError
from iopio_async.model.config import Config
from iopio_async.model.module import Claim
from iopio_async.planning.machine import wanted
from iopio_async.project.machine_locks import Entry, MachineLocks, Obstacle, folder

#: Waits between two looks at the table; the last one is repeated.
LOOK_AGAIN_S = (0.05,) * 40 + (0.1,) * 100 + (0.2,)
#: Shorter waits are not told of.
TELL_AFTER_S = 0.5

#: Tells a warning.
Tell = Callable[[str], None]


def open_guard(config: Config, tell: Tell) -> "MachineGuard | None":
    """What minds other runs on behalf of a run; ``None`` where it is not to mind them.

    A run inside of another run's test holds nothing for itself: the module around it does that, for
    which it would wait in vain.
    """
    if config.no_locks or "IOPIO_RUN_ID" in os.environ:
        return None
    environ = {**os.environ, **config.env}
    root = os.path.realpath(config.root)
    table = MachineLocks(folder(os.environ), root)
    return MachineGuard(table, root, environ, tell, here=config.invocation_dir)


class MachineGuard:
    """A :class:`~iopio_async.orchestration.guard_port.Guard` among real processes."""

    def __init__(
        self, table: MachineLocks, root: str, environ: Mapping[str, str], tell: Tell, *, here: str
    ) -> None:
        self._table = table
        self._root = root
        self._environ = environ
        self._tell = tell
        self._here = here
        self._held: dict[str, Entry] = {}
        self._faulty = False

    async def acquire(self, name: str, claims: tuple[Claim, ...]) -> None:
        """Wait until ``name`` holds all of this, and no other run what stands against it."""
        asked = wanted(claims, self._root, self._environ)
        if not asked or self._faulty:
            return
        entry = Entry(asked)
        try:
            await self._wait(entry)
        except (OSError, InfrastructureError) as error:
            self._table.give_back(entry)
            self._give_up(error)
        except BaseException:
            self._table.give_back(entry)
            raise
        else:
            self._held[name] = entry

    def release(self, name: str) -> None:
        """Give back what ``name`` holds."""
        entry = self._held.pop(name, None)
        if entry is not None:
            self._table.give_back(entry)

    def close(self) -> None:
        """Give back everything."""
        for name in list(self._held):
            self.release(name)
        self._table.close()

    async def _wait(self, entry: Entry) -> None:
        waited_s, looks, told = 0.0, 0, False
        while not self._table.retry(entry):
            if waited_s >= TELL_AFTER_S and not told and entry.obstacle is not None:
                told = True
                self._tell(self._in_words(entry.obstacle))
            pause_s = LOOK_AGAIN_S[min(looks, len(LOOK_AGAIN_S) - 1)]
            await anyio.sleep(pause_s)
            looks += 1
            waited_s += pause_s

    def _in_words(self, obstacle: Obstacle) -> str:
        if obstacle.claim is None or obstacle.holder is None:
            return "waits for a look at what other runs on this machine hold"
        holder = obstacle.holder
        place = "this project"
        if holder.root != self._root:
            place = os.path.relpath(holder.root, os.path.realpath(self._here))
        how = "held" if obstacle.holds else "waited for before"
        return f"waits for {obstacle.claim.words}, {how} by pid {holder.pid} in {place}"

    def _give_up(self, error: OSError | InfrastructureError) -> None:
        if self._faulty:
            return
        self._faulty = True
        why = error.message if isinstance(error, InfrastructureError) else error.strerror or error
        self._tell(
            f"other runs on this machine are not minded: {why}; "
            "what they share with this one may be disturbed"
        )
