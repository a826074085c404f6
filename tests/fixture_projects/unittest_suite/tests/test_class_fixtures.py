"""Fixtures of classes: what happens to the tests when they fail."""

import sys
import unittest


class A1SetUpRaises(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(lambda: 1 / 0)
        raise RuntimeError("setUpClass")

    def test_one(self):
        raise AssertionError

    def test_two(self):
        raise AssertionError


class A2SetUpSkips(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise unittest.SkipTest("no server")

    def test_one(self):
        raise AssertionError

    def test_two(self):
        raise AssertionError


class A4TearDownRaises(unittest.TestCase):
    @classmethod
    def tearDownClass(cls):
        raise RuntimeError("tearDownClass")

    def test_one(self):
        pass

    def test_two(self):
        pass


class A5CleanupRaises(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(lambda: 1 / 0)

    def test_one(self):
        pass

    def test_two(self):
        self.fail("on its own")


class A6Good(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ready = True

    def test_ready(self):
        self.assertTrue(self.ready)
