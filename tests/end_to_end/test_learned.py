"""What the source hides shows when modules run: the first run learns it, the second keeps to it."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from end_to_end import sharing
from end_to_end.cached import Project

#: The name of the file is computed, in a way that only an execution shows.
WRITES = """\
import time


def test_writes():
    name = chr(115) + "tate.json"
    with open(name, "w") as file:
        file.write(__name__)
    time.sleep(0.15)
    with open(name) as file:
        assert file.read()
"""

PRIVATE = """\
import socket


def test_minds_its_own_business(tmp_path):
    (tmp_path / "state.json").write_text("own")
    assert (tmp_path / "state.json").read_text() == "own"
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert server.getsockname()[1]
"""

#: No system hands it out by itself.
UNUSUAL_PORT = 23_456

CONFIG = "[tool.pytest.ini_options]\n"
LINE = "they won't overlap from the next run on"


def project(folder: Path, files: Mapping[str, str]) -> Project:
    return Project(folder, {"pyproject.toml": CONFIG, **files})


def overlaps(ran: Project, *words: str) -> tuple[int, str]:
    """Run it all; how many pairs of attempts overlapped, and what was said."""
    ended = ran.call("run", "--workers=4", "--refresh", "--json", *words)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    envelopes = [json.loads(line) for line in ended.stdout.splitlines()]
    spans = sharing.spans_in(envelopes)
    shown = sharing.Ran(0, "", spans)
    told = [
        each["event"]["message"]
        for each in envelopes
        if each["event"]["event"] == "warning_issued" and LINE in each["event"]["message"]
    ]
    return len(list(shown.overlaps())), "\n".join(told)


def learned(ran: Project) -> dict[str, dict[str, str]]:
    ended = ran.call("graph", "--learned", "--format=json")
    assert ended.returncode == 0, ended.stderr
    return {
        each["resource"]: {user["module"]: user["standing"] for user in each["users"]}
        for each in json.loads(ended.stdout)["learned"]
    }


@pytest.fixture
def writers(tmp_path: Path) -> Project:
    ran = project(tmp_path, {"test_a.py": WRITES, "test_b.py": WRITES})
    # It is known what the source tells: from here on nothing waits for that.
    assert ran.call("graph").stdout.startswith("nothing is shared")
    return ran


def test_a_file_at_a_computed_place(writers: Project) -> None:
    count, told = overlaps(writers)
    assert count == 1
    assert told.startswith("test_a.py wrote path:state.json, and test_b.py wrote it: ")
    assert told.endswith(f"{LINE}; see iopio graph --learned")
    assert learned(writers) == {"path:state.json": {"test_a.py": "learned", "test_b.py": "learned"}}

    for _ in range(2):
        assert overlaps(writers) == (0, "")
    assert "was seen: wrote it" in writers.call("graph", "test_a.py").stdout


def test_what_a_suite_shares_by_computed_names(tmp_path: Path) -> None:
    suite = sharing.lay_out(tmp_path / "suite", port=UNUSUAL_PORT, hidden=True)
    first = sharing.run(suite, "--refresh")
    assert LINE in first.text

    for _ in range(2):
        again = sharing.run(suite, "--refresh")
        assert again.code == 0, again.text
        assert len(again.spans) == sharing.MODULES
        assert again.conflicts() == []
        assert LINE not in again.text


def test_a_declaration_beats_what_was_seen(writers: Project) -> None:
    overlaps(writers)
    writers.write(
        "test_a.py", WRITES + "\n\nimport pytest\npytestmark = pytest.mark.iopio(locks=[])\n"
    )
    writers.call("graph")

    count, told = overlaps(writers)

    assert (count, told) == (1, "")
    assert learned(writers)["path:state.json"]["test_a.py"] == "declared"


def test_what_was_learned_can_be_accepted(writers: Project) -> None:
    overlaps(writers)

    ended = writers.call("graph", "--learned", "--accept")

    assert ended.returncode == 0, ended.stderr
    text = (writers.folder / "pyproject.toml").read_text()
    assert text.startswith(CONFIG)
    assert text.removeprefix(f"{CONFIG}\n") in ended.stdout
    assert tomllib.loads(text)["tool"]["iopio"]["overrides"] == [
        {"paths": [name], "locks": ["path:state.json"]} for name in ("test_a.py", "test_b.py")
    ]
    again = writers.call("graph", "--learned", "--accept")
    assert "nothing to accept" in again.stdout
    assert (writers.folder / "pyproject.toml").read_text() == text
    (writers.cache / "v1" / "learned").unlink()
    assert overlaps(writers) == (0, "")


def test_what_can_not_be_accepted_is_refused(writers: Project) -> None:
    overlaps(writers)
    (writers.folder / "pyproject.toml").unlink()
    writers.write("pytest.ini", "[pytest]\n")

    for words, message in (
        (("--learned", "--accept"), "there is no configuration file to write to"),
        (("--accept",), "--accept goes with --learned"),
    ):
        ended = writers.call("graph", *words)
        assert ended.returncode == 2
        assert message in ended.stderr


def test_nothing_is_learned_of_modules_that_keep_to_themselves(tmp_path: Path) -> None:
    ran = project(tmp_path, {f"test_{name}.py": PRIVATE for name in "abcd"})

    _, told = overlaps(ran)

    assert told == ""
    assert learned(ran) == {}
    assert not (ran.cache / "v1" / "learned").exists()
    assert "nothing was learned" in ran.call("graph", "--learned").stdout


def test_damage_costs_only_what_was_learned(writers: Project) -> None:
    overlaps(writers)
    file = writers.cache / "v1" / "learned"
    file.write_bytes(file.read_bytes()[:-3])

    count, told = overlaps(writers)

    assert count == 1
    assert LINE in told
    assert overlaps(writers) == (0, "")
