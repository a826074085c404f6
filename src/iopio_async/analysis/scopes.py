"""The functions of a source, each with a digest of what executing it executes.

A result depends on the functions that were executed, not on whole files. A *scope* is the module's
top level, ``<module>``, or a function by its qualified name, with ``#2`` for the second one of that
name in the file. Bodies of classes, lambdas and comprehensions belong to the scope around them.

A digest covers the syntax tree without positions and comments. In it a function that is nested
stands for what creating it needs: name, decorators, arguments with their defaults and annotations,
docstring, whether it is asynchronous or a generator. Its body is a scope of its own. Whatever
decides whether the file compiles at all, and what the compiler warns of, belongs to ``<module>``.

Digests can be compared between processes of the same Python version.
"""

import ast
import warnings
from hashlib import sha256
from typing import Any

import msgspec

MODULE = "<module>"

#: Half of a SHA-256: enough among the versions of one function.
DIGEST_CHARS = 32

#: Fields of syntax nodes that no execution can notice.
_UNNOTICED = frozenset({"type_comment", "type_ignores", "kind"})

#: Every class of nodes with a number and its fields. A source holds no negative literal (the sign
#: is an operator), so that the number can't be mistaken for one.
_NODES: dict[type, tuple[int, tuple[str, ...]]] = {
    node: (-number, tuple(field for field in node._fields if field not in _UNNOTICED))
    for number, node in enumerate(
        sorted(
            (each for each in vars(ast).values() if isinstance(each, type) and each.__base__),
            key=lambda each: each.__name__,
        ),
        start=1,
    )
    if issubclass(node, ast.AST)
}
_YIELDS = tuple(_NODES[node][0] for node in (ast.Yield, ast.YieldFrom))

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_OF_ITS_OWN = frozenset({*_FUNCTIONS, ast.ClassDef})
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Scopes(msgspec.Struct, frozen=True):
    """The scopes of one source, and where in it they are.

    ``digests`` is by scope; ``places`` leads from a line and a name, with a space between, to the
    scope that a code object of that name belongs to which begins on that line.
    """

    digests: dict[str, str]
    places: dict[str, str]

    def locate(self, qualified_name: str, first_line: int) -> str | None:
        """The scope that a code object belongs to; None where that can't be told."""
        if qualified_name == MODULE:
            return MODULE
        name = qualified_name.rpartition(".")[2]
        return self.places.get(f"{first_line} {name}")


def read_scopes(source: bytes) -> Scopes | None:
    """The scopes of a source; None where it does not compile."""
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            tree = ast.parse(source)
            module = _Scope(MODULE, 0)
            flat = module.read(tree.body)
            compile(tree, "", "exec", dont_inherit=True)
        said = sorted(f"{each.category.__name__}: {each.message}" for each in warned)
        module.digest = _digest([*flat, *said])
        return _named(module)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None


class _Scope:
    """A scope while it is read. ``inner`` are the functions that are nested in it."""

    def __init__(self, qualified_name: str, first_line: int) -> None:
        self.qualified_name = qualified_name
        self.first_line = first_line
        self.digest = ""
        self.inner: list[_Scope] = []
        #: Code objects that belong to it besides its own: the bodies of classes, type aliases and
        #: bounds of type parameters, each by its line and name.
        self.holds: list[str] = []

    def read(self, body: list[ast.stmt]) -> list[object]:
        """The flat form of its body."""
        flat: list[object] = []
        inside = "" if self.qualified_name == MODULE else f"{self.qualified_name}.<locals>."
        self._flatten(body, inside, flat)
        return flat

    def _flatten(self, root: object, inside: str, flat: list[object]) -> None:
        """Append a preorder of the tree. Every node has as many fields as its class says, and every
        list says its length, so that no two trees have the same one.
        """
        append, nodes = flat.append, _NODES
        waiting: list[object] = [root]
        pop, push = waiting.pop, waiting.append
        while waiting:
            item: Any = pop()
            kind: type = type(item)
            if kind in nodes:
                if kind in _OF_ITS_OWN:
                    waiting.append(self._define(item, inside, flat))
                    continue
                number, fields = nodes[kind]
                append(number)
                for field in fields:
                    push(getattr(item, field, None))
                if kind.__name__ in _LATE:
                    self._hold(item)
            elif kind is list:
                items: list[object] = item
                append(len(items))
                waiting += items
            else:
                append(item)

    def _define(self, node: Any, inside: str, flat: list[object]) -> list[object]:
        """Read a function's or a class's body; what of the rest belongs to this scope."""
        definition: _Definition = node
        name = definition.name
        first_line = min(
            [definition.lineno, *(decorator.lineno for decorator in definition.decorator_list)]
        )
        parameters = list(getattr(definition, "type_params", ()))
        flat += (_NODES[type(definition)][0], name)
        if isinstance(definition, ast.ClassDef):
            self.holds.append(f"{first_line} {name}")
            self._flatten(definition.body, f"{inside}{name}.", flat)
            return [definition.decorator_list, definition.bases, definition.keywords, parameters]
        function = _Scope(inside + name, first_line)
        own = function.read(definition.body)
        function.digest = _digest(own)
        self.inner.append(function)
        flat += (
            ast.get_docstring(definition, clean=False),
            # Calling a generator function executes nothing of it yet.
            any(number in own for number in _YIELDS),
            # By this a method makes its class keep a cell for itself.
            "super" in own or "__class__" in own,
        )
        return [definition.decorator_list, definition.args, definition.returns, parameters]

    def _hold(self, node: Any) -> None:
        name = node.name.id if isinstance(node.name, ast.Name) else node.name
        self.holds.append(f"{node.lineno} {name}")


#: What is evaluated later in a code object of its own, though it belongs to the scope around it.
_LATE = frozenset({"TypeAlias", "TypeVar", "ParamSpec", "TypeVarTuple"})


def _digest(flat: list[object]) -> str:
    return sha256(repr(flat).encode()).hexdigest()[:DIGEST_CHARS]


def _named(module: _Scope) -> Scopes:
    """Name the scopes, in the order of the source."""
    scopes = [module]
    for scope in scopes:
        scopes += scope.inner
    scopes.sort(key=lambda scope: scope.first_line)
    digests: dict[str, str] = {}
    places: dict[str, str] = {}
    counts: dict[str, int] = {}
    for scope in scopes:
        count = counts[scope.qualified_name] = counts.get(scope.qualified_name, 0) + 1
        name = scope.qualified_name if count == 1 else f"{scope.qualified_name}#{count}"
        digests[name] = scope.digest
        for held in scope.holds:
            places.setdefault(held, name)
        if scope is not module:
            last = scope.qualified_name.rpartition(".")[2]
            places[f"{scope.first_line} {last}"] = name
    return Scopes(digests, places)
