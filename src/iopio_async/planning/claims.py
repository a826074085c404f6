"""A module's claims: what its tests touch, by themselves, by their fixtures, and by whom they call.

Each test is looked at for itself, because what it replaces, where it changes into and what its
marks declare holds for it alone; what is set up for a class or module belongs to all of its tests.
The claims of a module are those of its tests together, with those of all files that are imported
for it. A declaration beats a rule.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from iopio_async.analysis.conventions import (
    ADDRESS_FIXTURES,
    BASES,
    FAKE_FIXTURES,
    MARKS,
    MOVING_FIXTURES,
    PLUGIN_FIXTURES,
    SERVICE_FIXTURES,
)
from iopio_async.analysis.facts import (
    HOLE,
    TOP,
    ClassFacts,
    Declaration,
    Fixture,
    Marks,
    Part,
    Touch,
)
from iopio_async.analysis.resources import reach_of, resource
from iopio_async.model.module import Claim, Evidence, Mode, Reach
from iopio_async.planning.fixture_graph import FixtureGraph, class_layers
from iopio_async.planning.liveness import Place
from iopio_async.planning.reach import MAX_PARTS, Found, Walk
from iopio_async.planning.sources import Sources

#: Held by a module that runs alone; all others share it.
ALONE = "*"
#: Begins the names of what tests with a mark ``xdist_group`` hold.
GROUP = "xdist_group:"
#: How many places are named for one claim.
EVIDENCE = 5

_MODULE_SETUP = (
    *("setup_module", "teardown_module", "setUpModule", "tearDownModule", "setup_function"),
    *("teardown_function", "setup", "teardown"),
)
_CLASS_SETUP = (
    *("setUp", "tearDown", "setUpClass", "tearDownClass", "asyncSetUp", "asyncTearDown"),
    *("setup_method", "teardown_method", "setup_class", "teardown_class", "setUpTestData"),
    *("setup", "teardown", "__init__"),
)
#: In the name of an SQLite database.
_READ_ONLY = re.compile(r"[?&](?:mode=ro|immutable=1)\b")
_MEMORY_ENGINES = ("sqlite3", "spatialite", "dummy")
_NO_PART = Part()
#: How many values of parameters are looked at.
_MAX_VALUES = 20


class ModuleClaims(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a module holds while it runs; ``needs`` are units of resources that have a capacity.

    ``declared`` says that all of it was declared, and nothing but that counts.
    """

    claims: tuple[Claim, ...] = ()
    needs: tuple[tuple[str, int], ...] = ()
    declared: bool = False

    @property
    def machine(self) -> tuple[Claim, ...]:
        """The claims that bind between processes."""
        return tuple(claim for claim in self.claims if claim.scope is Reach.MACHINE)


NOTHING_CLAIMED = ModuleClaims()

#: Resource and scope → mode and evidence.
_Gathered = dict[tuple[str, Reach], tuple[Mode, dict[Evidence, None]]]


class _Unit(msgspec.Struct):
    """A test: its part, the class that it is run for, and the marks that hold for it."""

    part: Place
    owner: Place | None
    marks: tuple[Marks, ...]


def claims_of(
    sources: Sources,
    path: str,
    *,
    declared: Sequence[Declaration] = (),
    capacities: Mapping[str, int] | None = None,
    plugins: Sequence[str] = (),
    django_settings: str = "",
) -> ModuleClaims:
    """The claims of the module at ``path``.

    ``declared`` comes from the configuration and counts like the module's own marks; ``plugins``
    are dotted names of modules that the run loads as plugins. A rule's claim on a resource that
    has a capacity is a need of one unit of it.
    """
    chain = sources.conftests(path)
    if not declared and not any(map(sources.matters, (path, *chain))):
        return NOTHING_CLAIMED
    return _Module(sources, path, chain, plugins, django_settings).claims(
        declared, capacities or {}
    )


class _Module:
    """A module while its claims are gathered."""

    def __init__(
        self,
        sources: Sources,
        path: str,
        chain: Sequence[str],
        plugins: Sequence[str],
        django_settings: str,
    ) -> None:
        self.sources = sources
        self.path = path
        self.chain = chain
        self.django_settings = django_settings
        self.gathered: _Gathered = {}
        self.needs: dict[str, int] = {}
        files = [path, *chain]
        for each in [*chain, *filter(None, (sources.module(name, path) for name in plugins))]:
            files += self._plugin_files(each, set(files))
        #: Whose fixtures hold, the nearest file first.
        self.files = list(dict.fromkeys(files))
        self.layers = [sources.fixtures(each) for each in self.files]
        self.budget = MAX_PARTS
        self.graphs: dict[Place | None, FixtureGraph] = {}
        self.setups: dict[Place | None, set[Place]] = {}
        #: Walks that several tests have in common.
        self.strict_walks: dict[tuple[object, ...], Walk] = {}
        self.facts = sources.facts(path)
        self.imported = self._imported()

    def claims(
        self, declared: Sequence[Declaration], capacities: Mapping[str, int]
    ) -> ModuleClaims:
        """Gather everything."""
        of_module = [*declared, *self.facts.marks.declarations]
        overruled = _overrules(of_module)
        if not overruled:
            self._at_import()
        units = list(self._units())
        # Whoever declares what each single test shares has declared it of the module.
        declared_by_tests = bool(units)
        for unit in units:
            declarations = [each for marks in unit.marks for each in marks.declarations]
            declared_by_tests = declared_by_tests and _overrules(declarations)
            if not overruled and not _overrules(declarations):
                self._of_test(unit)
            self._declare(declarations)
        self._declare(of_module, declared)
        claims: list[Claim] = []
        for (name, scope), (mode, evidence) in sorted(self.gathered.items()):
            if name in capacities:
                self.needs.setdefault(name, 1)
                continue
            claims.append(Claim(name, mode, scope, tuple(sorted(evidence)[:EVIDENCE])))
        return ModuleClaims(
            tuple(claims),
            tuple(sorted(self.needs.items())),
            overruled or declared_by_tests,
        )

    # Files.

    def _plugin_files(self, path: str, seen: set[str]) -> list[str]:
        found: list[str] = []
        for name in self.sources.facts(path).plugins:
            module = self.sources.module(name, path)
            if module is not None and module not in seen:
                seen.add(module)
                found += [module, *self._plugin_files(module, seen)]
        return found

    def _imported(self) -> list[str]:
        """All of the project's files that are imported for the module, itself included."""
        found = dict.fromkeys(self.files)
        waiting = list(self.files)
        while waiting:
            path = waiting.pop()
            for each in self.sources.imports(path):
                if each not in found:
                    found[each] = None
                    waiting.append(each)
        return list(found)

    def _at_import(self) -> None:
        own = set(self.files)
        for path in self.imported:
            walk = _at_import(self.sources, path)
            # What the product sets up in its own process when it is imported disturbs nobody.
            self._gather(walk, moved=walk.moves, fake=False, machine_only=path not in own)
        walk = Walk(self.sources)
        for path in self.files[1:]:
            for name in self.sources.facts(path).parts:
                if name.startswith("pytest_") and walk.worth(path, name):
                    walk.visit(path, name)
        self._gather(walk, moved=walk.moves, fake=False)

    # Tests.

    def _units(self) -> Iterable[_Unit]:
        for name, marks in self.facts.tests.items():
            owner = name.rpartition(".")[0]
            if not owner:
                yield _Unit((self.path, name), None, (marks, self.facts.marks))
        for name, facts in self.facts.classes.items():
            last = name.rpartition(".")[2]
            if not last.startswith("Test") and not facts.bases:
                continue
            lineage = list(self.sources.lineage(self.path, name))
            of_classes = [self._class(place).marks for place in lineage]
            outer = [
                self.facts.classes[name[:end]].marks
                for end in range(len(name))
                if name[end] == "." and name[:end] in self.facts.classes
            ]
            taken: set[str] = set()
            for path, owner in lineage:
                for test, marks in self.sources.facts(path).tests.items():
                    own, _, method = test.rpartition(".")
                    if own == owner and method not in taken:
                        taken.add(method)
                        every = (marks, *of_classes, *outer, self.facts.marks)
                        yield _Unit((path, test), (self.path, name), every)

    def _class(self, place: Place) -> ClassFacts:
        return self.sources.facts(place[0]).classes[place[1]]

    def _of_test(self, unit: _Unit) -> None:
        sources = self.sources
        path, name = unit.part
        part = sources.facts(path).parts.get(name)
        lineage = list(sources.lineage(*unit.owner)) if unit.owner else []
        graph = self._graph(unit.owner, lineage)
        parameters = _parameters(unit)
        wanted = [each for marks in unit.marks for each in marks.uses]
        if part is not None:
            wanted += [key for key, _ in part.params if key not in parameters]
            wanted += part.requests
        fixtures, missing = graph.closure([*wanted, *graph.autouse])
        patches = {each for marks in unit.marks for each in marks.patches}
        patches.update(part.patches if part is not None else ())
        for where, fixture in fixtures:
            patches.update(sources.facts(where).parts.get(fixture.part, _NO_PART).patches)
        run = [(where, fixture.part) for where, fixture in fixtures] + [unit.part]
        walk = Walk(sources, frozenset(patches), self.budget, strict=True)
        worth = {place for place in run if walk.worth(*place)}
        worth |= self._worth_setups(unit.owner, lineage, walk)
        if worth:
            # Many tests have nothing to themselves: then it is all about their fixtures.
            alike: tuple[object, ...] | None = None
            if worth <= {(where, fixture.part) for where, fixture in fixtures}:
                indirect = tuple(each for marks in unit.marks for each in marks.indirect)
                requested = tuple(id(fixture) for _, fixture in fixtures)
                alike = (frozenset(patches), unit.owner, requested, indirect)
            known = self.strict_walks.get(alike) if alike is not None else None
            if known is not None:
                walk = known
            else:
                self._walk(walk, unit, graph, fixtures, lineage)
                self.budget -= walk.parts
                if alike is not None:
                    self.strict_walks[alike] = walk
            if walk.asks:
                walk = Walk(sources, frozenset(patches), self.budget)
                self._walk(walk, unit, graph, fixtures, lineage)
                self.budget -= walk.parts
            moved = walk.moves or not MOVING_FIXTURES.isdisjoint(missing)
            self._gather(walk, moved=moved, fake=not FAKE_FIXTURES.isdisjoint(missing))
        self._by_name(unit, lineage, missing)

    def _worth_setups(
        self, owner: Place | None, lineage: Sequence[Place], walk: Walk
    ) -> set[Place]:
        """What is set up for a class of tests, or all of them, and may come by anything."""
        known = self.setups.get(owner)
        if known is None:
            places = [(where, f"{name}.{each}") for where, name in lineage for each in _CLASS_SETUP]
            places += [(self.path, each) for each in _MODULE_SETUP]
            known = self.setups[owner] = {place for place in places if walk.worth(*place)}
        return known

    def _walk(
        self,
        walk: Walk,
        unit: _Unit,
        graph: FixtureGraph,
        fixtures: Sequence[tuple[str, Fixture]],
        lineage: Sequence[Place],
    ) -> None:
        """Go through a test, its fixtures and what is set up for it."""
        sources = self.sources
        path, name = unit.part
        part = sources.facts(path).parts.get(name)
        parameters = _parameters(unit)
        indirect = {key: values for marks in unit.marks for key, values in marks.indirect}
        values: dict[int, str | None] = {}
        for where, fixture in fixtures:
            given: dict[str, str | None] = {
                wish: values.get(id(granted[1]))
                for wish in fixture.params
                if (granted := graph.granted(wish, fixture)) is not None
            }
            owner = unit.owner if fixture.owner else None
            for value in (indirect.get(fixture.name) or fixture.values or (None,))[:_MAX_VALUES]:
                at = self.path if fixture.name in indirect else where
                own = {**given, "request": walk.fill(value, at, {}, unit.owner)}
                walk.visit(where, fixture.part, own, owner)
            returned = sources.facts(where).parts.get(fixture.part, _NO_PART).value
            values[id(fixture)] = walk.fill(returned, where, given, owner)
        given = {
            wish: values.get(id(granted[1]))
            for wish, _ in (part.params if part is not None else ())
            if (granted := graph.granted(wish)) is not None
        }
        known = {
            key: [walk.fill(text, self.path, {}, unit.owner) for text in texts]
            for key, texts in parameters.items()
        }
        for chosen in _rows(known):
            walk.visit(path, name, {**given, **chosen}, unit.owner)
        for where, owner_name in lineage:
            for each in _CLASS_SETUP:
                walk.visit(where, f"{owner_name}.{each}", {}, unit.owner)
        for each in _MODULE_SETUP:
            walk.visit(self.path, each)

    def _graph(self, owner: Place | None, lineage: Sequence[Place]) -> FixtureGraph:
        known = self.graphs.get(owner)
        if known is None:
            layers = [*class_layers(self.sources, lineage), *self.layers]
            known = self.graphs[owner] = FixtureGraph(self.sources, layers)
        return known

    # Claims.

    def _gather(self, walk: Walk, *, moved: bool, fake: bool, machine_only: bool = False) -> None:
        # Who sets another home folder leaves the user's own alone.
        homeless = any(
            found.touch.kind == "environ" and found.text == "HOME" for found in walk.found.values()
        )
        for found in walk.found.values():
            touch = found.touch
            if machine_only and reach_of(touch.kind) is Reach.PROCESS:
                continue
            if _undone(found, walk.patches) or (fake and touch.kind in {"path", "sqlite"}):
                continue
            name = resource(touch.kind, found.text, moved=moved)
            if name is not None and not (homeless and name.startswith("path:~")):
                self._claim(
                    name,
                    Mode.SHARED if _READ_ONLY.search(found.text) else touch.mode,
                    reach_of(touch.kind),
                    Evidence(found.path, touch.line, touch.why),
                )

    def _by_name(self, unit: _Unit, lineage: Sequence[Place], missing: Iterable[str]) -> None:
        """What marks, plugins' fixtures and base classes claim by their names."""
        for marks in unit.marks:
            for name, line in marks.named:
                self._django(MARKS[name], line, f"is marked {name}")
        line = 1
        for name in missing:
            if name in PLUGIN_FIXTURES:
                self._django(PLUGIN_FIXTURES[name], line, f"requests the fixture {name}")
            for resource_name, mode in SERVICE_FIXTURES.get(name, ()):
                evidence = Evidence(self.path, line, f"requests the fixture {name}")
                self._claim(resource_name, mode, Reach.MACHINE, evidence)
            for override, user in ADDRESS_FIXTURES.items():
                located = self._graph(None, ()).granted(override)
                if name == user and located is not None:
                    where, fixture = located
                    part = self.sources.facts(where).parts.get(fixture.part)
                    text = Walk(self.sources).fill(part.value, where, {}, None) if part else None
                    port = resource("port", text) if text else None
                    if port is not None:
                        why = f"the address of {user}"
                        self._claim(
                            port, Mode.EXCLUSIVE, Reach.MACHINE, Evidence(where, fixture.line, why)
                        )
        for where, owner in lineage:
            facts = self._class((where, owner))
            for base in facts.bases:
                if base[2:] in BASES:
                    self._django(BASES[base[2:]], facts.line, f"derives from {base[2:]}")

    def _django(self, name: str, line: int, why: str) -> None:
        if not self._in_memory():
            evidence = Evidence(self.path, line, why)
            self._claim(name, Mode.EXCLUSIVE, Reach.MACHINE, evidence)

    def _in_memory(self) -> bool:
        """Django's test database stays in memory where the settings name SQLite alone."""
        engines: list[str] = []
        for path in self.imported:
            facts = self.sources.facts(path)
            engines += facts.django_engines
            settings = facts.django_settings or self.django_settings
            module = self.sources.module(settings, self.path) if settings else None
            for each in [module, *self._beside(module)] if module else ():
                engines += self.sources.facts(each).django_engines
        databases = [each for each in engines if ".backends." in each and "cache" not in each]
        return bool(databases) and all(each.endswith(_MEMORY_ENGINES) for each in databases)

    def _beside(self, path: str) -> list[str]:
        """What a settings module takes over from others."""
        facts = self.sources.facts(path)
        return [each for each in (self.sources.module(name, path) for name in facts.stars) if each]

    def _claim(self, name: str, mode: Mode, scope: Reach, evidence: Evidence) -> None:
        known = self.gathered.get((name, scope))
        if known is None:
            self.gathered[name, scope] = (mode, {evidence: None})
        else:
            stronger = Mode.EXCLUSIVE if Mode.EXCLUSIVE in {mode, known[0]} else Mode.SHARED
            self.gathered[name, scope] = (stronger, {**known[1], evidence: None})

    def _declare(
        self, declarations: Iterable[Declaration], configured: Sequence[Declaration] = ()
    ) -> None:
        for each in declarations:
            why = "declared by the configuration" if each in configured else "declared by a mark"
            evidence = Evidence(self.path, each.line, why)
            for name in each.locks or ():
                self._claim(name, Mode.EXCLUSIVE, Reach.MACHINE, evidence)
            for name in each.shared or ():
                self._claim(name, Mode.SHARED, Reach.MACHINE, evidence)
            if each.group:
                name = f"{GROUP}{each.group}"
                self._claim(name, Mode.EXCLUSIVE, Reach.MACHINE, evidence)
            if each.serial:
                self._claim(ALONE, Mode.EXCLUSIVE, Reach.MACHINE, evidence)
            for name, count in each.needs:
                self.needs[name] = max(self.needs.get(name, 0), count)


def _at_import(sources: Sources, path: str) -> Walk:
    """What importing one file by itself reaches; the same for all modules."""
    known = sources.walks.get(path)
    if known is None:
        known = sources.walks[path] = Walk(sources)
        if known.worth(path, TOP):
            known.visit(path, TOP)
    return known


def _parameters(unit: _Unit) -> dict[str, tuple[str, ...]]:
    return {key: values for marks in unit.marks for key, values in marks.parameters}


def _overrules(declarations: Iterable[Declaration]) -> bool:
    """A declaration that names what is shared says all; one of needs, groups or order doesn't."""
    return any(each.locks is not None or each.shared is not None for each in declarations)


def _rows(parameters: Mapping[str, Sequence[str | None]]) -> list[dict[str, str | None]]:
    """Values that parameters take together, as far as one call shows them."""
    longest = max((len(values) for values in parameters.values()), default=0)
    return [
        {
            name: values[number] if number < len(values) else None
            for name, values in parameters.items()
        }
        for number in range(min(max(longest, 1), _MAX_VALUES))
    ]


def _undone(found: Found, patches: Iterable[str]) -> bool:
    """True where what does the touch, or a constant that it goes by, is replaced."""
    touch: Touch = found.touch
    if touch.kind == "globals":
        return False
    names = {each for each in touch.call.split(".") if each}
    names.update(
        name.rpartition(".")[2] for kind, name in HOLE.findall(touch.text) if kind in "cds"
    )
    return any(patch.rpartition(".")[2] in names for patch in patches)
