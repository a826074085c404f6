"""Methods of classes, each with an instance of its own."""

import abc
import unittest


class TestMethods:
    made = 0

    def __init__(self):
        TestMethods.made += 1
        self.number = 0

    def test_first(self):
        self.number += 1
        assert self.number == 1

    def test_second(self):
        assert self.number == 0
        assert TestMethods.made == 2

    def test_fails(self):
        assert self.number == 1

    @staticmethod
    def test_static():
        pass

    @classmethod
    def test_class(cls):
        assert cls is TestMethods

    async def test_awaited(self):
        assert self.number == 0

    def test_needs_arguments(self, client):
        raise AssertionError

    @property
    def test_property(self):
        raise AssertionError

    test_data = 3

    class TestNested:
        def test_inner(self):
            pass

    class Helper:
        def test_unseen(self):
            raise AssertionError


class TestDerived(TestMethods):
    def test_second(self):
        pass

    def test_own(self):
        pass


class TestNeedsArguments:
    def __init__(self, size):
        self.size = size

    def test_one(self):
        raise AssertionError


class TestConfiguration:
    """No test in here, however it is made."""

    def __init__(self, size):
        self.size = size


class TestCannotBeMade:
    def __init__(self):
        raise RuntimeError("out of order")

    def test_one(self):
        raise AssertionError


class TestAbstract(abc.ABC):
    @abc.abstractmethod
    def value(self): ...

    def test_value(self):
        assert self.value() == 1


class TestConcrete(TestAbstract):
    def value(self):
        return 1


@unittest.skip("the whole class")
class TestSkipped:
    def test_one(self):
        raise AssertionError


class TestNotOne:
    __test__ = False

    def test_one(self):
        raise AssertionError


class Unnamed:
    def test_one(self):
        raise AssertionError
