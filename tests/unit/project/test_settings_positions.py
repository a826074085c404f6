"""The line of every key of a TOML text."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.project.toml_positions import key_lines, line_of

TEXT = '''\
# [comment]
top = 1 # = not a key
"quoted key" = 'a # b'
"esc\\u0061ped" = "\\" # still inside"
'literal "key"' = 2
dotted . "sub key".deep = 3

multi = """
[not.a.table]
key = 1
\\""" still \\\\"""
after_multi = 4
raw = \'\'\'
'not = over' '' \'\'\'\'\'
after_raw = 5
empty = ""
no_more = \'\'

list = [
  1, # one
  "two ] ,", [
    3,
  ],
  { x = 1, y.z = [ 4,
    5 ] },
]
date = 1979-05-27 07:32:00 # a blank inside

[table]
key = true
  [ table . "sub.table" ]
  key = false

[[array]]
name = "first"
[array.inner]
x = 1
[[array.nested]]
y = 1
[[array.nested]]
y = 2

[[array]]
name = "second"
[array.inner]
x = 2
[[array.nested]]
y = 3

[ deep.a.b ]
c = 1
[deep]
d = 2
'''

EXPECTED = {
    ("top",): 2,
    ("quoted key",): 3,
    ("escaped",): 4,
    ('literal "key"',): 5,
    ("dotted",): 6,
    ("dotted", "sub key", "deep"): 6,
    ("multi",): 8,
    ("after_multi",): 12,
    ("raw",): 13,
    ("after_raw",): 15,
    ("empty",): 16,
    ("no_more",): 17,
    ("list",): 19,
    ("list", 0): 20,
    ("list", 1): 21,
    ("list", 2): 21,
    ("list", 2, 0): 22,
    ("list", 3): 24,
    ("list", 3, "x"): 24,
    ("list", 3, "y", "z"): 24,
    ("list", 3, "y", "z", 0): 24,
    ("list", 3, "y", "z", 1): 25,
    ("date",): 27,
    ("table",): 29,
    ("table", "key"): 30,
    ("table", "sub.table"): 31,
    ("table", "sub.table", "key"): 32,
    ("array",): 34,
    ("array", 0): 34,
    ("array", 0, "name"): 35,
    ("array", 0, "inner"): 36,
    ("array", 0, "inner", "x"): 37,
    ("array", 0, "nested", 0): 38,
    ("array", 0, "nested", 0, "y"): 39,
    ("array", 0, "nested", 1): 40,
    ("array", 0, "nested", 1, "y"): 41,
    ("array", 1): 43,
    ("array", 1, "name"): 44,
    ("array", 1, "inner", "x"): 46,
    ("array", 1, "nested", 0): 47,
    ("array", 1, "nested", 0, "y"): 48,
    ("deep",): 50,
    ("deep", "a", "b", "c"): 51,
    ("deep", "d"): 53,
}


def paths_of(value, prefix=()):
    """Every key and element of a parsed document."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*prefix, key)
        if isinstance(inner, dict | list):
            yield from paths_of(inner, (*prefix, key))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_text_with_everything(newline):
    text = TEXT.replace("\n", newline)
    lines = key_lines(text)
    assert {path: lines.get(path) for path in EXPECTED} == EXPECTED
    assert set(lines) == set(paths_of(tomllib.loads(text)))


def test_a_missing_key_stands_where_its_table_does():
    assert line_of(TEXT, ("array", 1, "missing", "more")) == 43
    assert line_of(TEXT, ("nowhere",)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "a = 1\nb",
        "a = 1\n[b",
        "a = 1\nb = [",
        "a = 1\nb = {",
        'a = 1\nb = "',
        "a = 1\n=",
        "a = 1\nb = \n",
    ],
)
def test_a_broken_text_gives_what_comes_before_the_break(text):
    assert key_lines(text)[("a",)] == 1


def test_a_tower_of_brackets_gives_what_it_can():
    assert key_lines(f"a = 1\nb = {'[' * 100_000}")[("b",)] == 2


KEYS = st.text("ab_-. \"'#=[]\\é", max_size=4)
SCALARS = st.one_of(
    st.integers(),
    st.booleans(),
    st.text("ab\"'#=[]{},\\\n", max_size=12),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


class Writer:
    """Writes a document as TOML in varying styles, and notes the line of all it writes."""

    def __init__(self, draw):
        self.draw = draw
        self.text = ""
        self.lines = {}

    def put(self, text):
        self.text += text

    def note(self, path):
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def gap(self, *, newlines):
        choices = ["", " ", "\t"] + (["\n", " # ] } , = x\n", "\n\n"] if newlines else [])
        self.put(self.draw(st.sampled_from(choices)))

    def key(self, key):
        bare = key and all(char.isascii() and (char.isalnum() or char in "_-") for char in key)
        if bare and self.draw(st.booleans()):
            self.put(key)
        elif "'" not in key and self.draw(st.booleans()):
            self.put(f"'{key}'")
        else:
            self.put(escaped(key))

    def value(self, value, path):
        if isinstance(value, bool):
            self.put(str(value).lower())
        elif isinstance(value, int):
            self.put(str(value))
        elif isinstance(value, str):
            self.string(value)
        elif isinstance(value, list):
            self.put("[")
            for index, item in enumerate(value):
                self.gap(newlines=True)
                self.note((*path, index))
                self.value(item, (*path, index))
                self.gap(newlines=True)
                self.put(",")
            self.gap(newlines=True)
            self.put("]")
        else:
            self.put("{")
            for index, (key, item) in enumerate(value.items()):
                self.put(", " if index else " ")
                self.pair(key, item, (*path, key))
            self.put(" }")

    def pair(self, key, value, path):
        self.note(path)
        self.key(key)
        self.gap(newlines=False)
        self.put("=")
        self.gap(newlines=False)
        self.value(value, path)

    def string(self, text):
        styles = ["basic", "long basic"]
        if "'" not in text:
            styles += ["long literal"] if "\n" in text else ["literal", "long literal"]
        style = self.draw(st.sampled_from(styles))
        if style == "basic":
            self.put(escaped(text))
        elif style == "literal":
            self.put(f"'{text}'")
        elif style == "long literal":
            self.put(f"'''\n{text}'''")
        else:
            inside = text.replace("\\", "\\\\").replace('"""', '""\\"')
            inside = inside[:-1] + '\\"' if inside.endswith('"') else inside
            self.put(f'"""\n{inside}"""')

    def table(self, table, path, header):
        """The plain values first, then the tables among them, some with headers of their own."""
        later = []
        for key, value in table.items():
            is_tables = (
                isinstance(value, list) and value and all(isinstance(i, dict) for i in value)
            )
            if (is_tables or isinstance(value, dict)) and self.draw(st.booleans()):
                later.append((key, value))
                continue
            self.pair(key, value, (*path, key))
            self.gap(newlines=False)
            self.put("\n")
        for key, value in later:
            inner = [*header, key]
            if isinstance(value, dict):
                self.header(inner, "[", "]", [(*path, key)])
                self.table(value, (*path, key), inner)
                continue
            for index, item in enumerate(value):
                self.header(inner, "[[", "]]", [(*path, key), (*path, key, index)])
                self.table(item, (*path, key, index), inner)

    def header(self, parts, opening, closing, paths):
        self.gap(newlines=True)
        self.put("\n")
        for path in paths:
            self.note(path)
        self.put(opening)
        for index, part in enumerate(parts):
            self.put(" . " if index else "")
            self.key(part)
        self.put(f"{closing} # [x]\n")


def escaped(text):
    inside = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{inside}"'


@given(st.dictionaries(KEYS, VALUES, max_size=5), st.data())
def test_any_document(document, data):
    writer = Writer(data.draw)
    writer.table(document, (), [])
    assert tomllib.loads(writer.text) == document
    assert key_lines(writer.text) == writer.lines
