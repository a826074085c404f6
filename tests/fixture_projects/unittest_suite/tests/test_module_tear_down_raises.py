"""The module's own teardown fails."""

import unittest


def setUpModule():
    unittest.addModuleCleanup(lambda: 1 / 0)


class First(unittest.TestCase):
    def test_one(self):
        pass


class Second(unittest.TestCase):
    def test_one(self):
        pass
