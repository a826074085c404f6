"""Where pytest finds its root directory and its settings, worked out without importing pytest.

The search is pytest's own: from the common ancestor of the paths on the command line upwards, the
first file that configures pytest wins; failing that, a ``setup.py`` marks the root; failing that,
each path is searched on its own. The settings come from that file, then from ``-o``; options come
from ``addopts``, ``PYTEST_ADDOPTS`` and the command line, in this order. Options of plugins are
passed over. The result is everything that decides which files pytest looks at.
"""

import os
import shlex
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from iopio_async.errors import ConfigurationError
from iopio_async.project import pytest_files
from iopio_async.project.pytest_arguments import (
    CommandLine,
    expand_argument_files,
    read_command_line,
)
from iopio_async.project.pytest_files import Section

DEFAULT_PYTHON_FILES = ("test_*.py", "*_test.py")
DEFAULT_NORECURSEDIRS = (
    "*.egg",
    ".*",
    "_darcs",
    "build",
    "CVS",
    "dist",
    "node_modules",
    "venv",
    "{arch}",
)
DEFAULT_DOCTEST_GLOBS = ("test*.txt",)

_TRUE = frozenset({"1", "y", "yes", "t", "true", "on"})
_FALSE = frozenset({"0", "n", "no", "f", "false", "off"})
_OVERRIDE = "-o/--override-ini"


class PytestConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What pytest would go by. ``root``, ``file`` and all paths but ``testpaths`` are absolute.

    ``file`` is the configuration file or empty; ``configured`` says that it holds settings for
    pytest, and is not merely a pyproject.toml that marks the root. ``positionals`` are paths
    written among the options, ``words`` all that may be, however doubtful. ``overrides`` are the
    ``-o`` settings.
    """

    root: str
    file: str = ""
    configured: bool = False
    addopts: tuple[str, ...] = ()
    testpaths: tuple[str, ...] = ()
    python_files: tuple[str, ...] = DEFAULT_PYTHON_FILES
    norecursedirs: tuple[str, ...] = DEFAULT_NORECURSEDIRS
    pythonpath: tuple[str, ...] = ()
    positionals: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    ignore_glob: tuple[str, ...] = ()
    deselect: tuple[str, ...] = ()
    collect_in_virtualenv: bool = False
    doctest_modules: bool = False
    doctest_globs: tuple[str, ...] = DEFAULT_DOCTEST_GLOBS
    doctest_encoding: str = "utf-8"
    pyargs: bool = False
    namespace_packages: bool = False
    import_mode: str = "prepend"
    confcutdir: str = ""
    noconftest: bool = False
    plugins: tuple[str, ...] = ()
    overrides: tuple[tuple[str, str], ...] = ()

    def has_plugin(self, name: str) -> bool:
        """False where ``-p no:NAME`` has the last word on a plugin of pytest's own."""
        verdict = True
        for plugin in self.plugins:
            if plugin in {name, f"no:{name}"}:
                verdict = plugin == name
        return verdict


def locate_pytest_config(
    invocation_dir: Path,
    paths: Sequence[str],
    arguments: Sequence[str],
    environ: Mapping[str, str],
) -> PytestConfig:
    """The configuration of a pytest that is started in ``invocation_dir``.

    ``paths`` and ``arguments`` together are its command line.

    Raises:
        ConfigurationError: a file, or a value in it, is malformed where pytest refuses it too.
        UsageError: a file of arguments cannot be read.
    """
    # Symbolic links stay as they are: resolving them would rename tests.
    here = Path(os.path.abspath(invocation_dir))

    def read(name: str) -> str:
        return (here / name).read_text(encoding="utf-8", errors="surrogateescape")

    from_environ = _split(environ.get("PYTEST_ADDOPTS", ""), where="PYTEST_ADDOPTS")
    given = expand_argument_files([*from_environ, *arguments], read)
    early = read_command_line(given)
    words = [*early.words, *expand_argument_files(paths, read)]
    root, file, section = _locate(here, early, words)
    settings = _Settings(section, _overrides(early))
    # Options in the file itself can still override its other settings, but not move the root.
    addopts = settings.words("addopts", ())
    line = read_command_line(expand_argument_files([*addopts, *given], read))
    overrides = _overrides(line)
    settings = _Settings(section, overrides)
    base = file.parent if file is not None else here
    confcutdir = line.last("--confcutdir")
    return PytestConfig(
        root=str(root),
        file=str(file or ""),
        configured=section is not None,
        addopts=addopts,
        testpaths=settings.words("testpaths", ()),
        python_files=settings.words("python_files", DEFAULT_PYTHON_FILES),
        norecursedirs=settings.words("norecursedirs", DEFAULT_NORECURSEDIRS),
        pythonpath=_absolute(base, settings.words("pythonpath", ())),
        positionals=line.positionals,
        words=line.words,
        ignore=_absolute(here, line.values("--ignore")),
        ignore_glob=_absolute(here, line.values("--ignore-glob")),
        deselect=line.values("--deselect"),
        collect_in_virtualenv="--collect-in-virtualenv" in line.flags,
        doctest_modules="--doctest-modules" in line.flags,
        doctest_globs=line.values("--doctest-glob") or DEFAULT_DOCTEST_GLOBS,
        doctest_encoding=settings.text("doctest_encoding", "utf-8"),
        pyargs="--pyargs" in line.flags,
        namespace_packages=settings.switch("consider_namespace_packages"),
        import_mode=line.last("--import-mode") or "prepend",
        confcutdir=_absolute(here, [confcutdir])[0] if confcutdir else str(base if file else root),
        noconftest="--noconftest" in line.flags,
        plugins=_plugins(line, environ),
        overrides=tuple(overrides.items()),
    )


class _Settings:
    """The values of one file, overlaid by the command line, converted as pytest converts them."""

    def __init__(self, section: Section | None, overrides: Mapping[str, str]) -> None:
        self._section = section or Section("", {})
        self._overrides = overrides

    def _get(self, name: str) -> tuple[object, bool, str]:
        """A value, whether it has its native type, and where it stands; None for no value."""
        if name in self._overrides:
            return self._overrides[name], False, _OVERRIDE
        value = self._section.values.get(name)
        where = "" if value is None else self._section.where(name)
        return value, self._section.native, where

    def words(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """A list of words.

        Raises:
            ConfigurationError: it is none.
        """
        value, native, where = self._get(name)
        if value is None:
            return default
        if isinstance(value, str) and not native:
            return tuple(_split(value, where=where, name=name))
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ConfigurationError(f"{name!r} is to be a list of strings, not {value!r}", where=where)

    def text(self, name: str, default: str) -> str:
        """A string.

        Raises:
            ConfigurationError: it is something else.
        """
        value, _native, where = self._get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise ConfigurationError(f"{name!r} is to be a string, not {value!r}", where=where)
        return value

    def switch(self, name: str) -> bool:
        """A truth value; false by default.

        Raises:
            ConfigurationError: it is neither true nor false.
        """
        value, native, where = self._get(name)
        if value is None:
            return False
        if isinstance(value, bool) and native:
            return value
        if isinstance(value, str) and not native:
            word = value.strip().lower()
            if word in _TRUE | _FALSE:
                return word in _TRUE
        raise ConfigurationError(f"{name!r} is to be true or false, not {value!r}", where=where)


def _split(text: str, *, where: str, name: str = "") -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        subject = f"{name!r} cannot" if name else "cannot"
        raise ConfigurationError(
            f"{subject} be split into words: {str(error).lower()}", where=where
        ) from error


def _overrides(line: CommandLine) -> dict[str, str]:
    overrides: dict[str, str] = {}
    for setting in line.values("--override-ini"):
        name, equals, value = setting.partition("=")
        if not equals:
            raise ConfigurationError(f"{setting!r} is not of the form name=value", where=_OVERRIDE)
        overrides[name] = value
    return overrides


def _plugins(line: CommandLine, environ: Mapping[str, str]) -> tuple[str, ...]:
    named = [name.strip() for name in line.values("-p")]
    from_environ = [name.strip() for name in environ.get("PYTEST_PLUGINS", "").split(",")]
    return tuple(name for name in [*named, *from_environ] if name)


def _absolute(base: Path, paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(os.path.normpath(base / path) for path in paths)


def _locate(
    here: Path, line: CommandLine, words: Iterable[str]
) -> tuple[Path, Path | None, Section | None]:
    """The root directory, the configuration file and its settings."""
    directories = _directories(here, words)
    ancestor = _common_ancestor(here, directories)
    rootdir = line.last("--rootdir")
    root: Path | None = None
    file: Path | None = None
    section: Section | None = None
    named = line.last("--config-file")
    if named:
        (name,) = _absolute(here, [named])
        file = Path(name)
        section = pytest_files.load_named(file)
        # A device says nothing about where the project is.
        root = file.parent if file.is_file() else _below_filesystem_root(ancestor, here)
    else:
        found = pytest_files.find((ancestor,))
        if found is None and not rootdir:
            root = _with_setup_py(ancestor)
            if root is None and directories != (ancestor,):
                found = pytest_files.find(directories)
        if found is not None:
            file, section = found
            root = file.parent
        elif root is None:
            root = _below_filesystem_root(_common_ancestor(here, (here, ancestor)), ancestor)
    if rootdir:
        (name,) = _absolute(here, [os.path.expandvars(rootdir)])
        root = Path(name)
        if not root.is_dir():
            raise ConfigurationError(f"no such directory: {root}", where="--rootdir")
    return root, file, section


def _directories(here: Path, words: Iterable[str]) -> tuple[Path, ...]:
    """The directories of those words that are existing paths or node ids in them, each once."""
    directories: dict[str, None] = {}
    for word in words:
        path = os.path.normpath(os.path.join(here, word.partition("::")[0]))
        try:
            mode = os.stat(path).st_mode
        except (OSError, ValueError):
            # Perhaps the value of a plugin's option, or a package's name.
            continue
        directories[path if stat.S_ISDIR(mode) else os.path.dirname(path)] = None
    return tuple(map(Path, directories))


def _common_ancestor(here: Path, directories: Sequence[Path]) -> Path:
    return Path(os.path.commonpath(directories)) if directories else here


def _below_filesystem_root(path: Path, otherwise: Path) -> Path:
    """A path, unless it is the root of the file system, where nothing can be written."""
    return otherwise if path == Path(path.anchor) else path


def _with_setup_py(directory: Path) -> Path | None:
    for base in (directory, *directory.parents):
        if (base / "setup.py").is_file():
            return base
    return None
