"""Hostile text: what comes out obeys nobody, what was plain stays plain."""

import re
import unicodedata
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from iopio_async.reporting.escape import (
    escape_block,
    escape_line,
    escape_message,
    escape_surrogates,
    escape_xml_block,
    escape_xml_line,
    github_quoted,
    holds_github_command,
    strip_colors,
)

SGR = re.compile(r"\x1b\[[0-9;:]*m")
HARMFUL_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# Any text with what is dangerous thrown in often.
nasty = st.lists(
    st.one_of(
        st.text(st.characters(codec=None), max_size=5),
        st.sampled_from(
            [
                "\x1b",
                "\x1b[",
                "\x1b[31m",
                "\x1b[0m",
                "\x1b[m",
                "\x1b[8m",
                "\x1b[38;5;8m",
                "\x1b[2J",
                "\x1b]0;t\x07",
                "[31m",
                "m",
                "\x9b31m",
                "\r",
                "\n",
                "\r\n",
                "\t",
                "\0",
                "\ud800",
                "\udfff",
                "\ufffe",
                "\uffff",
                *sorted(BIDI),
            ]
        ),
    ),
    max_size=12,
).map("".join)

plain = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]))


def harmless(text: str) -> bool:
    return not any(
        unicodedata.category(char) in HARMFUL_CATEGORIES or char in BIDI for char in text
    )


@given(nasty)
def test_a_line_holds_no_control_character(text: str) -> None:
    assert harmless(escape_line(text))
    assert harmless(escape_message(text))


@given(nasty)
def test_a_block_holds_no_sequence_but_colours(text: str) -> None:
    bare = escape_block(text, color=False)
    assert harmless(bare.replace("\n", "").replace("\t", ""))
    coloured = escape_block(text, color=True)
    assert harmless(SGR.sub("", coloured).replace("\n", "").replace("\t", ""))


@given(nasty)
@example("\x1b\x1b[31m[31m")
@example("\x1b[\x1b[0m0m")
def test_escaping_twice_changes_nothing(text: str) -> None:
    for escape in (
        escape_line,
        escape_message,
        escape_xml_line,
        escape_xml_block,
        escape_surrogates,
        lambda text: escape_block(text, color=True),
        lambda text: escape_block(text, color=False),
    ):
        once = escape(text)
        assert escape(once) == once


@given(plain)
def test_plain_text_is_left_alone(text: str) -> None:
    for escaped in (
        escape_line(text),
        escape_message(text),
        escape_xml_line(text),
        escape_xml_block(text),
        escape_block(text, color=True),
        escape_block(text, color=False),
        escape_surrogates(text),
        strip_colors(text),
    ):
        assert escaped == text


@given(nasty)
def test_xml_text_survives_a_parser(text: str) -> None:
    element = ET.Element("e", {"a": escape_xml_line(text)})
    element.text = escape_xml_block(text)
    parsed = ET.fromstring(ET.tostring(element, encoding="utf-8"))
    assert parsed.get("a") == escape_xml_line(text)
    assert (parsed.text or "") == escape_xml_block(text)


@given(nasty)
def test_without_surrogates_text_can_be_encoded(text: str) -> None:
    assert escape_surrogates(text).encode().decode() == escape_surrogates(text)


def test_without_surrogates_the_rest_stays() -> None:
    assert escape_surrogates("a\x1b\ud800é") == "a\x1b\\ud800é"


@given(nasty)
def test_colours_do_not_outlast_their_block(text: str) -> None:
    found = SGR.findall(escape_block(text, color=True))
    assert not found or found[-1] in {"\x1b[0m", "\x1b[m"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\rb", r"a\rb"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
        ("\u202eabc", r"\u202eabc"),
        ("\udc80", r"\udc80"),
        ("\u2028", r"\u2028"),
        (r"C:\new", r"C:\new"),
    ],
)
def test_a_line_shows_what_it_must_not_do(text: str, shown: str) -> None:
    assert escape_line(text) == shown


@pytest.mark.parametrize(
    ("text", "coloured", "bare"),
    [
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m", "red"),
        ("\x1b[1;38;5;8mx", "\x1b[1;38;5;8mx\x1b[0m", "x"),
        ("\x1b[8mhidden\x1b[0m", "hidden\x1b[0m", "hidden"),
        ("\x1b[5;31mblink", "blink", "blink"),
        ("a\r\nb\n\tc", "a\nb\n\tc", "a\nb\n\tc"),
        ("50%\r100%", r"50%\r100%", r"50%\r100%"),
        ("\x1b]8;;http://x\x07", r"\x1b]8;;http://x\x07", r"\x1b]8;;http://x\x07"),
    ],
)
def test_a_block_keeps_colours_only_where_wanted(text: str, coloured: str, bare: str) -> None:
    assert escape_block(text, color=True) == coloured
    assert escape_block(text, color=False) == bare


@pytest.mark.parametrize(
    ("text", "is_command"),
    [
        ("::error::x", True),
        ("fine\n  ::set-output name=a::b", True),
        ("anywhere ##[add-mask]x", True),
        ("tests/test_a.py::test_b", False),
        ("", False),
    ],
)
def test_commands_of_github_are_recognised(text: str, is_command: bool) -> None:
    assert holds_github_command(text) is is_command


def test_text_is_quoted_from_github_line_by_line() -> None:
    assert github_quoted("a\n", "T") == "::stop-commands::T\na\n::T::\n"
    assert github_quoted("a", "T") == "::stop-commands::T\na\n::T::\n"
