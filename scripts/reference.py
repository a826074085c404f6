"""Writes the configuration reference of the README anew, from the table of settings.

``python scripts/reference.py`` rewrites README.md; with ``--check`` it only says, by its exit code,
whether the README is up to date.
"""

import sys
from pathlib import Path

from iopio_async.project.setting_reference import reference_markdown

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- reference -->\n", "<!-- /reference -->\n"


def with_reference(text: str) -> str:
    """The README with the present reference between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{reference_markdown()}\n{END}{after}"


def main() -> int:
    """Rewrite or check; the exit code."""
    text = README.read_text(encoding="utf-8")
    wanted = with_reference(text)
    if "--check" in sys.argv[1:]:
        return int(text != wanted)
    README.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
