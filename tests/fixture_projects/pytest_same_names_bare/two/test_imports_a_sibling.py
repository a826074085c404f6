import pytest


def test_sibling():
    helper = pytest.importorskip("helper")
    assert helper.VALUE == 2
