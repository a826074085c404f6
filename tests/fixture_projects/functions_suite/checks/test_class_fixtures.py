"""Fixtures of classes that fail, skip and exit."""

import sys
import unittest


class TestSetUpRaises:
    def setup_class(cls):
        raise RuntimeError("setup_class")

    def teardown_class(cls):
        raise AssertionError("never called")

    def test_one(self):
        raise AssertionError

    def test_two(self):
        raise AssertionError


class TestSetUpSkips:
    @classmethod
    def setup_class(cls):
        raise unittest.SkipTest("no server")

    def test_one(self):
        raise AssertionError


class TestTearDownExits:
    @classmethod
    def teardown_class(cls):
        sys.exit(0)

    def test_one(self):
        pass

    def test_two(self):
        pass


def test_goes_on():
    pass
