"""Colours and glyphs of the console: which may be used on a stream, and what they are.

Both are tables. The rest of the package asks for a *role* ("bad", "dim") or a glyph by name, and
gets plain text back where the stream can do no better.
"""

from collections.abc import Mapping
from typing import TextIO

from iopio_async.model.config import ColorChoice
from iopio_async.reporting.escape import RESET

#: SGR parameters of each role; the eight basic colours only, so that the user's theme decides.
_ROLES = {
    "good": "32",
    "bad": "1;31",
    "warn": "33",
    "note": "36",
    "strong": "1",
    "dim": "2",
}

#: The glyph where the encoding has it, and what stands for it in ASCII.
_GLYPHS = {
    "rule": ("─", "-"),
    "good": ("✓", "PASS:"),
    "bad": ("✗", "FAIL:"),
    "warn": ("!", "!"),
    "ellipsis": ("…", "..."),
    "bar": ("━", "="),
    "half": ("╸", "="),
}


class Palette:
    """What a stream can show: ``color`` and ``unicode`` say whether it does."""

    def __init__(self, *, color: bool, unicode: bool) -> None:
        self.color = color
        self.unicode = unicode
        self._codes = {role: f"\x1b[{code}m" for role, code in _ROLES.items()}

    def ink(self, role: str, text: str) -> str:
        """``text`` in the colour of ``role``, or as it is."""
        return f"{self._codes[role]}{text}{RESET}" if self.color and text else text

    def glyph(self, name: str) -> str:
        """The glyph called ``name``, as far as the stream's encoding goes."""
        return _GLYPHS[name][0 if self.unicode else 1]


def wants_color(choice: ColorChoice, environ: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Whether to colour: the option first, then ``NO_COLOR`` and ``FORCE_COLOR``, then what it is.

    Both variables count only when they are not empty; ``FORCE_COLOR=0`` is a no.
    """
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    forced = environ.get("FORCE_COLOR")
    if forced:
        return forced != "0"
    return is_terminal and environ.get("TERM") != "dumb"


def speaks_unicode(stream: TextIO | None) -> bool:
    """True where the stream's encoding has all our glyphs."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        "".join(glyph for glyph, _ in _GLYPHS.values()).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
