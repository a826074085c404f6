import pytest


class Opaque:
    """Gets a made-up id."""


@pytest.mark.parametrize("number", [1, 2, 3])
def test_number(number):
    assert number != 2


@pytest.mark.parametrize("text", ["", "a b", "a::b", "x[y]", "p/q", "ü", "tab\t", "nul\0", "\x1b[31m"])
def test_text(text):
    assert isinstance(text, str)


@pytest.mark.parametrize("opaque", [Opaque(), Opaque()])
@pytest.mark.parametrize(("left", "right"), [(1, 2), pytest.param(3, 4, id="named")])
def test_nested(left, right, opaque):
    assert left < right


@pytest.mark.parametrize(
    "marked",
    [
        pytest.param(1, marks=pytest.mark.xfail(reason="not yet")),
        pytest.param(2, marks=pytest.mark.skip(reason="not here")),
        pytest.param(3, marks=[pytest.mark.slow, pytest.mark.database]),
    ],
)
def test_marked(marked):
    assert marked == 3


@pytest.mark.parametrize("nothing", [])
def test_empty(nothing):
    raise AssertionError("never called")


@pytest.mark.parametrize("same", [1, 1, 1], ids=["same", "same", "same"])
def test_same_ids(same):
    assert same


@pytest.fixture(params=["red", "green"], ids=str.upper)
def colour(request):
    return request.param


def test_parametrised_fixture(colour):
    assert colour == "red"
