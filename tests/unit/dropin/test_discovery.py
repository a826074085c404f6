"""Tests that are seen in a source without importing it."""

from hypothesis import given
from hypothesis import strategies as st

from iopio_async.dropin.discovery import FileTest, names_in

SOURCE = b"""\
import unittest
def test_a(): pass
async def test_b(): pass
def helper(): pass
class TestC:
    def test_d(self): pass
    def helper(self): pass
class Other:
    def test_e(self): pass
class Case(unittest.TestCase):
    def test_f(self): pass
"""


def test_names() -> None:
    assert list(names_in(SOURCE)) == ["test_a", "test_b", "TestC::test_d", "Case::test_f"]


@given(st.binary())
def test_any_bytes(source: bytes) -> None:
    assert all(name.rpartition("::")[2].startswith("test") for name in names_in(source))


def test_what_they_are_called() -> None:
    test = FileTest("tests/test_a.py", "TestC::test_d")
    assert (test.__name__, test.__qualname__) == ("test_d", "TestC.test_d")
    assert FileTest("tests/test_a.py").__name__ == "test_a.py"
