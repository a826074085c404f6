"""What is said of verdicts."""

import pytest

from iopio_async.cache.validate import GONE, Change, Hit, Miss
from iopio_async.model.module import REMAINDER_PATH
from iopio_async.model.trace import InputKind, Level
from iopio_async.orchestration.reasons import level_told, of_change, old_and_new, run_again, told

OLD, NEW = "a" * 64, "b" * 64

SAID = {
    "src/a.py: function parse changed": Change(InputKind.SOURCE, "src/a.py", OLD, NEW, "parse"),
    "src/a.py: function C.m is gone": Change(InputKind.SOURCE, "src/a.py", OLD, GONE, "C.m"),
    "src/a.py: its top level changed": Change(InputKind.SOURCE, "src/a.py", OLD, NEW, "<module>"),
    "data.json changed": Change(InputKind.FILE, "data.json", OLD, NEW),
    "data.json is gone": Change(InputKind.FILE, "data.json", OLD, "absent"),
    "new file tests/conftest.py": Change(InputKind.TYPE, "tests/conftest.py", "absent", "file"),
    "new directory out": Change(InputKind.TYPE, "out", "absent", "directory"),
    "environment variable TZ changed": Change(InputKind.VARIABLE, "TZ", OLD, NEW),
    "environment variable TZ is set now": Change(InputKind.VARIABLE, "TZ", "absent", NEW),
    "environment variable TZ is not set now": Change(InputKind.VARIABLE, "TZ", OLD, "absent"),
    "new file src/json.py, which an import of json finds": Change(
        InputKind.LOOKUP, "src|json", "", "json.py"
    ),
    "old.py is gone, which an import of old found": Change(InputKind.LOOKUP, ".|old", "old.py", ""),
    "distribution numpy is not installed any more": Change(
        InputKind.DISTRIBUTION, "/site|numpy", OLD, "absent"
    ),
    "the paths that pytest is called with, which it looks at, are others": Change(
        InputKind.PATHS, "", "tests/test_a.py tests/test_b.py", ""
    ),
    "pytest loads other conftests at its start, by the paths that it is called with": Change(
        InputKind.PATHS, "conftests", "tests/conftest.py", "tests/conftest.py a/conftest.py"
    ),
    "what is in tests/data changed": Change(InputKind.LISTING, "tests/data", OLD, NEW),
    "the installed distributions changed in /site (pytest11)": Change(
        InputKind.DISTRIBUTIONS, "/site|pytest11", OLD, NEW
    ),
}


def test_why_modules_run_again() -> None:
    changed, gone = (SAID[words] for words in ("data.json changed", "data.json is gone"))
    verdicts: dict[str, Hit | Miss] = {
        **{f"t{number}.py": Miss(change=changed) for number in (3, 1, 2, 4)},
        "u.py": Miss(change=gone),
        "v.py": Miss(),
        "w.py": Miss(),
        "x.py": Hit("e", "", 1.0, 2.0, 0.5),
        REMAINDER_PATH: Miss(),
        "src/a.py": Miss(change=SAID["src/a.py: function parse changed"]),
        "y.py": Miss(refusal="opens /dev/x"),
    }
    assert run_again(verdicts, {"w.py"}) == [
        "run again: t1.py, t2.py and 2 more: data.json changed",
        "run again: u.py: data.json is gone",
        "run again: w.py: it failed when it was run last, and what fails is run again",
        "run again: v.py: it has not been run in this way before",
        "run again: src/a.py: function parse changed",
        "run again: y.py: not cacheable: opens /dev/x",
    ]


def test_reasons_beyond_count_are_counted() -> None:
    verdicts: dict[str, Hit | Miss] = {
        f"{number}.py": Miss(refusal=f"{number}") for number in range(30)
    }
    lines = run_again(verdicts)
    assert len(lines) == 10
    assert lines[-1] == "run again: 21 more, for 21 other reasons; iopio why tells all"


def test_nothing_is_said_of_a_first_run() -> None:
    assert run_again({"a.py": Miss(), "b.py": Miss()}) == []
    assert run_again({"a.py": Hit("e", "", 1.0, 2.0, 0.5)}) == []


def test_paths_are_shown_in_full() -> None:
    change = Change(InputKind.PATHS, "", "tests/test_a.py tests/test_b.py", "")
    assert old_and_new(change) == "was tests/test_a.py tests/test_b.py, is nothing"


@pytest.mark.parametrize("words", SAID)
def test_a_change_in_words(words: str) -> None:
    assert of_change(SAID[words]) == words


def test_a_verdict_in_words() -> None:
    hit = Hit("e", "", 1.0, 2.0, 0.5)
    change = SAID["data.json changed"]
    assert told(hit) == "hit: nothing that it read has changed"
    assert told(Miss(change=change, refusal="x")) == "miss: data.json changed"
    assert told(Miss(refusal="connects to 10.0.0.1:5432")) == (
        "not cacheable: connects to 10.0.0.1:5432"
    )
    assert told(Miss(expired=True)) == "miss: its result is too old"
    assert told(Miss()) == "miss: it has not been run in this way before"
    assert told(Miss(), failed=True).startswith("miss: it failed when it was run last")
    assert told(Miss(change=change), failed=True) == "miss: data.json changed"
    assert old_and_new(change) == f"was {OLD[:12]}, is {NEW[:12]}"
    assert level_told(Level.COARSE) != level_told(Level.PRECISE)
