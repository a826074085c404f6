"""Every module that a source may import, wherever in it that stands.

Unlike ``imports``, which is about what certainly happens first, this is about what may happen at
all: imports in functions, under conditions and for type checkers included. An import whose name is
computed makes the source *opaque*.
"""

import ast
import warnings

import msgspec

#: Functions that import by a name that is a value.
_IMPORTERS = frozenset({"__import__", "import_module", "importorskip", "find_spec", "run_module"})


class Dependencies(msgspec.Struct, frozen=True, omit_defaults=True):
    """Dotted names; relative ones begin with as many dots as in the source.

    Whether ``from a import b`` names a module ``a.b`` or a thing in ``a`` can't be told: both are
    listed.
    """

    names: tuple[str, ...] = ()
    opaque: bool = False


def read_dependencies(source: bytes) -> Dependencies:
    """The modules that a source may import; a source that does not parse is opaque."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
        nodes = list(ast.walk(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Dependencies(opaque=True)
    names: dict[str, None] = {}
    opaque = False
    for node in nodes:
        match node:
            case ast.Import(names=aliases):
                names.update((alias.name, None) for alias in aliases)
            case ast.ImportFrom(module=module, names=aliases, level=level):
                base = "." * level + (module or "")
                names[base] = None
                dot = "" if base.endswith(".") else "."
                names.update(
                    (f"{base}{dot}{each.name}", None) for each in aliases if each.name != "*"
                )
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if (
                name in _IMPORTERS
            ):
                match args:
                    case [ast.Constant(value=str(named)), *_]:
                        names[named] = None
                    case _:
                        opaque = True
            case _:
                pass
    return Dependencies(tuple(names), opaque)
