"""A tolerant reading of a pytest command line, without pytest and without its plugins.

Options of pytest itself are known by the table below. An option that is not in it belongs to a
plugin; whether the word after it is its value cannot be known here, so that word is *doubtful*:
pytest's own search for the root directory takes it for a path (and ignores it unless it exists),
but no test is left out on account of it. Long options cannot be abbreviated in pytest.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from iopio_async.errors import UsageError

#: Options that take a value, by all their spellings, to the spelling used here.
_VALUED = {
    spelling: spellings.split()[-1]
    for spellings in (
        "-k",
        "-m",
        "-p",
        "-c --config-file",
        "-o --override-ini",
        "-r --report-chars",
        "-W --pythonwarnings",
        "--assert",
        "--basetemp",
        "--capture",
        "--code-highlight",
        "--color",
        "--confcutdir",
        "--deselect",
        "--doctest-glob",
        "--doctest-report",
        "--durations",
        "--durations-min",
        "--ignore",
        "--ignore-glob",
        "--import-mode",
        "--junitprefix --junit-prefix",
        "--junitxml --junit-xml",
        "--lfnf --last-failed-no-failures",
        "--log-auto-indent",
        "--log-cli-date-format",
        "--log-cli-format",
        "--log-cli-level",
        "--log-date-format",
        "--log-disable",
        "--log-file",
        "--log-file-date-format",
        "--log-file-format",
        "--log-file-level",
        "--log-file-mode",
        "--log-format",
        "--log-level",
        "--max-warnings",
        "--maxfail",
        "--pastebin",
        "--pdbcls",
        "--rootdir",
        "--show-capture",
        "--tb",
        "--verbosity",
    )
    for spelling in spellings.split()
}

#: Options that take the next word where it does not look like an option.
_MAYBE_VALUED = frozenset({"--cache-show", "--debug"})

#: Options without a value: the word after them is a path.
_FLAGS = frozenset(
    {
        "--markers",
        "-x",
        "--exitfirst",
        "--cov-append",
        "--cov-branch",
        "--cov-reset",
        "--no-cov",
        "--no-cov-on-fail",
        "--strict-config",
        "--strict-markers",
        "--strict",
        "--fixtures",
        "--funcargs",
        "--fixtures-per-test",
        "--pdb",
        "--trace",
        "-s",
        "--runxfail",
        "--lf",
        "--last-failed",
        "--ff",
        "--failed-first",
        "--nf",
        "--new-first",
        "--cache-clear",
        "--sw",
        "--stepwise",
        "--sw-skip",
        "--stepwise-skip",
        "--sw-reset",
        "--stepwise-reset",
        "-v",
        "--verbose",
        "--no-header",
        "--no-summary",
        "--no-fold-skipped",
        "--force-short-summary",
        "-q",
        "--quiet",
        "--disable-warnings",
        "--disable-pytest-warnings",
        "-l",
        "--showlocals",
        "--no-showlocals",
        "--xfail-tb",
        "--fulltrace",
        "--full-trace",
        "--collectonly",
        "--collect-only",
        "--co",
        "--pyargs",
        "--noconftest",
        "--keepduplicates",
        "--keep-duplicates",
        "--collect-in-virtualenv",
        "--continue-on-collection-errors",
        "--doctest-modules",
        "--doctest-ignore-import-errors",
        "--doctest-continue-on-failure",
        "-V",
        "--version",
        "-h",
        "--help",
        "--disable-plugin-autoload",
        "--traceconfig",
        "--trace-config",
        "--setuponly",
        "--setup-only",
        "--setupshow",
        "--setup-show",
        "--setupplan",
        "--setup-plan",
    }
)

#: Files of arguments may name further ones; deeper than this they name each other.
_ARGUMENT_FILE_DEPTH = 16


class CommandLine(msgspec.Struct, frozen=True):
    """A command line as read.

    ``options`` maps each option that takes a value (by its last spelling in the table) to its
    values in order; ``flags`` are the others as written. ``words`` are all that may be paths, in
    order, and ``positionals`` those among them that certainly are.
    """

    options: dict[str, list[str]]
    flags: frozenset[str]
    words: tuple[str, ...]
    positionals: tuple[str, ...]

    def values(self, option: str) -> tuple[str, ...]:
        """All values of an option, in order."""
        return tuple(self.options.get(option, ()))

    def last(self, option: str) -> str:
        """The value that counts where an option may be given once; empty where it was not."""
        return self.options.get(option, [""])[-1]


#: Options with which only some of a module's tests may run.
_SELECTING = frozenset({"-k", "-m", "--deselect"})
_SELECTING_FLAGS = frozenset(
    {"--lf", "--last-failed", "--nf", "--new-first", "--ff", "--failed-first", "--sw", "--stepwise"}
)


def selects(arguments: Sequence[str]) -> bool:
    """True where the arguments may keep tests of a module from running.

    An option of a plugin may do so as well; those cannot be known.
    """
    given = read_command_line(arguments)
    by_id = any("::" in word for word in given.words)
    return by_id or not (
        _SELECTING.isdisjoint(given.options) and _SELECTING_FLAGS.isdisjoint(given.flags)
    )


def read_command_line(arguments: Sequence[str]) -> CommandLine:
    """Sort a command line into options, flags and words. Nothing is refused."""
    options: dict[str, list[str]] = {}
    flags: set[str] = set()
    words: list[str] = []
    positionals: list[str] = []
    rest = iter(arguments)
    after_unknown = False
    for argument in rest:
        if argument == "--":
            remaining = list(rest)
            words += remaining
            positionals += remaining
            break
        if not argument.startswith("-") or argument == "-":
            words.append(argument)
            if not after_unknown:
                positionals.append(argument)
            after_unknown = False
            continue
        after_unknown = False
        head, equals, value = argument.partition("=")
        if argument in _FLAGS:
            flags.add(argument)
        elif head in _VALUED:
            options.setdefault(_VALUED[head], []).append(value if equals else next(rest, ""))
        elif head in _MAYBE_VALUED or argument.startswith("--"):
            after_unknown = not equals
        else:
            after_unknown = _read_cluster(argument, rest, options, flags)
    return CommandLine(options, frozenset(flags), tuple(words), tuple(positionals))


def _read_cluster(
    argument: str, rest: Iterator[str], options: dict[str, list[str]], flags: set[str]
) -> bool:
    """Short options written together, the last of them perhaps with its value.

    Returns whether the next word may belong to an option that is not known.
    """
    for index, letter in enumerate(argument[1:], 1):
        option = f"-{letter}"
        if option in _VALUED:
            attached = argument[index + 1 :]
            options.setdefault(_VALUED[option], []).append(attached or next(rest, ""))
            return False
        if option not in _FLAGS:
            # `-n4` has its value already, `-n` has not.
            return index + 1 == len(argument)
        flags.add(option)
    return False


def expand_argument_files(
    arguments: Sequence[str], read: Callable[[str], str], *, depth: int = 0
) -> list[str]:
    """Replace each ``@FILE`` by the lines of that file, as pytest does. ``read`` opens it.

    Raises:
        UsageError: a file cannot be read, or files name each other without end.
    """
    expanded: list[str] = []
    for argument in arguments:
        if not argument.startswith("@"):
            expanded.append(argument)
            continue
        if depth == _ARGUMENT_FILE_DEPTH:
            raise UsageError(f"files of arguments are nested too deeply at {argument}")
        try:
            lines = read(argument[1:]).splitlines()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UsageError(
                f"cannot read the file of arguments {argument[1:]}: {reason}",
                hint="a leading @ stands for a file that holds one argument a line",
            ) from error
        expanded += expand_argument_files(lines, read, depth=depth + 1)
    return expanded
