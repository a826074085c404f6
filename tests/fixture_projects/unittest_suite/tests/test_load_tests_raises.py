"""``load_tests`` fails: unittest puts one failing test in the module's place."""

import unittest


class Unloaded(unittest.TestCase):
    def test_one(self):
        pass


def load_tests(loader, tests, pattern):
    raise RuntimeError("load_tests")
