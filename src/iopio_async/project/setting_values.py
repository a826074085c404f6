"""What settings hold: the kinds of values, and how each is read from TOML, text or Python.

A kind turns whatever it is given into the value that :class:`Config` holds, or raises
:class:`UnfitError`. What comes typed from TOML or from an embedding program is *parsed*: there a
number in quotes is a mistake. What comes from an environment variable or a command line, where
everything is a string, is *read*.
"""

import math
import os
import re
import shlex
from collections.abc import Mapping

import msgspec

from iopio_async.model.config import Shard
from iopio_async.project.quotation import plainly, shown, sort_of, suggestion

_TEXT_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")
_PERCENT = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,6})? ?%?")
_DURATION = re.compile(
    r"(?:(?P<h>[0-9]{1,9}(?:\.[0-9]{1,9})?) ?h ?)?"
    r"(?:(?P<m>[0-9]{1,9}(?:\.[0-9]{1,9})?) ?m(?!s) ?)?"
    r"(?:(?P<s>[0-9]{1,9}(?:\.[0-9]{1,9})?) ?s ?)?"
    r"(?:(?P<ms>[0-9]{1,9}(?:\.[0-9]{1,9})?) ?ms)?"
)
_UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?(B|KB|KiB|MB|MiB|GB|GiB)?", re.IGNORECASE)
_UNIT_BYTES = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "kib": 1024,
    "mb": 1000**2,
    "mib": 1024**2,
    "gb": 1000**3,
    "gib": 1024**3,
}
_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")

#: Longer durations are taken for mistakes: about 31 years.
MAX_DURATION_S = 1e9

#: Set by iopio for each module; a setting must not contradict them.
RESERVED_VARIABLES = ("IOPIO_SLOT", "IOPIO_RUN_ID", "IOPIO_KEEP_TRACES", "IOPIO_TRACEBACK")


class UnfitError(Exception):
    """A value is not what its setting takes.

    ``at`` is the place of the offending part within the value, for the line number.
    """

    def __init__(self, message: str, *, at: tuple[str | int, ...] = (), hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.hint = hint


class Kind(msgspec.Struct, frozen=True):
    """A kind of value."""

    @property
    def expected(self) -> str:
        """What the kind takes, in words."""
        raise NotImplementedError

    def parse(self, value: object) -> object:
        """Turn a typed value into what the configuration holds.

        Raises:
            UnfitError: it is not of this kind.
        """
        raise NotImplementedError

    def read(self, text: str) -> object:
        """Turn a text into what the configuration holds.

        Raises:
            UnfitError: it is not of this kind.
        """
        return self.parse(text)


def _unfit(expected: str, value: object, *, at: tuple[str | int, ...] = ()) -> UnfitError:
    return UnfitError(f"expected {expected}, not {shown(value)}", at=at)


class Boolean(Kind, frozen=True):
    """True or false."""

    @property
    def expected(self) -> str:
        """What it takes, in words."""
        return "true or false"

    def parse(self, value: object) -> bool:
        """Take a boolean."""
        if not isinstance(value, bool):
            raise _unfit(self.expected, value)
        return value


class Whole(Kind, frozen=True):
    """A whole number within bounds."""

    minimum: int
    maximum: int

    @property
    def expected(self) -> str:
        """The bounds, in words."""
        return f"a whole number from {self.minimum} to {self.maximum}"

    def parse(self, value: object) -> int:
        """Take an integer."""
        number = _integer(value)
        if number is None or not self.minimum <= number <= self.maximum:
            raise _unfit(self.expected, value)
        return number

    def read(self, text: str) -> int:
        """Take the text of an integer."""
        return self.parse(_number(text))


def _integer(value: object) -> int | None:
    # A bool is an int to Python, but not to whoever wrote `retries = true`.
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(text: str) -> object:
    """Give the whole number that a text stands for, or else the text."""
    return int(text) if _TEXT_NUMBER.fullmatch(text.strip()) else text


class Workers(Kind, frozen=True):
    """A positive number, or ``auto``. Clamping to the maximum is left to the caller."""

    @property
    def expected(self) -> str:
        """What it takes, in words."""
        return 'a whole number from 1 up, or "auto"'

    def parse(self, value: object) -> int | str:
        """Take an integer or ``auto``."""
        if isinstance(value, str) and value.strip().lower() == "auto":
            return "auto"
        number = _integer(value)
        if number is None or number < 1:
            raise _unfit(self.expected, value)
        return number

    def read(self, text: str) -> int | str:
        """Take the text of an integer, or ``auto``."""
        return self.parse(_number(text))


class Duration(Kind, frozen=True):
    """A time in seconds; with ``optional``, 0 and ``none`` both mean that there is no limit."""

    optional: bool = False
    positive: bool = False

    @property
    def expected(self) -> str:
        """The forms, in words."""
        forms = 'a duration, in seconds or like "90s", "5m" or "1h30m"'
        if self.optional:
            return f'{forms}, or "none"'
        return f"{forms}, longer than 0" if self.positive else forms

    def parse(self, value: object) -> float | None:
        """Take a number of seconds or a text with units."""
        if self.optional and (value is None or _is_none(value)):
            return None
        seconds = _seconds(value)
        if seconds is None or (self.positive and not seconds):
            raise _unfit(self.expected, value)
        if seconds > MAX_DURATION_S:
            raise UnfitError(f"{shown(value)} is too long: at most {MAX_DURATION_S:.0f} seconds")
        return None if self.optional and not seconds else seconds


def _is_none(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() == "none"


def _seconds(value: object) -> float | None:
    """Read a duration; ``None`` where it is none, or negative, or not finite."""
    if isinstance(value, str):
        words = value.strip().lower()
        if _SECONDS.fullmatch(words):
            return float(words)
        match = _DURATION.fullmatch(words) if words else None
        if match is None:
            return None
        return sum(
            float(amount) * _UNIT_S[unit] for unit, amount in match.groupdict().items() if amount
        )
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # The integers of TOML have no bound, those of floating point do.
    if isinstance(value, int):
        return None if value < 0 else float(min(value, 10**12))
    return abs(value) if math.isfinite(value) and value >= 0 else None


class Percent(Kind, frozen=True):
    """A share of a hundred, with or without the sign."""

    @property
    def expected(self) -> str:
        """What it takes, in words."""
        return 'a share from 0 to 100, such as 1 or "1%"'

    def parse(self, value: object) -> float:
        """Take a number, or a text with or without the sign."""
        if isinstance(value, str) and _PERCENT.fullmatch(value.strip()):
            value = float(value.strip().removesuffix("%"))
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
            raise _unfit(self.expected, value)
        return float(value)


class Size(Kind, frozen=True):
    """A number of bytes within bounds; with ``optional``, 0 and ``none`` both mean no limit."""

    minimum: int
    maximum: int
    optional: bool = False

    @property
    def expected(self) -> str:
        """The forms and bounds, in words."""
        if self.optional:
            return f'a size in bytes or like "2GiB", at least {self.minimum} bytes, or "none"'
        low, high = self.minimum // 1024, self.maximum // 1024**2
        return f'a size in bytes or like "64KiB", from {low} KiB to {high} MiB'

    def parse(self, value: object) -> int | None:
        """Take a number of bytes or a text with a unit."""
        if self.optional and (value is None or _is_none(value)):
            return None
        size: int | None = None
        if isinstance(value, str):
            match = _SIZE.fullmatch(value.strip())
            if match is not None:
                size = round(float(match[1]) * _UNIT_BYTES[(match[2] or "").lower()])
        else:
            size = _integer(value)
        if self.optional and size == 0:
            return None
        if size is None or not self.minimum <= size <= self.maximum:
            raise _unfit(self.expected, value)
        return size


class Choice(Kind, frozen=True):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def expected(self) -> str:
        """The words."""
        listed = [f'"{word}"' for word in self.words]
        if len(listed) == 1:
            return listed[0]
        return f"{', '.join(listed[:-1])} or {listed[-1]}"

    def parse(self, value: object) -> str:
        """Take one of the words, in any case."""
        if not isinstance(value, str):
            raise _unfit(self.expected, value)
        # str.__str__ sees through enumerations that mix in str.
        word = str.__str__(value).strip().lower()
        if word not in self.words:
            near = suggestion(word, self.words)
            hint = f"did you mean {near}?" if near else ""
            raise UnfitError(f"expected {self.expected}, not {shown(value)}", hint=hint)
        return word


class Text(Kind, frozen=True):
    """Any text on one line; with ``filled``, not an empty one."""

    filled: bool = False

    @property
    def expected(self) -> str:
        """What it takes, in words."""
        return "a text that is not empty" if self.filled else "a text"

    def parse(self, value: object) -> str:
        """Take a string or a path."""
        plain = os.fspath(value) if isinstance(value, os.PathLike) else value
        if not isinstance(plain, str) or (self.filled and not plain.strip()):
            raise _unfit(self.expected, value)
        if "\0" in plain:
            raise UnfitError("a text must not hold a NUL character")
        return str.__str__(plain)


class TextList(Kind, frozen=True):
    """A list of texts; as one text it is split like a search path or like a shell's line."""

    shell: bool = False

    @property
    def expected(self) -> str:
        """What it takes, in words."""
        return "a list of texts"

    def parse(self, value: object) -> tuple[str, ...]:
        """Take a list of strings."""
        if not isinstance(value, list | tuple):
            hint = f"write [{shown(value)}]" if isinstance(value, str) else ""
            raise UnfitError(f"expected {self.expected}, not {shown(value)}", hint=hint)
        element = Text(filled=not self.shell)
        items = []
        for index, item in enumerate(value):
            try:
                items.append(element.parse(item))
            except UnfitError as error:
                raise UnfitError(f"element {index + 1}: {error.message}", at=(index,)) from None
        return tuple(items)

    def read(self, text: str) -> tuple[str, ...]:
        """Split a text."""
        if not self.shell:
            return tuple(part for part in text.split(os.pathsep) if part)
        try:
            return tuple(shlex.split(text))
        except ValueError as error:
            raise UnfitError(f"can't be split like a shell's line: {error}") from None


class Environment(Kind, frozen=True):
    """A table of environment variables."""

    @property
    def expected(self) -> str:
        """What it takes, in words."""
        return "a table of texts"

    def parse(self, value: object) -> dict[str, str]:
        """Take a table whose values are strings. Values never show in messages: they may be dear.

        Raises:
            UnfitError: it is no such table, or no process could have such a variable.
        """
        if not isinstance(value, Mapping):
            raise _unfit(self.expected, value)
        variables: dict[str, str] = {}
        for name, content in value.items():
            if not isinstance(name, str) or not name or "=" in name or "\0" in name:
                raise UnfitError(f"{shown(name)} can't name a variable", at=(name,))
            if name in RESERVED_VARIABLES:
                raise UnfitError(f"{name} is set by iopio itself", at=(name,))
            if not isinstance(content, str):
                raise UnfitError(
                    f"{plainly(name)}: expected a text, not {sort_of(content)}",
                    at=(name,),
                    hint="write it in quotes",
                )
            if "\0" in content:
                raise UnfitError(
                    f"{plainly(name)}: a text must not hold a NUL character", at=(name,)
                )
            variables[name] = content
        return variables


class ShardOf(Kind, frozen=True):
    """Part K of N."""

    @property
    def expected(self) -> str:
        """What it takes, in words."""
        return "K/N with 1 <= K <= N, such as 2/5"

    def parse(self, value: object) -> Shard:
        """Take a ``K/N``, or a shard."""
        if isinstance(value, Shard):
            index, count = value.index, value.count
        else:
            match = _SHARD.fullmatch(value.strip()) if isinstance(value, str) else None
            if match is None:
                raise _unfit(self.expected, value)
            index, count = int(match[1]), int(match[2])
        if not 1 <= index <= count:
            raise UnfitError(f"expected {self.expected}, not {index}/{count}")
        return Shard(index, count)
