"""Which functions a walk need not enter, and that leaving them out changes no claim."""

import pytest

from iopio_async.analysis.claims import read_facts
from iopio_async.planning.claims import claims_of
from iopio_async.planning.reach import Walk
from iopio_async.planning.sources import Sources

PRODUCT = """
import os

def read(path):
    return open(path).read()

def quota():
    return read("/sys/fs/cgroup/cpu.max")

def settings():
    return read("/etc/product.conf")

def given(name):
    return read(name)

def pick(items):
    return [read(each) for each in items]

class Store:
    def __init__(self, place="/srv/store"):
        self.place = place

    def drop(self):
        os.remove("/srv/store.lock")
"""


def walk_over(**files: str) -> Walk:
    sources = {f"{name}.py": text.encode() for name, text in files.items()}
    return Walk(Sources(sources, lambda path: read_facts(sources[path])))


@pytest.mark.parametrize(
    ("name", "live"),
    [
        ("read", True),
        ("quota", False),
        ("settings", True),
        ("given", True),
        ("pick", False),
        ("Store.__init__", False),
        ("Store.drop", True),
    ],
)
def test_what_leads_to_a_touch(name: str, live: bool) -> None:
    assert (("product.py", name) in walk_over(product=PRODUCT).live.touching) is live


def test_who_asks_an_unknown_object_is_live_and_marked() -> None:
    test = "def test_it(store):\n    store.drop()\n\ndef test_no(store):\n    store.keep()\n"
    live = walk_over(product=PRODUCT, test_it=test).live
    assert {name for path, name in live.touching if path == "test_it.py"} == {"test_it"}
    assert ("test_it.py", "test_it") in live.asking


def test_an_argument_is_followed_over_several_calls() -> None:
    deep = "def a(x):\n    b(x)\n\ndef b(y):\n    c(f'/tmp/{y}')\n\ndef c(z):\n    open(z, 'w')\n"
    test = (
        "from deep import a\n\ndef test_a():\n    a('one')\n\n"
        "def test_b():\n    a(unknown())\n\ndef test_c(tmp_path):\n    a(tmp_path)\n"
    )
    live = walk_over(deep=deep, test_it=test).live
    assert {name for path, name in live.touching if path == "test_it.py"} == {
        "test_a",
        # A fixture may give what its parameter is, so this is for the walk to find out.
        "test_c",
    }


def test_functions_that_call_each_other_end() -> None:
    loop = "def a(x):\n    b(x + 'a')\n\ndef b(x):\n    a(x + 'b')\n    open(x)\n"
    live = walk_over(loop=loop, test_it="from loop import a\n\ndef test_it():\n    a('z')\n").live
    assert ("test_it.py", "test_it") in live.touching


def test_a_method_is_found_when_the_object_is_made_by_a_fixture() -> None:
    files = {
        "product.py": PRODUCT,
        "conftest.py": (
            "import pytest\nfrom product import Store\n\n"
            "@pytest.fixture\ndef store():\n    return Store()\n"
        ),
        "test_it.py": "def test_it(store):\n    store.drop()\n    missing()\n",
    }
    sources = {path: text.encode() for path, text in files.items()}
    found = claims_of(Sources(sources, lambda path: read_facts(sources[path])), "test_it.py")
    assert [claim.resource for claim in found.claims] == ["path:/srv/store.lock"]
