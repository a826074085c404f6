"""What the units of a run hold while they run, as far as it is known, and how it gets known.

Where the claims of modules have to be found out first, the run does not wait for that: it begins
with one module at a time, since each unit holds :data:`UNKNOWN` alone, and goes on as it should
when they are known; the modules that start before are unknown to other runs on this machine, too.
It does wait where it has to know them before the first module starts: to hand out units of
resources. It does not analyse where nothing ever runs at once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import anyio
import anyio.to_thread

from iopio_async.model.config import Config
from iopio_async.model.module import REMAINDER_PATH, Claim, TestModule
from iopio_async.orchestration.claims import ClaimedPlan, StoppedError
from iopio_async.orchestration.guard_port import Guard
from iopio_async.planning.locks import Units
from iopio_async.project.resource_settings import variable_of

#: Held alone by what is not known to share nothing.
UNKNOWN = "?"


class Claims(Protocol):
    """Who knows what modules claim."""

    def known(self, modules: Sequence[TestModule]) -> ClaimedPlan | None:
        """What is known of these at once; ``None`` where it has to be found out."""
        ...

    def analyse(self, modules: Sequence[TestModule]) -> ClaimedPlan:
        """Find it out. Called in a thread.

        Raises:
            StoppedError: nobody waits for it any more.
        """
        ...

    def stop(self) -> None:
        """Have an analysis in another thread end."""
        ...


class Holdings:
    """The claims of a run's units; ``guard`` is told of them on behalf of other runs."""

    def __init__(self, config: Config, claims: Claims | None, guard: Guard | None = None) -> None:
        self._config = config
        self._claims = claims
        self._guard = guard
        #: Those that wait for other runs.
        self._entering: set[anyio.CancelScope] = set()
        #: Nothing may start before it is known what it holds: units of resources are handed out
        #: at the start. To mind other runs from the first module on is not worth that delay.
        self._strict = bool(config.resources)
        self._plan = ClaimedPlan()
        #: It is known what is claimed.
        self._is_known = False
        self._held: Mapping[str, tuple[Claim, ...]] = {}
        self._modules: tuple[TestModule, ...] = ()
        #: The claims that a unit has anyway, and the paths of its modules, by its name.
        self._units: dict[str, tuple[tuple[Claim, ...], tuple[str, ...]]] = {}
        self.pending = False

    @property
    def waiting(self) -> bool:
        """Nothing may start yet."""
        return self.pending and self._strict

    @property
    def plan(self) -> ClaimedPlan | None:
        """What the modules claim that are executed, if it is known."""
        return self._plan if self._is_known else None

    def expect(self, modules: Sequence[TestModule]) -> Sequence[str]:
        """These are going to be executed; what is worth a warning. Called once, before all else."""
        if (
            self._claims is None
            or not modules
            or not (self._strict or self._guard is not None or self._config.workers > 1)
        ):
            return ()
        self._modules = tuple(modules)
        plan = self._claims.known(self._modules)
        if plan is None:
            self.pending = True
            return ()
        self._learn(plan)
        return plan.warnings

    def enlist(
        self, name: str, claims: Sequence[Claim], paths: tuple[str, ...]
    ) -> tuple[Claim, ...]:
        """What a unit holds that has these claims in any case, and consists of these modules."""
        self._units[name] = (tuple(claims), paths)
        return self._of(name)

    def needless(self) -> bool:
        """Say whether what is pending makes no difference: nothing can run at once."""
        return not self._strict and (self._config.workers < 2 or len(self._units) < 2)

    def with_claims(self, module: TestModule) -> tuple[Claim, ...]:
        """The claims of a module, as far as they are known."""
        return (*module.claims, *self._held.get(module.path, ()))

    def _of(self, name: str) -> tuple[Claim, ...]:
        claims, paths = self._units[name]
        if self.pending:
            return (*claims, Claim(UNKNOWN))
        return (*claims, *(claim for path in paths for claim in self._held.get(path, ())))

    async def find_out(self, tell: Callable[[str], None]) -> dict[str, tuple[Claim, ...]]:
        """Wait until it is known; what each unit holds from then on. Empty where it was stopped."""
        assert self._claims is not None
        try:
            plan = await anyio.to_thread.run_sync(
                self._claims.analyse, self._modules, abandon_on_cancel=True
            )
        except StoppedError:
            return {}
        finally:
            self._claims.stop()
        self._learn(plan)
        self.pending = False
        for warning in plan.warnings:
            tell(warning)
        return {name: self._of(name) for name in self._units}

    def stop(self) -> None:
        """What is pending is not waited for any more, nor are other runs."""
        if self.pending and self._claims is not None:
            self._claims.stop()
        for scope in self._entering:
            scope.cancel()

    def _learn(self, plan: ClaimedPlan) -> None:
        self._plan, self._is_known = plan, True
        paths = [*(module.path for module in self._modules), REMAINDER_PATH]
        self._held = plan.held(dict.fromkeys(paths))

    async def enter(self, name: str) -> None:
        """Wait until no other run on this machine stands against a unit, or until all is over."""
        if self._guard is None:
            return
        _, paths = self._units[name]
        claims = tuple(claim for path in paths for claim in self._plan.machine(path))
        with anyio.CancelScope() as scope:
            self._entering.add(scope)
            try:
                await self._guard.acquire(name, claims)
            finally:
                self._entering.discard(scope)

    def leave(self, name: str) -> None:
        """Let other runs have what a unit held."""
        if self._guard is not None:
            self._guard.release(name)

    def environment(self, units: Units) -> dict[str, str]:
        """The variables that tell an attempt the numbers that it got."""
        found: dict[str, str] = {}
        for resource, numbers in units:
            text = ",".join(map(str, numbers))
            found[variable_of(resource)] = text
            configured = self._config.resources.get(resource)
            if configured is not None and configured.env:
                found[configured.env] = text
        return found
