"""The first-party files that a module may depend on."""

import pytest

from iopio_async.analysis.dependencies import Dependencies
from iopio_async.planning.closure import Closure, ModuleIndex, first_party_closure

PATHS = [
    "setup.py",
    "src/pkg/__init__.py",
    "src/pkg/core.py",
    "src/pkg/sub/__init__.py",
    "src/pkg/sub/leaf.py",
    "flat/__init__.py",
    "flat/thing.py",
    "tests/unit/support.py",
    "src/space/part.py",
    "notes.txt",
]


@pytest.fixture
def index() -> ModuleIndex:
    return ModuleIndex(PATHS)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("pkg", ("src/pkg/__init__.py",)),
        ("pkg.core", ("src/pkg/__init__.py", "src/pkg/core.py")),
        (
            "pkg.sub.leaf",
            ("src/pkg/__init__.py", "src/pkg/sub/__init__.py", "src/pkg/sub/leaf.py"),
        ),
        ("flat.thing", ("flat/__init__.py", "flat/thing.py")),
        ("support", ("tests/unit/support.py",)),
        ("tests.unit.support", ("tests/unit/support.py",)),
        ("space.part", ("src/space/part.py",)),
        ("setup", ("setup.py",)),
        ("numpy", ()),
        ("", ()),
    ],
)
def test_modules_are_found_by_every_name_they_may_have(
    index: ModuleIndex, name: str, found: tuple[str, ...]
) -> None:
    assert index.find(name) == found


@pytest.mark.parametrize(
    ("name", "importer", "absolute"),
    [
        ("a.b", "src/pkg/core.py", "a.b"),
        (".", "src/pkg/core.py", "pkg"),
        (".x", "src/pkg/core.py", "pkg.x"),
        (".x", "src/pkg/__init__.py", "pkg.x"),
        ("..x", "src/pkg/sub/leaf.py", "pkg.x"),
        ("..x", "src/pkg/sub/__init__.py", "pkg.x"),
        ("....x", "src/pkg/sub/leaf.py", ""),
        (".x", "setup.py", "x"),
    ],
)
def test_relative_names_begin_at_the_importer(
    index: ModuleIndex, name: str, importer: str, absolute: str
) -> None:
    assert index.absolute(name, importer) == absolute


def test_a_closure_is_followed_through_cycles(index: ModuleIndex) -> None:
    graph = {
        "tests/unit/support.py": Dependencies(("pkg.core", "numpy")),
        "src/pkg/core.py": Dependencies((".sub.leaf",)),
        "src/pkg/sub/leaf.py": Dependencies(("..core", "flat"), opaque=True),
    }

    closure = first_party_closure(
        ["tests/unit/support.py"], index, lambda path: graph.get(path, Dependencies())
    )

    assert closure == Closure(
        (
            "tests/unit/support.py",
            "src/pkg/__init__.py",
            "src/pkg/core.py",
            "src/pkg/sub/__init__.py",
            "src/pkg/sub/leaf.py",
            "flat/__init__.py",
        ),
        ("src/pkg/sub/leaf.py",),
    )
