"""Fixtures and what functions request, from their definitions."""

import ast

from iopio_async.analysis.facts import Fixture
from iopio_async.analysis.values import Reader, as_text

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = frozenset({"function", "class", "module", "package", "session"})


def is_test_name(name: str) -> bool:
    """Say whether pytest or unittest would take a function of this name for a test."""
    return name.startswith("test")


def read_fixture(node: _Function, part: str, owner: str, reader: Reader) -> Fixture | None:
    """The fixture that a function is decorated to be; None for any other function."""
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        dotted = reader.names.dotted(called) or ""
        if dotted.rpartition(".")[2] not in {"fixture", "yield_fixture"}:
            continue
        name, scope, autouse = node.name, "function", False
        values: tuple[str, ...] = ()
        for keyword in decorator.keywords if isinstance(decorator, ast.Call) else ():
            value = reader.value(keyword.value)
            if keyword.arg == "name" and isinstance(value, str):
                name = value
            elif keyword.arg == "scope" and value in _SCOPES:
                scope = str(value)
            elif keyword.arg == "autouse":
                autouse = value is True
            elif keyword.arg == "params":
                values = _values(keyword.value, reader)
        if isinstance(decorator, ast.Call) and decorator.args:
            given = reader.value(decorator.args[0])
            scope = str(given) if given in _SCOPES else scope
        parameters = tuple(each for each, _ in read_parameters(node, None, method=bool(owner)))
        return Fixture(name, part, node.lineno, scope, autouse, owner, parameters, values)
    return None


def _values(node: ast.expr, reader: Reader) -> tuple[str, ...]:
    """The values of a list, out of ``pytest.param`` where they are in it."""
    found: list[str] = []
    for each in node.elts if isinstance(node, ast.List | ast.Tuple) else ():
        wrapped = isinstance(each, ast.Call) and (reader.names.dotted(each.func) or "").endswith(
            "pytest.param"
        )
        text = reader.text(each.args[0] if wrapped and each.args else each)  # type: ignore[attr-defined]
        if text is not None:
            found.append(text)
    return tuple(found)


def read_parameters(
    node: _Function, reader: Reader | None, *, method: bool
) -> tuple[tuple[str, str | None], ...]:
    """Names of parameters with their defaults; a method's first one is left out."""
    arguments = node.args
    names = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(names) - len(arguments.defaults))
    defaults += arguments.defaults
    pairs = list(zip(names, defaults, strict=True))
    if method and pairs:
        pairs = pairs[1:]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return tuple((each.arg, reader.text(value) if reader else None) for each, value in pairs)


def given_value(node: _Function, reader: Reader) -> str | None:
    """What a fixture returns or yields, where that is the same everywhere."""
    found: set[str | None] = set()
    stack: list[ast.AST] = list(node.body)
    while stack:
        each = stack.pop()
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(each, ast.Return | ast.Yield):
            if each.value is None:
                continue
            found.add(as_text(reader.value(each.value)))
        stack += ast.iter_child_nodes(each)
    return found.pop() if len(found) == 1 else None
