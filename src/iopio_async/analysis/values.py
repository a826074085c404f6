"""What an expression comes to, as far as its source shows: constants, paths, and texts with holes.

The rules are those of a careful reader: literals, names that are assigned once, f-strings and
joined paths are followed; whatever else takes part makes the whole unknown. So a name with a random
part, or one below a temporary folder, is unknown, and what is unknown claims nothing.
"""

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any

from iopio_async.analysis.facts import HOLE, ITEM, JOIN, hole

#: A value: a constant, a text that may have holes, a tuple; None is unknown.
Value = int | str | tuple["Value", ...] | None

#: Environment variables by which runners tell their workers apart: what they name is private.
PRIVATE_VARIABLES = frozenset(
    {"PYTEST_XDIST_WORKER", "IOPIO_SLOT", "IOPIO_WORKER", "PYTEST_CURRENT_TEST", "TMPDIR"}
)

_PATH_CLASSES = frozenset(
    {"pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "pathlib.PurePosixPath"}
)
#: Functions that give back their first argument, as far as the place goes.
_SAME = frozenset(
    {
        "str",
        "int",
        "bytes",
        "os.fspath",
        "os.fsdecode",
        "os.path.abspath",
        "os.path.realpath",
        "os.path.normpath",
        "os.path.expanduser",
        "os.path.expandvars",
        "pydantic.SecretStr",
        "sqlalchemy.make_url",
        "sqlalchemy.engine.make_url",
        "sqlalchemy.engine.url.make_url",
        "py.path.local",
    }
)
_SAME_METHODS = frozenset(
    {"resolve", "absolute", "expanduser", "as_posix", "strip", "encode", "decode", "__str__"}
)
_VARIABLES = frozenset({"os.environ.get", "os.getenv", "os.environ.setdefault"})
_URLS = frozenset({"sqlalchemy.URL.create", "sqlalchemy.engine.URL.create"})
_CONSTANTS: dict[str, str] = {
    "os.devnull": "/dev/null",
    "os.sep": "/",
    "os.pardir": "..",
    "os.curdir": ".",
}


_SURROGATE = re.compile("[\ud800-\udfff]")


def as_text(value: Value) -> str | None:
    """A value as it is kept in facts."""
    if value is None:
        return None
    if isinstance(value, tuple):
        items = [as_text(item) for item in value]
        return (
            None
            if all(item is None for item in items)
            else ITEM + ITEM.join(item or "" for item in items)
        )
    return str(int(value)) if isinstance(value, int) else value


def from_text(text: str | None) -> Value:
    """The opposite of :func:`as_text`, but that numbers stay texts."""
    if text is not None and text.startswith(ITEM):
        return tuple(text[1:].split(ITEM))
    return text


class Names:
    """What names mean in one place: looked up here first, and then in the place around it."""

    def __init__(
        self,
        imports: dict[str, str],
        constants: Mapping[str, Value],
        defined: frozenset[str] | set[str] = frozenset(),
    ) -> None:
        #: Name to dotted name.
        self.imports = imports
        #: Constants of the module, folded.
        self.constants = constants
        #: Functions and classes of the module.
        self.defined = defined
        #: Names of this place, once it is a function: what they are, as far as it is known.
        self.locals: dict[str, Value] = {}
        self.inside = False
        self.own_imports: dict[str, str] = {}

    def dotted(self, node: ast.expr) -> str | None:
        """The dotted name of an imported thing or builtin; None for what is no such thing."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Call):
            # `pytest.importorskip("cupy").cuda`, `__import__("os").environ`.
            imported = imported_by_call(node)
            if imported is None:
                return None
            return ".".join([imported, *reversed(parts)])
        if not isinstance(node, ast.Name):
            return None
        name = node.id
        if name in self.own_imports:
            base = self.own_imports[name]
        elif self.inside and name in self.locals:
            return None
        elif name in self.imports:
            base = self.imports[name]
        elif name in self.constants or name in self.defined or parts:
            return None
        else:
            base = name
        return ".".join([base, *reversed(parts)]) if parts else base


def imported_by_call(node: ast.expr) -> str | None:
    """The module that ``pytest.importorskip("x")`` and its like import."""
    match node:
        case ast.Call(
            func=ast.Attribute(attr="importorskip" | "import_module")
            | ast.Name(id="importorskip" | "import_module" | "__import__"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return name
    return None


class Reader:
    """Evaluates expressions in one place."""

    def __init__(self, names: Names) -> None:
        self.names = names

    def value(self, node: ast.expr | None, depth: int = 0) -> Value:
        """What an expression comes to; None where that is not known."""
        if node is None or depth > 40:
            return None
        kind = type(node)
        read = _READERS.get(kind)
        return read(self, node, depth + 1) if read else None

    def text(self, node: ast.expr | None) -> str | None:
        """The value as it is kept in facts."""
        return as_text(self.value(node))

    def folded(self, value: Value) -> Value:
        """A value with the constants of the file put in, where its structure matters."""
        if isinstance(value, str) and "\0c:" in value:
            whole = HOLE.fullmatch(value)
            if whole and whole[1] == "c":
                return self.names.constants.get(whole[2])
            unknown = False

            def put(found: re.Match[str]) -> str:
                nonlocal unknown
                if found[1] != "c":
                    return found[0]
                text = as_text(self.names.constants.get(found[2]))
                unknown = unknown or text is None
                return text or ""

            value = HOLE.sub(put, value)
            return None if unknown else value
        return value

    # One method a kind of node.

    def _constant(self, node: ast.Constant, _depth: int) -> Value:
        value = node.value
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if isinstance(value, str):
            # Half of a surrogate pair can't be stored, and names nothing.
            return value if value.isascii() or not _SURROGATE.search(value) else None
        return value if isinstance(value, int) else None

    def _name(self, node: ast.Name, _depth: int) -> Value:
        names, name = self.names, node.id
        if name in names.own_imports:
            return hole("d", names.own_imports[name])
        if names.inside and name in names.locals:
            return names.locals[name]
        if name in names.constants:
            if names.constants[name] is None:
                return None
            return hole("c", name) if names.inside else names.constants[name]
        if name == "__file__":
            return hole("D") + "/__file__"
        if name in names.imports:
            return _CONSTANTS.get(names.imports[name]) or hole("d", names.imports[name])
        return None

    def _attribute(self, node: ast.Attribute, depth: int) -> Value:
        base = node.value
        if node.attr == "param" and isinstance(base, ast.Name) and base.id == "request":
            return self.value(base, depth)
        if isinstance(base, ast.Name) and base.id in {"self", "cls"}:
            return hole("s", node.attr)
        dotted = self.names.dotted(node)
        if dotted is not None:
            return _CONSTANTS.get(dotted) or hole("d", dotted)
        if isinstance(base, ast.Name) and base.id in self.names.defined:
            return hole("c", f"{base.id}.{node.attr}")
        if node.attr in {"parent", "dirname"}:
            return dirname(self.folded(self.value(base, depth)))
        return None

    def _subscript(self, node: ast.Subscript, depth: int) -> Value:
        if self.names.dotted(node.value) == "os.environ":
            return _variable(self.value(node.slice, depth))
        if isinstance(node.value, ast.Attribute) and node.value.attr == "parents":
            place = self.folded(self.value(node.value.value, depth))
            count = self.value(node.slice, depth)
            for _ in range(count + 1 if isinstance(count, int) and 0 <= count < 20 else 0):
                place = dirname(place)
            return place if isinstance(count, int) else None
        items, index = self.folded(self.value(node.value, depth)), self.value(node.slice, depth)
        if (
            isinstance(items, tuple)
            and isinstance(index, int)
            and -len(items) <= index < len(items)
        ):
            return items[index]
        if isinstance(node.value, ast.Dict):
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == index:
                    return self.value(value, depth)
        if isinstance(node.value, ast.Name) and isinstance(index, str):
            return self.folded(hole("c", f"{node.value.id}[{index}]"))
        return None

    def _tuple(self, node: "ast.Tuple | ast.List", depth: int) -> Value:
        return tuple(self.value(item, depth) for item in node.elts)

    def _joined(self, node: ast.JoinedStr, depth: int) -> Value:
        pieces: list[str] = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                if part.format_spec is not None:
                    return None
                piece = as_text(self.value(part.value, depth))
            else:
                piece = as_text(self.value(part, depth))
            if piece is None:
                return None
            pieces.append(piece)
        return "".join(pieces)

    def _operation(self, node: ast.BinOp, depth: int) -> Value:
        left = self.value(node.left, depth)
        if isinstance(node.op, ast.Mod) and isinstance(left, str):
            return self._formatted(left, node.right, depth)
        right = self.value(node.right, depth)
        if left is None or right is None:
            return None
        match node.op:
            case ast.Div() if isinstance(left, str) and isinstance(right, str):
                return join(left, right)
            case ast.Add():
                if isinstance(left, int) or isinstance(right, int):
                    left, right = self.folded(left), self.folded(right)
                    if isinstance(left, int) and isinstance(right, int):
                        return left + right
                    return None
                if isinstance(left, str) and isinstance(right, str):
                    return left + right
                if isinstance(left, tuple) and isinstance(right, tuple):
                    return left + right
            case ast.Sub():
                left, right = self.folded(left), self.folded(right)
                if isinstance(left, int) and isinstance(right, int):
                    return left - right
        return None

    def _formatted(self, left: str, right: ast.expr, depth: int) -> Value:
        given = right.elts if isinstance(right, ast.Tuple) else [right]
        pieces = left.replace("%d", "%s").replace("%i", "%s").split("%s")
        if len(pieces) != len(given) + 1 or any("%" in piece for piece in pieces):
            return None
        return self._filled(pieces, given, depth)

    def _filled(self, pieces: list[str], given: list[ast.expr], depth: int) -> Value:
        result = pieces[0]
        for expression, piece in zip(given, pieces[1:], strict=True):
            text = as_text(self.value(expression, depth))
            if text is None:
                return None
            result += text + piece
        return result

    def _either(self, node: ast.BoolOp, depth: int) -> Value:
        # `os.getenv("X") or "default"`: the first one names it.
        return self.value(node.values[0], depth) if isinstance(node.op, ast.Or) else None

    def _conditional(self, node: ast.IfExp, depth: int) -> Value:
        first, second = self.value(node.body, depth), self.value(node.orelse, depth)
        return first if first == second else None

    def _named(self, node: ast.NamedExpr, depth: int) -> Value:
        return self.value(node.value, depth)

    def _await(self, node: ast.Await, depth: int) -> Value:
        return self.value(node.value, depth)

    def _call(self, node: ast.Call, depth: int) -> Value:
        dotted = self.names.dotted(node.func)
        if dotted in _SAME or (dotted in _PATH_CLASSES and len(node.args) == 1):
            return self.value(node.args[0], depth) if node.args else None
        if dotted in _PATH_CLASSES or dotted == "os.path.join":
            if not node.args:
                return "."
            return self._joined_path(node.args, depth)
        if dotted in _VARIABLES and node.args:
            return _variable(self.value(node.args[0], depth))
        if dotted == "os.path.dirname" and node.args:
            return dirname(self.folded(self.value(node.args[0], depth)))
        if dotted in {"os.getcwd", "pathlib.Path.cwd"}:
            return "."
        if dotted == "pathlib.Path.home":
            return "~"
        if dotted == "tempfile.gettempdir":
            return "/tmp"
        if dotted in _URLS:
            return self._url(node, depth)
        if isinstance(node.func, ast.Attribute):
            return self._method(node.func, node, depth)
        return None

    def _url(self, node: ast.Call, depth: int) -> Value:
        """A database's url that is made from its parts."""
        names = ("drivername", "username", "password", "host", "port", "database")
        given = dict(zip(names, node.args, strict=False))
        given.update((word.arg, word.value) for word in node.keywords if word.arg in names)
        parts = {
            name: as_text(self.value(given[name], depth)) if name in given else ""
            for name in ("drivername", "host", "port", "database")
        }
        if None in parts.values():
            return None
        port = f":{parts['port']}" if parts["port"] else ""
        return f"{parts['drivername']}://{parts['host']}{port}/{parts['database']}"

    def _joined_path(self, args: list[ast.expr], depth: int) -> Value:
        result: Value = None
        for number, each in enumerate(args):
            part = self.value(each, depth)
            if not isinstance(part, str):
                return None
            result = part if number == 0 else join(str(result), part)
        return result

    def _method(self, function: ast.Attribute, node: ast.Call, depth: int) -> Value:
        base = self.value(function.value, depth)
        if function.attr in _SAME_METHODS:
            return base
        if not isinstance(base, str):
            return None
        if function.attr == "joinpath":
            return self._joined_path([function.value, *node.args], depth)
        if function.attr == "with_name" and len(node.args) == 1:
            place, name = dirname(self.folded(base)), self.value(node.args[0], depth)
            return join(place, name) if isinstance(place, str) and isinstance(name, str) else None
        if function.attr == "format" and not node.keywords:
            pieces = base.split("{}")
            return (
                self._filled(pieces, node.args, depth)
                if len(pieces) == len(node.args) + 1
                else None
            )
        if function.attr == "split" and not node.args:
            return tuple(base.split())
        return None


def _variable(name: Value) -> Value:
    if not isinstance(name, str) or name in PRIVATE_VARIABLES:
        return None
    return "~" if name == "HOME" else hole("e", name)


def join(left: str, right: str) -> str:
    """Two parts of a path; the second one may turn out to be absolute."""
    return f"{left}{JOIN}{right}"


def dirname(place: Value) -> Value:
    """The folder of a path."""
    if not isinstance(place, str) or not place:
        return None
    head, slash, tail = place.replace(JOIN, "/").rstrip("/").rpartition("/")
    if tail in {"..", "."} or HOLE.search(tail) or (not slash and tail == "~"):
        return f"{place}/.."
    return head if slash and head else ("/" if slash else ".")


_READERS: dict[type, Callable[[Reader, Any, int], Value]] = {
    ast.Constant: Reader._constant,
    ast.Name: Reader._name,
    ast.Attribute: Reader._attribute,
    ast.Subscript: Reader._subscript,
    ast.Tuple: Reader._tuple,
    ast.List: Reader._tuple,
    ast.JoinedStr: Reader._joined,
    ast.BinOp: Reader._operation,
    ast.BoolOp: Reader._either,
    ast.IfExp: Reader._conditional,
    ast.NamedExpr: Reader._named,
    ast.Await: Reader._await,
    ast.Call: Reader._call,
}
