"""What each kind of value takes, and what the table of settings promises."""

import enum
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iopio_async.model.config import Config, Override, Shard
from iopio_async.project.override_settings import OVERRIDE_SETTINGS, Overrides
from iopio_async.project.quotation import plainly, shown, sort_of, suggestion
from iopio_async.project.setting_reference import reference_markdown
from iopio_async.project.setting_rows import spellings
from iopio_async.project.setting_table import SETTINGS
from iopio_async.project.setting_values import (
    Boolean,
    Choice,
    Duration,
    Environment,
    Kind,
    ShardOf,
    Size,
    Text,
    TextList,
    UnfitError,
    Whole,
    Workers,
)

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.dates(),
    st.lists(st.one_of(st.integers(), st.text(max_size=3)), max_size=3),
    st.dictionaries(st.text(max_size=3), st.one_of(st.integers(), st.text(max_size=3)), max_size=3),
    st.sampled_from(["auto", "none", "1h30m", "64KiB", "1/2", "5", "-5", "nan", 10**400, -0.0]),
)


@pytest.mark.parametrize("row", [*SETTINGS, *OVERRIDE_SETTINGS], ids=lambda row: row.name)
@settings(max_examples=40)
@given(value=ANYTHING)
def test_any_value_is_taken_or_refused_in_words(row, value):
    ways = [row.kind.parse, row.kind.read] if isinstance(value, str) else [row.kind.parse]
    refusals = [refusal(way, value) for way in ways]
    assert all(words.isprintable() and len(words) < 300 for words in refusals)


def refusal(way, value) -> str:
    try:
        way(value)
    except UnfitError as error:
        return error.message
    return ""


DURATIONS = {
    0: 0.0,
    1.5: 1.5,
    "90": 90.0,
    "1.5": 1.5,
    "90s": 90.0,
    "5m": 300.0,
    "1h": 3600.0,
    "1h30m": 5400.0,
    "1h 30m 5s": 5405.0,
    "2.5m": 150.0,
    "250ms": 0.25,
    "1s500ms": 1.5,
    " 5 M ": 300.0,
}


@pytest.mark.parametrize(("value", "seconds"), DURATIONS.items())
def test_durations(value, seconds):
    assert Duration().parse(value) == pytest.approx(seconds)


@pytest.mark.parametrize("kind", [Duration(), Duration(optional=True), Duration(positive=True)])
@pytest.mark.parametrize(
    "value",
    [
        *["", " ", "-1", "+1", "1e3", "nan", "inf", "5x", "m", "1m1h", "1h1h", "٣", "1,5"],
        *[-1, True, float("nan"), float("inf"), -float("inf"), 10**400, "999999999999", [1]],
    ],
)
def test_what_is_no_duration(kind, value):
    with pytest.raises(UnfitError):
        kind.parse(value)


@pytest.mark.parametrize("value", [0, 0.0, "0", "0s", "none", "None", None])
def test_no_limit(value):
    assert Duration(optional=True).parse(value) is None
    if value != 0:
        with pytest.raises(UnfitError):
            Duration(positive=True).parse(value)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (2048, 2048),
        ("2048", 2048),
        ("2048B", 2048),
        ("64KiB", 65536),
        ("64 kib", 65536),
        ("1.5MiB", 1572864),
        ("2kB", 2000),
        ("1MB", 1000000),
        ("1GiB", 1024**3),
    ],
)
def test_sizes(value, size):
    assert Size(1024, 1024**3).parse(value) == size


@pytest.mark.parametrize("value", [0, -1, "1023", "2GiB", "1K", "KiB", "", True, 2048.0, None])
def test_what_is_no_size(value):
    with pytest.raises(UnfitError, match="from 1 KiB to 1024 MiB"):
        Size(1024, 1024**3).parse(value)


@pytest.mark.parametrize(
    ("value", "size"),
    [("none", None), (None, None), (0, None), ("2GiB", 2 << 30), ("1MiB", 1 << 20)],
)
def test_a_size_may_be_none_at_all(value, size):
    assert Size(1 << 20, 1 << 50, optional=True).parse(value) == size


@pytest.mark.parametrize("value", [1, "1KiB", "some", -1, True, "9999999 GiB"])
def test_what_is_no_optional_size(value):
    with pytest.raises(UnfitError, match='or like "2GiB", at least 1048576 bytes, or "none"'):
        Size(1 << 20, 1 << 50, optional=True).parse(value)


def test_numbers():
    assert Whole(0, 9).parse(5) == 5
    assert Whole(0, 9).read(" 5 ") == 5
    assert Whole(-9, 9).read("-5") == -5
    assert Workers().read("8") == 8
    assert Workers().read("AUTO") == "auto"


@pytest.mark.parametrize("text", ["", "1_0", "٣", "1.0", "0x1", "9" * 30, "10", "-1"])
def test_texts_of_no_number(text):
    with pytest.raises(UnfitError, match="a whole number from 0 to 9"):
        Whole(0, 9).read(text)


def test_shards():
    assert ShardOf().read(" 2/3 ") == ShardOf().parse(Shard(2, 3)) == Shard(2, 3)


@pytest.mark.parametrize(
    "value", ["0/1", "3/2", "1/0", "1", "a/b", "1/2/3", "-1/2", Shard(2, 1), 1]
)
def test_what_is_no_shard(value):
    with pytest.raises(UnfitError, match="expected K/N with 1 <= K <= N"):
        ShardOf().parse(value)


def test_words():
    class Color(str, enum.Enum):  # noqa: UP042 - this is the kind that is not a StrEnum
        ALWAYS = "always"

    kind = Choice(("auto", "always"))
    assert kind.parse("Auto") == "auto"
    assert kind.parse(Color.ALWAYS) == "always"
    with pytest.raises(UnfitError) as caught:
        kind.parse("alwys")
    assert caught.value.message == 'expected "auto" or "always", not \'alwys\''
    assert caught.value.hint == "did you mean always?"


def test_texts():
    assert Text().parse(Path("a/b")) == "a/b"
    assert Text().parse("") == ""
    with pytest.raises(UnfitError, match="not empty"):
        Text(filled=True).parse(" ")


def test_lists_of_texts():
    assert TextList().parse(["a", Path("b")]) == ("a", "b")
    assert TextList().read("a::b c:") == ("a", "b c")
    assert TextList(shell=True).read("-p 'a b' ''") == ("-p", "a b", "")
    with pytest.raises(UnfitError) as caught:
        TextList().parse("tests")
    assert caught.value.hint == "write ['tests']"
    with pytest.raises(UnfitError) as caught:
        TextList().parse(["a", 1])
    assert caught.value.at == (1,)


def test_booleans_and_environments():
    assert Boolean().parse(True) is True
    assert Environment().parse({"A": "1"}) == {"A": "1"}
    with pytest.raises(UnfitError, match="true or false"):
        Boolean().parse(1)


def test_overrides_of_python():
    override = Override(paths=("a.py",))
    assert Overrides().parse([override]) == (override,)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "true"),
        (1, "1"),
        (10**50, "a number of many digits"),
        (1.5, "1.5"),
        ("a\n\x1b", r"'a\n\x1b'"),
        ("x" * 100, repr("x" * 57 + "...")),
        ([1], "a list"),
        ({}, "a table"),
        (None, "nothing"),
    ],
)
def test_shown(value, words):
    assert shown(value) == words


def test_names_stay_as_they_are_unless_they_would_disturb():
    assert plainly("tests/tést a.py") == "tests/tést a.py"
    assert [plainly(name) for name in ("", "a\nb")] == ["''", r"'a\nb'"]
    assert len(plainly("x" * 1000)) < 100


@pytest.mark.parametrize(
    ("value", "words"), [(True, "true or false"), (1.5, "a number"), ("secret", "a str")]
)
def test_sorts_of_values_show_no_value(value, words):
    assert sort_of(value) == words


def test_suggestions_know_no_case_and_no_length():
    assert suggestion("TIMEUOT", ["timeout", "retries"]) == "timeout"
    assert suggestion("x" * 1_000_000, ["timeout"]) == ""
    assert suggestion("x", []) == ""


def test_a_kind_says_what_it_takes():
    for row in (*SETTINGS, *OVERRIDE_SETTINGS):
        assert row.kind.expected
    with pytest.raises(NotImplementedError):
        Kind().parse(1)
    with pytest.raises(NotImplementedError):
        assert Kind().expected


class TestTable:
    def test_defaults_are_those_of_the_model(self):
        defaults = {
            field.name: field.default
            for field in msgspec.structs.fields(Config)
            if field.default is not msgspec.NODEFAULT
        }
        # How many workers there are is resolved from the machine.
        defaults["workers"] = "auto"
        for row in SETTINGS:
            if row.default:
                assert row.kind.read(row.default) == defaults[row.field], row.name

    def test_every_setting_of_the_model_has_a_row(self):
        fields = {field.name for field in msgspec.structs.fields(Config)}
        resolved = {"root", "invocation_dir", "config_file", "paths", "cwd_on_path", "notes"}
        rows = {row.field for row in SETTINGS}
        assert fields - resolved == rows - {"config", "rootdir"}
        overridable = {field.name for field in msgspec.structs.fields(Override)}
        assert overridable == {row.field for row in OVERRIDE_SETTINGS}

    def test_no_name_stands_for_two_settings(self):
        for names in (
            [name for row in SETTINGS for name in spellings(row)],
            [row.variable for row in SETTINGS if row.variable],
            [flag for row in SETTINGS for flag in row.flags],
        ):
            assert len(names) == len(set(names))

    def test_every_setting_can_be_set_somewhere_and_says_what_it_does(self):
        for row in SETTINGS:
            assert row.in_file or row.flags
            assert row.doc.endswith(".")
            assert "\n" not in row.doc

    def test_help_names_variable_and_default(self):
        (row,) = (row for row in SETTINGS if row.name == "grace")
        assert row.help.endswith("[env: IOPIO_GRACE; default: 10s]")
        (row,) = (row for row in SETTINGS if row.name == "keyword")
        assert row.help == row.doc


class TestReference:
    def test_names_every_way_to_set_everything(self):
        text = reference_markdown()
        for row in SETTINGS:
            for name in (row.name if row.in_file else "", row.variable, *row.flags):
                assert f"`{name}" in text or not name
            assert row.doc in text

    def test_is_tables_of_equal_columns(self):
        tables = reference_markdown().rstrip("\n").split("\n\n")
        assert len(tables) == 3
        for table, columns in zip(tables, (5, 2, 2), strict=True):
            for line in table.split("\n"):
                assert line.replace("\\|", "").count("|") == columns + 1

    def test_is_the_same_every_time(self):
        assert reference_markdown() == reference_markdown()
        assert "| `workers` | `IOPIO_WORKERS` | `--workers N\\|auto`, `-j N\\|auto` | `auto` |" in (
            reference_markdown()
        )
