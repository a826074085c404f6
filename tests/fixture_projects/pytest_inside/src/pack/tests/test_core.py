from .. import answer


def test_relative(expected):
    assert answer() + 1 == expected


def test_name():
    assert __name__ == "pack.tests.test_core"


def check_function():
    pass
