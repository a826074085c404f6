"""What a test sees of its process is what it sees under plain pytest, in all that tests look at."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from end_to_end import sides
from fixture_projects.pytest_case import Case

CASE = Case("outlook", "pytest_outlook", {}, 0)

#: What never gets into a test process of iopio's making.
KEPT_OUT = ("anyio", "asyncio", "aiofiles", "typer", "rich", "junitparser", "orjson", "trio")

#: What must be the same as under plain pytest.
SAME = (
    "argv",
    "path",
    "cwd",
    "stdin",
    "umask",
    "handlers",
    "blocked",
    "main",
    "gc",
    "frozen",
    "referrers",
    "filters",
    "warnoptions",
    "threads",
    "faulthandler",
    "recursion",
    "limits",
    "excepthook",
    "finders",
    "encodings",
    "locale",
    "utf8",
    "hash",
    "switch",
    "profile",
    "root",
    "main_thread",
)

START_METHODS = ("spawn", "forkserver")


def look(folder: Path, command: Sequence[str], **env: str) -> dict[str, Any]:
    """Run a command over the project; what its test has written down."""
    file = folder.with_name(f"{folder.name}.json")
    finished = subprocess.run(
        command,
        cwd=sides.lay_out(CASE, folder),
        env=sides.environment({"OUTLOOK": str(file), "PYTHONHASHSEED": "0"} | env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=sides.GIVEN_UP_S,
        check=False,
    )
    assert finished.returncode == 0, (finished.stdout + finished.stderr).decode()
    seen: dict[str, Any] = json.loads(file.read_bytes())
    return seen


def own_command(method: str, *front: str) -> list[str]:
    front = front or tuple(sides.script("iopio"))
    return [*front, "run", "--workers=1", f"--start-method={method}", "tests/test_outlook.py"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("outlook") / "project"
    return look(folder, [*sides.script("pytest"), "tests/test_outlook.py"])


@pytest.fixture(scope="module", params=START_METHODS)
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("outlook") / "project"
    return look(folder, own_command(request.param))


def in_place(seen: dict[str, Any], name: str) -> object:
    """A value with the project's own folder cut out of it."""
    return json.loads(json.dumps(seen[name]).replace(seen["cwd"], "PROJECT"))


@pytest.mark.parametrize("name", SAME)
def test_same_as_under_plain_pytest(name: str, plain: dict[str, Any], own: dict[str, Any]) -> None:
    assert in_place(own, name) == in_place(plain, name)


@pytest.mark.parametrize("method", START_METHODS)
def test_python_m_puts_the_current_directory_on_the_path(method: str, tmp_path: Path) -> None:
    plain = look(tmp_path / "plain", [sys.executable, "-m", "pytest", "tests/test_outlook.py"])
    own = look(tmp_path / "own", own_command(method, sys.executable, "-m", "iopio_async"))
    assert plain["cwd"] in plain["path"]
    assert in_place(own, "path") == in_place(plain, "path")


def test_nothing_of_the_orchestrator_gets_in(own: dict[str, Any]) -> None:
    packages = {name.partition(".")[0] for name in own["modules"]}
    assert packages.isdisjoint(KEPT_OUT)
    of_iopio = {name for name in own["modules"] if name.startswith("iopio_async.")}
    layers = {name.split(".")[1] for name in of_iopio}
    assert layers <= {"errors", "model", "version", "wire", "worker"}


def test_environment(plain: dict[str, Any], own: dict[str, Any]) -> None:
    added = own["environ"].keys() - plain["environ"].keys()
    assert added == {"IOPIO_ATTEMPT_ID", "IOPIO_RUN_ID", "IOPIO_SLOT", "TMPDIR"} - (
        plain["environ"].keys()
    )
    assert plain["environ"].keys() <= own["environ"].keys() | {"LINES", "COLUMNS"}
    assert own["environ"]["IOPIO_SLOT"] == "0"
    assert own["environ"]["IOPIO_RUN_ID"]


def test_temporary_files_are_private_and_gone(own: dict[str, Any]) -> None:
    temporary = own["environ"]["TMPDIR"]
    private = os.path.dirname(temporary)
    assert own["tmp_path"].startswith(private)
    assert not os.path.exists(private)


def test_process_leads_a_group_of_its_own(own: dict[str, Any]) -> None:
    leads_group, leads_session = own["leads"]
    assert leads_group
    assert leads_session


def test_descriptors(plain: dict[str, Any], own: dict[str, Any]) -> None:
    # Its own are above the numbers that tests use, and none of them is passed on to children.
    low = {int(number) for number in own["descriptors"] if 2 < int(number) < 64}
    low_in_plain = {int(number) for number in plain["descriptors"] if 2 < int(number) < 64}
    assert len(low) <= len(low_in_plain) + 1
    assert not [number for number in own["inheritable"] if number >= 64]
    targets = [own["descriptors"][str(number)] for number in own["inheritable"]]
    assert all(target.startswith("/dev/null") or "pipe:" in target for target in targets), targets


@pytest.mark.parametrize("method", START_METHODS)
def test_hash_seed_is_fixed_unless_given(method: str, tmp_path: Path) -> None:
    fixed = look(tmp_path / "fixed", own_command(method), PYTHONHASHSEED="0")
    given = look(tmp_path / "given", own_command(method), PYTHONHASHSEED="7")
    assert fixed["hash"] != given["hash"]
    assert given["environ"]["PYTHONHASHSEED"] == "7"
