"""The TOML file that holds iopio's settings: found, read without ever blocking, and parsed.

A configuration file may turn out to be anything: a pipe that nobody writes to, a device without
an end, a gigabyte, a tower of brackets. So it is looked at before it is opened, opened without
blocking, looked at again, read up to a bound, and its nesting is checked before the parser, whose
cost grows with the square of a key's depth, gets to see it. All that goes wrong is a
:class:`ConfigurationError` that names the file and, where there is one, the line.
"""

import os
import re
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

from iopio_async.errors import ConfigurationError
from iopio_async.project.quotation import plainly, shown, suggestion
from iopio_async.project.toml_positions import KeyPath, line_of

#: Larger files are refused: no settings are that long, and parsing them takes seconds.
MAX_CONFIG_BYTES = 512 * 1024

#: A key of more parts is refused.
MAX_KEY_PARTS = 20

PYPROJECT = "pyproject.toml"

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DEEP_KEY = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_PART}[ \t]*+\.[ \t]*+){{{MAX_KEY_PARTS}}}")
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class ConfigFile:
    """A configuration file with its table of settings.

    ``display`` is how messages name the file; ``table`` holds the settings, which stand at
    ``prefix`` in the document.
    """

    def __init__(
        self, path: Path, display: str, text: str, prefix: KeyPath, table: dict[str, object]
    ) -> None:
        self.path = path
        self.display = display
        self.prefix = prefix
        self.table = table
        self._text = text

    def where(self, path: KeyPath) -> str:
        """Give ``file:line`` of a key, named by its path within ``table``."""
        return f"{self.display}:{line_of(self._text, self.prefix + path)}"


def given_config(path: Path, *, where: str, invocation_dir: Path) -> ConfigFile:
    """Read the file that ``where`` (an option or a variable) names.

    It may hold ``[tool.iopio]``; unless it is a ``pyproject.toml``, the settings may also stand
    at its top level.

    Raises:
        ConfigurationError: there is no such file, it can't be read, or it holds no settings.
    """
    display = display_path(path, invocation_dir)
    text = read_config_text(path, display)
    if text is None:
        hint = f"did you mean {near}?" if (near := _neighbour(path)) else ""
        raise ConfigurationError(f"no such file: {display}", where=where, hint=hint)
    document = parse_toml(text, display)
    found = _iopio_table(path, display, text, document)
    if found is not None:
        return found
    if path.name == PYPROJECT:
        message = f"{display} holds no table [tool.iopio]"
        raise ConfigurationError(message, where=where)
    return ConfigFile(path, display, text, (), document)


def discovered_config(root: Path, invocation_dir: Path) -> ConfigFile | None:
    """Read the ``[tool.iopio]`` of the root's pyproject.toml, or else of the nearest one.

    Raises:
        ConfigurationError: a candidate can't be read.
    """
    for candidate in _candidates(root, invocation_dir):
        display = display_path(candidate, invocation_dir)
        text = read_config_text(candidate, display)
        # Most files can be told to hold no such table without parsing them.
        if text is None or "iopio" not in text:
            continue
        found = _iopio_table(candidate, display, text, parse_toml(text, display))
        if found is not None:
            return found
    return None


def _candidates(root: Path, invocation_dir: Path) -> Iterator[Path]:
    yield root / PYPROJECT
    for folder in (invocation_dir, *invocation_dir.parents):
        if folder != root:
            yield folder / PYPROJECT


def _iopio_table(
    path: Path, display: str, text: str, document: dict[str, object]
) -> ConfigFile | None:
    tool = document.get("tool")
    if not isinstance(tool, dict) or "iopio" not in tool:
        return None
    table = tool["iopio"]
    prefix = ("tool", "iopio")
    if not isinstance(table, dict):
        where = f"{display}:{line_of(text, prefix)}"
        raise ConfigurationError(
            f"tool.iopio: expected a table, not {shown(table)}",
            where=where,
            hint="write the settings below a line [tool.iopio]",
        )
    return ConfigFile(path, display, text, prefix, table)


def read_config_text(path: Path, display: str) -> str | None:
    """Read a configuration file within bounds; ``None`` where there is none.

    Raises:
        ConfigurationError: it is no regular file, too large, unreadable or not UTF-8.
    """
    try:
        data = _read_bounded(path, display)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigurationError(f"can't be read: {reason.lower()}", where=display) from None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"byte 0x{data[error.start]:02x} is not valid UTF-8",
            where=f"{display}:{line}",
            hint="configuration files are UTF-8: save the file in that encoding",
        ) from None


def _read_bounded(path: Path, display: str) -> bytes:
    """Read a regular file of bounded size; neither looking nor opening can block."""
    _check_kind(os.stat(path), display)
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    descriptor = os.open(path, flags)
    with open(descriptor, "rb", buffering=0) as file:
        # What was looked at above may have been replaced since.
        _check_kind(os.fstat(descriptor), display)
        # Files of /proc call themselves empty, so the size alone proves nothing.
        chunks = []
        left = MAX_CONFIG_BYTES + 1
        while left > 0 and (chunk := file.read(left)):
            chunks.append(chunk)
            left -= len(chunk)
    if left <= 0:
        raise _too_large(display)
    return b"".join(chunks)


def _check_kind(status: os.stat_result, display: str) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        what = _KINDS.get(kind, "no regular file")
        raise ConfigurationError(f"is {what}, not a configuration file", where=display)
    if status.st_size > MAX_CONFIG_BYTES:
        raise _too_large(display)


def _too_large(display: str) -> ConfigurationError:
    limit = MAX_CONFIG_BYTES // 1024
    return ConfigurationError(f"is too large: at most {limit} KiB are read", where=display)


def parse_toml(text: str, display: str) -> dict[str, object]:
    """Parse a TOML text.

    Raises:
        ConfigurationError: it is no TOML, or nested too deeply; with the line.
    """
    deep = _DEEP_KEY.search(text)
    if deep is not None:
        line = text.count("\n", 0, deep.start()) + 1
        message = f"a key has more than {MAX_KEY_PARTS} parts"
        raise ConfigurationError(message, where=f"{display}:{line}")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigurationError(
            "arrays or tables are nested too deeply", where=f"{display}:{_deepest_line(text)}"
        ) from None
    except ValueError as error:
        place = _TOML_PLACE.search(str(error))
        message = str(error)[: place.start()] if place else str(error)
        line = int(place[1]) if place and place[1] else _last_line(text)
        hint = ""
        if text.startswith("\ufeff"):
            hint = "the file begins with a byte order mark: save it as UTF-8 without one"
        raise ConfigurationError(
            f"not valid TOML: {message[:1].lower()}{message[1:200]}",
            where=f"{display}:{line}",
            hint=hint,
        ) from None


def _deepest_line(text: str) -> int:
    """Guess the line where brackets pile up: the one that holds most of them."""
    lines = text.split("\n")
    counts = [line.count("[") + line.count("{") for line in lines]
    return counts.index(max(counts)) + 1


def _last_line(text: str) -> int:
    return text.rstrip("\n").count("\n") + 1


def display_path(path: Path, invocation_dir: Path) -> str:
    """Name a file as the person at the keyboard would: relative where it lies below them."""
    try:
        return plainly(str(path.relative_to(invocation_dir)))
    except ValueError:
        return plainly(str(path))


def _neighbour(path: Path) -> str:
    """Find a file beside ``path`` with a name much like its own."""
    try:
        names = [entry.name for entry in os.scandir(path.parent) if entry.name.endswith(".toml")]
    except OSError:
        return ""
    return suggestion(path.name, names)
