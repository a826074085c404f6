"""The straight road and typer read a command line alike."""

from collections.abc import Mapping
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.cli import quick, run
from iopio_async.cli.app import app
from iopio_async.cli.invocation import Invocation

COMMAND = typer.main.get_command(app)

#: Options that only typer knows what to do with.
TYPERS_OWN = {"--help", "-h"}


@pytest.fixture(scope="module")
def by_typer() -> Any:
    """Reads words by typer: the options that the command then gets, without those not given."""
    recorded: list[Mapping[str, object]] = []

    def record(invocation: Invocation, given_options: Mapping[str, object]) -> int:
        recorded.append(given_options)
        return 0

    def read(words: list[str]) -> dict[str, object]:
        recorded.clear()
        code = COMMAND(args=["run", *words], standalone_mode=False, obj=Invocation())
        assert code == 0
        (options,) = recorded
        return {name: value for name, value in options.items() if value not in (None, False, 0, [])}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "run_given", record)
        yield read


plain_text = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=8
).filter(lambda text: not text.startswith("-"))


@st.composite
def options(draw: st.DrawFn) -> list[list[str]]:
    """Words of options in all their spellings, each setting at most once."""
    fields = draw(st.lists(st.sampled_from(quick.VALUE_FIELDS), unique=True, max_size=6))
    pieces = []
    for field in fields:
        flag = draw(
            st.sampled_from([name for name, target in quick.VALUES.items() if target == field])
        )
        value = draw(plain_text)
        if flag.startswith("--"):
            pieces.append(draw(st.sampled_from([[flag, value], [f"{flag}={value}"]])))
        else:
            pieces.append(draw(st.sampled_from([[flag, value], [f"{flag}{value}"]])))
    switches = draw(
        st.lists(st.sampled_from(list(quick.FLAGS)), unique_by=lambda flag: quick.FLAGS[flag][0])
    )
    return [*pieces, *([switch] for switch in switches)]


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    pieces = [*draw(options()), *([path] for path in draw(st.lists(plain_text, max_size=3)))]
    return [word for piece in draw(st.permutations(pieces)) for word in piece]


@given(words=command_lines())
def test_plain_command_lines_are_read_without_typer(by_typer: Any, words: list[str]) -> None:
    read = quick.read(words)
    assert read is not None
    assert read == by_typer(words)


messy_words = st.one_of(
    st.sampled_from([*quick.VALUES, *quick.FLAGS, "-", "--", "-vx", "-xv", "-vvv", "-qq", "-k=a"]),
    st.sampled_from(["--report=", "--workers=2", "-j2", "-j=2", "--lf=1", "-x=1", "--no-such", ""]),
    plain_text,
)


@given(words=st.lists(messy_words, max_size=6).filter(lambda words: "--" not in words))
def test_what_is_read_at_all_is_read_as_typer_does(by_typer: Any, words: list[str]) -> None:
    read = quick.read(words)
    if read is not None:
        assert read == by_typer(words)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["-h"],
        ["--no-such-option"],
        ["--workers"],
        ["--workers", "--lf"],
        ["--workers="],
        ["-j", "2", "--workers", "3"],
        ["-v", "-v"],
        ["--report", "-"],
        ["--lf=yes"],
        ["--work", "2"],
        ["-"],
    ],
)
def test_the_unusual_is_left_to_typer(words: list[str]) -> None:
    assert quick.read(words) is None


def test_it_knows_every_option_of_the_command() -> None:
    command: Any = COMMAND
    known = {*quick.VALUES, *quick.FLAGS, *TYPERS_OWN}
    spellings = {
        spelling
        for parameter in command.commands["run"].params
        if parameter.param_type_name == "option"
        for spelling in (*parameter.opts, *parameter.secondary_opts)
    }
    assert spellings - known == set()
    assert known - spellings - TYPERS_OWN == {"-vv"}


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["run"], ["run"]),
        (["--fail-on-regression"], ["--fail-on-regression=5%"]),
        (["--fail-on-regression", "10"], ["--fail-on-regression=10"]),
        (["--fail-on-regression", "7.5%", "tests"], ["--fail-on-regression=7.5%", "tests"]),
        (["--fail-on-regression", "tests"], ["--fail-on-regression=5%", "tests"]),
        (["--fail-on-regression", "-x"], ["--fail-on-regression=5%", "-x"]),
        (["--fail-on-regression=3", "4"], ["--fail-on-regression=3", "4"]),
    ],
)
def test_a_value_that_may_be_left_out_is_put_in_its_place(
    words: list[str], completed: list[str]
) -> None:
    assert quick.completed(words) == completed
