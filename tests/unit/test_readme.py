"""What the README says of settings and exit codes is what the code does."""

import re
from pathlib import Path

from iopio_async.model.outcome import ExitCode, ModuleStatus
from iopio_async.project.setting_reference import reference_markdown

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_configuration_reference_is_up_to_date():
    assert reference_markdown() in README


def test_every_exit_code_is_listed():
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert listed == set(map(int, ExitCode))


def test_every_status_is_listed():
    rows = re.findall(r"^\| ([^|]+) \|[^|]*\|(?: yes)? \|$", README, re.MULTILINE)
    listed = {name.strip() for row in rows for name in row.split(",")}
    assert {str(status) for status in ModuleStatus} - listed == {"not-run"}
