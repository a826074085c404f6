import pytest

CALLS = []


@pytest.fixture
def shaky():
    CALLS.append("shaky")
    assert CALLS.count("shaky") > 1


def test_third_time():
    CALLS.append("third")
    assert CALLS.count("third") > 2


def test_second_set_up(shaky):
    pass


def test_once_only():
    CALLS.append("once")
    assert CALLS.count("once") < 2
