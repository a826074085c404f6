"""Config → plan: the modules of a run, and what each attempt of them executes."""

import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import msgspec
import pytest

from iopio_async import state
from iopio_async.errors import UsageError
from iopio_async.history.durations import History
from iopio_async.model import events as ev
from iopio_async.model.action import Action
from iopio_async.model.config import Config, Override, Shard
from iopio_async.model.module import REMAINDER_PATH, Claim, Framework, ModuleKind
from iopio_async.model.outcome import ModuleStatus
from iopio_async.model.stats import RunStats
from iopio_async.orchestration import preparation
from iopio_async.orchestration.preparation import Plan
from iopio_async.planning.scheduler import Start
from iopio_async.wire.contract import TRACE_FILE

FILES = {
    "pytest.ini": "[pytest]\ntestpaths = tests\n",
    "tests/test_a.py": "def test_x(): pass\n",
    "tests/test_b.py": "def test_x(): pass\n",
    "tests/test_c.py": "import unittest\nclass TestC(unittest.TestCase):\n def test_x(self): ...\n",
}
ALL = ["tests/test_a.py", "tests/test_b.py", "tests/test_c.py"]

Make = Callable[..., Config]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes the project, with more files or fewer, and a configuration for it."""

    def project(files: dict[str, str] | None = None, **settings: object) -> Config:
        for name, text in (FILES | (files or {})).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        config = Config(root=str(tmp_path), invocation_dir=str(tmp_path), start_method="spawn")
        return msgspec.structs.replace(config, **settings)

    return project


@pytest.fixture
def without_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "pytest" else find(name, package)

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", find_spec)


def prepare(config: Config, **options: bool) -> Plan:
    """The plan, with its modules in the order of their paths."""
    plan = preparation.prepare(config, **options)
    modules = tuple(sorted(plan.modules, key=lambda module: module.path))
    return msgspec.structs.replace(plan, modules=modules)


def paths(plan: Plan) -> list[str]:
    return [module.path for module in plan.modules]


def action(plan: Plan, index: int = 0, *selectors: str) -> Action:
    module = plan.modules[index]
    return plan.make_action(module, Start(module.path, 1, 0, selectors))


# -- modules -----------------------------------------------------------------------------------


def test_all_modules_of_the_project_are_found(make: Make) -> None:
    plan = prepare(make())

    assert paths(plan) == ALL
    assert {module.framework for module in plan.modules} == {Framework.PYTEST}
    assert plan.warnings == ()


def test_what_is_expected_to_take_longest_comes_first(make: Make) -> None:
    many = "".join(f"def test_{number}(): pass\n" for number in range(200))
    plan = preparation.prepare(make({"tests/test_b.py": many}))

    assert paths(plan)[0] == "tests/test_b.py"


def test_only_what_is_given_runs(make: Make) -> None:
    assert paths(prepare(make(paths=("tests/test_b.py",)))) == ["tests/test_b.py"]


def test_a_path_that_does_not_exist_is_refused(make: Make) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        prepare(make(paths=("nowhere",)))


def test_shards_are_the_whole_together(make: Make) -> None:
    parts = [prepare(make(shard=Shard(index, 2))) for index in (1, 2)]

    assert sorted(path for part in parts for path in paths(part)) == ALL
    assert [part.remainder is not None for part in parts] == [True, False]


def test_a_group_is_a_claim(make: Make) -> None:
    plan = prepare(make(overrides=(Override(paths=("tests/test_b.py",), group="db"),)))

    assert [module.claims for module in plan.modules] == [(), (Claim("group:db"),), ()]


def test_settings_are_those_of_the_module(make: Make) -> None:
    override = Override(paths=("tests/test_b.py",), timeout_s=3.0, retries=2)
    plan = prepare(make(timeout_s=60.0, overrides=(override,)))

    assert [plan.settings_of(path).timeout_s for path in ALL] == [60.0, 3.0, 60.0]
    assert [plan.settings_of(path).retries for path in ALL] == [0, 2, 0]
    assert plan.settings_of(REMAINDER_PATH).timeout_s == 60.0


# -- what earlier runs tell --------------------------------------------------------------------


def ran(config: Config, **peaks_bytes: int) -> None:
    """Have a history in which each module took a second, with this peak."""
    stats = RunStats()
    for name, peak_bytes in peaks_bytes.items():
        path = f"tests/{name}.py"
        for event in (
            ev.ModulePlanned(module=path, framework=Framework.PYTEST),
            ev.AttemptStarted(module=path, attempt=1, slot=0),
            ev.AttemptFinished(
                module=path,
                attempt=1,
                status=ModuleStatus.PASSED,
                duration_s=1.0,
                peak_rss_bytes=peak_bytes,
            ),
            ev.ModuleFinished(module=path, status=ModuleStatus.PASSED, duration_s=1.0),
        ):
            stats.apply(event)
    history = History.load(config.root)
    history.record(stats)
    history.store()


def test_what_is_expected_goes_with_the_plan(make: Make) -> None:
    config = make()
    ran(config, test_a=100 << 20, test_b=200 << 20, test_c=50 << 20)
    outlook = prepare(config).outlook

    assert outlook.durations_s == pytest.approx(dict.fromkeys(ALL, 1.0))
    assert outlook.known_share == 1.0
    assert outlook.peaks_bytes == dict(zip(ALL, (100 << 20, 200 << 20, 50 << 20), strict=True))


@pytest.mark.parametrize(
    "narrowed",
    [{"keyword": "x"}, {"markers": "x"}, {"paths": ("tests/test_a.py::test_x",)}],
    ids=str,
)
def test_how_long_a_part_takes_is_not_known(make: Make, narrowed: dict[str, object]) -> None:
    config = make(**narrowed)
    ran(config, test_a=1, test_b=1, test_c=1)

    assert prepare(config).outlook.known_share == 0.0


def test_a_module_takes_no_more_slots_than_the_run_has(make: Make) -> None:
    override = Override(paths=("tests/test_b.py",), workers=50)
    plan = preparation.prepare(make(overrides=(override,), workers=30))

    assert paths(plan)[0] == "tests/test_b.py"
    assert plan.outlook.slots == {"tests/test_b.py": 30}


@pytest.mark.parametrize(
    ("limit_bytes", "warnings"),
    [
        (None, ()),
        (200 << 20, ()),
        (
            150 << 20,
            ("tests/test_b.py usually takes more memory than the limit of 150 MiB: it runs alone",),
        ),
        (
            1 << 20,
            (
                (
                    "tests/test_a.py and 2 more usually take more memory than the limit of 1 MiB: "
                    "each of them runs alone"
                ),
            ),
        ),
    ],
)
def test_who_exceeds_the_limit_is_told(
    make: Make, limit_bytes: int | None, warnings: tuple[str, ...]
) -> None:
    config = make(memory_limit_bytes=limit_bytes)
    ran(config, test_a=100 << 20, test_b=200 << 20, test_c=50 << 20)

    assert prepare(config).warnings == warnings


# -- frameworks --------------------------------------------------------------------------------


def test_a_framework_that_is_asked_for_is_used(make: Make) -> None:
    plan = prepare(make(framework="functions"))

    assert {module.framework for module in plan.modules} == {Framework.FUNCTIONS}
    assert plan.remainder is None


def test_an_override_may_choose_another_framework(make: Make) -> None:
    override = Override(paths=("tests/test_c.py",), framework=Framework.UNITTEST)
    plan = prepare(make(overrides=(override,)))

    assert [module.framework.value for module in plan.modules] == ["pytest", "pytest", "unittest"]


@pytest.mark.usefixtures("without_pytest")
def test_without_pytest_each_module_is_run_by_what_it_is_written_for(make: Make) -> None:
    plan = prepare(make())

    assert [module.framework.value for module in plan.modules] == [
        "functions",
        "functions",
        "unittest",
    ]
    assert plan.remainder is None


@pytest.mark.usefixtures("without_pytest")
def test_pytest_can_not_be_asked_for_where_it_is_not_installed(make: Make) -> None:
    with pytest.raises(UsageError, match="pytest is not installed") as caught:
        prepare(make(framework="pytest"))
    assert "choose another --framework" in caught.value.hint


# -- actions -----------------------------------------------------------------------------------


def test_an_action_says_all_that_its_worker_needs(make: Make) -> None:
    config = make(maxfail=3, cwd_on_path=True)
    plan = prepare(config, color=True)

    assert action(plan, 1, "tests/test_b.py::test_x") == Action(
        path="tests/test_b.py",
        root=config.root,
        invocation_dir=config.root,
        selectors=("tests/test_b.py::test_x",),
        cwd_on_path=True,
        maxfail=3,
        color=True,
        trace=TRACE_FILE,
        trace_functions=sys.version_info >= (3, 12),
    )
    untraced = action(prepare(make(no_cache=True)), 1)
    assert not untraced.trace


def test_pytest_is_called_as_the_user_would_call_it(make: Make) -> None:
    config = make(
        paths=("tests/test_a.py::test_x",),
        arguments=("-p", "no:cacheprovider"),
        keyword="x",
        markers="not slow",
    )

    assert action(prepare(config)).arguments == (
        "-p",
        "no:cacheprovider",
        "-k",
        "x",
        "-m",
        "not slow",
        "tests/test_a.py::test_x",
    )


def test_what_pytest_finds_by_itself_is_not_given_to_it(make: Make) -> None:
    assert action(prepare(make())).arguments == ()


def test_the_folder_that_iopio_looks_in_by_itself_is_given_to_pytest(make: Make) -> None:
    assert action(prepare(make({"pytest.ini": "[pytest]\n"}))).arguments == ("tests",)


def test_testpaths_of_iopio_s_own_are_given_to_pytest(make: Make) -> None:
    plan = prepare(make({"more/test_d.py": ""}, testpaths=("more",)))

    assert paths(plan) == ["more/test_d.py"]
    assert action(plan).arguments == ("more",)


def test_other_frameworks_get_the_folder_to_import_from(make: Make) -> None:
    config = make(framework="functions", keyword="x")
    made = action(prepare(config))

    assert made.arguments == ()
    assert made.keyword == "x"
    assert made.import_root != ""


# -- the remainder -----------------------------------------------------------------------------


def test_the_remainder_leaves_the_known_files_alone(make: Make) -> None:
    plan = prepare(make())
    assert plan.remainder is not None
    made = plan.make_action(plan.remainder, Start(REMAINDER_PATH, 1, 0, ()))

    assert made.kind is ModuleKind.REMAINDER
    assert list(made.known_paths) == ALL
    assert action(plan).known_paths == ()


def test_the_remainder_of_a_shard_leaves_the_files_of_all_shards_alone(make: Make) -> None:
    plan = prepare(make(shard=Shard(1, 3)))
    assert plan.remainder is not None

    made = plan.make_action(plan.remainder, Start(REMAINDER_PATH, 1, 0, ()))
    assert list(made.known_paths) == ALL


# -- the last failures -------------------------------------------------------------------------


def remember(config: Config, record: str) -> None:
    Path(state.ensure(state.folder_of(config.root)), "last_failed.json").write_text(record)


def test_only_what_failed_is_run_again(make: Make) -> None:
    config = make(last_failed=True)
    remember(config, '{"tests/test_b.py": ["tests/test_b.py::test_x"], "tests/test_c.py": []}')
    plan = prepare(config)

    assert {module.path: module.selectors for module in plan.modules} == {
        "tests/test_b.py": ("tests/test_b.py::test_x",),
        "tests/test_c.py": (),
    }
    assert plan.remainder is None


def test_a_module_that_could_not_be_collected_is_run_again_as_a_whole(make: Make) -> None:
    config = make(last_failed=True)
    remember(config, '{"tests/test_b.py": ["tests/test_b.py"]}')

    assert [module.selectors for module in prepare(config).modules] == [()]


@pytest.mark.parametrize("record", ["{}", '{"tests/gone.py": []}'])
def test_where_nothing_failed_everything_is_run(make: Make, record: str) -> None:
    config = make(last_failed=True)
    remember(config, record)
    plan = prepare(config)

    assert paths(plan) == ALL
    assert plan.warnings == ("no failures are on record here: all tests run",)
