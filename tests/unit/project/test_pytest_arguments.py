"""How a pytest command line is read without pytest."""

import pytest
from _pytest.config import get_config

from iopio_async.errors import UsageError
from iopio_async.project.pytest_arguments import expand_argument_files, read_command_line


@pytest.mark.parametrize(
    ("arguments", "option", "values"),
    [
        (["--ignore=a", "--ignore", "b"], "--ignore", ("a", "b")),
        (["-k", "a and b"], "-k", ("a and b",)),
        (["-kfoo"], "-k", ("foo",)),
        (["-k=foo"], "-k", ("foo",)),
        (["-xvsk", "foo"], "-k", ("foo",)),
        (["-rA"], "--report-chars", ("A",)),
        (["-c", "a.ini"], "--config-file", ("a.ini",)),
        (["-ca.ini"], "--config-file", ("a.ini",)),
        (["--config-file=a.ini"], "--config-file", ("a.ini",)),
        (["-o", "a=b=c"], "--override-ini", ("a=b=c",)),
        (["-oa=b"], "--override-ini", ("a=b",)),
        (["--doctest-glob="], "--doctest-glob", ("",)),
        (["-pno:x"], "-p", ("no:x",)),
        (["-m", "not slow", "tests"], "-m", ("not slow",)),
        (["--ignore"], "--ignore", ("",)),
        (["--ignored"], "--ignore", ()),
        (["--", "--ignore=a"], "--ignore", ()),
    ],
)
def test_values(arguments: list[str], option: str, values: tuple[str, ...]) -> None:
    assert read_command_line(arguments).values(option) == values


def test_the_last_value_counts() -> None:
    line = read_command_line(["--rootdir=a", "--rootdir", "b"])

    assert line.last("--rootdir") == "b"
    assert line.last("--confcutdir") == ""


def test_flags_alone_and_in_clusters() -> None:
    line = read_command_line(["--pyargs", "-xvs", "--doctest-modules", "tests"])

    assert {"--pyargs", "-x", "-v", "-s", "--doctest-modules"} <= line.flags
    assert line.positionals == ("tests",)


@pytest.mark.parametrize(
    ("arguments", "positionals", "words"),
    [
        (["a", "b::c"], ("a", "b::c"), ("a", "b::c")),
        (["-x", "a"], ("a",), ("a",)),
        (["-m", "slow", "a"], ("a",), ("a",)),
        (["--cov", "src", "a"], ("a",), ("src", "a")),
        (["--cov=src", "a"], ("a",), ("a",)),
        (["-n", "4", "a"], ("a",), ("4", "a")),
        (["-n4", "a"], ("a",), ("a",)),
        (["--debug", "a"], (), ("a",)),
        (["--unknown", "-x", "a"], ("a",), ("a",)),
        (["-x", "--", "-a", "b"], ("-a", "b"), ("-a", "b")),
        (["-"], ("-",), ("-",)),
    ],
)
def test_the_word_after_an_unknown_option_is_doubtful(
    arguments: list[str], positionals: tuple[str, ...], words: tuple[str, ...]
) -> None:
    line = read_command_line(arguments)

    assert line.positionals == positionals
    assert line.words == words


FILES = {"a.txt": "tests/a.py\n-x\n@b.txt", "b.txt": "tests/b.py", "loop.txt": "@loop.txt"}


def read(name: str) -> str:
    if name not in FILES:
        raise FileNotFoundError(2, "No such file or directory")
    return FILES[name]


def test_files_of_arguments_stand_for_their_lines() -> None:
    expanded = expand_argument_files(["-q", "@a.txt", "end"], read)

    assert expanded == ["-q", "tests/a.py", "-x", "tests/b.py", "end"]


@pytest.mark.parametrize(
    ("name", "message"), [("nope.txt", "cannot read"), ("loop.txt", "nested too deeply")]
)
def test_a_file_of_arguments_that_cannot_be_read(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        expand_argument_files([f"@{name}"], read)


@pytest.mark.skipif(pytest.version_tuple < (9, 2), reason="looks at pytest's insides")
def test_every_option_of_the_installed_pytest_is_known() -> None:
    # A new option of pytest that takes a value would have its value taken for a path.
    options = [option for group in get_config([])._parser._groups for option in group.options]
    misread = []
    for option in options:
        takes_value = option.attrs()["nargs"] is None
        for name in option.names():
            line = read_command_line([name, "word"])
            if bool(line.positionals) is (takes_value or option.attrs()["nargs"] == "?"):
                misread.append(name)
    assert len(options) > 50
    assert misread == []
