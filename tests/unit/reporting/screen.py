"""A terminal's screen in forty lines: what the reporter's bytes look like once they are obeyed.

Understands exactly the sequences that the reporter may write, and refuses any other, so that a
test that looks at a screen also proves that nothing else got through.
"""

import re

_TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b(.)|([^\x1b\n\r]+)|(\n)|(\r)", re.DOTALL)


class Screen:
    """Lines without end: scrolling is of no interest here, and neither is wrapping."""

    def __init__(self) -> None:
        self.lines = [""]
        self.row = 0
        self.column = 0
        self.cursor_shown = True

    def feed(self, text: str) -> "Screen":
        for match in _TOKEN.finditer(text):
            parameters, final, other, plain, newline, carriage_return = match.groups()
            if plain:
                self._put(plain)
            elif newline:
                self.row, self.column = self.row + 1, 0
                if self.row == len(self.lines):
                    self.lines.append("")
            elif carriage_return:
                self.column = 0
            elif final == "A":
                self.row -= int(parameters or 1)
                assert self.row >= 0, "the cursor left the screen"
            elif final == "K":
                assert parameters == "2"
                self.lines[self.row] = ""
            elif final in {"h", "l"}:
                assert parameters == "?25"
                self.cursor_shown = final == "h"
            else:
                assert final == "m", f"unexpected sequence {match[0]!r}"
                assert not other
        return self

    def _put(self, plain: str) -> None:
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + plain + line[self.column + len(plain) :]
        self.column += len(plain)

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines).rstrip("\n") + "\n"
