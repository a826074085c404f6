"""The module's own fixture fails."""

import unittest


def setUpModule():
    raise RuntimeError("setUpModule")


def tearDownModule():
    raise AssertionError("never called")


class First(unittest.TestCase):
    def test_one(self):
        raise AssertionError


class Second(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise AssertionError("never called")

    def test_one(self):
        raise AssertionError
