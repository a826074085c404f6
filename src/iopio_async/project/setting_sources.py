"""The sources of settings: a file's table, the environment, the flags, each read alike.

Each source becomes a list of :class:`Given`; the lists, the weakest first, are then laid over each
other.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any

import msgspec

from iopio_async.errors import ConfigurationError
from iopio_async.project.config_file import ConfigFile
from iopio_async.project.quotation import shown, suggestion
from iopio_async.project.setting_rows import Setting, read_table
from iopio_async.project.setting_table import BY_FIELD, SETTINGS
from iopio_async.project.setting_values import RESERVED_VARIABLES, UnfitError


class Origin(IntEnum):
    """Who set a setting, the weakest first."""

    FILE = 1
    ENVIRONMENT = 2
    FLAG = 3


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A setting as one source gives it.

    ``spelling`` is the key, variable or option; ``file`` is where the key stands, if one does.
    """

    setting: Setting
    value: Any
    origin: Origin
    spelling: str
    file: ConfigFile | None = None

    def where(self, *at: str | int) -> str:
        """Name the place of the setting, or of a part of its value."""
        return self.file.where((self.spelling, *at)) if self.file else self.spelling

    def __str__(self) -> str:
        """Name the setting, and its place where that says more."""
        return f"{self.spelling} ({self.where()})" if self.file else self.spelling


#: Flags that are counts and no settings of their own: their spelling, and what they set.
SHORTHANDS: dict[str, tuple[str, str, Callable[[int], int]]] = {
    "verbose": ("-v", "verbosity", lambda count: min(count, 2)),
    "quiet": ("-q", "verbosity", lambda count: -min(count, 1)),
    "exitfirst": ("-x", "maxfail", lambda count: min(count, 1)),
}

#: Flags without a row: no source but the caller has them.
CALLER_ONLY = frozenset({"paths", "cwd_on_path"})


def from_environment(environ: Mapping[str, str]) -> list[Given]:
    """Read the variables. An empty one counts as not set, as not every system can unset one."""
    return [
        Given(
            setting=row,
            value=_parsed(row, environ[row.variable], where=row.variable),
            origin=Origin.ENVIRONMENT,
            spelling=row.variable,
        )
        for row in SETTINGS
        if row.variable and environ.get(row.variable)
    ]


def from_flags(flags: Mapping[str, object]) -> list[Given]:
    """Read the flags, shorthands included."""
    read: dict[str, Given] = {}
    for name, value in flags.items():
        if name in CALLER_ONLY:
            continue
        row, option = _row_of_flag(name)
        if name not in SHORTHANDS:
            parsed = _parsed(row, value, where=option)
        elif not isinstance(value, int):
            raise ConfigurationError(f"expected a count, not {shown(value)}", where=option)
        elif not value:
            continue
        else:
            parsed = SHORTHANDS[name][2](value)
        earlier = read.get(row.field)
        if earlier is not None and earlier.value != parsed:
            message = f"can't be combined with {earlier}: they contradict each other"
            raise ConfigurationError(message, where=option)
        read[row.field] = Given(setting=row, value=parsed, origin=Origin.FLAG, spelling=option)
    return list(read.values())


def _row_of_flag(name: str) -> tuple[Setting, str]:
    if name in SHORTHANDS:
        option, field, _ = SHORTHANDS[name]
        return BY_FIELD[field], option
    if name in BY_FIELD:
        return BY_FIELD[name], BY_FIELD[name].option
    near = suggestion(name, [*BY_FIELD, *SHORTHANDS, *CALLER_ONLY])
    hint = f"did you mean {near}?" if near else ""
    raise ConfigurationError("there is no such setting", where=shown(name), hint=hint)


def from_file(file: ConfigFile) -> list[Given]:
    """Read the table of a configuration file."""
    try:
        read = read_table(file.table, SETTINGS)
    except UnfitError as error:
        where = file.where(error.at)
        raise ConfigurationError(error.message, where=where, hint=error.hint) from None
    return [
        Given(setting=row, value=value, origin=Origin.FILE, spelling=key, file=file)
        for row, key, value in read
    ]


def strongest(given: Sequence[Given]) -> dict[str, Given]:
    """Choose for each field its strongest value, or join them; ``given`` begins with the weakest.

    What is joined stands, for messages, where the strongest part does.
    """
    chosen: dict[str, Given] = {}
    for item in given:
        earlier = chosen.get(item.setting.field)
        value = item.value
        if earlier is not None and item.setting.combine == "merge":
            value = {**earlier.value, **value}
        elif earlier is not None and item.setting.combine == "append":
            value = (*earlier.value, *value)
        chosen[item.setting.field] = msgspec.structs.replace(item, value=value)
    return chosen


def misspelt_variables(environ: Mapping[str, str]) -> list[str]:
    """Describe variables that look like misspelt settings; all others may be anybody's."""
    known = [row.variable for row in SETTINGS if row.variable]
    stems = [variable.removeprefix("IOPIO_") for variable in known]
    return [
        f"the environment variable {name} means nothing: did you mean IOPIO_{near}?"
        for name in sorted(environ)
        if name.startswith("IOPIO_") and name not in {*known, *RESERVED_VARIABLES}
        if (near := suggestion(name.removeprefix("IOPIO_"), stems))
    ]


def _parsed(row: Setting, value: object, *, where: str) -> object:
    try:
        return row.kind.read(value) if isinstance(value, str) else row.kind.parse(value)
    except UnfitError as error:
        raise ConfigurationError(error.message, where=where, hint=error.hint) from None
