import pytest


def pytest_addoption(parser):
    parser.addoption("--greeting", default="")
    parser.addini("tone", "how it is said", default="kindly")


@pytest.fixture
def greeting(request):
    return request.config.getoption("--greeting"), request.config.getini("tone")


def pytest_itemcollected(item):
    item.user_properties.append(("seen", "early"))
