"""Resources with a capacity: what ``[tool.iopio.resources]`` and ``needs`` may hold."""

import re
from collections.abc import Mapping

from iopio_async.model.config import Resource
from iopio_async.project.quotation import plainly, shown, suggestion
from iopio_async.project.setting_values import (
    RESERVED_VARIABLES,
    Kind,
    Text,
    UnfitError,
    Whole,
)

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CAPACITY = Whole(1, 10**4)
_KEYS = ("capacity", "env")


def variable_of(resource: str) -> str:
    """The environment variable that has the numbers of the units that a module got."""
    return "IOPIO_" + re.sub(r"[^A-Z0-9]", "_", resource.upper())


class Units(Kind, frozen=True):
    """A table of resources, each with a number of units."""

    @property
    def expected(self) -> str:
        """What it takes, in words."""
        return "a table of whole numbers"

    def parse(self, value: object) -> dict[str, int]:
        """Take a table from names to numbers."""
        if not isinstance(value, Mapping):
            raise UnfitError(
                f"expected {self.expected}, not {shown(value)}", hint="such as { gpu = 1 }"
            )
        units: dict[str, int] = {}
        for name, count in value.items():
            _check_name(name)
            units[name] = _checked(name, _CAPACITY, count, (name,))  # type: ignore[assignment]
        return units


class Resources(Kind, frozen=True):
    """A table of resources, each with its capacity, alone or in a table of its own."""

    @property
    def expected(self) -> str:
        """What it takes, in words."""
        return "a table of capacities"

    def parse(self, value: object) -> dict[str, Resource]:
        """Take a table whose values are numbers, or tables with ``capacity`` and ``env``."""
        if not isinstance(value, Mapping):
            raise UnfitError(
                f"expected {self.expected}, not {shown(value)}",
                hint="begin it with a line [tool.iopio.resources]",
            )
        found: dict[str, Resource] = {}
        variables: dict[str, str] = {}
        for name, item in value.items():
            _check_name(name)
            found[name] = each = item if isinstance(item, Resource) else _resource(name, item)
            for variable in (variable_of(name), each.env):
                if variable in RESERVED_VARIABLES:
                    raise UnfitError(f"{variable} is set by iopio itself", at=(name,))
                if variable and variables.setdefault(variable, name) != name:
                    message = f"{variables[variable]} and {name} would both set {variable}"
                    raise UnfitError(message, at=(name,))
        return found


def _resource(name: str, item: object) -> Resource:
    if not isinstance(item, Mapping):
        return Resource(_checked(name, _CAPACITY, item, (name,)))  # type: ignore[arg-type]
    for key in item:
        if key not in _KEYS:
            near = suggestion(str(key), _KEYS)
            hint = f"did you mean {near}?" if near else f"the keys are {', '.join(_KEYS)}"
            raise UnfitError(f"{name}: unknown key {shown(key)}", at=(name, key), hint=hint)
    if "capacity" not in item:
        raise UnfitError(f"{name} needs a capacity", at=(name,), hint="such as capacity = 2")
    capacity = _checked(name, _CAPACITY, item["capacity"], (name, "capacity"))
    env = _checked(name, Text(), item.get("env", ""), (name, "env"))
    if env and not _VARIABLE.fullmatch(str(env)):
        raise UnfitError(f"{name}: {shown(env)} can't name a variable", at=(name, "env"))
    return Resource(capacity, str(env))  # type: ignore[arg-type]


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UnfitError(f"{shown(name)} can't name a resource", hint="letters, digits, _ . -")


def _checked(name: str, kind: Kind, value: object, at: tuple[str | int, ...]) -> object:
    try:
        return kind.parse(value)
    except UnfitError as error:
        raise UnfitError(f"{plainly(name)}: {error.message}", at=at, hint=error.hint) from None
