"""Fixtures that call sys.exit, which unittest itself does not survive."""

import sys
import unittest


class ExitsBefore(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        sys.exit(0)

    def test_one(self):
        raise AssertionError

    def test_two(self):
        raise AssertionError


class ExitsAfter(unittest.TestCase):
    @classmethod
    def tearDownClass(cls):
        sys.exit(0)

    def test_one(self):
        pass

    def test_two(self):
        pass


class Other(unittest.TestCase):
    def test_goes_on(self):
        pass
