import pytest


@pytest.fixture
def name(name):
    return f"{name}/inner"
