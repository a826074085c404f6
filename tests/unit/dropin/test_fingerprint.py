"""Fingerprints of callables: the same for the same, another for anything that matters."""

import functools
import json
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.dropin.fingerprint import by_reference, fingerprint, importable


def defined(source: str, **values: Any) -> Any:
    """The ``f`` that a script's source defines; nothing else can be imported from it."""
    # What defines classes looks its own module up; this one is not there to be found.
    space: dict[str, Any] = {"__name__": "a_script", **values}
    sys.modules["a_script"] = types.ModuleType("a_script")
    exec(compile(source, "<script>", "exec"), space)
    del sys.modules["a_script"]
    return space["f"]


PLAIN = "def f(): return 1"

ENUM = "import enum\n"
DATA = "import dataclasses\n@dataclasses.dataclass(slots=True)\n"
CACHE = "import functools\n@functools.lru_cache\n"
SLOTS = "class S: __slots__ = ('a',)\ns = S()\n"
USE = "\ndef f(): return "

#: Sources that differ from the first of them in something that matters.
DIFFERENT = [
    ("def f(): return 1", "def f(): return 2"),
    ("def f(): return 1", "def f(): return True"),
    ("def f(a): return a.x", "def f(a): return a.y"),
    ("def f(a=1): pass", "def f(a=2): pass"),
    ("def f(*, a=1): pass", "def f(*, a=2): pass"),
    ("x = 1\ndef f(): return x", "x = 2\ndef f(): return x"),
    ("def g(): pass\ndef f(): g()", "def g(): return 0\ndef f(): g()"),
    ("def f(): return lambda: 1", "def f(): return lambda: 2"),
    ("x = 1\ndef f(): return [x for _ in '']", "x = 2\ndef f(): return [x for _ in '']"),
    ("def f(): return 1 in {1, 2}", "def f(): return 1 in {1, 3}"),
    (
        "def m(x):\n def f(): return x\n return f\nf = m(1)",
        "def m(x):\n def f(): return x\n return f\nf = m(2)",
    ),
    ("class C: x = 1\ndef f(): C", "class C: x = 2\ndef f(): C"),
    ("class C:\n def m(self): 1\nf = C().m", "class C:\n def m(self): return 1\nf = C().m"),
    (
        "class C:\n def m(self): 0\nf = C().m",
        "class C:\n def m(self): 0\nc = C(); c.x = 1\nf = c.m",
    ),
    ("async def f(): pass", "def f(): pass"),
    (f"{ENUM}class E(enum.Enum): A = 1{USE}E", f"{ENUM}class E(enum.Enum): A = 2{USE}E"),
    (f"{ENUM}class E(enum.Enum): A = [1]{USE}E.A", f"{ENUM}class E(enum.Enum): A = [2]{USE}E.A"),
    (f"{DATA}class D: x: int = 1{USE}D()", f"{DATA}class D: x: int = 2{USE}D()"),
    (f"{DATA}class D: x: int = 1{USE}D", f"{DATA}class D: y: int = 1{USE}D"),
    (f"{CACHE}def g(): return 1{USE}g", f"{CACHE}def g(): return 2{USE}g"),
    (f"{SLOTS}s.a = 1{USE}s", f"{SLOTS}s.a = 2{USE}s"),
    (f"import typing\nT = typing.TypeVar('T'){USE}T", f"import typing\nT = list[int]{USE}T"),
    (f"T = list[int]{USE}T", f"T = list[str]{USE}T"),
    ("def f():\n try: g()\n except KeyError: pass", "def f():\n try: g()\n except OSError: pass"),
    ("def f(): pass\nf.x = 1", "def f(): pass\nf.x = 2"),
    ("import os as x\ndef f(): x", "import sys as x\ndef f(): x"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_matters_makes_a_difference(one: str, other: str) -> None:
    assert fingerprint(defined(one)) == fingerprint(defined(one))
    assert fingerprint(defined(one)) != fingerprint(defined(other))


def test_the_place_makes_none() -> None:
    assert fingerprint(defined(PLAIN)) == fingerprint(defined(f"\n\n# moved\n{PLAIN}"))


def test_nor_do_globals_that_are_not_used() -> None:
    source = "def f(): return g.unused"
    assert fingerprint(defined(source, g=1)) == fingerprint(defined(source, g=1, unused=object()))


def test_circles_end() -> None:
    source = "def g(): return f()\ndef f(): return g()"
    assert fingerprint(defined(source)) == fingerprint(defined(source))
    loop: list[Any] = []
    loop.append(loop)
    assert fingerprint(defined("def f(): return x", x=loop))


def test_what_can_not_be_told_apart_is_never_the_same() -> None:
    function = defined("def f(): return x", x=(each for each in ()))
    assert fingerprint(function) != fingerprint(function)


def test_a_name_stands_for_what_can_be_imported() -> None:
    assert by_reference(json.dumps)
    assert not by_reference(defined(PLAIN))
    assert not by_reference(lambda: None)
    assert fingerprint(json.dumps) == fingerprint(json.dumps) != fingerprint(json.loads)


def test_which_modules_can_be_imported() -> None:
    assert importable(json)
    assert importable(functools)
    assert not importable(types.ModuleType("made_up"))
    by_hand = types.ModuleType("json")
    by_hand.__spec__ = json.__spec__
    by_hand.__file__ = __file__
    assert not importable(by_hand)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner, max_size=3)
        | st.frozensets(st.integers(), max_size=3)
    ),
    max_leaves=6,
)


def holding(value: object) -> Callable[[], object]:
    found = defined("def f(): return value", value=value)
    assert callable(found)
    return found


@given(VALUES, VALUES)
def test_values_differ_as_their_representations_do(one: object, other: object) -> None:
    same = repr(_sorted(one)) == repr(_sorted(other))
    assert (fingerprint(holding(one)) == fingerprint(holding(other))) is same


def _sorted(value: Any) -> Any:
    if isinstance(value, frozenset):
        return ("frozenset", sorted(value))
    if isinstance(value, list | tuple):
        return (type(value).__name__, [_sorted(each) for each in value])
    if isinstance(value, dict):
        return ("dict", [(key, _sorted(each)) for key, each in value.items()])
    return value
