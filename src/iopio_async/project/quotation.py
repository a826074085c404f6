"""How messages quote what was given, and guess what was meant.

Whatever a message quotes may come from anywhere: it stays short, on one line, and free of control
characters.
"""

from collections.abc import Iterable, Mapping


def shown(value: object) -> str:
    """Describe a value that was given, in few characters and on one line."""
    if isinstance(value, str):
        plain = str.__str__(value)
        return repr(plain if len(plain) <= 60 else f"{plain[:57]}...")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else "a number of many digits"
    if isinstance(value, float):
        return repr(value)
    return sort_of(value)


def plainly(text: str) -> str:
    """Give a name or path as it is, unless it would not fit on a line of a terminal."""
    return text if text.isprintable() and 0 < len(text) <= 200 else shown(text)


def sort_of(value: object) -> str:
    """Describe a value without showing it."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    return "nothing" if value is None else f"a {type(value).__name__}"


def suggestion(word: str, known: Iterable[str]) -> str:
    """Find the known word that was probably meant, or ``""``."""
    import difflib

    by_lower = {name.lower(): name for name in known}
    # difflib's cost grows with the product of the lengths.
    close = difflib.get_close_matches(word[:80].lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else ""
