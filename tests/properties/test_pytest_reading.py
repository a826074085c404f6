"""Laws of reading what pytest reads: ini files as its own reader has them, any command line."""

import iniconfig
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.analysis.conftest import read_conftest
from iopio_async.analysis.outline import outline
from iopio_async.errors import ConfigurationError
from iopio_async.project.pytest_arguments import read_command_line
from iopio_async.project.pytest_files import parse_ini

lines = st.sampled_from(
    [
        "[pytest]",
        "[other] # c",
        "[open",
        "[]",
        "",
        "# comment",
        "  ; comment",
        "a = 1",
        "b: 2",
        "c:d = 3",
        "e =",
        "  more",
        "\tmore = x # y",
        "word",
        "[pytest]]",
        "= nothing",
    ]
)
words = st.sampled_from(
    [
        "-x",
        "-xvs",
        "-k",
        "-kfoo",
        "--ignore",
        "--ignore=a",
        "--cov",
        "-n",
        "-n4",
        "a",
        "b::c",
        "--",
        "-",
        "",
        "-o",
        "--debug",
        "--pyargs",
        "-pno:x",
        "--unknown=1",
        "-=",
        "--=",
        "-é",
    ]
)


@given(st.lists(lines, max_size=8))
def test_ini_files_are_read_as_pytests_reader_reads_them(text_lines: list[str]) -> None:
    text = "\n".join(text_lines)
    try:
        parsed = iniconfig.IniConfig("f", data=text)
    except iniconfig.ParseError as error:
        expected: object = error.lineno + 1
    else:
        expected = {name: dict(section) for name, section in parsed.sections.items()}

    try:
        actual: object = parse_ini(text, "f")
    except ConfigurationError as error:
        actual = int(error.where.removeprefix("f:"))

    if isinstance(expected, int):
        # Which of several mistakes is named first is a matter of taste.
        assert isinstance(actual, int)
    else:
        assert actual == expected


@given(st.lists(words, max_size=10))
def test_any_command_line_is_read_and_words_stay_in_order(arguments: list[str]) -> None:
    line = read_command_line(arguments)

    rest = iter(arguments)
    assert all(word in rest for word in line.words)
    rest = iter(line.words)
    assert all(word in rest for word in line.positionals)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_source_is_too_strange(source: bytes) -> None:
    assert outline(source).tests >= 0
    assert read_conftest(b"collect_ignore = []\n" + source) is not None
