"""A module that can not be parsed."""


def test_broken(:
    pass
