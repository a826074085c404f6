"""Which modules a source imports first thing, and whether running it does anything else.

Only the leading statements count: imports, the docstring, and blocks that do not run on import.
As soon as something else is executed, what is imported after it may see its effects.
"""

import ast
import re
import sys

#: A line with which the leading imports are certainly over.
_BODY = re.compile(
    rb"^(?:@|def |class |async |for |while |with |try:|[A-Za-z_]\w*\s*[=(\[.:])", re.MULTILINE
)


def leading_imports(source: bytes) -> tuple[str, ...]:
    """Dotted names of the modules outside the standard library, in order, each once.

    Relative imports are left out; a source that can't be parsed has none.
    """
    end = _BODY.search(source)
    head = source[: end.start()] if end else source
    try:
        tree = ast.parse(head)
    except (SyntaxError, ValueError):
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError):
            return ()
    names: dict[str, None] = {}
    for statement in tree.body:
        match statement:
            case ast.Import(names=aliases):
                names.update(dict.fromkeys(alias.name for alias in aliases))
            case ast.ImportFrom(module=str(name), level=0):
                names[name] = None
            case ast.ImportFrom() | ast.Expr(value=ast.Constant()):
                pass
            case ast.If(test=test, orelse=[]) if _never_on_import(test):
                pass
            case _:
                break
    return tuple(name for name in names if name.partition(".")[0] not in sys.stdlib_module_names)


def _never_on_import(test: ast.expr) -> bool:
    """``if __name__ == "__main__"`` and ``if TYPE_CHECKING``."""
    match test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return True
        case ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()]):
            return True
        case _:
            return False


def is_inert(source: bytes) -> bool:
    """Running this as a module does nothing but import, define and name constants."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return all(map(_inert_statement, tree.body))


def _inert_statement(statement: ast.stmt) -> bool:
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()) | ast.Pass():
            return True
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return True
        case ast.Assign(value=value) | ast.AnnAssign(value=value):
            return value is None or _inert_value(value)
        case ast.If(test=test, orelse=[]):
            return _never_on_import(test)
        case _:
            return False


def _inert_value(value: ast.expr) -> bool:
    parts = (ast.Constant, ast.Name, ast.Tuple, ast.List, ast.Set, ast.Dict, ast.expr_context)
    return all(isinstance(node, parts) for node in ast.walk(value))
