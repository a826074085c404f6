"""Whatever goes wrong is told in one way, and has its exit code."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.cli import main as main_module
from iopio_async.cli.invocation import Invocation
from iopio_async.cli.main import main
from iopio_async.errors import ConfigurationError, InfrastructureError, UsageError
from iopio_async.version import __version__


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project to stand in, without settings from outside."""
    for name in list(os.environ):
        if name.startswith(("IOPIO", "_IOPIO")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("pyproject.toml").write_text("[tool.iopio]\n")
    tmp_path.joinpath("test_a.py").write_text("def test_a():\n    pass\n")
    return tmp_path


def call(*words: str) -> int:
    return main(words, cwd_on_path=False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--no-such-option"], "--no-such-option"),
        (["run", "--workers"], "--workers"),
        (["run", "--workers", "0"], "workers"),
        (["run", "--workers=-1"], "workers"),
        (["run", "--workers", "many"], "many"),
        (["run", "--timeout", "soon"], "soon"),
        (["run", "--timeout", "nan"], "nan"),
        (["run", "--retries", "-1"], "retries"),
        (["run", "--shard", "3/2"], "3/2"),
        (["run", "--shard", "0/2"], "0/2"),
        (["run", "--color", "blue"], "blue"),
        (["run", "--framework", "nose"], "nose"),
        (["run", "--start-method", "magic"], "magic"),
        (["run", "-x", "--maxfail", "3"], "maxfail"),
        (["run", "-v", "-q"], "-q"),
        (["run", "no/such/path"], "no/such/path"),
        (["run", "--config", "no-such.toml"], "no-such.toml"),
        (["run", "--rootdir", "no-such-folder"], "no-such-folder"),
        (["list", "no/such/path"], "no/such/path"),
        (["list", "--workers", "2"], "--workers"),
        (["no-such-command"], "no-such-command"),
        (["--no-such-option"], "--no-such-option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage_errors(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert call(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    first, *rest = err.splitlines()
    assert first.startswith("iopio: error: ")
    assert said in first
    # A message that says what was expected needs no hint.
    assert all(line.startswith("hint: ") for line in rest)
    assert len(rest) <= 1
    assert not any(project.glob(".iopio*"))


def test_nothing_given_shows_the_help(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call() in {0, 2}
    assert "Usage: iopio" in "".join(capsys.readouterr())


def test_version(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out == f"iopio {__version__}\n"


@pytest.mark.parametrize("command", ["run", "list"])
def test_help(project: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert call(command, "--help") == 0
    out = capsys.readouterr().out
    assert f"Usage: iopio {command}" in out
    assert "What to run" in out


class Raises:
    """Stands in for the command."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __call__(self, words: list[str], invocation: Invocation) -> object:
        raise self._error


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (KeyboardInterrupt(), 130, ""),
        (SystemExit(7), 7, ""),
        (SystemExit("text"), 3, ""),
        (UsageError("it is wrong", hint="do better"), 2, "it is wrong\nhint: do better\n"),
        (UsageError("it is wrong"), 2, "it is wrong\n"),
        (
            ConfigurationError("it is odd", where="pyproject.toml:3"),
            2,
            "pyproject.toml:3: it is odd\n",
        ),
        (InfrastructureError("no room", hint="make some"), 3, "no room\nhint: make some\n"),
        (OSError(errno.ENOSPC, "no space"), 3, "internal error: OSError: [Errno 28] no space"),
        (LookupError("lost"), 3, "internal error: LookupError: lost at test_main.py:"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_errors_are_told_without_traceback(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    told: str,
) -> None:
    monkeypatch.delenv("IOPIO_TRACEBACK", raising=False)
    monkeypatch.setattr(main_module, "_command", Raises(error))
    assert call("run") == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"iopio: error: {told}" if told else "")
    assert bool(err) == bool(told)
    assert "Traceback" not in err


def test_a_traceback_is_shown_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IOPIO_TRACEBACK", "1")
    monkeypatch.setattr(main_module, "_command", Raises(LookupError("lost")))
    assert call("run") == 3
    assert "Traceback" in capsys.readouterr().err


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main_module, "_command", Raises(UsageError("it is wrong")))
    monkeypatch.setattr(sys, "stderr", None)
    assert call("run") == 2


class Recorder:
    """Stands in for the command, and remembers how it was called."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.invocation = Invocation()

    def __call__(self, words: list[str], invocation: Invocation) -> object:
        self.words, self.invocation = words, invocation
        return 5


@given(
    before=st.lists(st.text().filter(lambda word: word != "--")),
    after=st.none() | st.lists(st.text()),
)
def test_what_follows_the_dashes_is_for_pytest(before: list[str], after: list[str] | None) -> None:
    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main_module, "_command", recorder)
        words = before if after is None else [*before, "--", *after]
        assert main(words, cwd_on_path=True) == 5
    assert recorder.words == before
    assert recorder.invocation == Invocation(tuple(after or ()), True, tuple(words))


def test_a_current_directory_that_is_gone(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = project / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    try:
        assert call("run") == 2
    finally:
        os.chdir(project)
    assert "the current directory does not exist any more" in capsys.readouterr().err


def test_a_plain_command_line_needs_no_typer() -> None:
    program = (
        "import sys\n"
        "from iopio_async.cli.main import main\n"
        "assert main(['run', '--workers', 'x'], cwd_on_path=False) == 2\n"
        "print(sorted(sys.modules.keys() & {'typer', 'rich', 'junitparser', 'pytest'}))\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert finished.stdout == "[]\n", finished.stderr
