r"""Makes text that tests control harmless, for terminals, logs and XML.

Test ids, messages, tracebacks and captured output come from the code under test. Written as they
are, they could move the cursor, retitle the window, reorder what is read (bidirectional marks),
hide a line behind a carriage return, or speak to a CI system in its own command language. So:

* one *line* (an id, a message) shows every control character as ``\x1b``, ``\n``, ``\u202e``;
* a *block* (a traceback, captured output) keeps its line ends and tabs, and its colours where
  colours are wanted; every other sequence is shown rather than obeyed;
* *XML* text holds what XML 1.0 allows and nothing else.

Everything here is pure and idempotent, and leaves plain text as it is. Backslashes are not
doubled: the escapes are for reading, not for reversing.
"""

import re
from collections.abc import Callable
from typing import Any

#: Ends whatever colours a block has switched on.
RESET = "\x1b[0m"

# Controls of C0 and C1 with DEL, bidirectional marks, embeddings, overrides and isolates,
# the separators that some programs break lines at, and lone surrogates.
_HARMFUL = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"

_IN_LINE = re.compile(f"[{_HARMFUL}]")
_IN_XML_LINE = re.compile(rf"[{_HARMFUL}\ufffe\uffff]")

_SGR = r"\x1b\[[0-9;:]*m"
_HARMFUL_IN_BLOCK = _HARMFUL.replace(r"\x00-\x1f", r"\x00-\x08\x0b-\x1f")
_IN_BLOCK = re.compile(rf"\r\n|{_SGR}|[{_HARMFUL_IN_BLOCK}]")
_IN_XML_BLOCK = re.compile(rf"\r\n|{_SGR}|[{_HARMFUL_IN_BLOCK}\ufffe\uffff]")
_ONLY_SGR = re.compile(_SGR)

# What a colour sequence may ask for. Concealed (8) and blinking (5, 6) text is not among it.
_PALETTE = r"[34]8[;:]5[;:]\d{1,3}|[34]8[;:]2(?:[;:]\d{0,3}){3,5}"
_ASPECT = rf"(?:{_PALETTE}|0?[0-4]|0?[79]|2[1-47-9]|[349][0-7]|[34]9|10[0-7])?"
_COLOURS = re.compile(rf"\x1b\[{_ASPECT}(?:;{_ASPECT}){{0,7}}m")

# Both command syntaxes of GitHub's runner: one opens a line, the other is found anywhere in it.
_GITHUB_COMMAND = re.compile(r"##\[|^\s*::", re.MULTILINE)

_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def _spelled(char: str) -> str:
    short = _SHORT.get(char)
    if short is not None:
        return short
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _spell_match(match: re.Match[str]) -> str:
    return _spelled(match[0])


def _replacement(*, color: bool) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        found = match[0]
        if found == "\r\n":
            return "\n"
        if len(found) > 1:
            return found if color and _COLOURS.fullmatch(found) else ""
        return _spelled(found)

    return replace


_colourful = _replacement(color=True)
_colourless = _replacement(color=False)


def escape_line(text: str) -> str:
    """One line without any control character: those are spelled out, line ends included."""
    # The test is one pass in C, and what it can't vouch for is looked at closely.
    return text if text.isprintable() else _IN_LINE.sub(_spell_match, text)


def escape_message(text: str) -> str:
    """Like :func:`escape_line`, with colour sequences taken out rather than spelled."""
    return text if text.isprintable() else escape_line(_ONLY_SGR.sub("", text))


def escape_block(text: str, *, color: bool) -> str:
    """Lines of text whose only escape sequences are colours, and those only with ``color``.

    Colours that are still on at the end are switched off there.
    """
    safe = _IN_BLOCK.sub(_colourful if color else _colourless, text)
    if color and "\x1b" in safe:
        last = safe.rindex("\x1b")
        if not safe.startswith((RESET, "\x1b[m"), last):
            safe += RESET
    return safe


def escape_xml_line(text: str) -> str:
    """Like :func:`escape_message`, for an XML 1.0 attribute."""
    return text if text.isprintable() else _IN_XML_LINE.sub(_spell_match, _ONLY_SGR.sub("", text))


def escape_xml_block(text: str) -> str:
    """Like :func:`escape_block` without colours, for the content of an XML 1.0 element."""
    return _IN_XML_BLOCK.sub(_colourless, text)


def strip_colors(text: str) -> str:
    """``text`` without its colour sequences, otherwise as it is: for data, not for display."""
    return _ONLY_SGR.sub("", text) if "\x1b" in text else text


def escape_surrogates(text: str) -> str:
    """Text that can be encoded as UTF-8: lone surrogates are spelled out, the rest stays."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return re.sub(r"[\ud800-\udfff]", _spell_match, text)
    return text


def encodable(value: Any) -> Any:
    """``value``, made of plain containers, with all its text fit for UTF-8."""
    if isinstance(value, str):
        return escape_surrogates(value)
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encodable(item) for item in value]
    return value


def holds_github_command(text: str) -> bool:
    """True where GitHub's runner might read a line of ``text`` as a command to itself."""
    return _GITHUB_COMMAND.search(text) is not None


def github_quoted(text: str, token: str) -> str:
    """``text``, between the two lines that make GitHub's runner take no commands from it.

    ``token`` must be one that nothing under test can know.
    """
    end = "" if text.endswith("\n") else "\n"
    return f"::stop-commands::{token}\n{text}{end}::{token}::\n"
