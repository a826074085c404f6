"""Cases of plugins and conftests that change the course of a session."""

from dataclasses import replace
from pathlib import Path

from fixture_projects import pytest_expected as expected
from fixture_projects.pytest_case import (
    CONTINUES,
    NO_FALSE_PASS,
    ONCE,
    TURNED_OFF,
    Case,
    green,
    ini,
    run_by_iopio_alone,
    small,
    without,
)
from fixture_projects.pytest_expected import Outcomes

PLUGINS = Path(__file__).with_name("pytest_hooks") / "plugins"


def _hooks(plugin: str, outcomes: Outcomes, exit_code: int, **rest: object) -> Case:
    case = Case(plugin.replace("_", " "), "pytest_hooks", outcomes, exit_code, ("-p", plugin))
    return replace(case, **rest)  # type: ignore[arg-type]


_TWICE = {node: f"{outcome} {outcome}" for node, outcome in expected.HOOKS.items()}

#: Plugins and conftests that change the course of a session.
HOOKS = (
    _hooks(
        "reruns",
        expected.HOOKS
        | {
            "tests/test_shaky.py::test_third_time": "passed",
            "tests/test_shaky.py::test_second_set_up": "passed",
        },
        1,
    ),
    _hooks("own_protocol", expected.HOOKS, 1, slow=True),
    _hooks("own_loop", expected.HOOKS, 1),
    _hooks(
        "two_rounds",
        _TWICE
        | {
            "tests/test_shaky.py::test_second_set_up": "error passed",
            "tests/test_shaky.py::test_once_only": "passed failed",
        },
        1,
        differences=run_by_iopio_alone(expected.HOOKS, ONCE),
    ),
    _hooks("reverses", expected.HOOKS, 1, slow=True),
    _hooks(
        "duplicates",
        _TWICE
        | {
            "tests/test_shaky.py::test_second_set_up": "error error",
            "tests/test_shaky.py::test_once_only": "passed failed",
        },
        1,
    ),
    _hooks("deselects", without(expected.HOOKS, "fails"), 1),
    _hooks("drops", {}, 5),
    _hooks("skips_all", dict.fromkeys(expected.HOOKS, "skipped"), 0, slow=True),
    _hooks(
        "spreads",
        {},
        3,
        options=("-p", "spreads", "-n", "2", "--dist=load"),
        differences=run_by_iopio_alone(expected.HOOKS, TURNED_OFF),
    ),
    _hooks(
        "measures",
        expected.HOOKS,
        1,
        options=("-p", "measures", "--cov=here", "--cov-report=term", "--cov-fail-under=100"),
    ),
    green(
        "measures green tests",
        expected.GREEN,
        1,
        options=("-p", "measures", "--cov=here", "--cov-fail-under=100"),
        own_exit=0,
        because=TURNED_OFF,
        files={
            **ini(pythonpath="."),
            "measures.py": (PLUGINS / "measures.py").read_text(encoding="utf-8"),
        },
    ),
    green(
        "fails the session",
        expected.GREEN,
        1,
        files={"conftest.py": (PLUGINS / "fails_the_session.py").read_text(encoding="utf-8")},
    ),
    _hooks("breaks_collection", {}, 3, slow=True),
    _hooks("breaks_start", {}, 3),
    _hooks("ends_at_start", {}, 0, own_exit=1, because=NO_FALSE_PASS),
    small("a conftest that raises", {}, 4, files={"conftest.py": "raise OSError('no')\n"}),
    small(
        "a conftest that leaves",
        {},
        0,
        files={"conftest.py": "import sys\nsys.exit(0)\n"},
        own_exit=1,
        because=NO_FALSE_PASS,
    ),
    small(
        "a conftest below that raises",
        {"tests/sub": "error"},
        2,
        files={
            "tests/sub/conftest.py": "raise OSError('no')\n",
            "tests/sub/test_sub.py": "def test_sub():\n    pass\n",
        },
        differences=run_by_iopio_alone(expected.SMALL, CONTINUES),
    ),
)
