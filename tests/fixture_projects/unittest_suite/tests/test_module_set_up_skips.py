"""The module's own fixture asks for all of its tests to be skipped."""

import unittest


def setUpModule():
    raise unittest.SkipTest("wrong machine")


class First(unittest.TestCase):
    def test_one(self):
        raise AssertionError


class Second(unittest.TestCase):
    def test_one(self):
        raise AssertionError
