"""What marks on tests declare: locks, needs, groups, requested fixtures, parameters.

``@pytest.mark.iopio(locks=["db"], shared=["catalog"], needs={"gpu": 1}, serial=True)``. Only what
is literal, or a constant of the file, counts.
"""

import ast

from iopio_async.analysis.conventions import MARKS
from iopio_async.analysis.facts import Declaration, Marks
from iopio_async.analysis.values import Reader, Value, as_text, from_text

MARK = "iopio"
_PATCHES = frozenset({"patch", "object", "multiple"})


def read_marks(nodes: list[ast.expr], reader: Reader) -> Marks:
    """Read decorators, or the elements of ``pytestmark``."""
    uses: list[str] = []
    declarations: list[Declaration] = []
    named: list[tuple[str, int]] = []
    patches: list[str] = []
    parameters: list[tuple[str, tuple[str, ...]]] = []
    indirect: list[tuple[str, tuple[str, ...]]] = []
    for node in nodes:
        called = node.func if isinstance(node, ast.Call) else node
        dotted = reader.names.dotted(called) or ""
        package, _, name = dotted.rpartition(".")
        call = node if isinstance(node, ast.Call) else None
        if name in _PATCHES and "patch" in dotted and call is not None:
            target = patched(call, reader)
            patches += [target] if target else []
        if package.rpartition(".")[2] != "mark":
            continue
        if name == "usefixtures" and call is not None:
            uses += _strings([reader.folded(reader.value(each)) for each in call.args])
        elif name == MARK:
            declarations.append(_declaration(call, reader, node.lineno))
        elif name == "xdist_group":
            declarations.append(Declaration(node.lineno, group=_group(call, reader)))
        elif name in MARKS:
            named.append((name, node.lineno))
        elif name == "parametrize" and call is not None:
            direct, by_fixture = _parameters(call, reader)
            parameters += direct
            indirect += by_fixture
    return Marks(
        tuple(uses),
        tuple(declarations),
        tuple(named),
        tuple(patches),
        tuple(parameters),
        tuple(indirect),
    )


def patched(call: ast.Call, reader: Reader) -> str | None:
    """The dotted name that ``patch``, ``patch.object`` or ``setattr`` replaces.

    A thing that is not imported is unknown: its name is a star.
    """
    if not call.args:
        return None
    target = reader.folded(reader.value(call.args[0]))
    if isinstance(target, str) and "\0" not in target and "." in target:
        return target
    name = reader.value(call.args[1]) if len(call.args) > 1 else None
    if not isinstance(name, str):
        return None
    owner = reader.names.dotted(call.args[0])
    return f"{owner or '*'}.{name}"


def _declaration(call: ast.Call | None, reader: Reader, line: int) -> Declaration:
    locks: tuple[str, ...] | None = None
    shared: tuple[str, ...] | None = None
    needs: list[tuple[str, int]] = []
    serial = False
    for keyword in call.keywords if call is not None else ():
        value = reader.folded(reader.value(keyword.value))
        if keyword.arg == "locks":
            locks = _names(value)
        elif keyword.arg == "shared":
            shared = _names(value)
        elif keyword.arg == "serial":
            serial = value is True
        elif keyword.arg == "needs" and isinstance(keyword.value, ast.Dict):
            for key, amount in zip(keyword.value.keys, keyword.value.values, strict=True):
                resource, count = reader.folded(reader.value(key)), reader.value(amount)
                if isinstance(resource, str) and isinstance(count, int) and count > 0:
                    needs.append((resource, count))
    return Declaration(line, locks, shared, tuple(needs), "", serial)


def _names(value: Value) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return (value,)
    return tuple(_strings(value)) if isinstance(value, tuple) else None


def _group(call: ast.Call | None, reader: Reader) -> str:
    if call is None:
        return ""
    given = [*call.args, *(each.value for each in call.keywords if each.arg == "name")]
    value = reader.folded(reader.value(given[0])) if given else None
    # Without a name, pytest-xdist has one group for all.
    return value if isinstance(value, str) else "default"


def _parameters(
    call: ast.Call, reader: Reader
) -> tuple[list[tuple[str, tuple[str, ...]]], list[tuple[str, tuple[str, ...]]]]:
    """Names that are filled, with the values that are known: directly, and by way of fixtures."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    first = call.args[0] if call.args else given.get("argnames")
    second = call.args[1] if len(call.args) > 1 else given.get("argvalues")
    names = reader.folded(reader.value(first))
    if isinstance(names, str):
        names = tuple(name.strip() for name in names.split(","))
    if not isinstance(names, tuple):
        return [], []
    columns: list[list[str]] = [[] for _ in names]
    rows = second.elts if isinstance(second, ast.List | ast.Tuple | ast.Set) else []
    if isinstance(second, ast.Name):
        known = reader.folded(reader.value(second))
        for row in known if isinstance(known, tuple) else ():
            _put(row, columns)
    for element in rows:
        match element:
            case ast.Call(func=ast.Attribute(attr="param"), args=args):
                _put(args[0] if len(names) == 1 and args else ast.Tuple(elts=args), columns, reader)
            case _:
                _put(element, columns, reader)
    indirect = reader.value(given.get("indirect"))
    by_fixture = set(_strings(indirect)) if isinstance(indirect, tuple) else set()
    direct: list[tuple[str, tuple[str, ...]]] = []
    others: list[tuple[str, tuple[str, ...]]] = []
    for name, column in zip(_strings(names), columns, strict=False):
        where = others if indirect is True or name in by_fixture else direct
        where.append((name, tuple(dict.fromkeys(column))))
    return direct, others


def _put(row: "ast.expr | Value", columns: list[list[str]], reader: Reader | None = None) -> None:
    value = reader.folded(reader.value(row)) if reader and isinstance(row, ast.expr) else row
    if isinstance(value, ast.expr):
        return
    items = value if len(columns) > 1 and isinstance(value, tuple) else (value,)
    if len(columns) > 1 and isinstance(value, str):
        items = from_text(value) if isinstance(from_text(value), tuple) else ()  # type: ignore[assignment]
    for column, item in zip(columns, items, strict=False):
        text = as_text(item)
        if text is not None:
            column.append(text)


def _strings(values: "Value | list[Value]") -> list[str]:
    return (
        [each for each in values if isinstance(each, str)]
        if isinstance(values, tuple | list)
        else []
    )
