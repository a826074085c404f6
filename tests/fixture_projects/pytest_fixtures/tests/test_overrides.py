import pytest


@pytest.fixture
def name(name):
    return f"{name}/module"


def test_name(name):
    assert name == "root/tests/module"


class TestClass:
    @pytest.fixture
    def name(self, name):
        return f"{name}/class"

    def test_name(self, name):
        assert name == "root/tests/module/class"

    @pytest.mark.parametrize("name", ["direct"])
    def test_direct(self, name):
        assert name == "direct"
