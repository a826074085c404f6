"""The outline of a test module: which kinds of tests it holds, and about how many.

One look at the syntax tree, no import. A class counts as a unittest one where a base leads to
``unittest.TestCase`` within the module, or where a base comes from elsewhere: test classes that
inherit are nearly always of that kind. A source that does not parse is read line by line, so that
a broken module still belongs to a framework, which will report it.
"""

import ast
import re
import warnings
from collections.abc import Iterable, Iterator

import msgspec

_PREFIX = "test"
_CLASS_PREFIX = "Test"
_LINE = re.compile(
    r"^(?P<indent>[ \t]*)(?:async[ \t]+)?(?:(?P<def>def)|class)[ \t]+(?P<name>\w+)"
    r"(?:[ \t]*\((?P<bases>[^)]*)\))?",
    re.MULTILINE,
)
_PYTEST_IMPORT = re.compile(r"^(?:import|from)[ \t]+pytest\b", re.MULTILINE)

_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Outline(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a module holds.

    ``functions`` are test functions at module level, ``plain_classes`` test classes that need
    pytest or a runner of plain functions, ``tests`` all test functions and methods together,
    before any parametrisation. ``broken`` says that the source does not parse.
    """

    unittest_classes: int = 0
    plain_classes: int = 0
    functions: int = 0
    tests: int = 0
    imports_pytest: bool = False
    load_tests: bool = False
    broken: bool = False

    @property
    def beyond_unittest(self) -> bool:
        """True where unittest alone would miss something, or pytest is used by name."""
        return bool(self.imports_pytest or self.functions or self.plain_classes)


def outline(source: bytes) -> Outline:
    """The outline of a module's source; never raises, whatever the bytes are."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
        return _outline_of(tree)
    except (SyntaxError, ValueError, LookupError, RecursionError, MemoryError):
        return _outline_by_lines(source.decode("utf-8", "replace"))


def _outline_of(tree: ast.Module) -> Outline:
    imports_pytest = False
    load_tests = False
    functions = 0
    tests = 0
    classes: dict[str, bool] = {}
    holding: dict[str, bool] = {}
    bases_of_unittest: set[str] = set()
    for statement in _module_level(tree.body):
        match statement:
            case ast.Import(names=aliases):
                imports_pytest |= any(_is_pytest(alias.name) for alias in aliases)
            case ast.ImportFrom(module=module, level=0):
                imports_pytest |= _is_pytest(module or "")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                load_tests |= name == "load_tests"
                if name.startswith(_PREFIX):
                    functions += 1
                    tests += 1
            case ast.ClassDef(name=name):
                is_unittest = _is_unittest(statement, classes)
                methods = _count_methods(statement)
                classes[name] = is_unittest
                if is_unittest:
                    bases_of_unittest.update(
                        base.id for base in statement.bases if isinstance(base, ast.Name)
                    )
                # Without methods of its own a class may still inherit some.
                inherits = is_unittest and (
                    name.startswith(_CLASS_PREFIX) or _names_a_test_case(statement)
                )
                if (methods and (is_unittest or name.startswith(_CLASS_PREFIX))) or inherits:
                    holding[name] = is_unittest
                    tests += methods
    unittest_classes = sum(holding.values())
    # A plain class that a unittest class of the module inherits from only lends it its methods.
    mixins = sum(not holding[name] for name in bases_of_unittest & holding.keys())
    return Outline(
        unittest_classes=unittest_classes,
        plain_classes=len(holding) - unittest_classes - mixins,
        functions=functions,
        tests=tests,
        imports_pytest=imports_pytest,
        load_tests=load_tests,
    )


def _module_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when the module is imported, conditional ones included."""
    for statement in body:
        yield statement
        match statement:
            case ast.If() | ast.For() | ast.While():
                yield from _module_level([*statement.body, *statement.orelse])
            case ast.Try() | ast.TryStar():
                handlers = [inner for handler in statement.handlers for inner in handler.body]
                yield from _module_level(
                    [*statement.body, *handlers, *statement.orelse, *statement.finalbody]
                )
            case ast.With():
                yield from _module_level(statement.body)


def _is_pytest(module: str) -> bool:
    return module == "pytest" or module.startswith("pytest.")


def _is_unittest(definition: ast.ClassDef, classes: dict[str, bool]) -> bool:
    """True where a base is a unittest class of this module, or a class from elsewhere."""
    return any(
        classes.get(base.id, base.id != "object") if isinstance(base, ast.Name) else True
        for base in definition.bases
    )


def _names_a_test_case(definition: ast.ClassDef) -> bool:
    return any(
        name.endswith("TestCase")
        for base in definition.bases
        for name in (
            base.id if isinstance(base, ast.Name) else "",
            base.attr if isinstance(base, ast.Attribute) else "",
        )
    )


def _count_methods(definition: ast.ClassDef) -> int:
    """Test methods of a class and of the test classes inside of it."""
    count = 0
    for statement in _module_level(definition.body):
        if isinstance(statement, _Function) and statement.name.startswith(_PREFIX):
            count += 1
        elif isinstance(statement, ast.ClassDef) and statement.name.startswith(_CLASS_PREFIX):
            count += _count_methods(statement)
    return count


def _outline_by_lines(text: str) -> Outline:
    """A guess for a source that does not parse: definitions by their first lines."""
    functions = tests = 0
    classes = {True: 0, False: 0}
    load_tests = False
    for found in _LINE.finditer(text):
        name = found["name"]
        if found["def"]:
            tests += name.startswith(_PREFIX)
            functions += name.startswith(_PREFIX) and not found["indent"]
            load_tests |= name == "load_tests" and not found["indent"]
        elif not found["indent"]:
            bases = (found["bases"] or "").strip()
            is_unittest = bases not in {"", "object"}
            if name.startswith(_CLASS_PREFIX) or "TestCase" in bases:
                classes[is_unittest] += 1
    return Outline(
        unittest_classes=classes[True],
        plain_classes=classes[False],
        functions=functions,
        tests=tests,
        imports_pytest=_PYTEST_IMPORT.search(text) is not None,
        load_tests=load_tests,
        broken=True,
    )
