import pytest


@pytest.fixture
def beside():
    return "beside"
