"""Tests that say too much, or what no terminal should be told: cases 15, 25 and 26."""

import re
import unicodedata
from xml.etree import ElementTree as ET

import junitparser
import pytest

MEGABYTE = 1024 * 1024

#: What is kept of an output stream, and what a line about the rest may add.
KEPT_BYTES = 64 * 1024


def test_15_a_hundred_megabytes_without_a_newline(project):
    project.write(
        "test_it.py",
        """\
import os
def test_it():
    os.write(1, b"head")
    for _ in range(100):
        os.write(1, b"x" * (1 << 20))
    os.write(1, b"tail")
""",
    )
    # Past pytest's capture, which would keep it all in memory and in files.
    outcome = project.run("--", "-s", code=0, timeout_s=20)
    module = outcome.module("test_it.py")
    assert module.status == "passed"
    assert module.stdout_bytes == 100 * MEGABYTE + 8
    assert module.stdout.startswith("head")
    assert module.stdout.endswith("tail")
    assert len(module.stdout) == KEPT_BYTES
    assert len(outcome.stdout) < 4 * KEPT_BYTES


@pytest.mark.slow
def test_15_a_hundred_megabytes_that_pytest_captures(project):
    project.write(
        "test_it.py",
        "def test_it():\n    print('head', end='')\n"
        "    for _ in range(100):\n        print('x' * (1 << 20), end='')\n"
        "    print('tail', end='')\n",
    )
    outcome = project.run(code=0, timeout_s=30)
    module = outcome.module("test_it.py")
    assert module.status == "passed"
    (section,) = module.test("test_it")["sections"]
    left_out = re.search(r"\[\.\.\. (\d+) characters left out \.\.\.\]", section["text"])
    assert section["text"].startswith("head")
    assert section["text"].endswith("tail")
    assert len(section["text"]) < KEPT_BYTES + 100
    kept = len(section["text"]) - len(left_out[0]) - len("\n\n")
    assert kept + int(left_out[1]) == 100 * MEGABYTE + 8


def test_25_what_cannot_be_shown_fails_all_the_same(project):
    project.write(
        "test_it.py",
        """\
class Sulks:
    def __repr__(self):
        raise RuntimeError("no repr")
    __str__ = __repr__
class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no str")
    __repr__ = __str__
def test_repr_raises():
    assert Sulks() == 1
def test_str_raises():
    raise Silent(Sulks())
def test_repr_raises_in_a_comparison():
    assert [Sulks(), 2] == [Sulks(), 3]
def test_after(): pass
""",
    )
    module = project.run(code=1, again=True).module("test_it.py")
    assert module.status == "failed"
    assert module.tests == {
        "test_repr_raises": "failed",
        "test_str_raises": "failed",
        "test_repr_raises_in_a_comparison": "failed",
        "test_after": "passed",
    }
    messages = [event["failures"][0]["message"] for event in module.finished[:-1]]
    assert all(messages)


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["pytest", "functions"])
def test_25_fifty_megabytes_are_cut(project, framework):
    project.write("test_it.py", "def test_it():\n    raise ValueError('x' * 50_000_000)\n")
    # pytest alone takes seconds to lay out such a message.
    outcome = project.run(
        f"--framework={framework}", "test_it.py", code=1, timeout_s=60, control=False
    )
    (failure,) = outcome.module("test_it.py").test("test_it")["failures"]
    assert "def test_it" in failure["text"] or "in test_it" in failure["text"]
    assert "left out" in failure["text"]
    assert failure["message"].startswith("ValueError: xxx")
    assert len(failure["text"]) + len(failure["message"]) < MEGABYTE
    assert len(outcome.stdout) < 2 * MEGABYTE


def test_25_a_failure_in_a_hundred_thousand_lines(project):
    project.write(
        "test_it.py",
        "def test_it():\n    raise ValueError('\\n'.join(f'line {n}' for n in range(100_000)))\n",
    )
    module = project.run(code=1, timeout_s=20).module("test_it.py")
    (failure,) = module.test("test_it")["failures"]
    assert failure["message"] == "ValueError: line 0"
    assert "line 0\n" in failure["text"]
    assert "line 99999\n" in failure["text"]
    assert "left out" in failure["text"]


#: Case 26: what an id or an output may hold, by a word for it.
NASTY = {
    "escape": "\x1b[31mred\x1b[2J",
    "title": "\x1b]0;owned\x07",
    "c1": "\x9b31m",
    "nul": "a\0b",
    "return": "good\rbad",
    "backspace": "bad\b\b\bgood",
    "newline": "one\ntwo",
    "bidi": "\u202egnp.exe\u2066x\u2069",
    "surrogate": "\ud800x\udcff",
    "separator": "a\u2028b\u2029c\x85d",
    "noncharacter": "a\ufffe\uffffb",
    "command": "::error::owned",
    "xml": "]]><!-- & '\"",
}

NASTY_SOURCE = f"""\
import os, sys, pytest
NASTY = {NASTY!r}
# No surrogates in ids: pytest itself breaks down over them.
IDS = [text.encode("utf-8", "replace").decode() for text in NASTY.values()]
@pytest.mark.parametrize("text", NASTY.values(), ids=IDS)
def test_it(text, record_property):
    record_property("nasty", text)
    os.write(1, text.encode("utf-8", "surrogatepass"))
    os.write(2, bytes(range(256)))
    print(text.encode("utf-8", "replace").decode())
    assert False, text
@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_skips(text):
    pytest.skip(text)
"""


@pytest.fixture
def nasty(project):
    project.write(
        "pytest.ini",
        "[pytest]\ndisable_test_id_escaping_and_forfeit_all_rights_to_community_support = true\n",
    )
    project.write("test_it.py", NASTY_SOURCE)
    return project


#: Kinds of characters that no output may hold, besides tabs and the ends of lines.
FORBIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def offending(text: str) -> set[str]:
    return {char for char in text if unicodedata.category(char) in FORBIDDEN} - {"\n", "\t"}


def heard_commands(output: bytes) -> list[bytes]:
    """The lines that GitHub's runner would obey."""
    heard = []
    token = b""
    for line in map(bytes.lstrip, output.splitlines()):
        if token:
            token = b"" if line == b"::%b::" % token else token
        elif line.startswith(b"::stop-commands::"):
            token = line.removeprefix(b"::stop-commands::")
        elif line.startswith(b"::") or b"##[" in line:
            heard.append(line)
    assert not token
    return heard


@pytest.mark.parametrize("options", [(), ("--", "-s")], ids=["captured", "not captured"])
def test_26_everything_is_escaped(nasty, options):
    arguments = ("-vv", "--junit-xml=junit.xml", "--report=report.json", *options)
    environment = {"GITHUB_ACTIONS": "true"}
    with nasty.start("test_it.py", *arguments, json=False, env=environment) as live:
        outcome = live.rest()
    assert outcome.code == 1, outcome.stderr
    assert offending(outcome.stdout.decode()) == set()
    assert offending(outcome.stderr) == set()
    assert not [line for line in heard_commands(outcome.stdout) if b"owned" in line]

    tree = ET.parse(nasty.root / "junit.xml")
    suites = junitparser.JUnitXml.fromfile(str(nasty.root / "junit.xml"))
    assert suites.failures == len(NASTY)
    assert suites.skipped == len(NASTY)
    assert suites.errors == 0
    names = [case.get("name") for case in tree.iter("testcase")]
    assert len(set(names)) == len(names)
    text = "".join(ET.tostring(tree.getroot(), encoding="unicode"))
    assert not {"\0", "\x1b", "\u202e", "\x9b", "\ufffe", "\uffff"} & set(text)


def test_26_the_stream_keeps_them_and_parses(nasty):
    outcome = nasty.run(code=1, again=True)
    module = outcome.module("test_it.py")
    assert module.status == "failed"
    assert list(module.tests.values()) == ["failed"] * len(NASTY) + ["skipped"] * len(NASTY)
    assert all(byte >= 0x20 or byte == 0x0A for byte in outcome.stdout)
    ids = [event["id"] for event in module.finished]
    assert f"test_it.py::test_it[{NASTY['escape']}]" in ids
    assert f"test_it.py::test_it[{NASTY['bidi']}]" in ids
