"""The configuration reference in Markdown, made from the table of settings."""

from collections.abc import Iterator, Sequence

from iopio_async.project.cache_settings import CACHE_SETTINGS
from iopio_async.project.override_settings import OVERRIDE_SETTINGS
from iopio_async.project.setting_table import SETTINGS


def reference_markdown() -> str:
    """Give three tables: all settings, those of an override, and those of the cache."""
    settings = _table(
        ("`[tool.iopio]`", "Environment", "Option", "Default", "What it does"),
        [
            (
                _code(row.name) if row.in_file else "",
                _code(row.variable),
                ", ".join(_code(f"{flag} {row.metavar}".rstrip()) for flag in row.flags),
                _code(row.default),
                row.doc,
            )
            for row in SETTINGS
        ],
    )
    overrides = _table(
        ("`[[tool.iopio.overrides]]`", "What it does"),
        [(_code(row.name), row.doc) for row in OVERRIDE_SETTINGS],
    )
    cache = _table(
        ("`[tool.iopio.cache]`", "What it does"),
        [(_code(row.name), row.doc) for row in CACHE_SETTINGS],
    )
    return f"{settings}\n{overrides}\n{cache}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"{line}\n" for line in _lines(header, rows))


def _lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
