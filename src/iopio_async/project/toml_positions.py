"""Where in a TOML text each key stands, since the standard library's reader does not say.

``tomllib`` has already accepted the text, so this scanner never judges: it walks over tables,
arrays of tables, dotted and quoted keys, strings of all four kinds, arrays and inline tables, and
notes the line of every key and array element on its way. Wherever it loses its way it stops and
keeps what it has; a line is then that of the nearest enclosing key. It only runs once an error
has to be reported.
"""

import re
import tomllib
from bisect import bisect_left
from contextlib import suppress

#: A place in the parsed document: keys of tables and indices of arrays, outermost first.
KeyPath = tuple[str | int, ...]

_SPACE = re.compile(r"[ \t]*+")
_BLANK = re.compile(r"(?:[ \t\n]++|#[^\n]*+)*+")
_KEY = re.compile(r"""[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'""")
#: The longer delimiters come first; up to two quotes may stand before a closing delimiter.
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*+"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*+'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]++")


class _LostError(Exception):
    """The text is not what the scanner thinks it is."""


def key_lines(text: str) -> dict[KeyPath, int]:
    """Map every key and array element of a TOML text to its line, counted from 1."""
    scanner = _Scanner(text.replace("\r\n", "\n"))
    # The enclosing key's line is better than none.
    with suppress(_LostError, RecursionError, ValueError):
        scanner.document()
    return scanner.lines


def line_of(text: str, path: KeyPath) -> int:
    """Give the line of the key at ``path``, or of the nearest enclosing key that has one."""
    lines = key_lines(text)
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _Scanner:
    """A position in the text, and the lines found so far.

    ``last_index`` maps the path of each array of tables to the index of its last table.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self.last_index: dict[KeyPath, int] = {}
        self.line_ends = [index for index, char in enumerate(text) if char == "\n"]

    def document(self) -> None:
        """Walk over the whole text."""
        table: KeyPath = ()
        while True:
            self.skip(_BLANK)
            if self.at >= len(self.text):
                return
            table = self.header() if self.peek("[") else self.pair(table)

    def header(self) -> KeyPath:
        """Walk over ``[table]`` or ``[[array of tables]]``; give the table's path."""
        is_array = self.peek("[[")
        start = self.at
        self.at += 2 if is_array else 1
        parts = [part for part, _ in self.key()]
        self.expect("]]" if is_array else "]")
        path: KeyPath = ()
        for depth, part in enumerate(parts, 1):
            path = (*path, part)
            self.note(path, start)
            if is_array and depth == len(parts):
                self.last_index[path] = self.last_index.get(path, -1) + 1
            if path in self.last_index:
                # A header inside an array of tables speaks of the array's last table.
                path = (*path, self.last_index[path])
                self.note(path, start)
        return path

    def pair(self, table: KeyPath) -> KeyPath:
        """Walk over ``key = value`` in ``table``; give ``table`` back."""
        path = table
        for part, start in self.key():
            path = (*path, part)
            self.note(path, start)
        self.expect("=")
        self.skip(_SPACE)
        self.value(path)
        return table

    def key(self) -> list[tuple[str, int]]:
        """Walk over a dotted key; give its parts and where each begins."""
        parts = []
        while True:
            self.skip(_SPACE)
            start = self.at
            token = self.take(_KEY)
            parts.append((_unquoted(token), start))
            self.skip(_SPACE)
            if not self.peek("."):
                return parts
            self.at += 1

    def value(self, path: KeyPath) -> None:
        """Walk over any value, noting what stands inside."""
        if self.peek('"') or self.peek("'"):
            self.take(_STRING)
        elif self.peek("["):
            self.array(path)
        elif self.peek("{"):
            self.inline_table(path)
        else:
            self.take(_SCALAR)

    def array(self, path: KeyPath) -> None:
        """Walk over an array, noting the line of each element."""
        self.expect("[")
        index = 0
        while not self.closes("]"):
            self.note((*path, index), self.at)
            self.value((*path, index))
            index += 1
            self.skip(_BLANK)
            if self.peek(","):
                self.at += 1

    def inline_table(self, path: KeyPath) -> None:
        """Walk over an inline table."""
        self.expect("{")
        while not self.closes("}"):
            self.pair(path)
            self.skip(_BLANK)
            if self.peek(","):
                self.at += 1

    def note(self, path: KeyPath, start: int) -> None:
        """Keep the line of the first place that mentions ``path``."""
        self.lines.setdefault(path, bisect_left(self.line_ends, start) + 1)

    def closes(self, bracket: str) -> bool:
        """Walk over blanks and, if it stands there, over ``bracket``."""
        self.skip(_BLANK)
        if self.peek(bracket):
            self.at += len(bracket)
            return True
        return False

    def peek(self, expected: str) -> bool:
        """Say whether ``expected`` comes next."""
        return self.text.startswith(expected, self.at)

    def expect(self, expected: str) -> None:
        """Walk over ``expected``."""
        if not self.peek(expected):
            raise _LostError
        self.at += len(expected)

    def skip(self, pattern: re.Pattern[str]) -> None:
        """Walk over whatever ``pattern`` matches, which may be nothing."""
        match = pattern.match(self.text, self.at)
        if match is not None:
            self.at = match.end()

    def take(self, pattern: re.Pattern[str]) -> str:
        """Walk over what ``pattern`` matches, which must be something."""
        match = pattern.match(self.text, self.at)
        if match is None:
            raise _LostError
        self.at = match.end()
        return match.group()


def _unquoted(token: str) -> str:
    """Give the name that a bare or quoted key stands for."""
    if token[0] not in "\"'":
        return token
    if "\\" not in token:
        return token[1:-1]
    name = tomllib.loads(f"name = {token}")["name"]
    return name if isinstance(name, str) else token
