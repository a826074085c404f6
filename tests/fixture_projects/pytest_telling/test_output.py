import logging
import os
import subprocess
import sys
import warnings

import pytest


@pytest.fixture
def talks():
    print("set-up speaks")
    yield
    print("teardown speaks")


def test_streams(talks):
    print("on stdout")
    print("on stderr", file=sys.stderr)
    logging.getLogger("telling").info("in the log")
    raise AssertionError("to be shown")


def test_descriptors():
    os.write(1, b"low stdout\n")
    os.write(2, b"low stderr\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    raise AssertionError("to be shown")


def test_escapes():
    print("\x1b[31mred\x1b[0m \x1b]0;title\x07 \udcff \u202e nul\0")
    os.write(1, b"\xff\xfe\n")
    raise AssertionError("\x1b[31mred\x1b[0m \udcff \u202e nul\0")


def test_passes_and_prints():
    print("not to be shown")


def test_warns():
    warnings.warn("old", DeprecationWarning, stacklevel=1)
    warnings.warn("by the user", UserWarning, stacklevel=1)


def test_multiline():
    raise AssertionError("first\nsecond\nthird")


class Unspeakable:
    def __repr__(self):
        raise RuntimeError("nothing to say")


class Unnameable(Exception):
    def __str__(self):
        raise RuntimeError("no name")


def test_properties(record_property):
    record_property("text", "plain")
    record_property("number", 3)
    record_property("list", [1, {"two": 3}])
    record_property("unspeakable", Unspeakable())
    record_property(("odd", "key"), None)
    record_property("text", "twice")


def test_unspeakable():
    unspeakable = Unspeakable()
    assert unspeakable == 3


def test_unnameable():
    raise Unnameable


def test_xml_attribute(record_xml_attribute, record_testsuite_property):
    record_xml_attribute("extra", "value")
    record_testsuite_property("suite", "value")
