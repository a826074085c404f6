"""What was typed becomes settings."""

from pathlib import Path

import pytest

from iopio_async.cli.invocation import Invocation


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IOPIO_MAXFAIL", raising=False)
    tmp_path.joinpath("pyproject.toml").write_text("[tool.iopio]\nmaxfail = 7\n")


def test_options_that_were_not_given_leave_the_settings_alone(tmp_path: Path) -> None:
    config = Invocation().resolve(
        {"maxfail": None, "exitfirst": 0, "last_failed": False, "verbose": 0, "paths": None}
    )
    assert config.maxfail == 7
    assert config.verbosity == 0
    assert config.last_failed is False
    assert config.invocation_dir == str(tmp_path)
    assert config.cwd_on_path is False


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"exitfirst": 1}, "maxfail", 1),
        ({"maxfail": "0"}, "maxfail", 0),
        ({"verbose": 2}, "verbosity", 2),
        ({"quiet": 1}, "verbosity", -1),
        ({"paths": ["."]}, "paths", (".",)),
        ({"last_failed": True}, "last_failed", True),
        ({"timeout_s": "90s"}, "timeout_s", 90.0),
    ],
)
def test_given_options_win(given: dict[str, object], field: str, value: object) -> None:
    assert getattr(Invocation().resolve(given), field) == value


def test_words_for_pytest_and_the_way_of_calling() -> None:
    config = Invocation(("-p", "no:randomly"), cwd_on_path=True).resolve({})
    assert config.arguments == ("-p", "no:randomly")
    assert config.cwd_on_path is True
