"""Colours and glyphs are used where they are welcome."""

import io

import pytest

from iopio_async.reporting.palette import Palette, speaks_unicode, wants_color


@pytest.mark.parametrize(
    ("choice", "environ", "is_terminal", "wanted"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, True, False),
        ("auto", {"FORCE_COLOR": ""}, False, False),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_who_decides_on_colour(
    choice: str, environ: dict[str, str], is_terminal: bool, wanted: bool
) -> None:
    assert wants_color(choice, environ, is_terminal=is_terminal) is wanted


@pytest.mark.parametrize(
    ("encoding", "unicode"),
    [("utf-8", True), ("ascii", False), ("latin-1", False), ("cp1252", False), ("utf-16", True)],
)
def test_glyphs_depend_on_the_encoding(encoding: str, unicode: bool) -> None:
    assert speaks_unicode(io.TextIOWrapper(io.BytesIO(), encoding=encoding)) is unicode


def test_what_has_no_encoding_takes_unicode() -> None:
    assert speaks_unicode(io.StringIO())
    assert speaks_unicode(None)


def test_ink_colours_only_where_there_is_colour() -> None:
    assert Palette(color=True, unicode=True).ink("good", "x") == "\x1b[32mx\x1b[0m"
    assert Palette(color=False, unicode=True).ink("good", "x") == "x"
    assert Palette(color=True, unicode=True).ink("good", "") == ""


def test_ascii_glyphs_are_ascii() -> None:
    palette = Palette(color=False, unicode=False)
    for name in ("rule", "good", "bad", "warn", "ellipsis", "bar", "half"):
        assert palette.glyph(name).isascii()
