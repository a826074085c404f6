"""Configuration file, environment and flags, made into one :class:`Config`.

The sources are read in the order of their strength; then each setting takes its strongest value,
or joins all of them where its row says so. What contradicts itself or can't be meant is refused,
before anything is started, with the place where it was given.

What the environment or a flag sets also beats the overrides of a file: ``--timeout 5s`` is 5
seconds for every module.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from iopio_async.errors import ConfigurationError
from iopio_async.model.config import Config, Override
from iopio_async.project.config_file import ConfigFile, discovered_config, given_config
from iopio_async.project.cpus import usable_cpus
from iopio_async.project.given_paths import check_given_paths, nearest_path, path_in
from iopio_async.project.pytest_arguments import read_command_line
from iopio_async.project.quotation import plainly, shown
from iopio_async.project.setting_conflicts import check_conflicts
from iopio_async.project.setting_sources import (
    Given,
    Origin,
    from_environment,
    from_file,
    from_flags,
    misspelt_variables,
    strongest,
)
from iopio_async.project.setting_table import MAX_WORKERS
from iopio_async.project.setting_values import TextList, UnfitError


class PytestFacts(Protocol):
    """What is needed of pytest's configuration.

    ``root`` is the absolute root directory; ``pyargs`` says that paths may be packages' names.
    """

    @property
    def root(self) -> str: ...  # noqa: D102 - the class says it

    @property
    def pyargs(self) -> bool: ...  # noqa: D102


Locate = Callable[[Path, Sequence[str], Sequence[str], Mapping[str, str]], PytestFacts]

#: Settings of a file's overrides that give way to the environment and to flags.
_OVERRIDABLE = ("timeout_s", "slow_after_s", "retries", "framework")

#: What the file may not set, since the file is searched with it: pytest's option, as shown.
_SEARCH_OPTIONS = {"--rootdir": "--rootdir", "--config-file": "-c"}


def load_config(
    *,
    invocation_dir: Path,
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    cpu_count: int | None = None,
    locate: Locate | None = None,
) -> Config:
    """Resolve the settings of a run.

    ``flags`` holds what was really given, by the names of :class:`Config`'s fields, plus
    ``config``, ``rootdir``, ``paths``, ``arguments``, and ``verbose``, ``quiet`` and
    ``exitfirst`` as counts. ``cpu_count`` and ``locate`` stand in for what the machine and
    pytest's configuration say.

    Raises:
        ConfigurationError: a setting is unknown, unfit or contradicts another one.
        UsageError: a path does not exist.
    """
    # Symbolic links are kept: resolving them would rename the tests.
    here = Path(os.path.abspath(invocation_dir))
    given = [*from_environment(environ), *from_flags(flags)]
    paths = _paths(flags)
    facts = _pytest_facts(strongest(given), here, paths, environ, locate)
    root = facts.root
    file = _config_file(strongest(given).get("config"), root, here)
    if file is not None:
        given = [*from_file(file), *given]
    chosen = strongest(given)
    for field in ("report", "junit_xml", "trace", "timeline"):
        if field in chosen:
            path = _output_path(chosen[field], root, here)
            chosen[field] = msgspec.structs.replace(chosen[field], value=path)
    if "cache_dir" in chosen:
        folder = path_in(str(here), chosen["cache_dir"].value)
        chosen["cache_dir"] = msgspec.structs.replace(chosen["cache_dir"], value=folder)
    check_conflicts(chosen)
    _check_pytest_args(given)

    values = {field: item.value for field, item in chosen.items()}
    if not facts.pyargs and "--pyargs" not in read_command_line(values.get("arguments", ())).flags:
        check_given_paths(paths, invocation_dir=str(here), root=root)
    if not paths and "testpaths" in chosen:
        _check_testpaths(chosen["testpaths"], root)

    workers, notes = _workers(values.pop("workers", "auto"), cpu_count)
    values.pop("config", None)
    if values.pop("rootdir", None) is not None:
        # The workers' pytest has to agree.
        values["arguments"] = (*values.get("arguments", ()), f"--rootdir={root}")
    values["overrides"] = _weakened(given)
    return Config(
        root=root,
        invocation_dir=str(here),
        config_file="" if file is None else str(file.path),
        paths=paths,
        cwd_on_path=bool(flags.get("cwd_on_path", False)),
        workers=workers,
        notes=(*misspelt_variables(environ), *notes),
        **values,
    )


def _paths(flags: Mapping[str, object]) -> tuple[str, ...]:
    try:
        return TextList(shell=True).parse(flags.get("paths", ()))
    except UnfitError as error:
        raise ConfigurationError(error.message, where="paths", hint=error.hint) from None


def _pytest_facts(
    given: Mapping[str, Given],
    here: Path,
    paths: Sequence[str],
    environ: Mapping[str, str],
    locate: Locate | None,
) -> PytestFacts:
    """Ask pytest's configuration for the root directory, unless it was given."""
    if locate is None:
        from iopio_async.project.pytest_config import locate_pytest_config

        locate = locate_pytest_config
    arguments = list(given["arguments"].value) if "arguments" in given else []
    rootdir = given.get("rootdir")
    if rootdir is not None:
        root = path_in(str(here), rootdir.value)
        if not Path(root).is_dir():
            found = Path(root).exists()
            near = "" if found else nearest_path(rootdir.value, str(here))
            raise ConfigurationError(
                f"{'not a' if found else 'no such'} directory: {plainly(rootdir.value)}",
                where=rootdir.where(),
                hint=f"did you mean {near}?" if near else "",
            )
        arguments.append(f"--rootdir={root}")
    return locate(here, paths, arguments, environ)


def _config_file(given: Given | None, root: str, here: Path) -> ConfigFile | None:
    if given is None:
        return discovered_config(Path(root), here)
    path = Path(path_in(str(here), given.value))
    return given_config(path, where=given.where(), invocation_dir=here)


def _output_path(given: Given, root: str, here: Path) -> str:
    """Make a report's path absolute: a file's settings are relative to the root directory."""
    if given.value == "-" and given.setting.field in {"trace", "timeline"}:
        message = "is written to a file, not to the standard output"
        raise ConfigurationError(message, where=given.where())
    if given.value in {"", "-"}:
        return str(given.value)
    path = path_in(root if given.origin is Origin.FILE else str(here), given.value)
    if Path(path).is_dir():
        message = f"{plainly(given.value)} is a directory, not a file to write"
        raise ConfigurationError(message, where=given.where())
    return path


def _check_pytest_args(given: Sequence[Given]) -> None:
    """Refuse arguments in a file that would decide where the file itself is looked for."""
    for item in given:
        if item.origin is not Origin.FILE or item.setting.field != "arguments":
            continue
        options = read_command_line(item.value).options
        for option, spelling in _SEARCH_OPTIONS.items():
            if option in options:
                raise ConfigurationError(
                    f"{item.spelling}: {spelling} can't be set in a file that is found by it",
                    where=item.where(),
                    hint=f"give it on the command line: iopio run -- {spelling} ...",
                )


def _check_testpaths(given: Given, root: str) -> None:
    """Refuse a path to tests that does not exist; globs may match nothing."""
    for index, path in enumerate(given.value):
        if any(char in path for char in "*?[") or Path(path_in(root, path)).exists():
            continue
        near = nearest_path(path, root)
        raise ConfigurationError(
            f"testpaths: no such file or directory: {plainly(path)}",
            where=given.where(index),
            hint=f"did you mean {near}?" if near else f"it is relative to {root}",
        )


def _workers(wanted: int | str, cpu_count: int | None) -> tuple[int, tuple[str, ...]]:
    """Resolve ``auto`` and clamp; give the number, and a note where it was clamped."""
    cpus = usable_cpus() if cpu_count is None else cpu_count
    if isinstance(wanted, str):
        return cpus, ()
    maximum = max(MAX_WORKERS, cpus)
    if wanted <= maximum:
        return wanted, ()
    return maximum, (f"{shown(wanted)} workers are too many: using the maximum of {maximum}",)


def _weakened(given: Sequence[Given]) -> tuple[Override, ...]:
    """Join all overrides, less what a source stronger than theirs sets for all modules."""
    joined: list[Override] = []
    for item in given:
        if item.setting.field != "overrides":
            continue
        stronger = {
            other.setting.field: other.value for other in given if other.origin > item.origin
        }
        cleared: dict[str, Any] = {field: None for field in _OVERRIDABLE if field in stronger}
        # `--framework auto` leaves the choice to the project.
        if stronger.get("framework") == "auto":
            del cleared["framework"]
        fixed = stronger.get("env", {})
        for override in item.value:
            env = {name: text for name, text in override.env.items() if name not in fixed}
            joined.append(msgspec.structs.replace(override, env=env, **cleared))
    return tuple(joined)
