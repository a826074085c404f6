import pytest


@pytest.fixture
def name(name):
    return f"{name}/tests"


@pytest.fixture(autouse=True)
def every_test(request):
    request.node.user_properties.append(("autouse", "yes"))
