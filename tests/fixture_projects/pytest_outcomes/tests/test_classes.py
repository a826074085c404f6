import pytest


class TestPlain:
    state = []

    @classmethod
    def setup_class(cls):
        cls.state.append("class")

    def setup_method(self):
        self.state.append("method")

    def test_first(self):
        assert self.state == ["class", "method"]

    def test_second(self):
        assert self.state == ["class", "method", "method"]

    class TestInner:
        def test_deep(self):
            pass

        class TestInnermost:
            @pytest.mark.parametrize("n", [0, 1])
            def test_deeper(self, n):
                assert n


class TestBase:
    value = 1

    def test_inherited(self):
        assert self.value == 1


class TestDerived(TestBase):
    value = 2


class TestWithInit:
    """pytest warns of it and leaves it out."""

    def __init__(self):
        pass

    def test_never(self):
        raise AssertionError("never called")


@pytest.mark.skip(reason="whole class")
class TestSkipped:
    def test_one(self):
        raise AssertionError("never called")


class TestSetupFails:
    @classmethod
    def setup_class(cls):
        raise RuntimeError("no class")

    def test_one(self):
        pass

    def test_two(self):
        pass


class TestTeardownFails:
    @classmethod
    def teardown_class(cls):
        raise RuntimeError("no end")

    def test_one(self):
        pass

    def test_two(self):
        pass


class TestStatic:
    @staticmethod
    def test_static():
        pass

    @classmethod
    def test_of_class(cls):
        assert cls is TestStatic


def not_a_test():
    raise AssertionError("never called")


test_not_callable = 3
