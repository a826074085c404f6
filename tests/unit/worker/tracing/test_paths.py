"""Who looks at the paths that pytest is called with."""

import argparse
import copy
import json
import pickle
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from iopio_async.wire.observations import PATHS
from iopio_async.worker.tracing.paths import Attribute, Words

Told = Callable[[], list[Any]]

LOOKS: dict[str, Callable[[Words], object]] = {
    "second": lambda words: words[1],
    "last": lambda words: words[-1],
    "slice": lambda words: words[1:],
    "all": lambda words: words[:],
    "list": list,
    "tuple": tuple,
    "sorted": sorted,
    "length": len,
    "truth": bool,
    "contains": lambda words: "b" in words,
    "equal": lambda words: words == ["a"],
    "unequal": lambda words: words != ["a"],
    "plus": lambda words: [*(words + ["c"])],  # noqa: RUF005
    "to_plus": lambda words: ["c"] + words,  # noqa: RUF005
    "times": lambda words: words * 2,
    "join": " ".join,
    "shell": shlex.join,
    "json": json.dumps,
    "repr": repr,
    "unpack": lambda words: [*words],
    "copy": copy.copy,
    "deep": copy.deepcopy,
    "own_copy": lambda words: words.copy(),
    "pickle": lambda words: pickle.loads(pickle.dumps(words)),
    "pop": lambda words: words.pop(),
    "index": lambda words: words.index("b"),
    "reversed": lambda words: [*reversed(words)],
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_looks(told: Told, look: Callable[[Words], object]) -> None:
    plain = ["a", "b"]
    expected = look(plain.copy())  # type: ignore[arg-type]
    words = Words(plain, harmless=1)
    assert told() == []
    assert look(words) == expected
    assert told() == [(PATHS, ())]


def test_the_program_is_no_path(told: Told) -> None:
    words = Words(["a", "b"], harmless=1)
    assert (words[0], words[:1], words[0:1]) == ("a", ["a"], ["a"])
    words[1:] = ["c"]
    assert told() == []
    assert isinstance(words, list)


def test_a_parser_looks_for_who_asks_it(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", Words(["a"], harmless=1))
    parser = argparse.ArgumentParser()
    assert parser.prog == "a"
    assert told() == []
    parser.parse_args()
    assert told() == [(PATHS, ())]


class Holder:
    """Has an attribute that is watched."""

    value = Attribute("value")


def test_an_attribute_tells_and_is_one(told: Told) -> None:
    holder = Holder()
    assert not hasattr(holder, "value")
    holder.value = 1
    assert vars(holder) == {"value": 1}
    assert told() == []
    assert holder.value == 1
    assert told() == [(PATHS, ())]
    del holder.value
    assert not hasattr(holder, "value")
    with pytest.raises(AttributeError):
        del holder.value
    with pytest.raises(AttributeError):
        Holder.value  # noqa: B018
