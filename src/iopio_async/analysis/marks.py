"""iopio's own mark in a module's source: ``pytestmark = pytest.mark.iopio(group="database")``.

Only what the whole module is marked with counts, alone or in a list, as a literal: it has to be
known before anything is imported.
"""

import ast
from collections.abc import Iterator

#: What a source has to hold for a look at it to be worth while.
_NEEDLES = (b"pytestmark", b"iopio", b"group")


def group_mark(source: bytes) -> str | None:
    """The group that a module's own mark puts it into."""
    if not all(needle in source for needle in _NEEDLES):
        return None
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    group = None
    for statement in tree.body:
        for mark in _marks(statement):
            for keyword in mark.keywords:
                if keyword.arg == "group" and isinstance(keyword.value, ast.Constant):
                    value = keyword.value.value
                    group = value if isinstance(value, str) and value else group
    return group


def _marks(statement: ast.stmt) -> Iterator[ast.Call]:
    """The calls of iopio's mark in an assignment to ``pytestmark``."""
    match statement:
        case ast.Assign(targets=[ast.Name(id="pytestmark")], value=value):
            pass
        case ast.AnnAssign(target=ast.Name(id="pytestmark"), value=ast.expr() as value):
            pass
        case _:
            return
    marks = value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
    for mark in marks:
        match mark:
            case (
                ast.Call(func=ast.Attribute(value=ast.Attribute(attr="mark"), attr="iopio"))
                | ast.Call(func=ast.Attribute(value=ast.Name(id="mark"), attr="iopio"))
            ):
                yield mark
            case _:
                pass
