"""The functions of a source, and what changes their digests."""

import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

import iopio_async
from iopio_async.analysis.scopes import MODULE, Scopes, read_scopes

SOURCE = '''
"""Docstring of the module."""
import os
LIMIT = 3

def plain(a, b=1, *, c: int = 2) -> int:
    """Docstring."""
    value = a + b
    def inner(x):
        return x + value
    return inner(c)

class Thing:
    field = LIMIT

    @property
    def name(self):
        return "name"

    @name.setter
    def name(self, value):
        self._name = value

    async def fetch(self):
        return [x async for x in self]

numbers = [lambda x: x + 1 for _ in range(3)]
'''

PLAIN, INNER, FETCH = "plain", "plain.<locals>.inner", "Thing.fetch"
GETTER, SETTER = "Thing.name", "Thing.name#2"

#: What is edited, and the scopes that it changes.
EDITS = {
    "comment": ("value = a + b", "value = a + b  # sum", set()),
    "blank lines": ("LIMIT = 3\n", "LIMIT = 3\n\n\n\n", set()),
    "layout": ("value = a + b", "value = (\n        a\n        + b\n    )", set()),
    "quotes": ('return "name"', "return 'name'", set()),
    "body": ("value = a + b", "value = a - b", {PLAIN}),
    "inner body": ("return x + value", "return x - value", {INNER}),
    "inner default": ("def inner(x):", "def inner(x=1):", {PLAIN}),
    "method": ('return "name"', 'return "other"', {GETTER}),
    "second of a name": ("self._name = value", "self._name = None", {SETTER}),
    "coroutine": ("for x in self", "for x in self if x", {FETCH}),
    "decorator": ("    @property\n", "    @cached\n", {MODULE}),
    "default": ("b=1", "b=2", {MODULE}),
    "annotation": ("c: int", "c: float", {MODULE}),
    "return annotation": ("-> int", "-> float", {MODULE}),
    "parameter": ("def plain(a,", "def plain(a, more=0,", {MODULE}),
    "docstring": ('"""Docstring."""', '"""Another."""', {MODULE, PLAIN}),
    "docstring of the module": ("Docstring of the module", "Another", {MODULE}),
    "generator": ("value = a + b", "value = yield a", {MODULE, PLAIN}),
    "no coroutine": ("def inner(x):", "async def inner(x):", {PLAIN}),
    "constant": ("LIMIT = 3", "LIMIT = 4", {MODULE}),
    "type of a constant": ("LIMIT = 3", "LIMIT = 3.0", {MODULE}),
    "body of a class": ("field = LIMIT", "field = -LIMIT", {MODULE}),
    "lambda": ("x + 1", "x + 2", {MODULE}),
    "import": ("import os", "import os.path", {MODULE}),
    "future": ("import os", "from __future__ import annotations\nimport os", {MODULE}),
    "warning": ("value = a + b", "value = a is 1", {MODULE, PLAIN}),
}


def scopes_of(source: str) -> Scopes:
    scopes = read_scopes(source.encode())
    assert scopes is not None
    return scopes


def differing(one: Scopes, other: Scopes) -> set[str]:
    names = one.digests.keys() | other.digests.keys()
    return {name for name in names if one.digests.get(name) != other.digests.get(name)}


@pytest.mark.parametrize(("old", "new", "changed"), EDITS.values(), ids=EDITS.keys())
def test_an_edit_changes_the_scopes_that_notice_it(old: str, new: str, changed: set[str]) -> None:
    assert SOURCE.count(old) == 1

    assert differing(scopes_of(SOURCE), scopes_of(SOURCE.replace(old, new))) == changed


def test_definitions_belong_to_the_scope_around_them() -> None:
    added = scopes_of(SOURCE + "def more(): ...\n")
    one = scopes_of("def a(): ...\ndef b(): ...\n")
    swapped = scopes_of("def b(): ...\ndef a(): ...\n")
    renamed = scopes_of("def a(): ...\ndef c(): ...\n")

    assert differing(scopes_of(SOURCE), added) == {MODULE, "more"}
    assert differing(one, swapped) == {MODULE}
    assert differing(one, renamed) == {MODULE, "b", "c"}


@pytest.mark.parametrize(
    "source",
    [
        b"def broken(:\n",
        b"return 1\n",
        b"def f():\n    nonlocal x\n",
        b"def f(a, a): ...\n",
        b"\0",
        b"# coding: no-such-coding\n",
        b"x = " + b"(" * 2000 + b")" * 2000,
        b"x = 0x" + b"f" * 5000,
    ],
)
def test_what_does_not_compile_has_no_scopes(source: bytes) -> None:
    assert read_scopes(source) is None


def test_an_edit_that_keeps_another_function_from_compiling_is_noticed() -> None:
    assert read_scopes(b"def f():\n    return 1\ndef g():\n    break\n") is None


def test_the_encoding_is_that_of_the_source() -> None:
    latin = read_scopes("# coding: latin-1\nx = 'ä'\n".encode("latin-1"))
    utf8 = read_scopes("x = 'ä'\n".encode())

    assert latin is not None
    assert latin == utf8


def code_objects(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from code_objects(constant)


def assert_every_code_object_is_located(source: bytes) -> None:
    scopes = read_scopes(source)
    assert scopes is not None
    for code in code_objects(compile(source, "", "exec", dont_inherit=True)):
        if code.co_name == MODULE or not code.co_name.startswith("<"):
            scope = scopes.locate(code.co_qualname, code.co_firstlineno)
            assert scope in scopes.digests, code
            if not scope.partition("#")[0].endswith(code.co_name):
                # The body of a class, or a lazy one: part of the scope around it.
                assert (
                    code.co_qualname.removesuffix(code.co_name)
                    .rstrip(".")
                    .removesuffix(".<locals>")
                    .startswith(scope.partition("#")[0].replace(MODULE, ""))
                )


OWN_SOURCES = sorted(Path(iopio_async.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", [*OWN_SOURCES, Path(types.__file__), Path(pytest.__file__)])
def test_every_code_object_of_real_sources_has_a_scope(path: Path) -> None:
    assert_every_code_object_is_located(path.read_bytes())


def test_every_code_object_of_an_odd_source_has_a_scope() -> None:
    assert_every_code_object_is_located(
        b"""
if x:
    @a
    @b(
        lambda: 1
    )
    def f(): ...
else:
    def f():
        class C:
            def m(self):
                return super().m()
            for _ in ():
                def m(self): ...
        return C
class D(metaclass=lambda *a: 1):
    @staticmethod
    async def __private():
        async with a as b: yield b
    match 1:
        case 1:
            def g(): ...
try:
    def h(): ...
except* ValueError:
    def h(): ...
"""
    )


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax came with 3.12")
def test_type_parameters_belong_to_the_scope_around() -> None:
    source = (
        "def f[T: int](x: T) -> T:\n    return x\nclass C[U]:\n    def m(self): ...\ntype A = int\n"
    )

    assert_every_code_object_is_located(source.encode())
    assert differing(scopes_of(source), scopes_of(source.replace("T: int", "T: str"))) == {MODULE}
    assert differing(scopes_of(source), scopes_of(source.replace("A = int", "A = str"))) == {MODULE}


def test_what_is_not_in_the_source_has_no_scope() -> None:
    scopes = scopes_of(SOURCE)

    assert scopes.locate("plain", 1) is None
    assert scopes.locate("other", 6) is None
    assert scopes.locate(MODULE, 0) == MODULE
