"""A long module in several processes comes to what plain pytest makes of it in one.

Each case first runs a project whole, which gives it a history; the history is then stretched, as if
every test took long, so that the next run splits what may be split. Between the two runs the source
may change: tests come, go, or fail.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import msgspec
import pytest
from end_to_end import sides
from fakes.grammar import check
from fixture_projects.pytest_case import Case

from iopio_async import Config, RunStats, open_run
from iopio_async.history.durations import History
from iopio_async.history.samples import KEPT_SAMPLES
from iopio_async.history.timings import TestTimings
from iopio_async.model import events as ev
from iopio_async.model.config import StartMethod
from iopio_async.model.outcome import ModuleStatus
from iopio_async.orchestration.embedding import load_config

PATIENCE_S = 60
LONG = "test_long.py"

FREE = "def test_free_{0}(): pass\n"
MANY = "".join(FREE.format(number) for number in range(8))

FIXTURES = """\
import pytest

made = []

@pytest.fixture(scope="module")
def numbers():
    made.append(1)
    return []

@pytest.fixture(scope="class")
def shared():
    return []

@pytest.fixture(scope="session")
def dear():
    return object()

def test_first(numbers):
    numbers.append(1)

def test_between(dear):
    assert dear

def test_second(numbers):
    assert numbers == [1]
    assert made == [1]

@pytest.mark.usefixtures("shared")
class TestTogether:
    seen = []

    def test_one(self, shared):
        shared.append(1)
        self.seen.append(1)

    class TestInner:
        def test_inner(self):
            assert TestTogether.seen == [1]

    def test_two(self, shared):
        assert shared == [1]

@pytest.mark.xfail
def test_expected():
    assert 0

@pytest.mark.skip(reason="not now")
def test_skipped():
    pass

def test_last(dear):
    assert dear
"""

PARAMETERS = """\
import pytest

@pytest.mark.parametrize("text", ["a::b", "c[d]", "e/f", "\\udc80", "x" * 300, "\\n", "ü"])
def test_text(text):
    assert text

@pytest.mark.parametrize("twin", ["same", "same"], ids=["same", "same"])
def test_twins(twin):
    assert twin

def pytest_generate_tests(metafunc):
    if "generated" in metafunc.fixturenames:
        metafunc.parametrize("generated", range(5))

def test_generated(generated):
    assert generated >= 0
"""

IN_ORDER = """\
state = []

def test_a(): state.append(1)
def test_b(): pass
def test_c(): pass
def test_d(): assert state == [1]
"""

AT_RUN_TIME = """\
import pytest

made = []

@pytest.fixture(scope="module")
def numbers():
    made.append(1)
    return []

def test_a(request): request.getfixturevalue("numbers").append(1)
def test_b(): pass
def test_c(): pass
def test_d(request): assert request.getfixturevalue("numbers") == [1]
"""

DESELECTING = """\
def pytest_collection_modifyitems(config, items):
    gone = [item for item in items if item.name in {"test_free_0", "test_free_6"}]
    config.hook.pytest_deselected(items=gone)
    items[:] = [item for item in items if item not in gone]
"""

COLLECTING_IN_PART = """\
import pytest

class TestBroken:
    @pytest.mark.parametrize("missing", [1])
    def test_broken(self): pass

"""


@dataclass(frozen=True)
class Story:
    """A project whose first run is green, what it is then changed to, and what must become of it.

    ``parts`` says whether the module is run in parts at all, ``attempts`` how often it is run.
    """

    before: str
    after: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    parts: bool = True
    attempts: int = 1
    status: ModuleStatus = ModuleStatus.PASSED


STORIES = {
    "free tests": Story(MANY),
    "fixtures of modules and classes": Story(FIXTURES),
    "parameters and twins": Story(PARAMETERS),
    "new tests": Story(MANY, "def test_new(): pass\n" + MANY + "def test_newer(): pass\n"),
    "tests that have vanished": Story(MANY, MANY.replace("test_free_2", "_2")),
    "all tests renamed": Story(MANY, MANY.replace("free", "other")),
    "a failure at the beginning": Story(
        MANY, "def test_free_0(): assert 0\n" + MANY[24:], status=ModuleStatus.FAILED
    ),
    "a failure at the end": Story(
        MANY, MANY + "def test_bad(): assert 0\n", status=ModuleStatus.FAILED, attempts=2
    ),
    "an error in the import": Story(MANY, MANY + "raise OSError\n", status=ModuleStatus.FAILED),
    "an error in the collection": Story(
        MANY, COLLECTING_IN_PART + MANY, status=ModuleStatus.FAILED
    ),
    "a module that skips itself": Story(
        MANY,
        "import pytest\npytest.skip('x', allow_module_level=True)\n" + MANY,
        status=ModuleStatus.EMPTY,
    ),
    "an empty module": Story(MANY, "", status=ModuleStatus.EMPTY),
    "deselected tests": Story(MANY, files={"conftest.py": DESELECTING}),
    "doctests beside tests": Story(
        '"""\n>>> 1 + 1\n2\n"""\n' + MANY,
        files={"pytest.ini": "[pytest]\naddopts = --doctest-modules\n"},
    ),
    "warnings and output of the import": Story(
        "import warnings\nwarnings.warn('once')\nprint('once')\n" + MANY
    ),
    "a fixture for all": Story(
        "import pytest\n@pytest.fixture(scope='module', autouse=True)\ndef all(): pass\n" + MANY,
        parts=False,
    ),
    "set-up of the module": Story("def setup_module(): pass\n" + MANY, parts=False),
    "a class": Story(
        "class TestAll:\n" + "".join(f"    def test_{n}(self): pass\n" for n in range(8)),
        parts=False,
    ),
    "tests that need those before them": Story(
        IN_ORDER, parts=True, attempts=2, status=ModuleStatus.FLAKY
    ),
    "fixtures that no signature tells of": Story(AT_RUN_TIME, parts=False),
    "marks that tie": Story(
        "import pytest\n"
        + "".join(
            f"@pytest.mark.xdist_group('{'ab'[n % 2]}')\ndef test_{n}(): pass\n" for n in range(6)
        ),
        files={"pytest.ini": "[pytest]\nmarkers =\n  xdist_group: x\n"},
    ),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def lay_out(root: Path, story: Story) -> None:
    root.mkdir()
    (root / "pytest.ini").write_text("[pytest]\n")
    (root / "test_short.py").write_text("def test_short(): pass\n")
    for name, text in story.files.items():
        (root / name).write_text(text)
    (root / LONG).write_text(story.before)


def stretch(root: Path, factor_s: float = 1.0) -> None:
    """Let every test of the long module count as one that takes so long."""
    history = History.load(str(root))
    known = history.timings(LONG)
    stats = RunStats()
    tests = dict.fromkeys(known.durations_s, factor_s)
    for event in (
        ev.ModulePlanned(module=LONG, framework="pytest"),
        ev.AttemptStarted(module=LONG, attempt=1, slot=0),
        *(
            ev.TestFinished(module=LONG, attempt=1, id=test, outcome="passed", duration_s=s)
            for test, s in tests.items()
        ),
        ev.AttemptFinished(
            module=LONG,
            attempt=1,
            status=ModuleStatus.PASSED,
            duration_s=factor_s * len(tests) + 0.1,
            cpu_s=0.1,
        ),
        ev.ModuleFinished(module=LONG, status=ModuleStatus.PASSED),
    ):
        stats.apply(event)
    for _ in range(KEPT_SAMPLES):
        history.record(stats)
        history.store()
    # The figures are made up, what ties the tests is not.
    TestTimings(tests, known.scopes, whole=known.whole).write(history._tests_folder, LONG)


async def run(config: Config) -> tuple[RunStats, list[ev.Envelope]]:
    with anyio.fail_after(PATIENCE_S):
        async with open_run(config) as running:
            told = [envelope async for envelope in running]
    assert running.fault is None
    return running.stats, told


def config_of(root: Path, method: StartMethod, **settings: object) -> Config:
    config = load_config(root, workers=2, no_cache=True, **settings)
    return msgspec.structs.replace(config, start_method=method)


def outcomes(stats: RunStats) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for module in stats.modules.values():
        for test in module.tests.values():
            found.setdefault(test.id, []).append(test.outcome.value)
    return {test: " ".join(sorted(words)) for test, words in found.items()}


def plain(root: Path) -> dict[str, str]:
    case = Case("plain", "", {}, 0, options=("--continue-on-collection-errors",))
    flat = sides.run_plain(case, root).flat
    return {test: " ".join(sorted(words.split())) for test, words in flat.items()}


@pytest.fixture(autouse=True)
def without_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.mark.anyio
@pytest.mark.parametrize("method", [pytest.param("spawn", marks=pytest.mark.slow), "forkserver"])
@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
async def test_parts_come_to_what_the_whole_comes_to(
    story: Story, method: StartMethod, tmp_path: Path
) -> None:
    root = tmp_path / "project"
    lay_out(root, story)
    config = config_of(root, method)
    first, _ = await run(config)
    assert first.modules[LONG].status is ModuleStatus.PASSED
    stretch(root)
    (root / LONG).write_text(story.before if story.after is None else story.after)

    stats, told = await run(config)

    module = stats.modules[LONG]
    starts = [each.event for each in told if isinstance(each.event, ev.AttemptStarted)]
    assert next(each.parts > 1 for each in starts if each.module == LONG) is story.parts
    assert outcomes(stats) == plain(root)
    assert (module.status, module.attempts) == (story.status, story.attempts)
    warnings = Counter(
        each.event.message for each in told if isinstance(each.event, ev.WarningIssued)
    )
    assert warnings["once"] == ("warnings.warn('once')" in story.before)
    outputs = [each.event for each in told if isinstance(each.event, ev.OutputCaptured)]
    assert len(outputs) <= 1
    if story.status in {ModuleStatus.PASSED, ModuleStatus.FLAKY}:
        assert check(told) == stats


@pytest.mark.anyio
async def test_tests_that_need_each_other_are_not_separated_again(tmp_path: Path) -> None:
    root = tmp_path / "project"
    lay_out(root, Story(IN_ORDER))
    config = config_of(root, "forkserver")
    await run(config)
    stretch(root)

    stats, told = await run(config)
    word = stats.modules[LONG].finished
    assert word is not None
    assert word.flaky == (f"{LONG}::test_d",)
    (warning,) = [each.event.message for each in told if isinstance(each.event, ev.WarningIssued)]
    assert re.search("test_long.py failed in several processes and passed in one", warning)

    stats, _ = await run(config)
    stretch(root)
    stats, told = await run(config)
    starts = [each.event for each in told if isinstance(each.event, ev.AttemptStarted)]
    assert {each.parts for each in starts} == {1}
    assert stats.modules[LONG].status is ModuleStatus.PASSED


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("deed", "status", "options"),
    [
        ("import os; os.abort()", ModuleStatus.CRASHED, {}),
        ("import os; os._exit(0)", ModuleStatus.INCOMPLETE, {}),
        ("import time; time.sleep(600)", ModuleStatus.TIMED_OUT, {"timeout_s": 2.0}),
    ],
)
async def test_a_part_that_is_lost_takes_only_its_own_tests_with_it(
    tmp_path: Path, deed: str, status: ModuleStatus, options: dict[str, object]
) -> None:
    root = tmp_path / "project"
    lay_out(root, Story(MANY))
    config = config_of(root, "forkserver", grace_s=1.0)
    config = msgspec.structs.replace(config, **options)
    await run(config)
    stretch(root)
    source = MANY.replace("test_free_5(): pass", f"test_free_5(): {deed}")
    (root / LONG).write_text(source)

    stats, told = await run(config)

    module = stats.modules[LONG]
    assert module.status is status
    assert module.attempts == 1
    assert module.last_attempt is not None
    assert module.last_attempt.in_flight == f"{LONG}::test_free_5"
    found = outcomes(stats)
    assert found[f"{LONG}::test_free_5"] == "failed"
    assert [found[f"{LONG}::test_free_{number}"] for number in range(5)] == ["passed"] * 5
    assert stats.exit_code == 1
    assert check(told) == stats


@pytest.mark.anyio
async def test_an_override_keeps_a_module_whole(tmp_path: Path) -> None:
    root = tmp_path / "project"
    lay_out(root, Story(MANY))
    (root / "pyproject.toml").write_text(
        f'[[tool.iopio.overrides]]\npaths = ["{LONG}"]\nsplit = false\n'
    )
    config = config_of(root, "forkserver")
    await run(config)
    stretch(root)

    _, told = await run(config)

    starts = [each.event for each in told if isinstance(each.event, ev.AttemptStarted)]
    assert {each.parts for each in starts} == {1}


@pytest.mark.anyio
async def test_the_first_failure_of_a_module_in_parts_ends_the_run(tmp_path: Path) -> None:
    root = tmp_path / "project"
    lay_out(root, Story(MANY))
    config = config_of(root, "forkserver", maxfail=1)
    await run(config)
    stretch(root)
    (root / LONG).write_text(MANY.replace("test_free_6(): pass", "test_free_6(): assert 0"))

    stats, told = await run(config)

    assert stats.cancelled == "maxfail"
    assert stats.modules[LONG].status is ModuleStatus.FAILED
    assert outcomes(stats)[f"{LONG}::test_free_6"] == "failed"
    assert check(told) == stats
