"""Fixtures, in the order in which they are to run: the last test looks back."""

import asyncio

calls = []


def setup_module(module):
    calls.append(f"setup_module {module.__name__.rpartition('.')[2]}")


def teardown_module():
    calls.append("teardown_module")


def setup_function(function):
    calls.append(f"setup_function {function.__name__}")


def teardown_function():
    calls.append("teardown_function")


def test_function():
    calls.append("call")


class TestNose:
    @classmethod
    def setup_class(cls):
        calls.append(f"setup_class {cls.__name__}")

    def teardown_class(cls):
        calls.append("teardown_class")

    def setup_method(self, method):
        calls.append(f"setup_method {method.__name__}")

    def teardown_method(self):
        calls.append("teardown_method")

    def test_method(self):
        calls.append("call")


class TestUnittest:
    def setUp(self):
        calls.append("setUp")

    def tearDown(self):
        calls.append("tearDown")

    def test_method(self):
        calls.append("call")


class TestAsynchronous:
    async def setup_method(self):
        self.loop = asyncio.get_running_loop()

    async def teardown_method(self):
        assert asyncio.get_running_loop() is self.loop

    async def test_one_loop_a_test(self):
        assert asyncio.get_running_loop() is self.loop


class TestBroken:
    def setup_method(self):
        raise RuntimeError("setup_method")

    def teardown_method(self):
        calls.append("never")

    def test_never_called(self):
        calls.append("never")


class TestSkipping:
    def setup_method(self):
        import unittest

        raise unittest.SkipTest("nothing to do")

    def test_never_called(self):
        calls.append("never")


class TestUntidy:
    def teardown_method(self):
        raise RuntimeError("teardown_method")

    def test_passes_before(self):
        pass

    def test_fails_before(self):
        raise AssertionError("first")


def test_order():
    assert calls == [
        "setup_module test_fixtures",
        "setup_function test_function",
        "call",
        "teardown_function",
        "setup_class TestNose",
        "setup_method test_method",
        "call",
        "teardown_method",
        "teardown_class",
        "setUp",
        "call",
        "tearDown",
        "setup_function test_order",
    ]
