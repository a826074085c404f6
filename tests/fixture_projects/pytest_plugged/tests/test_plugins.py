import pytest


def test_greeting(greeting):
    assert greeting == ("hello", "kindly")


def test_late(late):
    assert late == "late"


@pytest.mark.number(3)
def test_number(request):
    assert request.node.funcargs_number == 3


def test_turned_into_a_skip():
    raise AssertionError("turned round by the plugin")


def test_own_word():
    pass
