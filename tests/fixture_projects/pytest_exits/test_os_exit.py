import os


def test_first():
    pass


def test_vanishes():
    os._exit(0)


def test_behind():
    pass
