"""What the functions that a test runs reach: calls are followed, and the holes of texts filled.

A walk begins at a test, its fixtures and what is set up around it, and goes on to each function of
the project that is called or handed on. Arguments are followed as far as they are constants. A
method of an object that is not known is taken for each method of that name of the classes that the
walk has come across.
"""

from collections.abc import Mapping

import msgspec

from iopio_async.analysis.facts import HOLE, Call, Part, Touch
from iopio_async.analysis.resources import ANCHOR
from iopio_async.planning.liveness import BY_ITSELF, Liveness, Place
from iopio_async.planning.sources import Sources

#: How many parts the walks of one module visit beyond its tests and fixtures; what lies further
#: away is left to observation.
MAX_PARTS = 20_000
#: How many of them one walk does.
MAX_PARTS_A_WALK = 1_000

Bindings = tuple[tuple[str, str | None], ...]


class Found(msgspec.Struct, frozen=True):
    """A touch that a walk came by: in which file, and what it reaches."""

    touch: Touch
    path: str
    text: str


class Walk:
    """One walk. ``patches`` are dotted names that are replaced while it lasts.

    A ``strict`` walk follows only what leads to a touch, and not who makes the objects on the way;
    it says by ``asks`` that it came by a call for which these matter.
    """

    def __init__(
        self,
        sources: Sources,
        patches: frozenset[str] = frozenset(),
        budget: int = MAX_PARTS_A_WALK,
        *,
        strict: bool = False,
    ) -> None:
        self._strict = strict
        self.asks = False
        self._budget = min(budget, MAX_PARTS_A_WALK)
        self.parts = 0
        self.sources = sources
        self._live: Liveness | None = None
        self.patches = set(patches)
        self.cut = {name.rpartition(".")[2] for name in patches}
        self.found: dict[tuple[str, int, str, str, str], Found] = {}
        self.moves = False
        self._seen: set[tuple[str, str, Bindings, Place | None]] = set()
        self._classes: dict[Place, None] = {}
        #: How many classes and calls of methods were brought together the last time.
        self._matched = (0, 0)
        self._methods: dict[str, dict[tuple[tuple[str | None, ...], Bindings], None]] = {}

    @property
    def live(self) -> Liveness:
        """What is worth following."""
        if self._live is None:
            plain = Walk(self.sources)
            self._live = self.sources.live(lambda text, path: plain.fill(text, path, {}, None))
        return self._live

    def worth(self, path: str, name: str) -> bool:
        """Say whether a visit may come by anything: by itself, or by whom it calls."""
        part = self.sources.facts(path).parts.get(name)
        return part is not None and (
            (path, name) in self.live.touching or bool(part.touches or part.moves or part.patches)
        )

    def visit(
        self,
        path: str,
        name: str,
        bindings: Mapping[str, str | None] | None = None,
        receiver: Place | None = None,
    ) -> None:
        """Go through a part and whatever it calls."""
        waiting: list[tuple[str, str, dict[str, str | None], Place | None]] = [
            (path, name, dict(bindings or {}), receiver)
        ]
        while waiting or (waiting := self._by_name()):
            path, name, given, receiver = waiting.pop()
            part = self.sources.facts(path).parts.get(name)
            key = (path, name, tuple(sorted(given.items())), receiver)
            if part is None or key in self._seen:
                continue
            self._seen.add(key)
            if self._strict and not self.worth(path, name):
                continue
            self.asks = self.asks or (path, name) in self.live.asking
            self.patches.update(part.patches)
            self.moves = self.moves or part.moves
            for touch in part.touches:
                text = self.fill(touch.text, path, given, receiver)
                if text is not None:
                    known = (path, touch.line, touch.kind, text, touch.mode.value)
                    self.found.setdefault(known, Found(touch, path, text))
            self.parts += 1
            if self.parts > self._budget:
                # What is begun is looked at, and followed no further.
                continue
            for call in self._followed(path, name, part):
                waiting += self._called(call, path, name, given, receiver)

    def _followed(self, path: str, name: str, part: Part) -> tuple[Call, ...]:
        """The calls of a part that may lead anywhere; the same for all walks."""
        known = self.sources.followed.get((path, name))
        if known is None:
            names = self.live.names
            known = self.sources.followed[path, name] = tuple(
                call for call in part.calls if call.target[2:].rpartition(".")[2] in names
            )
        return known

    def _called(
        self,
        call: Call,
        path: str,
        name: str,
        given: Mapping[str, str | None],
        receiver: Place | None,
    ) -> list[tuple[str, str, dict[str, str | None], Place | None]]:
        kind, target = call.target[:2], call.target[2:]
        last = target.rpartition(".")[2]
        if last in self.cut:
            return []
        args = tuple(self.fill(each, path, given, receiver) for each in call.args)
        words = tuple((key, self.fill(each, path, given, receiver)) for key, each in call.keywords)
        if kind == "M:":
            self._methods.setdefault(target, {})[args, words] = None
            return []
        if kind == "S:":
            # What is inherited is looked for beyond the class that asks.
            own = (path, name.rpartition(".")[0])
            start = own if target.startswith("super.") else receiver or own
            return self._method(
                start,
                target.removeprefix("super."),
                args,
                words,
                receiver or own,
                beyond=target.startswith("super."),
            )
        place = self.sources.called(call.target, path)
        if place is None or not place[1]:
            return []
        return self._enter(place, args, words, called=call.called)

    def _enter(
        self, place: Place, args: tuple[str | None, ...], words: Bindings, *, called: bool
    ) -> list[tuple[str, str, dict[str, str | None], Place | None]]:
        path, name = place
        facts = self.sources.facts(path)
        if name in facts.classes:
            if place not in self._classes:
                for each in self.sources.lineage(path, name):
                    self._classes.setdefault(each)
                self._classes[place] = None
            found = []
            for method in BY_ITSELF if called else ():
                first = method == "__init__"
                found += self._method(
                    place, method, args if first else (), words if first else (), place
                )
            return found
        if any(fixture.part == name for fixture in facts.fixtures):
            # A fixture is requested, and never called.
            return []
        part = facts.parts.get(name)
        if part is None:
            owner, _, method = name.rpartition(".")
            return self._method((path, owner), method, args, words, (path, owner)) if owner else []
        owner = name.rpartition(".")[0]
        receiver = (path, owner) if owner in facts.classes else None
        return [(path, name, self._bound(part, path, args, words), receiver)]

    def _method(
        self,
        start: Place,
        method: str,
        args: tuple[str | None, ...],
        words: Bindings,
        receiver: Place,
        *,
        beyond: bool = False,
    ) -> list[tuple[str, str, dict[str, str | None], Place | None]]:
        for path, owner in self.sources.lineage(*start):
            if beyond and (path, owner) == start:
                continue
            part = self.sources.facts(path).parts.get(f"{owner}.{method}")
            if part is not None:
                bound = self._bound(part, path, args, words)
                return [(path, f"{owner}.{method}", bound, receiver)]
            if method in self.sources.facts(path).classes[owner].methods:
                # There it is, and does nothing.
                return []
        return []

    def _by_name(self) -> list[tuple[str, str, dict[str, str | None], Place | None]]:
        known = (len(self._classes), sum(map(len, self._methods.values())))
        if known == self._matched:
            return []
        self._matched = known
        found = []
        for path, name in list(self._classes):
            for method in self.sources.facts(path).classes[name].methods:
                for args, words in self._methods.get(method, ()):
                    found += self._method((path, name), method, args, words, (path, name))
        return [
            each
            for each in found
            if (each[0], each[1], tuple(sorted(each[2].items())), each[3]) not in self._seen
        ]

    def _bound(
        self, part: Part, path: str, args: tuple[str | None, ...], words: Bindings
    ) -> dict[str, str | None]:
        bound: dict[str, str | None] = {}
        for number, (name, default) in enumerate(part.params):
            if number < len(args):
                bound[name] = args[number]
            else:
                bound[name] = self.fill(default, path, {}, None)
        bound.update((name, text) for name, text in words if name in bound)
        return bound

    # Texts.

    def fill(
        self,
        text: str | None,
        path: str,
        given: Mapping[str, str | None],
        receiver: Place | None,
        depth: int = 0,
    ) -> str | None:
        """A text with its holes filled; None where one can't be."""
        if text is None or "\0" not in text:
            return text
        if depth > 12:
            return None
        pieces: list[str] = []
        at = 0
        for found in HOLE.finditer(text):
            piece = self._piece(found[1], found[2], path, given, receiver, depth + 1)
            if piece is None:
                return None
            pieces += (text[at : found.start()], piece)
            at = found.end()
        return "".join([*pieces, text[at:]])

    def _piece(
        self,
        kind: str,
        name: str,
        path: str,
        given: Mapping[str, str | None],
        receiver: Place | None,
        depth: int,
    ) -> str | None:
        if kind == "e":
            return f"\0e:{name}\0"
        if kind == "D":
            folder = path.rpartition("/")[0]
            return f"{ANCHOR}/{folder}" if folder else ANCHOR
        if kind == "p":
            return given.get(name)
        if name.rpartition(".")[2] in self.cut:
            return None
        if kind == "s":
            return self._attribute(name, receiver, depth)
        place = self.sources.within(path, name) if kind == "c" else self.sources.place(name, path)
        if place is None:
            return None
        constants = self.sources.facts(place[0]).constants
        if place[1] in constants:
            return self.fill(constants[place[1]], place[0], {}, None, depth)
        owner, _, attribute = place[1].rpartition(".")
        return self._attribute(attribute, (place[0], owner), depth) if owner else None

    def _attribute(self, name: str, receiver: Place | None, depth: int) -> str | None:
        for path, owner in self.sources.lineage(*receiver) if receiver else ():
            attributes = self.sources.facts(path).classes[owner].attributes
            if name in attributes:
                return self.fill(attributes[name], path, {}, receiver, depth)
        return None
