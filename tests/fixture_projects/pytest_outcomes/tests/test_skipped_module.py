import pytest

pytest.skip("not on this planet", allow_module_level=True)


def test_never():
    raise AssertionError("never called")
