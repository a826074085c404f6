"""``iopio why`` and ``iopio cache`` by their words, in this process."""

import os
from pathlib import Path

import pytest

from iopio_async.cli.main import main
from iopio_async.cli.why import _chosen
from iopio_async.errors import UsageError
from iopio_async.model.config import Config

PATHS = ["test_root.py", "tests/a/test_a.py", "tests/b/test_b.py", "tests/test_t.py"]


def chosen(here: str, *names: str) -> list[str]:
    return _chosen(Config(root="/p", invocation_dir=f"/p{here}"), list(names), PATHS)


@pytest.mark.parametrize(
    ("here", "names", "expected"),
    [
        ("", (), PATHS),
        ("", ("test_root.py",), ["test_root.py"]),
        ("", ("./tests/test_t.py",), ["tests/test_t.py"]),
        ("", ("/p/tests/test_t.py",), ["tests/test_t.py"]),
        ("", ("tests/test_t.py::test_x",), ["tests/test_t.py"]),
        ("", ("tests",), ["tests/a/test_a.py", "tests/b/test_b.py", "tests/test_t.py"]),
        ("", ("tests/a/", "tests/a/test_a.py"), ["tests/a/test_a.py"]),
        ("/tests", ("a/test_a.py",), ["tests/a/test_a.py"]),
        ("/tests", ("../test_root.py",), ["test_root.py"]),
        # As reports have it, from wherever.
        ("/tests", ("tests/a/test_a.py",), ["tests/a/test_a.py"]),
        ("", ("tests/test_t.py", "test_root.py"), ["tests/test_t.py", "test_root.py"]),
    ],
)
def test_modules_by_their_names(here: str, names: tuple[str, ...], expected: list[str]) -> None:
    assert chosen(here, *names) == expected


@pytest.mark.parametrize("name", ["tests/test_x.py", "test", "/elsewhere", "../p2", "::x"])
def test_what_names_no_module(name: str) -> None:
    with pytest.raises(UsageError, match="no such test module") as told:
        chosen("", name)
    assert "iopio list" in told.value.hint


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith(("IOPIO", "_IOPIO")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.iopio]\n")
    (tmp_path / "test_a.py").write_text("def test_a():\n    pass\n")
    return tmp_path


def call(*words: str) -> int:
    return main(words, cwd_on_path=False)


def test_the_folder_by_each_way_to_say_it(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("cache", "path") == 0
    assert capsys.readouterr().out == f"{project}/.test_cache\n"
    assert call("cache", "path", "--cache-dir", "other") == 0
    assert capsys.readouterr().out == f"{project}/other\n"
    monkeypatch.setenv("IOPIO_CACHE_DIR", str(project / "third"))
    assert call("cache", "path") == 0
    assert capsys.readouterr().out == f"{project}/third\n"
    assert not (project / ".test_cache").exists()


@pytest.mark.parametrize("command", ["stats", "verify", "gc", "clear"])
def test_a_folder_that_can_not_be_trusted_is_bad_input(
    project: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (project / ".test_cache").write_text("")
    assert call("cache", command) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"iopio: error: {project}/.test_cache is not a directory of this user")


def test_cache_alone_shows_its_commands(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("cache") in {0, 2}
    out, err = capsys.readouterr()
    assert all(word in out + err for word in ("path", "stats", "verify", "gc", "clear"))


def test_clear_by_a_glob_that_nothing_matches(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("cache", "clear", "--module", "none*") == 2
    assert "none*" in capsys.readouterr().err


def test_why_of_a_module_that_never_ran(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("why", "test_a.py") == 0
    assert capsys.readouterr().out.startswith("test_a.py: miss: ")


def test_why_tells_of_a_cache_that_can_not_be_used(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / ".test_cache").write_text("")
    assert call("why") == 0
    out, err = capsys.readouterr()
    assert out.startswith("test_a.py: miss: ")
    assert err.count("iopio: warning: ") == 1
