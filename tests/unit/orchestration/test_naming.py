"""What of a run's paths a module's key holds."""

import itertools
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from iopio_async.model.config import Config, Override
from iopio_async.orchestration.preparation import Plan, prepare

TEST = "def test_x(): pass\n"
FILES = {
    "pytest.ini": "[pytest]\n",
    "tests/conftest.py": "",
    "tests/test_a.py": TEST,
    "tests/test_b.py": TEST,
    "tests/unit/test_c.py": TEST,
    "tests/helper.py": TEST,
    "tests/text.txt": ">>> 1\n1\n",
    "deep/conftest.py": "",
    "deep/test_d.py": TEST,
}

Planned = Callable[..., Plan]


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    """Plans a run of the paths; further files and settings by name."""

    def plan(*paths: str, files: dict[str, str] | None = None, **settings: object) -> Plan:
        for name, text in (FILES | (files or {})).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        config = Config(root=str(tmp_path), invocation_dir=str(tmp_path), start_method="spawn")
        return prepare(msgspec.structs.replace(config, paths=paths, **settings))

    return plan


def named(plan: Plan, path: str = "tests/test_a.py") -> tuple[str, ...] | None:
    """What is in the key of a module, and its input that tells of the start."""
    (module,) = [module for module in plan.modules if module.path == path]
    found = plan.naming.of(module)
    return None if found is None else (plan.naming.paths.get("conftests", ""), *found)


ALIKE = (
    ("tests",),
    ("tests/test_a.py",),
    ("./tests/../tests/",),
    ("tests/test_b.py", "tests/test_a.py"),
    ("tests/unit", "tests/test_a.py"),
    ("tests/test_b.py::test_x", "tests/test_a.py"),
)


@pytest.mark.parametrize("paths", ALIKE[1:], ids=" ".join)
def test_what_leads_to_the_same_is_alike(planned: Planned, paths: tuple[str, ...]) -> None:
    assert named(planned(*paths)) == named(planned())


APART = (
    ("tests",),
    ("tests/test_a.py::test_x",),
    ("tests/test_a.py::test_x", "tests/test_a.py::test_y"),
    ("tests", "tests/test_a.py"),
    ("tests/test_a.py", "deep"),
)


def test_what_may_lead_to_something_else_is_not(planned: Planned) -> None:
    for one, other in itertools.combinations(APART, 2):
        assert named(planned(*one)) != named(planned(*other)), (one, other)


@pytest.mark.parametrize("path", ["tests/helper.py", "tests/text.txt", "tests/__init__.py"])
def test_what_is_collected_otherwise_once_it_is_named(planned: Planned, path: str) -> None:
    files = {"tests/__init__.py": TEST}
    options = {"arguments": ("--doctest-modules",), "files": files}
    mine = named(planned(path, **options), path)
    assert mine != named(planned("tests/test_a.py", **options))
    assert mine is not None
    assert mine[-1].endswith(path)


@pytest.mark.parametrize("extra", ["tests/unit/conftest.py", "deep/test_x/conftest.py"])
def test_initial_conftests_keep_apart(planned: Planned, extra: str) -> None:
    path = "tests/unit/test_c.py" if "unit" in extra else "deep/test_d.py"
    folder = path.partition("/")[0]
    assert named(planned(path), path) == named(planned(folder), path)
    files = {extra: ""}
    assert named(planned(path, files=files), path) != named(planned(folder, files=files), path)


def test_a_file_of_settings_keeps_apart(planned: Planned) -> None:
    options = {"arguments": ("--rootdir=.",), "files": {"tests/unit/pytest.ini": "[pytest]\n"}}
    path = "tests/unit/test_c.py"
    assert named(planned(path, **options), path) != named(planned("tests", **options), path)


@pytest.mark.parametrize(
    "settings",
    [
        {"arguments": ("--unknown", "tests")},
        {"overrides": (Override(paths=("tests/**",), group="one"),)},
    ],
    ids=str,
)
def test_paths_as_given_where_they_may_count(planned: Planned, settings: dict[str, object]) -> None:
    assert named(planned("tests", **settings)) != named(planned("tests/test_a.py", **settings))


def test_options_count(planned: Planned) -> None:
    assert named(planned("tests", keyword="a")) != named(planned("tests"))
    assert named(planned("tests", arguments=("-x",))) != named(planned("tests"))


def test_other_frameworks_are_called_without_paths(planned: Planned) -> None:
    plan = planned("tests", framework="functions")
    assert plan.naming.of(plan.modules[0]) == ()


def test_paths_as_text(planned: Planned) -> None:
    assert planned("tests/test_a.py", "tests").naming.paths[""] == "tests/test_a.py tests"
    many = planned(*[f"./tests/{'../tests/' * count}" for count in range(20)]).naming.paths[""]
    assert len(many) == 64
    assert " " not in many
