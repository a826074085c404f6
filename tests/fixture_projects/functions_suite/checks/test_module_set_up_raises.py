"""The module's fixture fails."""

import unittest


def setup_module():
    raise RuntimeError("setup_module")


def test_one():
    raise AssertionError


class Case(unittest.TestCase):
    def test_two(self):
        raise AssertionError


class TestPlain:
    def test_three(self):
        raise AssertionError
