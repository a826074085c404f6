"""``load_tests`` decides what there is, in which order, in suites of whatever kind."""

import doctest
import unittest


def twice(number):
    """Doubles.

    >>> twice(2)
    4
    """
    return number * 2


class Ordered(unittest.TestCase):
    def test_b(self):
        pass

    def test_a(self):
        pass

    def test_unloaded(self):
        raise AssertionError


class NoFixture(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise RuntimeError("in a suite of the standard library's own kind")

    def test_one(self):
        raise AssertionError


class Choosy(unittest.TestCase):
    def run(self, result=None):
        if self._testMethodName == "test_left_out":
            return result
        return super().run(result)

    def test_left_out(self):
        raise AssertionError

    def test_run(self):
        pass


class Named(unittest.TestCase):
    def id(self):
        return f"{super().id()}(scenario 1)"

    def test_scenario(self):
        pass


def load_tests(loader, tests, pattern):
    suite = unittest.TestSuite()
    suite.addTests([Ordered("test_b"), Ordered("test_a")])
    suite.addTest(NoFixture("test_one"))
    suite.addTests([Choosy("test_left_out"), Choosy("test_run"), Named("test_scenario")])
    suite.addTest(unittest.FunctionTestCase(twice_is_even))
    suite.addTests(doctest.DocTestSuite(__name__))
    suite.addTests(loader.loadTestsFromName("tests.no_such_module"))
    return suite


def twice_is_even():
    assert twice(3) % 2 == 0
