import pytest


@pytest.fixture(scope="module")
def leaves():
    yield
    pytest.exit("at the end", returncode=0)


def test_first():
    pass


def test_last(leaves):
    pass
