"""What a ``conftest.py`` says about collection, read from its source alone.

pytest imports a conftest and looks at its globals; here only what certainly holds without running
it counts. Lists of paths to ignore are taken from unconditional literals at module level. Where a
list is computed, conditional or handed to somebody else, nothing of it is applied: a module listed
too often ends as empty, whereas a module listed too rarely is a lost test. ``defined`` is kept
apart from the values, because in pytest the nearest conftest that has the name hides those above.
"""

import ast
import re
import warnings

import msgspec

#: Hooks by which a plugin makes items out of files that do not look like test modules.
COLLECTING_HOOKS = frozenset({"pytest_collect_file", "pytest_collect_directory"})
#: The hook that may overrule the rules of what is left out, when it answers False.
IGNORING_HOOK = "pytest_ignore_collect"

_LISTS = ("collect_ignore", "collect_ignore_glob")
_PLUGINS = "pytest_plugins"
#: A source without any of these has nothing to tell, and need not be parsed.
_TELLING = re.compile(
    rb"collect_ignore|pytest_plugins|pytest_collect_|pytest_ignore_|import\s*\(?\s*\*"
)
_ADDING_METHODS = frozenset({"append", "extend", "insert"})


class IgnoreList(msgspec.Struct, frozen=True, omit_defaults=True):
    """A list of paths or globs to leave out; ``values`` are the literal ones among them."""

    defined: bool = False
    values: tuple[str, ...] = ()


class ConftestFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that the source tells.

    ``collects`` says that items may come from files that are no test modules by their names.
    ``plugins`` are the modules that it loads as plugins, and ``star_imports`` those whose names
    it takes over; the latter are written as in the source, with their leading dots.
    """

    ignore: IgnoreList = IgnoreList()
    ignore_glob: IgnoreList = IgnoreList()
    plugins: tuple[str, ...] = ()
    star_imports: tuple[str, ...] = ()
    collects: bool = False


NOTHING_TOLD = ConftestFacts()


def read_conftest(source: bytes) -> ConftestFacts:
    """The facts in a conftest's or plugin's source; none where it does not parse."""
    if not _TELLING.search(source):
        return NOTHING_TOLD
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
        return _facts_in(tree)
    except (SyntaxError, ValueError, LookupError, RecursionError, MemoryError):
        # pytest will report it for every module below; there is nothing to select by.
        return NOTHING_TOLD


def _facts_in(tree: ast.Module) -> ConftestFacts:
    ignore, ignore_glob = (_list_in(tree, name) for name in _LISTS)
    return ConftestFacts(
        ignore=ignore,
        ignore_glob=ignore_glob,
        plugins=_plugins_in(tree),
        star_imports=tuple(
            "." * node.level + (node.module or "")
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
        ),
        collects=_collects(tree),
    )


def _list_in(tree: ast.Module, name: str) -> IgnoreList:
    """The state of the list ``name`` after the module's statements, as far as it is certain."""
    defined = False
    values: list[str] = []
    spoiled = False
    for statement in tree.body:
        change = _unconditional_change(statement, name, values)
        if change is not None:
            defined, values = True, change
        elif _binds_by_import(statement, name):
            defined, values = True, []
        elif not _only_adds(statement, name):
            defined = True
            values = []
            # A function may run at any later time; another statement has had its effect.
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                spoiled = True
    return IgnoreList(defined, () if spoiled else tuple(values))


def _unconditional_change(statement: ast.stmt, name: str, values: list[str]) -> list[str] | None:
    """The list after a statement that sets or extends it in plain sight; None for any other."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=target_name)], value=value) if target_name == name:
            return _strings(value, name, values)
        case ast.AnnAssign(target=ast.Name(id=target_name), value=ast.expr() as value) if (
            target_name == name
        ):
            return _strings(value, name, values)
        case ast.AugAssign(target=ast.Name(id=target_name), op=ast.Add(), value=value) if (
            target_name == name
        ):
            return values + _strings(value, name, values)
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Name(id=target_name), attr="append"), args=[value]
            )
        ) if target_name == name:
            return values + _strings(ast.List(elts=[value]), name, values)
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Name(id=target_name), attr="extend"), args=[value]
            )
        ) if target_name == name:
            return values + _strings(value, name, values)
    return None


def _strings(value: ast.expr, name: str, current: list[str]) -> list[str]:
    """The string literals that an expression certainly puts into the list."""
    match value:
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            return [
                element.value
                for element in elements
                if isinstance(element, ast.Constant) and isinstance(element.value, str)
            ]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _strings(left, name, current) + _strings(right, name, current)
        case ast.Name(id=other) if other == name:
            return list(current)
    return []


def _binds_by_import(statement: ast.stmt, name: str) -> bool:
    """True where an import at module level may bind the name to something unknown."""
    return isinstance(statement, ast.ImportFrom) and any(
        alias.name == "*" or (alias.asname or alias.name) == name for alias in statement.names
    )


def _only_adds(statement: ast.stmt, name: str) -> bool:
    """True where a statement cannot take anything off the list, nor replace it."""
    harmless: set[int] = set()
    for node in ast.walk(statement):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name() as owner, attr=method)) if (
                method in _ADDING_METHODS
            ):
                harmless.add(id(owner))
            case ast.AugAssign(target=ast.Name() as owner, op=ast.Add()):
                harmless.add(id(owner))
            case ast.AnnAssign(target=ast.Name() as owner, value=None):
                harmless.add(id(owner))
    return not any(
        (isinstance(node, ast.Name) and node.id == name and id(node) not in harmless)
        or (isinstance(node, ast.ImportFrom) and _binds_by_import(node, name))
        or (isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name)
        for node in ast.walk(statement)
    )


def _plugins_in(tree: ast.Module) -> tuple[str, ...]:
    """Every plugin that may be named, conditionally or not: more than enough does no harm."""
    names: dict[str, None] = {}
    for node in ast.walk(tree):
        value: ast.expr | None = None
        match node:
            case ast.Assign(targets=targets) if any(
                isinstance(target, ast.Name) and target.id == _PLUGINS for target in targets
            ):
                value = node.value
            case ast.AugAssign(target=ast.Name(id=target_name)) if target_name == _PLUGINS:
                value = node.value
            case ast.AnnAssign(target=ast.Name(id=target_name)) if target_name == _PLUGINS:
                value = node.value
        for part in ast.walk(value) if value is not None else ():
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                names.update((name.strip(), None) for name in part.value.split(","))
    return tuple(name for name in names if name)


def _collects(tree: ast.Module) -> bool:
    """True where a hook that makes or admits files may be defined, anywhere and in any way."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name):
                if name in COLLECTING_HOOKS or (name == IGNORING_HOOK and not _never_admits(node)):
                    return True
            case ast.Name(id=name, ctx=ast.Store()) | ast.Constant(value=str() as name):
                if name in COLLECTING_HOOKS or name == IGNORING_HOOK:
                    return True
            case ast.ImportFrom(names=aliases):
                bound = {alias.asname or alias.name for alias in aliases}
                if bound & COLLECTING_HOOKS or IGNORING_HOOK in bound:
                    return True
    return False


def _never_admits(hook: ast.FunctionDef) -> bool:
    """True where the hook answers True or nothing: it may leave out more, but admits no more."""
    for node in ast.walk(hook):
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return False
        if isinstance(node, ast.Return) and not _true_or_none(node.value):
            return False
    return True


def _true_or_none(value: ast.expr | None) -> bool:
    match value:
        case None | ast.Constant(value=True) | ast.Constant(value=None):
            return True
        case ast.IfExp(body=body, orelse=orelse):
            return _true_or_none(body) and _true_or_none(orelse)
    return False
