"""Fakes of who knows what modules share, and of who minds other runs."""

import threading
from collections.abc import Mapping, Sequence

import anyio

from iopio_async.model.module import Claim, TestModule
from iopio_async.orchestration.claims import ClaimedPlan, StoppedError
from iopio_async.planning.claims import ModuleClaims


def plan_of(
    claims: Mapping[str, Sequence[Claim]],
    *,
    needs: Mapping[str, tuple[tuple[str, int], ...]] | None = None,
    capacities: Mapping[str, int] | None = None,
    warnings: Sequence[str] = (),
) -> ClaimedPlan:
    wanted = needs or {}
    return ClaimedPlan(
        claims={
            path: ModuleClaims(tuple(claims.get(path, ())), wanted.get(path, ()))
            for path in {**claims, **wanted}
        },
        capacities=dict(capacities or {}),
        warnings=tuple(warnings),
    )


class FakeClaims:
    """Knows ``plan`` at once, or after an analysis, which may never come to an end by itself."""

    def __init__(self, plan: ClaimedPlan, *, analysed: bool = False, endless: bool = False) -> None:
        self._plan = plan
        self._analysed = analysed or endless
        self._endless = endless
        self._stopped = threading.Event()
        self.asked: tuple[str, ...] = ()
        self.analyses = 0

    def known(self, modules: Sequence[TestModule]) -> ClaimedPlan | None:
        self.asked = tuple(module.path for module in modules)
        return None if self._analysed else self._plan

    def analyse(self, modules: Sequence[TestModule]) -> ClaimedPlan:
        self.analyses += 1
        if self._endless:
            self._stopped.wait()
            raise StoppedError
        return self._plan

    def stop(self) -> None:
        self._stopped.set()


class FakeGuard:
    """Lets everybody in after ``waits_s``, and keeps book."""

    def __init__(self, waits_s: float = 0.0) -> None:
        self._waits_s = waits_s
        self.asked: dict[str, tuple[Claim, ...]] = {}
        self.held: set[str] = set()
        self.released: list[str] = []

    async def acquire(self, name: str, claims: tuple[Claim, ...]) -> None:
        self.asked[name] = claims
        await anyio.sleep(self._waits_s)
        self.held.add(name)

    def release(self, name: str) -> None:
        self.held.discard(name)
        self.released.append(name)
