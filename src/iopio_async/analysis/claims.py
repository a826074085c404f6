"""Source bytes → facts: what each function and the top level of a file touch, and whom they call.

A file is parsed once. Each function becomes a part, with the functions nested in it, since whoever
makes them mostly runs them; the rest of the file, bodies of classes included, is the part ``TOP``.
What never runs under a test runner (``if __name__ == "__main__"``, ``if TYPE_CHECKING``) is left
out, and so is what a test expects to fail (``with pytest.raises``).
"""

import ast
import warnings
from collections.abc import Iterator

from iopio_async.analysis.declarations import read_marks
from iopio_async.analysis.facts import (
    NO_FACTS,
    TOP,
    Call,
    ClassFacts,
    FileFacts,
    Fixture,
    Marks,
    Part,
    hole,
)
from iopio_async.analysis.fixtures import given_value, is_test_name, read_fixture, read_parameters
from iopio_async.analysis.rule_table import DEFAULT_TABLE, RuleTable
from iopio_async.analysis.statements import bound_names, flatten, imported_names
from iopio_async.analysis.touches import Toucher
from iopio_async.analysis.values import Names, Reader, Value, as_text, imported_by_call

_Function = ast.FunctionDef | ast.AsyncFunctionDef
#: What gives a name a value that may be known.
_BINDING = frozenset({ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.AugAssign})


def tells(source: bytes, table: RuleTable = DEFAULT_TABLE) -> bool:
    """Say whether a source has any word by which it could touch something; quick."""
    return table.telling.search(source) is not None


def read_facts(source: bytes, table: RuleTable = DEFAULT_TABLE) -> FileFacts:
    """The facts of a source; none where it does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
        return _File(tree, table).facts()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return NO_FACTS


class _File:
    """A file while it is read."""

    def __init__(self, tree: ast.Module, table: RuleTable) -> None:
        self.table = table
        self.tree = tree
        self.top = flatten(tree.body, descend=False)
        self.imports, self.stars, self.modules = imported_names(self.top)
        self.defined = {
            node.name for node in self.top if isinstance(node, _Function | ast.ClassDef)
        }
        self.constants: dict[str, Value] = {}
        self.packages = {name.lstrip(".").partition(".")[0] for name in self.modules}
        self.names = Names(self.imports, self.constants, self.defined)
        self.reader = Reader(self.names)
        self.class_bases: dict[str, tuple[str, ...]] = {}
        self.parts: dict[str, Part] = {}
        self.classes: dict[str, ClassFacts] = {}
        self.fixtures: list[Fixture] = []
        self.tests: dict[str, Marks] = {}
        self._flat: dict[int, list[ast.AST]] = {}
        self._of_classes: dict[int, dict[str, str | None]] = {}
        self.engines: list[str] = []
        self.settings = ""

    def facts(self) -> FileFacts:
        """Read everything."""
        self._read_constants()
        marks = Marks()
        for node in self.top:
            match node:
                case ast.Assign(targets=[ast.Name(id="pytestmark")], value=value):
                    marks = read_marks(_elements(value), self.reader)
        self.parts[TOP] = self._part(self.top, self.names)
        self._read_definitions(self.tree.body, owner="")
        own = {name for name in self.constants if self.constants[name] is not None}
        constants = {name: as_text(self.constants[name]) or "" for name in sorted(own)}
        return FileFacts(
            parts={name: part for name, part in self.parts.items() if part != Part()},
            classes=self.classes,
            fixtures=tuple(self.fixtures),
            tests=self.tests,
            marks=marks,
            constants=constants,
            names=self.imports,
            stars=self.stars,
            imports=self.modules,
            plugins=self._plugins(),
            django_engines=tuple(dict.fromkeys(self.engines)),
            django_settings=self.settings,
        )

    # Constants.

    def _read_constants(self) -> None:
        seen: set[str] = set()
        for node in self.top:
            match node:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                ):
                    alias = imported_by_call(value)
                    if alias is not None:
                        self.imports[name] = alias
                        self.packages.add(alias.partition(".")[0])
                        continue
                    found = self.reader.value(value)
                    self.constants[name] = (
                        found if name not in seen or self.constants[name] == found else None
                    )
                    seen.add(name)
                    if isinstance(value, ast.Dict):
                        self._read_dictionary(name, value)
                case ast.AugAssign(target=ast.Name(id=name)):
                    self.constants[name] = None
                    seen.add(name)
        for node in self.top:
            if isinstance(node, ast.ClassDef):
                for name, text in self._attributes(node).items():
                    self.constants[f"{node.name}.{name}"] = text

    def _read_dictionary(self, name: str, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                self.constants[f"{name}[{key.value}]"] = self.reader.value(value)

    def _nodes(self, function: _Function) -> list[ast.AST]:
        known = self._flat.get(id(function))
        if known is None:
            known = self._flat[id(function)] = flatten(function.body, descend=True)
        return known

    def _attributes(self, node: ast.ClassDef) -> dict[str, str | None]:
        """Attributes of a class and its objects, as far as they have one value only."""
        known = self._of_classes.get(id(node))
        if known is None:
            known = self._of_classes[id(node)] = self._read_attributes(node)
        return known

    def _read_attributes(self, node: ast.ClassDef) -> dict[str, str | None]:
        found: dict[str, str | None] = {}

        def put(name: str, text: str | None) -> None:
            found[name] = text if found.get(name, text) == text else None

        for statement in node.body:
            match statement:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                ):
                    names = Names(self.imports, self.constants, self.defined)
                    names.locals = dict(found)
                    names.inside = True
                    put(name, Reader(names).text(value))
        for function in node.body:
            if not isinstance(function, _Function):
                continue
            reader: Reader | None = None
            for each in self._nodes(function):
                if type(each) is not ast.Assign:
                    continue
                match each:
                    case ast.Assign(
                        targets=[ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name)]
                    ):
                        if reader is None:
                            nodes = self._nodes(function)
                            reader = Reader(self._names_in(function, nodes, method=True))
                        text = reader.text(each.value)
                        # An argument is not known from the object.
                        put(name, None if text and ("\0p:" in text or "\0s:" in text) else text)
        return found

    def _plugins(self) -> tuple[str, ...]:
        value = self.constants.get("pytest_plugins")
        names = value if isinstance(value, tuple) else (value,)
        return tuple(name for name in names if isinstance(name, str))

    # Definitions.

    def _read_definitions(self, body: list[ast.stmt], owner: str) -> None:
        for node in _definitions(body):
            if isinstance(node, ast.ClassDef):
                self._read_class(node, owner)
            else:
                self._read_function(node, owner)

    def _read_class(self, node: ast.ClassDef, owner: str) -> None:
        name = f"{owner}.{node.name}" if owner else node.name
        bases = tuple(self._target(base) for base in node.bases)
        self.class_bases[name] = bases
        methods = [each.name for each in _definitions(node.body) if isinstance(each, _Function)]
        marks = list(node.decorator_list)
        for statement in node.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id="pytestmark")], value=value):
                    marks += _elements(value)
        self.classes[name] = ClassFacts(
            node.lineno,
            tuple(base for base in bases if base),
            tuple(methods),
            self._attributes(node),
            read_marks(marks, self.reader),
        )
        self._read_definitions(node.body, name)

    def _read_function(self, node: _Function, owner: str) -> None:
        name = f"{owner}.{node.name}" if owner else node.name
        nodes = self._nodes(node)
        method = bool(owner) and not any(
            isinstance(each, ast.Name) and each.id == "staticmethod" for each in node.decorator_list
        )
        names = self._names_in(node, nodes, method=method)
        part = self._part(nodes, names, node, owner=owner)
        fixture = read_fixture(node, name, owner, self.reader)
        if fixture is not None:
            self.fixtures.append(fixture)
            value = given_value(node, Reader(names))
            part = Part(
                part.params,
                part.touches,
                part.calls,
                part.patches,
                part.requests,
                part.moves,
                value,
            )
        elif is_test_name(node.name):
            self.tests[name] = read_marks(node.decorator_list, self.reader)
        self.parts[name] = part

    def _target(self, node: ast.expr) -> str:
        """A class or function as the target of a call."""
        if isinstance(node, ast.Subscript):
            node = node.value
        if isinstance(node, ast.Name) and node.id in self.defined and node.id not in self.imports:
            return f"L:{node.id}"
        dotted = self.names.dotted(node)
        return f"D:{dotted}" if dotted else ""

    def _names_in(self, node: _Function, nodes: list[ast.AST], *, method: bool) -> Names:
        names = Names(self.imports, self.constants, self.defined)
        names.inside = True
        names.own_imports, _, modules = imported_names(nodes)
        self.packages.update(name.lstrip(".").partition(".")[0] for name in modules)
        self.modules = tuple(dict.fromkeys([*self.modules, *modules]))
        names.locals = dict.fromkeys(bound_names(nodes))
        parameters = [argument for argument, _ in read_parameters(node, None, method=method)]
        names.locals.update((each, hole("p", each)) for each in parameters)
        for extra in (node.args.vararg, node.args.kwarg):
            if extra is not None:
                names.locals[extra.arg] = None
        if method:
            names.locals.update(dict.fromkeys(("self", "cls")))
        reader = Reader(names)
        seen = set(parameters)
        for each in nodes:
            if type(each) not in _BINDING:
                continue
            match each:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                    | ast.NamedExpr(target=ast.Name(id=name), value=value)
                ):
                    alias = imported_by_call(value)
                    if alias is not None:
                        names.own_imports[name] = alias
                        continue
                    found = reader.value(value)
                    known = name not in seen or names.locals.get(name) == found
                    names.locals[name] = found if known else None
                    seen.add(name)
                case ast.AugAssign(target=ast.Name(id=name)):
                    names.locals[name] = None
                    seen.add(name)
        return names

    # Parts.

    def _part(
        self,
        nodes: list[ast.AST],
        names: Names,
        function: _Function | None = None,
        *,
        owner: str = "",
    ) -> Part:
        reader = Reader(names)
        toucher = Toucher(self.table, reader, self.packages, self.class_bases, owner)
        calls: dict[Call, None] = {}
        passed: set[int] = set()
        for node in nodes:
            kind = type(node)
            if kind is ast.Call:
                assert isinstance(node, ast.Call)
                passed.add(id(node.func))
                toucher.call(node)
                for each in toucher.calls_of(node):
                    calls[each] = None
            elif kind is ast.Attribute:
                assert isinstance(node, ast.Attribute)
                passed.add(id(node.value))
                if id(node) not in passed:
                    self._mention(toucher.target(node), calls)
            elif kind is ast.Name:
                assert isinstance(node, ast.Name)
                if id(node) not in passed and isinstance(node.ctx, ast.Load):
                    self._mention(toucher.target(node), calls)
            elif kind is ast.Assign or kind is ast.Delete or kind is ast.AnnAssign:
                toucher.assignment(node)
            elif kind is ast.Dict:
                assert isinstance(node, ast.Dict)
                self._engine(node)
        self.settings = self.settings or toucher.settings
        patches = toucher.patches
        parameters: tuple[tuple[str, str | None], ...] = ()
        if function is not None:
            method = "self" in names.locals
            parameters = read_parameters(function, self.reader, method=method)
            patches += read_marks(function.decorator_list, self.reader).patches
            for decorator in function.decorator_list:
                if isinstance(decorator, ast.Call):
                    toucher.call(decorator)
        return Part(
            parameters,
            tuple(dict.fromkeys(toucher.touches)),
            tuple(calls),
            tuple(dict.fromkeys([*patches, *toucher.patches])),
            tuple(dict.fromkeys(toucher.requests)),
            toucher.moves,
        )

    def _mention(self, target: str, calls: dict[Call, None]) -> None:
        if target.startswith(("L:", "D:")):
            calls[Call(target, called=False)] = None

    def _engine(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            match key, value:
                case ast.Constant(value="ENGINE"), ast.Constant(value=str(engine)):
                    self.engines.append(engine)


def _elements(node: ast.expr) -> list[ast.expr]:
    return list(node.elts) if isinstance(node, ast.List | ast.Tuple) else [node]


def _definitions(body: list[ast.stmt]) -> Iterator[_Function | ast.ClassDef]:
    """Functions and classes of a body, those under conditions too."""
    for node in flatten(body, descend=False):
        if isinstance(node, _Function | ast.ClassDef):
            yield node
