"""The nodes of a body in the order of the source, without what never runs under a test runner."""

import ast
from collections.abc import Iterator

_FUNCTIONS = frozenset({ast.FunctionDef, ast.AsyncFunctionDef})
_NAMED = frozenset({ast.ClassDef, ast.ExceptHandler})
_IMPORTS = frozenset({ast.Import, ast.ImportFrom})
_LEAVES = frozenset(
    {
        *(ast.Load, ast.Store, ast.Del, ast.Constant, ast.Pass, ast.Break, ast.Continue),
        *(ast.Global, ast.Nonlocal),
        *ast.operator.__subclasses__(),
        *ast.boolop.__subclasses__(),
        *ast.cmpop.__subclasses__(),
        *ast.unaryop.__subclasses__(),
    }
)
#: Fields that hold names, and what is said of types: nothing below them runs.
_SILENT_FIELDS = frozenset({"annotation", "returns", "ctx", "op", "ops", "id", "attr", "arg"})


def _kinds_below(kind: type[ast.AST]) -> Iterator[type[ast.AST]]:
    for each in kind.__subclasses__():
        yield each
        yield from _kinds_below(each)


#: Of each kind of node that is visited, its fields from the last to the first. A dictionary by kind
#: decides for a million nodes a second what subclass checks would decide for a fraction of that.
_FIELDS: dict[type, tuple[str, ...]] = {
    kind: tuple(field for field in reversed(kind._fields) if field not in _SILENT_FIELDS)
    for kind in _kinds_below(ast.AST)
    if kind not in _LEAVES
}
_FAILURES = frozenset({"raises", "assertRaises", "assertRaisesRegex", "RaisesGroup"})


def flatten(body: list[ast.stmt], *, descend: bool) -> list[ast.AST]:
    """All nodes of a body, outer before inner; with ``descend`` those of nested functions too.

    Without it, bodies of classes are left to those who read the class as well, but for what their
    statements execute.
    """
    found: list[ast.AST] = []
    stack: list[ast.AST] = list(reversed(body))
    pop, push = stack.pop, stack.append
    while stack:
        node = pop()
        kind = type(node)
        found.append(node)
        if kind in _FUNCTIONS:
            if descend:
                stack += reversed(node.body)  # type: ignore[attr-defined]
            continue
        if kind is ast.ClassDef:
            if descend:
                stack += reversed(node.body)  # type: ignore[attr-defined]
            else:
                stack += [
                    each
                    for each in reversed(node.body)  # type: ignore[attr-defined]
                    if isinstance(each, ast.Expr)
                ]
            continue
        if kind is ast.If and never_runs(node.test):  # type: ignore[attr-defined]
            stack += reversed(node.orelse)  # type: ignore[attr-defined]
            continue
        if kind in {ast.With, ast.AsyncWith} and _expects_failure(node):
            continue
        for field in _FIELDS.get(kind, ()):
            child = getattr(node, field, None)
            if type(child) is list:
                for each in reversed(child):
                    if type(each) in _FIELDS:
                        push(each)
            elif type(child) in _FIELDS:
                push(child)  # type: ignore[arg-type]
    return found


def never_runs(test: ast.expr) -> bool:
    """``if __name__ == "__main__"`` and ``if TYPE_CHECKING``."""
    match test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return True
        case ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()]):
            return True
    return False


def _expects_failure(node: ast.AST) -> bool:
    for item in node.items:  # type: ignore[attr-defined]
        match item.context_expr:
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in _FAILURES:
                return True
    return False


def bound_names(nodes: list[ast.AST]) -> set[str]:
    """The names that a function binds, less those that it declares to be others'."""
    found: set[str] = set()
    for node in nodes:
        kind = type(node)
        if kind is ast.Name:
            if isinstance(node.ctx, ast.Store):  # type: ignore[attr-defined]
                found.add(node.id)  # type: ignore[attr-defined]
        elif kind in _FUNCTIONS:
            found.add(node.name)  # type: ignore[attr-defined]
            arguments = node.args  # type: ignore[attr-defined]
            found.update(each.arg for each in [*arguments.args, *arguments.kwonlyargs])
        elif kind is ast.Lambda:
            found.update(each.arg for each in node.args.args)  # type: ignore[attr-defined]
        elif kind in _NAMED and node.name:  # type: ignore[attr-defined]
            found.add(node.name)  # type: ignore[attr-defined]
    return found


def imported_names(
    nodes: list[ast.AST],
) -> tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]:
    """What is imported: dotted names by name, modules by star, and all modules.

    ``from a import b`` may import the module ``a.b``: both are named.
    """
    names: dict[str, str] = {}
    stars: list[str] = []
    modules: dict[str, None] = {}
    for node in [each for each in nodes if type(each) in _IMPORTS]:
        if type(node) is ast.Import:
            for alias in node.names:
                modules[alias.name] = None
                if alias.asname:
                    names[alias.asname] = alias.name
                else:
                    root = alias.name.partition(".")[0]
                    names[root] = root
        elif type(node) is ast.ImportFrom:
            base = "." * node.level + (node.module or "")
            modules[base] = None
            for alias in node.names:
                if alias.name == "*":
                    stars.append(base)
                    continue
                dotted = base + alias.name if base.endswith(".") else f"{base}.{alias.name}"
                names[alias.asname or alias.name] = dotted
                modules[dotted] = None
    return names, tuple(stars), tuple(modules)
