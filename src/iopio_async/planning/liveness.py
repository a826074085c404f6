"""Which functions are worth following: those from which something may be touched in the end.

The question is answered backwards, once for all files: from each touch to whoever calls its
function, and on from there. A touch that goes by an argument counts only with callers that show
what they pass, so whoever opens what it is told to is live for those who tell it, and for nobody
else. Methods of unknown objects are found by their names alone, so there are rather too many.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from iopio_async.analysis.facts import HOLE, NO_FACTS, Call, FileFacts, Part, Touch
from iopio_async.analysis.resources import reach_of, resource
from iopio_async.model.module import Reach

#: Where something is defined: a file, and a qualified name in it, empty for the file itself.
Place = tuple[str, str]
#: What a class runs by itself when an object of it is made or entered.
BY_ITSELF = ("__init__", "__new__", "__post_init__", "__enter__", "__aenter__", "__call__")
#: Methods of threads and processes that are run by another name.
_ARGUED = "__init__"

_Caller = tuple[Place, Part, Call]
_NOTHING: frozenset[str] = frozenset()


class Liveness(NamedTuple):
    """Live functions: ``touching`` are those with a way to a touch, however their objects came by.

    ``names`` are the last parts of names that are worth following from there: of those functions,
    and of all that make objects whose methods are among them.
    """

    touching: frozenset[Place]
    names: frozenset[str]


def liveness(
    files: Mapping[str, FileFacts],
    known: Callable[[str, str, str], bool],
    resolve: Callable[[str, str], Place | None],
) -> Liveness:
    """What is live in these files.

    ``known`` says if a hole, by kind, name and file, can be filled, and ``resolve`` what the target
    of a call means in a file.
    """
    return _Search(files, known, resolve).run()


class _Search:
    def __init__(
        self,
        files: Mapping[str, FileFacts],
        known: Callable[[str, str, str], bool],
        resolve: Callable[[str, str], Place | None],
    ) -> None:
        self.files = files
        self.known = known
        self.resolve = resolve
        self.callers: dict[str, list[_Caller]] = {}
        self.heirs: dict[str, set[str]] = {}
        self._families: dict[str, dict[str, None]] = {}
        self.attributes: set[str] = set()
        self.needs: dict[Place, set[frozenset[str]]] = {}
        self.waiting: list[tuple[Place, frozenset[str]]] = []

    def run(self) -> Liveness:
        """Index the calls, and search from each touch."""
        for path, facts in self.files.items():
            for name, part in facts.parts.items():
                for call in part.calls:
                    called = call.target[2:].rpartition(".")[2]
                    self.callers.setdefault(called, []).append(((path, name), part, call))
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
                    self._need((path, name), _NOTHING)
                for touch in part.touches:
                    if testing or reach_of(touch.kind) is Reach.MACHINE:
                        self._need((path, name), self._wanted(touch, path))
        while self.waiting:
            place, wanted = self.waiting.pop()
            if wanted in self.needs[place]:
                self._to_callers(place, wanted)
        touching = frozenset(self.needs)
        return Liveness(touching, frozenset(self._following(touching)))

    def _following(self, touching: frozenset[Place]) -> set[str]:
        """The names by which a walk arrives at live functions, or at who makes their objects."""
        makers: dict[str, set[str]] = {}
        for called, calls in self.callers.items():
            makers[called] = {name.rpartition(".")[2] for (_, name), _, _ in calls}
        found = {name.rpartition(".")[2] for _, name in touching}
        waiting = [
            owner
            for path, name in touching
            for owner in name.split(".")[:-1]
            if owner in self.files[path].classes or "." in name
        ]
        made: set[str] = set()
        while waiting:
            each = waiting.pop()
            if each not in made:
                made.add(each)
                waiting += makers.get(each, ())
                waiting += self.heirs.get(each, ())
        return found | made

    def _wanted(self, touch: Touch, path: str) -> frozenset[str] | None:
        if "\0" not in touch.text:
            return _NOTHING if resource(touch.kind, touch.text) is not None else None
        return self._open(touch.text, path)

    def _open(self, text: str | None, path: str) -> frozenset[str] | None:
        """The arguments that a text goes by; None where it can't be filled, whatever they are."""
        if text is None or "\0" not in text:
            return None if text is None else _NOTHING
        wanted: set[str] = set()
        for kind, name in HOLE.findall(text):
            if kind == "p":
                wanted.add(name)
            elif kind == "s":
                if name not in self.attributes:
                    return None
            elif kind in "cd" and not self.known(kind, name, path):
                return None
        return frozenset(wanted)

    def _need(self, place: Place, wanted: frozenset[str] | None) -> None:
        if wanted is None:
            return
        needs = self.needs.setdefault(place, set())
        if any(each <= wanted for each in needs):
            return
        needs -= {each for each in needs if wanted < each}
        needs.add(wanted)
        self.waiting.append((place, wanted))

    def _to_callers(self, place: Place, wanted: frozenset[str]) -> None:
        path, name = place
        owner, _, last = name.rpartition(".")
        if owner in self.files[path].classes and last in BY_ITSELF:
            for called in self._with_heirs(owner.rpartition(".")[2]):
                self._through(called, place, wanted, argued=last == _ARGUED)
        self._through(last, place, wanted, argued=True)

    def _through(self, called: str, callee: Place, wanted: frozenset[str], *, argued: bool) -> None:
        """Go on to those who call this name."""
        path, name = callee
        part = self.files[path].parts[name]
        for place, caller, call in self.callers.get(called, ()):
            if not argued and not call.called:
                continue
            further = self._passed(part, wanted, path, call if argued else None, place[0])
            if further is None or (further and not caller.params):
                continue
            if not self._may_mean(call.target, place, callee, called):
                continue
            self._need(place, further)

    def _may_mean(self, target: str, caller: Place, callee: Place, called: str) -> bool:
        """Say whether a call can arrive at a function or class, or at one of its heirs."""
        kind, owner = target[:2], callee[1].rpartition(".")[0]
        method = owner in self.files[callee[0]].classes
        if kind == "M:":
            return method
        if kind == "S:":
            own = caller[1].rpartition(".")[0].rpartition(".")[2]
            theirs = owner.rpartition(".")[2]
            return method and (own in self._with_heirs(theirs) or theirs in self._with_heirs(own))
        found = self.resolve(target, caller[0])
        if found is None:
            return False
        if found == callee:
            return True
        # A class that inherits it, or a method by the name of its class.
        return (
            found[1] != ""
            and (method or callee[1] in self.files[callee[0]].classes)
            and (found[1].rpartition(".")[2] == called)
            and found[1] not in self.files.get(found[0], NO_FACTS).parts
        )

    def _passed(
        self, part: Part, wanted: frozenset[str], path: str, call: Call | None, caller: str
    ) -> frozenset[str] | None:
        further: frozenset[str] = _NOTHING
        for number, (name, default) in enumerate(part.params):
            if name not in wanted:
                continue
            words = dict(call.keywords) if call is not None else {}
            if name in words:
                opened = self._open(words[name], caller)
            elif call is not None and number < len(call.args):
                opened = self._open(call.args[number], caller)
            else:
                opened = self._open(default, path)
                opened = None if opened else opened
            if opened is None:
                return None
            further |= opened
        # What is no parameter of its own is an outer function's, or fixtures' `request`.
        return further if wanted <= {name for name, _ in part.params} else None

    def _with_heirs(self, name: str) -> Mapping[str, None]:
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
