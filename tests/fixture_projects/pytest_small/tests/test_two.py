import pytest


def test_passes():
    pass


@pytest.mark.skip(reason="not now")
def test_skipped():
    raise AssertionError("never called")


@pytest.mark.xfail
def test_unexpectedly_good():
    pass
