"""The life of a row that has a project to itself: run, replayed, changed, run again."""

from collections.abc import Iterator
from pathlib import Path

from cache_matrix.row import UNRELATED, Level, Row
from cache_matrix.world import CACHED, EXECUTED, Outcomes, World, by_module


def findings(folder: Path, start_method: str, row: Row) -> Iterator[str]:
    """All that is wrong with a row, in words."""
    world = World(folder, start_method)
    world.lay_out(row)
    place, module = world.place(row), world.module(row)
    arguments = tuple(map(place.text, row.arguments))
    first = world.run(*arguments, plugins=row.plugins)
    if (first.sources[module], first.statuses[module]) != (EXECUTED, "passed"):
        yield f"the first run did not pass it: {first.outcomes[module]}\n{first.output}"
        return
    # To a coarse row, whatever lies in the project is an input.
    spared = () if row.level is Level.COARSE and row.harmless is UNRELATED else row.harmless
    for mutation in spared:
        mutation.apply(place)
    if row.again_arguments is not None:
        arguments = tuple(map(place.text, row.again_arguments))
    again = world.run(*arguments, plugins=row.plugins)
    if again.sources[module] != CACHED:
        warnings = first.warnings + again.warnings
        yield f"not replayed though none of its inputs had changed; {world.why(row)}{warnings}"
    for mutation in row.change:
        mutation.apply(place)
    if row.changed_arguments is not None:
        arguments = tuple(map(place.text, row.changed_arguments))
    changed = world.run(*arguments, plugins=row.plugins)
    expected = _expected(world, row, arguments)
    if changed.sources[module] != EXECUTED:
        yield "STALE, its input changed and it was not run again"
    if changed.outcomes.get(module, {}) != expected:
        yield f"plain pytest says {expected}, iopio {changed.outcomes.get(module)}"
    if row.visible and expected == first.outcomes[module]:
        yield f"the change alters nothing for plain pytest: {expected}"


def _expected(world: World, row: Row, arguments: tuple[str, ...]) -> Outcomes:
    """What plain pytest comes to, or iopio without its cache where that can't be the judge."""
    if row.own_oracle:
        return world.run("--no-cache", *arguments, plugins=row.plugins).outcomes[world.module(row)]
    plain = tuple(word for word in arguments if word != "--")
    return by_module(world.run_plainly(*plain, plugins=row.plugins)).get(world.module(row), {})
