"""The graph of modules and the resources that they claim, as values for who wants to look at it.

It is the graph that the scheduler keeps to: what lies within a claimed resource is claimed, too
(``planning.spread``), and two modules can't overlap where one of them writes what both claim. What
a module needs units of keeps it from others only when there are not enough for both.
"""

from collections.abc import Mapping

import msgspec

from iopio_async.model.module import Evidence, Mode
from iopio_async.planning.claims import ModuleClaims
from iopio_async.planning.spread import spread


class Use(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A module's claim on a resource; ``units`` where that has a capacity."""

    module: str
    resource: str
    mode: Mode
    units: int = 0
    evidence: tuple[Evidence, ...] = ()


class Conflict(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Another module that can't run at the same time, and the resources that keep it from it."""

    module: str
    resources: tuple[str, ...]


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """All uses, by resource and by module, each sorted; resources only where they are used."""

    uses: tuple[Use, ...]
    capacities: dict[str, int] = {}
    conflicts: dict[str, tuple[Conflict, ...]] = {}

    @property
    def by_resource(self) -> dict[str, tuple[Use, ...]]:
        """The uses of each resource, writers first."""
        found: dict[str, list[Use]] = {}
        for use in self.uses:
            found.setdefault(use.resource, []).append(use)
        return {
            name: tuple(sorted(found[name], key=lambda use: (use.mode != "exclusive", use.module)))
            for name in sorted(found)
        }

    def of(self, module: str) -> tuple[Use, ...]:
        """The uses of one module, sorted by resource."""
        return tuple(use for use in self.uses if use.module == module)


def graph_of(claims: Mapping[str, ModuleClaims], capacities: Mapping[str, int]) -> Graph:
    """The graph of these modules, by path."""
    uses: list[Use] = []
    for path in sorted(claims):
        own = claims[path]
        uses += [
            Use(module=path, resource=claim.resource, mode=claim.mode, evidence=claim.evidence)
            for claim in sorted(own.machine)
        ]
        for name, count in sorted(own.needs):
            units = min(count, capacities.get(name, 1))
            uses.append(Use(module=path, resource=name, mode=Mode.EXCLUSIVE, units=units))
    used = {use.resource for use in uses if use.units}
    counts = {name: capacities.get(name, 1) for name in sorted(used)}
    return Graph(uses=tuple(uses), capacities=counts, conflicts=_conflicts(claims, uses, counts))


def _conflicts(
    claims: Mapping[str, ModuleClaims], uses: list[Use], capacities: Mapping[str, int]
) -> dict[str, tuple[Conflict, ...]]:
    held: dict[str, dict[str, bool]] = {}
    for path, own in spread({path: each.machine for path, each in claims.items()}).items():
        for claim in own:
            modules = held.setdefault(claim.resource, {})
            modules[path] = modules.get(path, False) or claim.mode is Mode.EXCLUSIVE
    pairs: dict[str, dict[str, set[str]]] = {}

    def note(one: str, two: str, resource: str) -> None:
        pairs.setdefault(one, {}).setdefault(two, set()).add(resource)
        pairs.setdefault(two, {}).setdefault(one, set()).add(resource)

    for resource, modules in held.items():
        for writer in (path for path, writes in modules.items() if writes):
            for other in modules:
                if other != writer:
                    note(writer, other, resource)
    needing: dict[str, list[Use]] = {}
    for use in uses:
        if use.units:
            needing.setdefault(use.resource, []).append(use)
    for resource, needs in needing.items():
        for number, one in enumerate(needs):
            for two in needs[number + 1 :]:
                if one.units + two.units > capacities[resource]:
                    note(one.module, two.module, resource)
    return {
        path: tuple(
            Conflict(module=other, resources=tuple(sorted(pairs[path][other])))
            for other in sorted(pairs[path])
        )
        for path in sorted(pairs)
    }
