"""Which fixtures a test gets: the layers in which they are looked for, and who requests whom.

The nearest layer that has a name wins: the test's class and its bases, the module, the conftests
from the nearest to the root's, plugins. A fixture that requests its own name gets the one that it
overrides.
"""

from collections.abc import Mapping, Sequence

from iopio_async.analysis.facts import Fixture
from iopio_async.planning.liveness import Place
from iopio_async.planning.sources import Sources

#: A fixture with the file that defines it.
Located = tuple[str, Fixture]
Layer = Mapping[str, Located]


def class_layers(sources: Sources, lineage: Sequence[Place]) -> list[Layer]:
    """The fixtures that a class and its bases define."""
    return [
        {
            fixture.name: (path, fixture)
            for fixture in sources.facts(path).fixtures
            if fixture.owner == owner
        }
        for path, owner in lineage
    ]


class FixtureGraph:
    """The layers for one class of tests, or for the functions of a module."""

    def __init__(self, sources: Sources, layers: Sequence[Layer]) -> None:
        self._sources = sources
        self.layers = layers
        self.autouse = tuple(
            name for layer in layers for name, (_, fixture) in layer.items() if fixture.autouse
        )

    def find(self, name: str, start: int = 0) -> tuple[Located | None, int]:
        """The fixture of that name in the first layer, from ``start`` on, that has it."""
        for number in range(start, len(self.layers)):
            if name in self.layers[number]:
                return self.layers[number][name], number
        return None, len(self.layers)

    def granted(self, name: str, requester: Fixture | None = None) -> Located | None:
        """What a test, or another fixture, gets for a name."""
        start = 0
        if requester is not None and requester.name == name:
            for number, layer in enumerate(self.layers):
                if name in layer and layer[name][1] is requester:
                    start = number + 1
                    break
        return self.find(name, start)[0]

    def closure(self, wanted: Sequence[str]) -> tuple[list[Located], dict[str, None]]:
        """The fixtures that are set up, each after those that it requests; and unknown names."""
        found: list[Located] = []
        missing: dict[str, None] = {}
        seen: set[int] = set()

        def add(name: str, requester: Fixture | None) -> None:
            located = self.granted(name, requester)
            if located is None:
                missing[name] = None
                return
            path, fixture = located
            if id(fixture) in seen:
                return
            seen.add(id(fixture))
            part = self._sources.facts(path).parts.get(fixture.part)
            for wish in (*fixture.params, *(part.requests if part is not None else ())):
                add(wish, fixture)
            found.append(located)

        for name in dict.fromkeys(wanted):
            add(name, None)
        return found, missing
