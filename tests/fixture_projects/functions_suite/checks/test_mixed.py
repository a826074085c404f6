"""unittest's test cases among functions, with one module fixture for all of them."""

import unittest

calls = []


def setUpModule():
    calls.append("setUpModule")
    unittest.addModuleCleanup(lambda: 1 / 0)


def test_before():
    assert calls == ["setUpModule"]


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        calls.append("setUpClass")

    @classmethod
    def tearDownClass(cls):
        calls.append("tearDownClass")

    def test_b_fails(self):
        self.fail("as unittest would have it")

    def test_a_passes(self):
        assert calls == ["setUpModule", "setUpClass"]


class AsynchronousCase(unittest.IsolatedAsyncioTestCase):
    async def test_awaits(self):
        assert calls == ["setUpModule", "setUpClass", "tearDownClass"]


def test_after():
    pass
