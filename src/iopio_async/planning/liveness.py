"""Which functions are worth following: those from which something may be touched in the end.

The question is answered backwards, once for all files: from each touch to whoever calls its
function, and on from there. What is touched is carried along: a text that goes by an argument is
filled with what a caller passes, and dropped where that is unknown or names nothing. So whoever
opens what it is told to is live for those who tell it, and for nobody else. Methods of unknown
objects are found by their names alone, so there are rather too many.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from iopio_async.analysis.facts import HOLE, NO_FACTS, Call, FileFacts, hole
from iopio_async.analysis.resources import reach_of, resource
from iopio_async.model.module import Reach

#: Where something is defined: a file, and a qualified name in it, empty for the file itself.
Place = tuple[str, str]
#: What a class runs by itself when an object of it is made or entered.
BY_ITSELF = ("__init__", "__new__", "__post_init__", "__enter__", "__aenter__", "__call__")
#: How many texts are told apart for one function; beyond that, it is live for whatever is passed.
_MAX_TEXTS = 16

#: A kind of touch with a text that still goes by arguments.
_Want = tuple[str, str]
#: Something is reached, whatever is passed.
_ANY: _Want = ("", "")


class Liveness(NamedTuple):
    """Live functions: ``touching`` are those with a way to a touch, however their objects came by.

    ``names`` are the last parts of names that are worth following from there: of those functions,
    and of all that make objects whose methods are among them. ``asking`` are the live functions
    that call a live method of an unknown object: for them it matters which objects there are.
    """

    touching: frozenset[Place]
    asking: frozenset[Place]
    names: frozenset[str]


def liveness(
    files: Mapping[str, FileFacts],
    constant: Callable[[str, str], str | None],
    resolve: Callable[[str, str], Place | None],
) -> Liveness:
    """What is live in these files.

    ``constant`` fills a text that is a hole for a constant, as it stands in a file, and ``resolve``
    says what the target of a call means in a file.
    """
    return _Search(files, constant, resolve).run()


class _Search:
    """The search: what is wanted of each function, and of whom it still has to be asked."""

    def __init__(
        self,
        files: Mapping[str, FileFacts],
        constant: Callable[[str, str], str | None],
        resolve: Callable[[str, str], Place | None],
    ) -> None:
        self.files = files
        self.constant = constant
        self.resolve = resolve
        self.callers: dict[str, list[tuple[Place, Call]]] = {}
        self.heirs: dict[str, set[str]] = {}
        self.attributes: set[str] = set()
        self.wants: dict[Place, set[_Want]] = {}
        self.waiting: list[tuple[Place, _Want]] = []
        self.asking: set[Place] = set()
        self._families: dict[str, dict[str, None]] = {}

    def run(self) -> Liveness:
        """Index the calls, and search from each touch."""
        for path, facts in self.files.items():
            for name, part in facts.parts.items():
                for call in part.calls:
                    called = call.target[2:].rpartition(".")[2]
                    self.callers.setdefault(called, []).append(((path, name), call))
            for name, of_class in facts.classes.items():
                self.attributes.update(key for key, text in of_class.attributes.items() if text)
                for base in of_class.bases:
                    inherited = base[2:].rpartition(".")[2]
                    self.heirs.setdefault(inherited, set()).add(name.rpartition(".")[2])
        for path, facts in self.files.items():
            # What the product changes in its own process is its own affair.
            testing = "test" in path
            for name, part in facts.parts.items():
                if testing and (part.moves or part.patches or part.requests):
                    self._want((path, name), _ANY)
                for touch in part.touches:
                    if testing or reach_of(touch.kind) is Reach.MACHINE:
                        text = self._filled(touch.text, path)
                        self._want((path, name), self._open(touch.kind, text))
        while self.waiting:
            place, wanted = self.waiting.pop()
            if wanted in self.wants[place]:
                self._ask_callers(place, wanted)
        touching = frozenset(self.wants)
        return Liveness(touching, frozenset(self.asking), frozenset(self._followed(touching)))

    # Texts.

    def _filled(self, text: str | None, path: str) -> str | None:
        """A text with all its constants; None where one of them is unknown."""
        if text is None or "\0" not in text:
            return text
        pieces: list[str] = []
        at = 0
        for found in HOLE.finditer(text):
            kind, name = found[1], found[2]
            piece: str | None = found[0]
            if kind in "cd":
                piece = self.constant(found[0], path)
            elif kind == "s" and name not in self.attributes:
                piece = None
            elif kind == "D":
                piece = self.constant(found[0], path)
            if piece is None:
                return None
            pieces += (text[at : found.start()], piece)
            at = found.end()
        return "".join([*pieces, text[at:]])

    def _open(self, kind: str, text: str | None) -> _Want | None:
        """What is wanted of callers for a text; None where it names nothing, whoever calls."""
        if text is None:
            return None
        if "\0p:" in text:
            return (kind, text)
        if "\0s:" in text or resource(kind, text) is not None:
            return _ANY
        return None

    def _passed(self, callee: Place, wanted: _Want, call: Call | None, caller: str) -> _Want | None:
        """What is wanted of a caller, once its arguments are put in."""
        if wanted == _ANY:
            return _ANY
        kind, text = wanted
        part = self.files[callee[0]].parts[callee[1]]
        given: dict[str, str | None] = {}
        for number, (name, default) in enumerate(part.params):
            if call is not None and number < len(call.args):
                given[name] = self._filled(call.args[number], caller)
            else:
                given[name] = self._filled(default, callee[0])
        if call is not None:
            given.update((name, self._filled(each, caller)) for name, each in call.keywords)
        for name in {name for each, name in HOLE.findall(text) if each == "p"}:
            piece = given.get(name)
            if piece is None:
                return None
            # The caller's argument may have the same name: it is filled in all at once below.
            given[name] = piece
        return self._open(kind, HOLE.sub(lambda found: _piece(found[0], given), text))

    # Calls.

    def _want(self, place: Place, wanted: _Want | None) -> None:
        if wanted is None:
            return
        wants = self.wants.setdefault(place, set())
        if _ANY in wants or wanted in wants:
            return
        if wanted == _ANY or len(wants) >= _MAX_TEXTS:
            wants.clear()
            wanted = _ANY
        wants.add(wanted)
        self.waiting.append((place, wanted))

    def _ask_callers(self, place: Place, wanted: _Want) -> None:
        path, name = place
        owner, _, last = name.rpartition(".")
        if owner in self.files[path].classes and last in BY_ITSELF:
            for called in self._family(owner.rpartition(".")[2]):
                self._ask(called, place, wanted, argued=last == "__init__", made=True)
        self._ask(last, place, wanted, argued=True, made=False)

    def _ask(self, called: str, callee: Place, wanted: _Want, *, argued: bool, made: bool) -> None:
        for place, call in self.callers.get(called, ()):
            if made and not call.called:
                continue
            further = self._passed(callee, wanted, call if argued else None, place[0])
            if further is not None and self._may_mean(call.target, place, callee, called):
                self._want(place, further)
                if call.target.startswith("M:"):
                    self.asking.add(place)

    def _may_mean(self, target: str, caller: Place, callee: Place, called: str) -> bool:
        """Say whether a call can arrive at a function, or by a class that has it."""
        kind, owner = target[:2], callee[1].rpartition(".")[0]
        method = owner in self.files[callee[0]].classes
        if kind == "M:":
            return method
        if kind == "S:":
            own = caller[1].rpartition(".")[0].rpartition(".")[2]
            theirs = owner.rpartition(".")[2]
            return method and (own in self._family(theirs) or theirs in self._family(own))
        found = self.resolve(target, caller[0])
        if found is None or found == callee:
            return found is not None
        defined = self.files.get(found[0], NO_FACTS).parts
        return method and found[1].rpartition(".")[2] == called and found[1] not in defined

    def _family(self, name: str) -> Mapping[str, None]:
        """A class with all that inherit from it, by the last parts of their names."""
        known = self._families.get(name)
        if known is None:
            known = self._families[name] = {name: None}
            waiting = [name]
            while waiting:
                for heir in sorted(self.heirs.get(waiting.pop(), ())):
                    if heir not in known:
                        known[heir] = None
                        waiting.append(heir)
        return known

    def _followed(self, touching: frozenset[Place]) -> set[str]:
        """The names by which a walk arrives at live functions, or at who makes their objects."""
        waiting = [owner for _, name in touching for owner in name.split(".")[:-1]]
        made: set[str] = set()
        while waiting:
            each = waiting.pop()
            if each not in made:
                made.add(each)
                waiting += (name.rpartition(".")[2] for (_, name), _ in self.callers.get(each, ()))
                waiting += self.heirs.get(each, ())
        return made | {name.rpartition(".")[2] for _, name in touching}


def _piece(found: str, given: Mapping[str, str | None]) -> str:
    name = found[3:-1]
    return (given.get(name) or "") if found == hole("p", name) else found
