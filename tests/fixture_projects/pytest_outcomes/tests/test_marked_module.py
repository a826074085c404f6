import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skip(reason="all of it")]


def test_never():
    raise AssertionError("never called")


class TestGroup:
    def test_never_either(self):
        raise AssertionError("never called")
