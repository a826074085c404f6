"""What the code in a file is."""

import os
import sys

import pytest

from iopio_async.worker.tracing import callers
from iopio_async.worker.tracing.territory import OWN_TREE

LIBRARY = os.path.dirname(os.__file__)


@pytest.mark.parametrize(
    ("file", "role"),
    [
        ("<frozen importlib._bootstrap_external>", callers.IMPORT),
        ("<frozen os>", callers.PLUMBING),
        ("<frozen genericpath>", callers.PLUMBING),
        (f"{LIBRARY}/posixpath.py", callers.PLUMBING),
        (f"{LIBRARY}/pathlib.py", callers.PLUMBING),
        (f"{LIBRARY}/pathlib/_local.py", callers.PLUMBING),
        (f"{LIBRARY}/importlib/metadata/__init__.py", callers.METADATA),
        (f"{LIBRARY}/linecache.py", callers.CACHING),
        (f"{LIBRARY}/json/__init__.py", callers.OTHER),
        (f"{LIBRARY}/site-packages/os.py", callers.OTHER),
        ("/x/site-packages/_pytest/assertion/rewrite.py", callers.REWRITE),
        ("/x/site-packages/_pytest/main.py", callers.PYTEST),
        ("/x/site-packages/pluggy/_hooks.py", callers.PYTEST),
        (f"{OWN_TREE}/worker/server.py", callers.OWN),
        (f"{OWN_TREE}/worker/tracing/stats.py", callers.PLUMBING),
        (f"{OWN_TREE}/errors.py", callers.OTHER),
        ("/project/os.py", callers.OTHER),
        ("<string>", callers.OTHER),
    ],
)
def test_roles(file: str, role: str) -> None:
    assert callers.role_of(file) == role


def test_plumbing_is_looked_through() -> None:
    def from_plumbing() -> object:
        return callers.behind_plumbing(callers.caller(1))

    code = compile("def walk(look):\n    return look()\n", "<frozen os>", "exec")
    names: dict[str, object] = {}
    exec(code, names)
    walk = names["walk"]
    assert callable(walk)
    frame, role, passed = walk(from_plumbing)
    assert frame is sys._getframe()
    assert role == callers.OTHER
    assert passed == ["walk"]


@pytest.mark.parametrize("name", ["_set_initial_conftests", "get_dirs_from_args", "elsewhere"])
def test_looking_for_the_start(name: str) -> None:
    names: dict[str, object] = {}
    source = f"def {name}(look):\n    return [each() for each in iter((look,))][0]\n"
    exec(compile(source, "/x/_pytest/config/__init__.py", "exec"), names)
    function = names[name]
    assert callable(function)
    found = function(lambda: callers.finds_its_start(sys._getframe(1)))
    assert found is (name != "elsewhere")
