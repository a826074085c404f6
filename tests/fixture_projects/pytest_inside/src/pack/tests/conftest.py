import pytest


@pytest.fixture
def expected(expected):
    return expected + 1
