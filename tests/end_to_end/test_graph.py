"""``iopio graph``: what modules share, before anything has run."""

import json
import subprocess
from pathlib import Path

import pytest
from end_to_end import sides

FILES = {
    "pyproject.toml": "[tool.pytest.ini_options]\n",
    "test_writes.py": "def test_it():\n    open('data/a.txt', 'w').close()\n",
    "test_reads.py": "def test_it():\n    assert open('data/a.txt').read() == ''\n",
    "test_alone.py": "def test_it(tmp_path):\n    assert tmp_path\n",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def graph(project: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*sides.script("iopio"), "graph", *words],
        cwd=project,
        env=sides.environment({}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=sides.GIVEN_UP_S,
        check=False,
    )


def test_the_whole_graph(project: Path) -> None:
    ended = graph(project)

    assert (ended.returncode, ended.stderr) == (0, "")
    resource, writer, reader = ended.stdout.splitlines()
    assert resource == "path:data/a.txt"
    assert writer.endswith("test_writes.py (exclusive)")
    assert reader.endswith("test_reads.py (shared)")


def test_one_module(project: Path) -> None:
    lines = graph(project, "test_writes.py").stdout.splitlines()

    assert lines[:3] == ["test_writes.py", "claims", "  path:data/a.txt (exclusive)"]
    assert lines[3].startswith("    test_writes.py:2: ")
    assert lines[4] == "can't overlap with"
    assert lines[5].endswith("test_reads.py: path:data/a.txt")


def test_one_that_shares_nothing(project: Path) -> None:
    ended = graph(project, "test_alone.py")

    assert ended.stdout == "test_alone.py: claims nothing, and may overlap with all others\n"


@pytest.mark.parametrize(
    ("form", "start"), [("mermaid", "flowchart LR\n"), ("dot", "digraph iopio {\n")]
)
def test_other_formats(project: Path, form: str, start: str) -> None:
    for words in ((), ("test_reads.py",)):
        ended = graph(project, "--format", form, *words)
        assert ended.returncode == 0
        assert ended.stdout.startswith(start)
        assert "path:data/a.txt" in ended.stdout


def test_json(project: Path) -> None:
    about = json.loads(graph(project, "--format=json").stdout)

    assert [each["name"] for each in about["resources"]] == ["path:data/a.txt"]
    assert sorted(about["conflicts"]) == ["test_reads.py", "test_writes.py"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("test_none.py",), "no such test module: test_none.py"),
        (("--format=png",), "no such format: png"),
    ],
)
def test_what_is_wrong_is_said_with_a_hint(
    project: Path, words: tuple[str, ...], message: str
) -> None:
    ended = graph(project, *words)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert message in ended.stderr
    assert "hint: " in ended.stderr
