"""Loaders for the files that pytest takes its configuration from, by name and by suffix.

Each loader answers with the file's :class:`Section`, or None where the file does not configure
pytest. What pytest refuses is refused here with the line; a file that is no regular one, or is
far larger than any configuration, is never read.
"""

import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from iopio_async.errors import ConfigurationError
from iopio_async.project.config_file import display_path, parse_toml, read_config_text

_COMMENT_MARKS = ("#", ";")


class Section(msgspec.Struct, frozen=True):
    """pytest's settings in one file.

    ``native`` says that values keep their TOML types and are checked strictly; otherwise they
    are strings or lists of strings. ``text`` is kept to find the line that a message is about.
    """

    path: str
    values: Mapping[str, object]
    native: bool = False
    text: str = ""

    def where(self, key: str) -> str:
        """``file:line`` of a key, as far as it can be found again."""
        pattern = rf"^[ \t]*[\"']?{re.escape(key)}[\"']?[ \t]*[=:]"
        found = re.search(pattern, self.text, re.MULTILINE)
        return f"{self.path}:{_line(self.text, found.start()) if found else 1}"


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _read(path: Path) -> str:
    """The file's text.

    Raises:
        ConfigurationError: it cannot be read, is too large or is not UTF-8.
    """
    display = display_path(path, Path.cwd())
    text = read_config_text(path, display)
    if text is None:
        raise ConfigurationError("cannot be read: no such file", where=display)
    return text


def parse_ini(text: str, path: str) -> dict[str, dict[str, str]]:
    """Sections of an ini file, with continuation lines joined by newlines.

    Raises:
        ConfigurationError: a line is in none of the forms that pytest's reader knows.
    """

    def refuse(number: int, problem: str) -> ConfigurationError:
        return ConfigurationError(problem, where=f"{path}:{number}")

    sections: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] | None = None
    value: list[str] | None = None
    for number, raw in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        line = raw.rstrip()
        if not line or line.lstrip().startswith(_COMMENT_MARKS):
            continue
        header = re.split("[#;]", line)[0].rstrip() if line.startswith("[") else ""
        if header.endswith("]"):
            name = header[1:-1]
            if not name:
                raise refuse(number, "empty section name")
            if name in sections:
                raise refuse(number, f"section {name!r} is there twice")
            section = sections[name] = {}
            value = None
        elif line[0].isspace() or line.startswith("["):
            if value is None:
                raise refuse(number, "a continuation line that continues nothing")
            value.append(line.strip())
        else:
            key, separator, first = line.partition("=")
            if not separator or ":" in key:
                key, separator, first = line.partition(":")
            key = key.strip()
            if not separator:
                raise refuse(number, f"neither a section, a setting nor a comment: {line!r}")
            if section is None:
                raise refuse(number, f"{key!r} stands before any section")
            if key in section:
                raise refuse(number, f"{key!r} is there twice in its section")
            value = section[key] = [first.strip()] if first.strip() else []
    return {
        name: {key: "\n".join(lines) for key, lines in settings.items()}
        for name, settings in sections.items()
    }


def _parse_toml(path: Path) -> tuple[str, dict[str, object]]:
    text = _read(path)
    return text, parse_toml(text, display_path(path, Path.cwd()))


def _pytest_ini(path: Path) -> Section | None:
    # A file of this name configures pytest even where it holds no section for it.
    text = _read(path)
    return Section(str(path), parse_ini(text, str(path)).get("pytest", {}), text=text)


def _generic_ini(path: Path) -> Section | None:
    text = _read(path)
    values = parse_ini(text, str(path)).get("pytest")
    return None if values is None else Section(str(path), values, text=text)


def _setup_cfg(path: Path) -> Section | None:
    text = _read(path)
    sections = parse_ini(text, str(path))
    if "tool:pytest" in sections:
        return Section(str(path), sections["tool:pytest"], text=text)
    if "pytest" in sections:
        found = re.search(r"^\[pytest\]", text, re.MULTILINE)
        line = _line(text, found.start()) if found else 1
        raise ConfigurationError(
            "pytest does not accept a section [pytest] here",
            where=f"{path}:{line}",
            hint="name it [tool:pytest]",
        )
    return None


def _table(path: Path, text: str, document: Mapping[str, object], key: str) -> dict[str, object]:
    """A sub-table, empty where it is missing.

    Raises:
        ConfigurationError: the key holds something other than a table.
    """
    table = document.get(key, {})
    if not isinstance(table, dict):
        where = Section(str(path), {}, text=text).where(key)
        raise ConfigurationError(f"{key!r} is not a table", where=where)
    return table


def _tool_pytest(path: Path, text: str, document: dict[str, object]) -> Section | None:
    """``[tool.pytest]`` with TOML's types, or ``[tool.pytest.ini_options]`` with strings."""
    settings = _table(path, text, _table(path, text, document, "tool"), "pytest")
    native = {key: value for key, value in settings.items() if key != "ini_options"}
    if native and settings.get("ini_options"):
        found = re.search(r"^\s*\[tool\.pytest\.ini_options\]", text, re.MULTILINE)
        line = _line(text, found.end()) if found else 1
        raise ConfigurationError(
            "[tool.pytest] and [tool.pytest.ini_options] exclude each other",
            where=f"{path}:{line}",
            hint="keep the one that the rest of the project uses",
        )
    if native:
        return Section(str(path), native, native=True, text=text)
    if "ini_options" not in settings:
        return None
    options = _table(path, text, settings, "ini_options")
    scalars = {
        key: value if isinstance(value, list) else str(value) for key, value in options.items()
    }
    return Section(str(path), scalars, text=text)


def _pyproject_toml(path: Path) -> Section | None:
    return _tool_pytest(path, *_parse_toml(path))


def _own_table(path: Path, text: str, document: dict[str, object]) -> Section | None:
    """The table ``[pytest]`` of a TOML file that is pytest's own."""
    if "pytest" in document:
        values = _table(path, text, document, "pytest")
        return Section(str(path), values, native=True, text=text)
    stray = [key for key, value in document.items() if not isinstance(value, dict)]
    if stray:
        raise ConfigurationError(
            f"settings outside of any table: {', '.join(stray)}",
            where=Section(str(path), {}, text=text).where(stray[0]),
            hint="put [pytest] above them",
        )
    return None


def _pytest_toml(path: Path) -> Section | None:
    text, document = _parse_toml(path)
    return _own_table(path, text, document) or Section(str(path), {}, native=True, text=text)


def _named_toml(path: Path) -> Section | None:
    text, document = _parse_toml(path)
    section = _tool_pytest(path, text, document)
    if section is not None and "pytest" in document:
        raise ConfigurationError(
            "[pytest] and [tool.pytest] exclude each other",
            where=section.where("pytest"),
            hint="keep [pytest]",
        )
    return section or _own_table(path, text, document)


Loader = Callable[[Path], Section | None]

#: The files looked for in every directory, strongest first.
LOADERS_BY_NAME: dict[str, Loader] = {
    "pytest.toml": _pytest_toml,
    ".pytest.toml": _pytest_toml,
    "pytest.ini": _pytest_ini,
    ".pytest.ini": _pytest_ini,
    "pyproject.toml": _pyproject_toml,
    "tox.ini": _generic_ini,
    "setup.cfg": _setup_cfg,
}

#: For a file of another name that ``-c`` names.
LOADERS_BY_SUFFIX: dict[str, Loader] = {
    ".ini": _generic_ini,
    ".cfg": _setup_cfg,
    ".toml": _named_toml,
}


def load_named(path: Path) -> Section | None:
    """The settings in the file that ``-c`` names; a device such as /dev/null holds none.

    Raises:
        ConfigurationError: there is no such file, it is of no known format, or it is malformed.
    """
    option = "-c/--config-file"
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigurationError(f"no such file: {path}", where=option) from error
    if stat.S_ISDIR(mode):
        raise ConfigurationError(f"a directory, not a file: {path}", where=option)
    if not stat.S_ISREG(mode):
        return None
    loader = LOADERS_BY_NAME.get(path.name) or LOADERS_BY_SUFFIX.get(path.suffix)
    if loader is None:
        raise ConfigurationError(
            f"pytest knows no configuration of this kind: {path}",
            where=option,
            hint=f"its name may end in {', '.join(sorted(LOADERS_BY_SUFFIX))}",
        )
    return loader(path)


def find(directories: tuple[Path, ...]) -> tuple[Path, Section | None] | None:
    """The first configuring file at or above one of the directories, with its settings.

    Where none configures pytest, the nearest pyproject.toml still marks the root: it comes
    with None.

    Raises:
        ConfigurationError: a file on the way is malformed, as pytest would find it.
    """
    nearest_pyproject: Path | None = None
    for directory in directories:
        for base in (directory, *directory.parents):
            for name, loader in LOADERS_BY_NAME.items():
                path = base / name
                if not path.is_file():
                    continue
                if name == "pyproject.toml" and nearest_pyproject is None:
                    nearest_pyproject = path
                section = loader(path)
                if section is not None:
                    return path, section
    return None if nearest_pyproject is None else (nearest_pyproject, None)
