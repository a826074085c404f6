"""Which modules a source may import."""

import pytest

from iopio_async.analysis.dependencies import Dependencies, read_dependencies


@pytest.mark.parametrize(
    ("source", "names", "opaque"),
    [
        ("import a, b.c as d", ("a", "b.c"), False),
        ("from a.b import c, d", ("a.b", "a.b.c", "a.b.d"), False),
        ("from a import *", ("a",), False),
        ("from . import a", (".", ".a"), False),
        ("from ..b import a", ("..b", "..b.a"), False),
        ("def f():\n    if x:\n        import a", ("a",), False),
        ("importlib.import_module('a.b')", ("a.b",), False),
        ("pytest.importorskip('a')", ("a",), False),
        ("importlib.import_module(name)", (), True),
        ("__import__(name=x)", (), True),
        ("def broken(", (), True),
        ("x = 1", (), False),
    ],
)
def test_imports_wherever_they_stand(source: str, names: tuple[str, ...], *, opaque: bool) -> None:
    assert read_dependencies(source.encode()) == Dependencies(names, opaque)
