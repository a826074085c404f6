"""Overrides written into a configuration file, which is otherwise left as it is.

They are added at its end, as tables of their own, so that comments, order and all that somebody
wrote by hand stay. Before anything is written the new text is read as it will be read, and must say
what the old one said and the new overrides, and nothing else; where it does not, it is refused.
"""

import contextlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from iopio_async import state
from iopio_async.errors import ConfigurationError, UsageError
from iopio_async.project.config_file import (
    MAX_CONFIG_BYTES,
    PYPROJECT,
    display_path,
    parse_toml,
    read_config_text,
)

#: What stands for itself in globs.
_WILD = {"*": "[*]", "?": "[?]", "[": "[[]"}


class SharingOverride(NamedTuple):
    """What one module is to share, and nothing else."""

    module: str
    locks: tuple[str, ...]
    shared: tuple[str, ...] = ()
    needs: Mapping[str, int] = {}


def file_to_write(config_file: str, root: str) -> Path:
    """The file that overrides belong into: the one that is used, or else the project's.

    Raises:
        UsageError: there is none.
    """
    file = Path(config_file) if config_file else Path(root, PYPROJECT)
    if not file.is_file():
        raise UsageError(
            f"there is no configuration file to write to: {file.name} is not in the root directory",
            hint=f"create a {PYPROJECT} with a line [tool.iopio]",
        )
    return file


def add_overrides(file: Path, overrides: Sequence[SharingOverride], *, invocation_dir: str) -> str:
    """Add the overrides at the end of ``file``; what was added.

    Raises:
        ConfigurationError: the file is no configuration file that they can be added to.
        UsageError: it can't be written, or one of the modules can't be named in it.
    """
    display = display_path(file, Path(invocation_dir))
    text = read_config_text(file, display)
    if text is None:
        raise UsageError(f"no such file: {display}")
    before = parse_toml(text, display)
    tool = before.get("tool")
    own = file.name == PYPROJECT or (isinstance(tool, dict) and "iopio" in tool)
    prefix = ("tool", "iopio", "overrides") if own else ("overrides",)
    added = "\n".join(_table(prefix, each) for each in overrides)
    start = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    after = text + (start + added).replace("\n", "\r\n" if "\r\n" in text else "\n")
    try:
        parsed = parse_toml(after, display)
    except ConfigurationError:
        parsed = None
    if parsed is None or _without_last(parsed, prefix, len(overrides)) != before:
        raise ConfigurationError(
            "overrides can't be added at its end",
            where=display,
            hint=f"write overrides as tables, each below a line [[{'.'.join(prefix)}]]",
        )
    data = after.encode()
    if len(data) > MAX_CONFIG_BYTES:
        raise UsageError(f"{display} would become too large with {len(overrides)} more overrides")
    try:
        _replace(file, data)
    except OSError as error:
        raise UsageError(f"{display} can't be written: {error.strerror or error}") from error
    return added


def _table(prefix: Sequence[str], override: SharingOverride) -> str:
    glob = "".join(_WILD.get(char, char) for char in override.module)
    if "\\" in glob or any("\ud800" <= char <= "\udfff" for char in glob):
        raise UsageError(
            f"{override.module!a} can't be named in a configuration file",
            hint="declare what it shares by a mark: pytestmark = pytest.mark.iopio(locks=[...])",
        )
    lines = [f"[[{'.'.join(prefix)}]]", f"paths = [{_quoted(glob)}]"]
    lines.append(f"locks = [{', '.join(map(_quoted, override.locks))}]")
    if override.shared:
        lines.append(f"shared = [{', '.join(map(_quoted, override.shared))}]")
    if override.needs:
        needs = (f"{_quoted(name)} = {count}" for name, count in sorted(override.needs.items()))
        lines.append(f"needs = {{ {', '.join(needs)} }}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # What JSON escapes TOML does, too, and one character more.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _without_last(
    document: dict[str, object], prefix: Sequence[str], count: int
) -> dict[str, object]:
    """The document without the last tables at a place, and without what was only there for them."""
    key, *rest = prefix
    value = document.get(key)
    left: object = None
    if rest and isinstance(value, dict):
        left = _without_last(value, rest, count)
    elif not rest and isinstance(value, list):
        left = value[:-count]
    return {
        name: left if name == key else each
        for name, each in document.items()
        if name != key or left
    }


def _replace(file: Path, data: bytes) -> None:
    """Replace a file as a whole, where it really is, with the permissions that it has."""
    real = os.path.realpath(file)
    temporary = state.temporary_beside(real)
    descriptor = state.create(temporary)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            os.fchmod(stream.fileno(), stat.S_IMODE(os.stat(real).st_mode))
        os.replace(temporary, real)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
