"""Cases of the parity between plain ``pytest`` and ``iopio run``: what is run, and what comes out.

A case is a project of this folder, perhaps with files of its own laid over it, and a command line.
Both sides must end as the case says. Where iopio does otherwise than pytest, on purpose, the case
lists each difference with the reason for it; anything else is a defect.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fixture_projects import pytest_expected as expected
from fixture_projects.pytest_expected import Outcomes

#: Reasons for differences.
CONTINUES = "pytest stops all modules at one module's error; iopio runs the others"
ISOLATED = "isolation changes it: the modules get in each other's way in one process only"
NOT_RUN = "iopio lists planned tests that had no turn"
IN_FLIGHT = "iopio names the test that was running when the session ended"
NO_FALSE_PASS = "an exit code of 0 proves nothing"
OWN_LIMIT = "pytest's own failure limit counts in each module's process"
TURNED_OFF = "iopio turns off what spreads or resumes a session"
ONCE = "a plugin's further rounds are not in the plan: only their failures are told"

#: Exit codes of pytest → those of iopio that go with them.
EXIT_CODES = {0: 0, 1: 1, 2: 1, 3: 1, 4: 1, 5: 5}


@dataclass(frozen=True)
class Case:
    """One comparison.

    ``options`` are pytest's; iopio gets them behind ``--``, or ``own`` in their place. ``cwd`` is
    relative to the project. ``exit`` is plain pytest's exit code, ``own_exit`` iopio's where it is
    not the one that goes with it. ``differences`` maps ids to what iopio makes of them (``None``:
    nothing) and why; ``because`` says why the exit codes don't go together.
    """

    name: str
    project: str
    outcomes: Outcomes
    exit: int
    options: tuple[str, ...] = ()
    own: tuple[str, ...] | None = None
    paths: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "."
    own_exit: int | None = None
    because: str = ""
    differences: Mapping[str, tuple[str | None, str]] = field(default_factory=dict)
    slow: bool = False
    needs_pytest: int = 8

    @property
    def own_outcomes(self) -> Outcomes:
        """What iopio must come to."""
        own: dict[str, str | None] = dict(self.outcomes)
        own.update({node: outcome for node, (outcome, _) in self.differences.items()})
        return {node: outcome for node, outcome in own.items() if outcome is not None}


def _ini(addopts: str = "", **settings: str) -> dict[str, str]:
    lines = ["[pytest]", *(f"{name} = {value}" for name, value in settings.items())]
    return {"pytest.ini": "\n".join([*lines, f"addopts = {addopts}", ""])}


def _without(outcomes: Outcomes, *parts: str) -> Outcomes:
    return {n: o for n, o in outcomes.items() if not any(part in n for part in parts)}


def _only(outcomes: Outcomes, *parts: str) -> Outcomes:
    return {n: o for n, o in outcomes.items() if any(part in n for part in parts)}


def _run_by_iopio_alone(outcomes: Outcomes, why: str) -> dict[str, tuple[str | None, str]]:
    return {node: (outcome, why) for node, outcome in outcomes.items()}


PLUGINS = Path(__file__).with_name("pytest_hooks") / "plugins"

STRICT = expected.SMALL | {"tests/test_two.py::test_unexpectedly_good": "failed"}
BEFORE_FAILURE = _without(expected.SMALL, "passes_too", "two")
COLLECTABLE = {node: outcome for node, outcome in expected.BROKEN.items() if outcome == "passed"}
GO_ON = "--continue-on-collection-errors"

PROJECTS = (
    Case("outcomes", "pytest_outcomes", expected.OUTCOMES, 1),
    Case("fixtures", "pytest_fixtures", expected.FIXTURES, 0),
    Case("subtests", "pytest_subtests", expected.SUBTESTS, 1, needs_pytest=9),
    Case("telling", "pytest_telling", expected.TELLING, 1),
    Case("plugins", "pytest_plugged", expected.PLUGGED, 0),
    Case("tests inside the package", "pytest_inside", expected.INSIDE, 0),
    Case("ignoring", "pytest_ignoring", expected.IGNORING, 0),
    Case("items of a conftest", "pytest_items", expected.ITEMS, 1),
    Case("anyio", "pytest_async", expected.ASYNC, 1, ("-p", "anyio")),
    Case("doctests", "pytest_doctests", expected.DOCTESTS, 1, (GO_ON,)),
    Case(
        "collection errors",
        "pytest_broken",
        _without(expected.BROKEN, *COLLECTABLE),
        2,
        differences=_run_by_iopio_alone(COLLECTABLE, CONTINUES),
    ),
    Case("collection errors, going on", "pytest_broken", expected.BROKEN, 1, (GO_ON,), slow=True),
    Case("same names in packages", "pytest_same_names", expected.SAME_NAMES, 0),
    Case(
        "same names, append",
        "pytest_same_names",
        expected.SAME_NAMES,
        0,
        ("--import-mode=append",),
        slow=True,
    ),
    Case(
        "same names, importlib",
        "pytest_same_names",
        expected.SAME_NAMES,
        0,
        ("--import-mode=importlib",),
        slow=True,
    ),
    Case(
        "same names without packages, importlib",
        "pytest_same_names_bare",
        expected.SAME_NAMES_BARE,
        0,
        ("--import-mode=importlib",),
    ),
    Case(
        "same names without packages",
        "pytest_same_names_bare",
        {"two/test_same.py": "error"},
        2,
        own_exit=0,
        because=ISOLATED,
        differences={
            "two/test_same.py": (None, ISOLATED),
            "one/test_same.py::test_one": ("passed", ISOLATED),
            "two/test_same.py::test_two": ("passed", ISOLATED),
            "two/test_imports_a_sibling.py::test_sibling": ("passed", ISOLATED),
        },
    ),
    Case("root directory above", "pytest_roots", expected.ROOTS_ABOVE, 1),
    Case("root directory here", "pytest_roots", expected.ROOTS_BELOW, 1, cwd="product", slow=True),
    Case("root directory of a path", "pytest_roots", expected.ROOTS_BELOW, 1, paths=("product",)),
    Case(
        "below the root directory",
        "pytest_roots",
        expected.ROOTS_BELOW,
        1,
        cwd="product/tests",
    ),
)

#: A session that one test or one module ends: pytest alone tells little, and may exit with 0.
EXITS = (
    Case(
        "pytest.exit in a test",
        "pytest_exits",
        {"test_exit_in_test.py::test_first": "passed"},
        0,
        paths=("test_exit_in_test.py",),
        own_exit=1,
        because=NO_FALSE_PASS,
        differences={
            "test_exit_in_test.py::test_leaves": ("failed", IN_FLIGHT),
            "test_exit_in_test.py::test_behind": ("not-run", NOT_RUN),
        },
    ),
    Case(
        "pytest.exit in a teardown",
        "pytest_exits",
        {
            "test_exit_in_fixture.py::test_first": "passed",
            "test_exit_in_fixture.py::test_last": "passed",
        },
        0,
        paths=("test_exit_in_fixture.py",),
        own_exit=1,
        because=NO_FALSE_PASS,
        differences={"test_exit_in_fixture.py::test_last": ("failed", IN_FLIGHT)},
    ),
    Case(
        "pytest.exit at import",
        "pytest_exits",
        {"test_exit_at_import.py": "error"},
        2,
        paths=("test_exit_at_import.py",),
        slow=True,
    ),
    Case("sys.exit at import", "pytest_exits", {}, 3, paths=("test_sys_exit_at_import.py",)),
    Case(
        "os._exit in a test",
        "pytest_exits",
        {},
        0,
        paths=("test_os_exit.py",),
        own_exit=1,
        because=NO_FALSE_PASS,
        differences={
            "test_os_exit.py::test_first": ("passed", IN_FLIGHT),
            "test_os_exit.py::test_vanishes": ("failed", IN_FLIGHT),
            "test_os_exit.py::test_behind": ("not-run", NOT_RUN),
        },
        slow=True,
    ),
    Case(
        "all of them beside good ones",
        "pytest_exits",
        {"test_exit_at_import.py": "error"},
        3,
        differences={
            "test_before.py::test_passes": ("passed", CONTINUES),
            "test_zzz_after.py::test_passes": ("passed", CONTINUES),
            "test_exit_in_test.py::test_first": ("passed", CONTINUES),
            "test_exit_in_test.py::test_leaves": ("failed", IN_FLIGHT),
            "test_exit_in_test.py::test_behind": ("not-run", NOT_RUN),
            "test_exit_in_fixture.py::test_first": ("passed", CONTINUES),
            "test_exit_in_fixture.py::test_last": ("failed", IN_FLIGHT),
            "test_keyboard.py::test_first": ("passed", CONTINUES),
            "test_keyboard.py::test_interrupts": ("failed", IN_FLIGHT),
            "test_keyboard.py::test_behind": ("not-run", NOT_RUN),
            "test_os_exit.py::test_first": ("passed", CONTINUES),
            "test_os_exit.py::test_vanishes": ("failed", IN_FLIGHT),
            "test_os_exit.py::test_behind": ("not-run", NOT_RUN),
        },
    ),
)


def _small(name: str, outcomes: Outcomes, exit_code: int, **rest: object) -> Case:
    return replace(Case(name, "pytest_small", outcomes, exit_code), **rest)  # type: ignore[arg-type]


def _green(name: str, outcomes: Outcomes, exit_code: int, **rest: object) -> Case:
    return replace(Case(name, "pytest_green", outcomes, exit_code), **rest)  # type: ignore[arg-type]


#: A command line or a configuration over the same two modules.
SETTINGS = (
    _small("plain", expected.SMALL, 1),
    _small("-k", _without(expected.SMALL, "fails", "skipped", "good"), 0, own=("-k", "passes"),
           options=("-k", "passes")),
    _small("-m", expected.SMALL, 1, own=("-m", "not slow"), options=("-m", "not slow"), slow=True),
    _small("-k in addopts", _only(expected.SMALL, "fails"), 1, files=_ini("-k fails")),
    _small("node ids", _only(expected.SMALL, "fails", "two"), 1,
           paths=("tests/test_one.py::test_fails", "tests/test_two.py")),
    _small("overlapping paths", expected.SMALL, 1,
           paths=("tests/test_one.py", "tests", "tests/test_two.py::test_passes")),
    _small("--deselect", _without(expected.SMALL, "fails"), 0,
           options=("--deselect=tests/test_one.py::test_fails",), slow=True),
    _small("--ignore", _only(expected.SMALL, "two"), 0, files=_ini("--ignore=tests/test_one.py"),
           slow=True),
    _small("nothing is left", {}, 5, options=("-k", "no_such_test")),
    _small("no such test", {}, 4, paths=("tests/test_one.py::test_nope",), slow=True),
    _small("file of arguments", _only(expected.SMALL, "fails"), 1, options=("@words.txt",),
           files={"words.txt": "-k\nfails\n"}, slow=True),
    _small("PYTEST_ADDOPTS", _only(expected.SMALL, "fails"), 1, env={"PYTEST_ADDOPTS": "-k fails"},
           slow=True),
    _small("another configuration file", STRICT, 1, options=("-c", "other.ini"),
           files={"other.ini": "[pytest]\nxfail_strict = true\n"}, slow=True),
    _small("xfail_strict", STRICT, 1, files=_ini(xfail_strict="true")),
    _small("pyproject.toml", STRICT, 1,
           files={"pyproject.toml": "[tool.pytest.ini_options]\nxfail_strict = true\n"}),
    _small("tox.ini", STRICT, 1, files={"tox.ini": "[pytest]\nxfail_strict = true\n"}, slow=True),
    _small("setup.cfg", STRICT, 1, files={"setup.cfg": "[tool:pytest]\nxfail_strict = true\n"},
           slow=True),
    _green("filterwarnings", expected.GREEN | {"tests/test_two.py::test_warns": "failed"}, 1,
           files=_ini(filterwarnings="error")),
    _small("--strict-config", {}, 4, files=_ini("--strict-config", no_such_key="1")),
    _small("an unknown option", {}, 4, files=_ini("--no-such-option"), slow=True),
    _small("a missing plugin", {}, 4, files=_ini("-p no_such_plugin"), slow=True),
    _small("minversion", {}, 4, files=_ini(minversion="999"), slow=True),
    _small("--ff", expected.SMALL, 1, files=_ini("--ff")),
    _small("--lf without the cache", expected.SMALL, 1, files=_ini("--lf -p no:cacheprovider"),
           slow=True),
    _small("--junitxml", expected.SMALL, 1, files=_ini("--junitxml=x.xml")),
    _small("no terminal", expected.SMALL, 1, files=_ini("-p no:terminal")),
    _small("no capture", expected.SMALL, 1, files=_ini("-s"), slow=True),
    _small("--runxfail", expected.SMALL | {"tests/test_two.py::test_unexpectedly_good": "passed"},
           1, files=_ini("--runxfail"), slow=True),
    _small("--tb=native", expected.SMALL, 1, files=_ini("--tb=native"), slow=True),
    _small("--basetemp", expected.SMALL, 1, files=_ini("--basetemp=here"), slow=True),
    _small(
        "--maxfail in addopts",
        BEFORE_FAILURE,
        1,
        files=_ini("--maxfail=1"),
        differences={
            "tests/test_one.py::test_passes_too": ("not-run", NOT_RUN),
            **_run_by_iopio_alone(_only(expected.SMALL, "two"), OWN_LIMIT),
        },
    ),
    _small(
        "--stepwise",
        BEFORE_FAILURE,
        2,
        files=_ini("--stepwise"),
        differences=_run_by_iopio_alone(
            _only(expected.SMALL, "two", "passes_too"), TURNED_OFF
        ),
        slow=True,
    ),
)



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
        differences=_run_by_iopio_alone(expected.HOOKS, ONCE),
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
    _hooks("deselects", _without(expected.HOOKS, "fails"), 1),
    _hooks("drops", {}, 5),
    _hooks("skips_all", dict.fromkeys(expected.HOOKS, "skipped"), 0, slow=True),
    _hooks(
        "spreads",
        {},
        3,
        options=("-p", "spreads", "-n", "2", "--dist=load"),
        differences=_run_by_iopio_alone(expected.HOOKS, TURNED_OFF),
    ),
    _hooks(
        "measures",
        expected.HOOKS,
        1,
        options=("-p", "measures", "--cov=here", "--cov-report=term", "--cov-fail-under=100"),
    ),
    _green(
        "measures green tests",
        expected.GREEN,
        1,
        options=("-p", "measures", "--cov=here", "--cov-fail-under=100"),
        own_exit=0,
        because=TURNED_OFF,
        files={
            **_ini(pythonpath="."),
            "measures.py": (PLUGINS / "measures.py").read_text(encoding="utf-8"),
        },
    ),
    _green(
        "fails the session",
        expected.GREEN,
        1,
        files={"conftest.py": (PLUGINS / "fails_the_session.py").read_text(encoding="utf-8")},
    ),
    _hooks("breaks_collection", {}, 3, slow=True),
    _hooks("breaks_start", {}, 3),
    _hooks("ends_at_start", {}, 0, own_exit=1, because=NO_FALSE_PASS),
    _small("a conftest that raises", {}, 4, files={"conftest.py": "raise OSError('no')\n"}),
    _small(
        "a conftest that leaves",
        {},
        0,
        files={"conftest.py": "import sys\nsys.exit(0)\n"},
        own_exit=1,
        because=NO_FALSE_PASS,
    ),
    _small(
        "a conftest below that raises",
        {"tests/sub": "error"},
        2,
        files={
            "tests/sub/conftest.py": "raise OSError('no')\n",
            "tests/sub/test_sub.py": "def test_sub():\n    pass\n",
        },
        differences=_run_by_iopio_alone(expected.SMALL, CONTINUES),
    ),
)

CASES = {case.name: case for case in (*PROJECTS, *EXITS, *SETTINGS, *HOOKS)}
