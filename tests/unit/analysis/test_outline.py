"""What a module's outline says about the tests that it holds."""

import pytest

from iopio_async.analysis.outline import Outline, outline

SOURCES = {
    "": Outline(),
    "import pytest\n": Outline(imports_pytest=True),
    "from pytest import mark\n": Outline(imports_pytest=True),
    "import pytest_mock\n": Outline(),
    "def test_a(): ...\nasync def test_b(x): ...\n": Outline(
        functions=2, bare_functions=1, tests=2
    ),
    "def helper(): ...\ndef load_tests(l, t, p): ...\n": Outline(load_tests=True),
    "class TestA:\n    def test_a(self): ...\n    async def test_b(self): ...\n": Outline(
        plain_classes=1, tests=2
    ),
    "class TestA(object):\n    def test_a(self): ...\n": Outline(plain_classes=1, tests=1),
    "class TestA:\n    x = 1\n": Outline(),
    "class Helper:\n    def test_a(self): ...\n": Outline(),
    "class A(unittest.TestCase):\n    def test_a(self): ...\n": Outline(
        unittest_classes=1, tests=1
    ),
    "class A(TestCase): pass\n": Outline(unittest_classes=1),
    "class TestA(Inherited): pass\n": Outline(unittest_classes=1),
    "class Error(Exception): pass\n": Outline(),
    "class Base(unittest.TestCase):\n    pass\nclass A(Base):\n\tdef test_a(self): ...\n": Outline(
        unittest_classes=2, tests=1
    ),
    "class TestBase:\n  def test_a(self): ...\nclass TestA(TestBase):\n  def test_b(self): ...\n": (
        Outline(plain_classes=2, tests=2)
    ),
    "class TestMixin:\n  def test_a(self): ...\nclass A(TestMixin, TestCase):\n  pass\n": Outline(
        unittest_classes=1
    ),
    "class A(\n    Mixin,\n    TestCase,\n):\n    def test_a(self): ...\n": Outline(
        unittest_classes=1, tests=1
    ),
    "class TestA(metaclass=Meta):\n    def test_a(self): ...\n": Outline(plain_classes=1, tests=1),
    "class TestA:\n    def test_a(self):\n        def test_inner(): ...\n": Outline(
        plain_classes=1, tests=1
    ),
    "def helper():\n    def test_inner(): ...\n": Outline(),
}


@pytest.mark.parametrize(("source", "expected"), SOURCES.items())
def test_outline(source: str, expected: Outline) -> None:
    assert outline(source.encode()) == expected


@pytest.mark.parametrize(
    "source",
    [
        b"def test_a(:\n",
        b"\xff\xfe\ndef test_a(\n",
        b"def test_a(x\0\n",
        b"# coding: no-such-coding\ndef test_a(x): ...\n",
    ],
)
def test_a_broken_source_still_has_an_outline(source: bytes) -> None:
    assert outline(source).functions == 1


def test_what_unittest_alone_would_miss() -> None:
    assert outline(b"def test_a(): ...").beyond_unittest
    assert outline(b"import pytest").beyond_unittest
    assert not outline(b"class A(TestCase):\n  def test_a(self): ...").beyond_unittest
