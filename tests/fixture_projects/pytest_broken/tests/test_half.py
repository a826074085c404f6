import pytest


def test_passes():
    pass


class TestBad:
    @pytest.mark.parametrize("missing", [1])
    def test_unused_parameter(self):
        pass


@pytest.mark.parametrize("n", [1, 2])
def test_behind(n):
    pass
