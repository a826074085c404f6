"""Modules of a group in one process come to what each comes to by itself, whatever befalls them."""

from collections.abc import Mapping
from pathlib import Path

import anyio
import msgspec
import pytest
from end_to_end import sides
from fakes.grammar import check
from fixture_projects.pytest_case import Case

from iopio_async import Config, RunStats, open_run
from iopio_async.model import events as ev
from iopio_async.model.config import StartMethod
from iopio_async.model.outcome import ModuleStatus
from iopio_async.orchestration.embedding import load_config

PATIENCE_S = 60
MARK = 'import os, pytest\npytestmark = pytest.mark.iopio(group="db")\n'
A, B, C = "test_a.py", "test_b.py", "test_c.py"

CONFTEST = """\
import os, pytest

@pytest.fixture(scope="session", params=[1, 2])
def each(request): return request.param

@pytest.fixture(scope="session")
def db():
    with open(os.path.join(os.path.dirname(__file__), "made"), "a") as file:
        file.write("x")
    return []
"""

GOOD = MARK + "def test_one(db): pass\ndef test_two(db): pass\n"
BAD = MARK + "def test_good(db): pass\ndef test_bad(db): assert 0\n"

PROJECTS: Mapping[str, Mapping[str, str]] = {
    "good": {A: GOOD, B: GOOD, C: GOOD},
    "failures": {A: GOOD, B: BAD, C: GOOD},
    "an import that fails": {A: GOOD, B: MARK + "raise OSError\n", C: GOOD},
    "a module that skips itself": {
        A: GOOD,
        B: MARK + "pytest.skip('no', allow_module_level=True)\n",
        C: GOOD,
    },
    "empty modules": {A: MARK, B: GOOD, C: MARK},
    "parameters of the session": {
        A: MARK + "def test_p(each): assert each\n",
        B: MARK + "def test_p(each): assert each == 1\n",
        C: GOOD,
    },
    "teardown that fails": {
        A: MARK + "def teardown_module(): raise OSError\ndef test_x(db): pass\n",
        B: MARK + "@pytest.fixture\ndef bad():\n    yield\n    1/0\ndef test_x(bad): pass\n",
        C: GOOD,
    },
    "a folder": {A: GOOD, "sub/conftest.py": "", "sub/test_d.py": GOOD, "sub/test_e.py": GOOD},
    "warnings": {
        A: MARK + "import warnings\nwarnings.warn('early')\ndef test_x(): warnings.warn('late')\n",
        B: GOOD,
        C: MARK + "import warnings\ndef test_x(): warnings.warn('late')\n",
    },
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def without_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def lay_out(root: Path, files: Mapping[str, str]) -> Path:
    markers = "[pytest]\nmarkers = iopio: of iopio\n"
    for name, text in {"pytest.ini": markers, "conftest.py": CONFTEST, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def config_of(root: Path, method: StartMethod = "forkserver", **settings: object) -> Config:
    config = load_config(root, workers=2, no_cache=True, grace_s=1.0, **settings)
    return msgspec.structs.replace(config, start_method=method)


async def run(config: Config) -> tuple[RunStats, list[ev.Envelope]]:
    with anyio.fail_after(PATIENCE_S):
        async with open_run(config) as running:
            told = [envelope async for envelope in running]
    assert running.fault is None
    return running.stats, told


def outcomes(stats: RunStats) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for module in stats.modules.values():
        for test in module.tests.values():
            found.setdefault(test.id, []).append(test.outcome.value)
    return {test: " ".join(sorted(words)) for test, words in found.items()}


def statuses(stats: RunStats) -> list[str]:
    return [str(stats.modules[path].status) for path in sorted(stats.modules)]


def starts(told: list[ev.Envelope]) -> list[ev.AttemptStarted]:
    return [each.event for each in told if isinstance(each.event, ev.AttemptStarted)]


def collects(told: list[ev.Envelope]) -> bool:
    """Something could not be collected: it ends without having started."""
    return any(
        isinstance(each.event, ev.TestFinished) and "::" not in each.event.id for each in told
    )


@pytest.mark.anyio
@pytest.mark.parametrize("method", [pytest.param("spawn", marks=pytest.mark.slow), "forkserver"])
@pytest.mark.parametrize("files", PROJECTS.values(), ids=PROJECTS)
async def test_a_batch_comes_to_what_pytest_comes_to(
    files: Mapping[str, str], method: StartMethod, tmp_path: Path
) -> None:
    plain = lay_out(tmp_path / "plain", files)
    case = Case("plain", "", {}, 0, options=("--continue-on-collection-errors",))
    root = lay_out(tmp_path / "own", files)

    stats, told = await run(config_of(root, method))

    flat = sides.run_plain(case, plain).flat
    assert outcomes(stats) == {
        test: " ".join(sorted(words.split())) for test, words in flat.items()
    }
    assert len({start.pid for start in starts(told)}) == 1
    assert {(start.group, start.attempt) for start in starts(told)} == {("db", 1)}
    # Where nothing runs in between, the fixture is set up once.
    if "parameters" not in str(files):
        assert (root / "made").read_text() in {"x", ""}
    if not collects(told):
        assert check(told) == stats


@pytest.mark.anyio
async def test_warnings_are_told_of_the_module_that_gave_them(tmp_path: Path) -> None:
    root = lay_out(tmp_path, PROJECTS["warnings"])

    _, told = await run(config_of(root))

    warnings = [each.event for each in told if isinstance(each.event, ev.WarningIssued)]
    assert sorted((each.module, each.message) for each in warnings) == [
        (A, "early"),
        (A, "late"),
        (C, "late"),
    ]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("deed", "status", "options"),
    [
        ("os.abort()", "crashed", {}),
        ("os._exit(0)", "incomplete", {}),
        ("pytest.exit('enough')", "error", {}),
        ("import time; time.sleep(600)", "timed out", {"timeout_s": 1.0}),
    ],
)
async def test_what_stood_behind_a_module_that_is_lost_runs_by_itself(
    tmp_path: Path, deed: str, status: str, options: dict[str, object]
) -> None:
    broken = f"{MARK}def test_before(): pass\ndef test_it(): {deed}\ndef test_behind(): pass\n"
    root = lay_out(tmp_path, {A: GOOD, B: broken, C: GOOD})
    config = msgspec.structs.replace(config_of(root), **options)

    stats, told = await run(config)

    assert statuses(stats) == ["passed", status, "passed"]
    assert [(start.module, start.attempt, start.group) for start in starts(told)] == [
        (A, 1, "db"),
        (B, 1, "db"),
        (C, 1, ""),
    ]
    assert outcomes(stats)[f"{B}::test_it"] == "failed"
    assert outcomes(stats)[f"{B}::test_behind"] == "not-run"
    last = stats.modules[B].last_attempt
    assert last is not None
    assert last.in_flight == f"{B}::test_it"
    assert check(told) == stats


@pytest.mark.anyio
@pytest.mark.parametrize("deed", ["os.abort()", "os._exit(0)", "os._exit(3)"])
async def test_a_module_that_ends_the_process_on_import_is_alone_in_that(
    tmp_path: Path, deed: str
) -> None:
    root = lay_out(tmp_path, {A: GOOD, B: f"{MARK}{deed}\ndef test_x(): pass\n", C: GOOD})

    stats, told = await run(config_of(root))

    assert [statuses(stats)[0], statuses(stats)[2]] == ["passed", "passed"]
    assert statuses(stats)[1] in {"crashed", "incomplete"}
    assert {start.group for start in starts(told)} == {""}
    assert check(told) == stats


@pytest.mark.anyio
async def test_what_goes_wrong_behind_the_last_module_is_told_of_it(tmp_path: Path) -> None:
    bad = MARK + "import atexit\natexit.register(os._exit, 3)\ndef test_x(): pass\n"
    root = lay_out(tmp_path, {A: GOOD, B: GOOD, C: bad})

    stats, told = await run(config_of(root))

    assert statuses(stats) == ["passed", "passed", "error"]
    assert check(told) == stats


@pytest.mark.anyio
async def test_a_module_of_a_batch_is_run_again_by_itself(tmp_path: Path) -> None:
    flaky = (
        MARK
        + "def test_flaky():\n"
        + "    path = os.path.join(os.path.dirname(__file__), 'tried')\n"
        + "    if not os.path.exists(path):\n        open(path, 'w').close()\n        assert 0\n"
        + "def test_good(): pass\n"
    )
    root = lay_out(tmp_path, {A: GOOD, B: flaky, C: BAD})

    stats, told = await run(config_of(root, retries=1))

    assert statuses(stats) == ["passed", "flaky", "failed"]
    word = stats.modules[B].finished
    assert word is not None
    assert (word.flaky, word.attempts) == ((f"{B}::test_flaky",), 2)
    assert stats.modules[C].attempts == 2
    assert check(told) == stats


@pytest.mark.anyio
async def test_the_first_failure_ends_the_run(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {A: BAD, B: GOOD, C: GOOD})

    stats, told = await run(config_of(root, maxfail=1))

    assert stats.cancelled == "maxfail"
    assert statuses(stats) == ["failed", "not-run", "not-run"]
    assert check(told) == stats


@pytest.mark.anyio
async def test_an_override_makes_a_group_and_the_environment_parts_it(tmp_path: Path) -> None:
    plain = "def test_x(db): pass\n"
    root = lay_out(tmp_path, {A: plain, B: plain, C: plain, "test_d.py": plain})
    (root / "pyproject.toml").write_text(
        '[[tool.iopio.overrides]]\npaths = ["*"]\ngroup = "all"\n'
        '[[tool.iopio.overrides]]\npaths = ["test_[cd].py"]\nenv = { OTHER = "1" }\n'
    )

    stats, told = await run(config_of(root))

    pids = {start.module: start.pid for start in starts(told)}
    assert pids[A] == pids[B] != pids[C] == pids["test_d.py"]
    assert stats.exit_code == 0
    assert (root / "made").read_text() == "xx"


@pytest.mark.anyio
async def test_time_and_cpu_are_told_module_by_module(tmp_path: Path) -> None:
    busy = MARK + (
        "import time\ndef test_busy():\n    until = time.process_time() + 0.3\n"
        "    while time.process_time() < until: pass\n"
    )
    root = lay_out(tmp_path, {A: GOOD, B: busy, C: GOOD})

    stats, _ = await run(config_of(root))

    cpu_s = {path: module.cpu_s for path, module in stats.modules.items()}
    assert cpu_s[B] >= 0.3
    assert cpu_s[B] > max(cpu_s[A], cpu_s[C])
    assert stats.modules[B].duration_s >= 0.3
    assert all(module.peak_rss_bytes for module in stats.modules.values())
    assert {module.status for module in stats.modules.values()} == {ModuleStatus.PASSED}
