"""A row of the table of settings, and how a table of TOML is read by such rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from iopio_async.project.quotation import shown, suggestion
from iopio_async.project.setting_values import Kind, UnfitError


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A row: one setting.

    ``field`` names it in :class:`Config` and among the flags; ``name`` in TOML (snake case is
    accepted as well) and, in capitals, in the environment. ``flags`` are its spellings on the
    command line, ``metavar`` what follows them. ``default`` is in the form that a file takes.
    ``combine`` says what a stronger source does to a weaker one's value.
    """

    field: str
    name: str
    kind: Kind
    doc: str
    default: str = ""
    flags: tuple[str, ...] = ()
    metavar: str = ""
    in_file: bool = True
    in_environment: bool = True
    combine: Literal["replace", "merge", "append"] = "replace"

    @property
    def variable(self) -> str:
        """The environment variable, or ``""``."""
        return f"IOPIO_{self.name.upper().replace('-', '_')}" if self.in_environment else ""

    @property
    def option(self) -> str:
        """The command line's main spelling, or the name that embedding programs use."""
        return self.flags[0] if self.flags else self.field

    @property
    def help(self) -> str:
        """The text for ``--help``: what it does, its variable and its default."""
        facts = [f"env: {self.variable}"] if self.variable else []
        if self.default:
            facts.append(f"default: {self.default}")
        return f"{self.doc} [{'; '.join(facts)}]" if facts else self.doc


def read_table(
    table: Mapping[str, object], rows: Sequence[Setting]
) -> list[tuple[Setting, str, object]]:
    """Read a table of TOML: each key that is there as its row, its spelling and its value.

    Raises:
        UnfitError: an unknown key, one given in both spellings, or an unfit value.
    """
    by_key = {spelling: row for row in rows for spelling in spellings(row)}
    read: list[tuple[Setting, str, object]] = []
    spelt: dict[str, str] = {}
    for key, value in table.items():
        row = by_key.get(key)
        if row is None:
            raise _unknown(key, rows)
        if not row.in_file:
            raise UnfitError(f"{row.name} can't be set in a file", at=(key,), hint=_instead(row))
        if row.field in spelt:
            raise UnfitError(f"{key} and {spelt[row.field]} are the same setting", at=(key,))
        spelt[row.field] = key
        try:
            read.append((row, key, row.kind.parse(value)))
        except UnfitError as error:
            message = f"{key}: {error.message}"
            raise UnfitError(message, at=(key, *error.at), hint=error.hint) from None
    return read


def spellings(row: Setting) -> tuple[str, ...]:
    """Give the names of a setting in TOML."""
    snake = row.name.replace("-", "_")
    return (row.name,) if snake == row.name else (row.name, snake)


def _unknown(key: str, rows: Iterable[Setting]) -> UnfitError:
    names = [row.name for row in rows if row.in_file]
    near = suggestion(key.replace("_", "-"), names)
    listed = f"the keys are {', '.join(names)}"
    hint = f"did you mean {near}? {listed}" if near else listed
    return UnfitError(f"unknown key {shown(key)}", at=(key,), hint=hint)


def _instead(row: Setting) -> str:
    ways = [way for way in (row.option if row.flags else "", row.variable) if way]
    return f"use {' or '.join(ways)}"
