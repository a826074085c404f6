"""A run of recalled results obeys the grammar of any run, and leaves behind what one leaves."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from fakes.grammar import check

from iopio_async.model import events as ev
from iopio_async.model.action import Action
from iopio_async.model.config import Config, ModuleSettings
from iopio_async.model.module import REMAINDER_PATH, ModuleKind, TestModule
from iopio_async.model.outcome import ModuleStatus, Outcome, Source
from iopio_async.model.stats import ModuleStats, RunStats
from iopio_async.orchestration import records
from iopio_async.orchestration.preparation import Plan
from iopio_async.orchestration.replay import recalled_events, replay
from iopio_async.planning.scheduler import Start

Story = Sequence[ev.AnyEvent]


def story(path: str, *, foreign: bool = False, outcome: Outcome = Outcome.PASSED) -> Story:
    test = f"{path}::test_x"
    return [
        ev.AttemptStarted(module=path, attempt=1, slot=0),
        ev.TestsCollected(module=path, attempt=1, count=1, foreign_collectors=foreign),
        ev.TestStarted(module=path, attempt=1, id=test),
        ev.TestFinished(module=path, attempt=1, id=test, outcome=outcome, duration_s=0.5),
        ev.AttemptFinished(module=path, attempt=1, status=ModuleStatus.PASSED, duration_s=1.0),
        ev.ModuleFinished(
            module=path, status=ModuleStatus.PASSED, source=Source.LOCAL_CACHE, duration_s=1.0
        ),
    ]


class Recalled:
    """A memory of these stories."""

    disproved: Sequence[str] = ()

    def __init__(self, stories: Mapping[str, Story]) -> None:
        self._stories = stories

    def recalled(self, path: str) -> Story:
        return self._stories.get(path, ())

    def heard(self, events: Story) -> None:
        raise AssertionError("nothing is executed")

    def traced(self, path: str, trace: bytes) -> None:
        raise AssertionError("nothing is executed")

    async def keep(self, path: str, stats: ModuleStats) -> None:
        raise AssertionError("nothing is executed")


def make_action(module: TestModule, start: Start) -> Action:
    raise AssertionError("nothing is executed")


def settings_of(path: str) -> ModuleSettings:
    raise AssertionError("nothing is executed")


def plan_of(*paths: str, remainder: bool = False, expected: bool = False) -> Plan:
    return Plan(
        modules=tuple(TestModule(path=path) for path in paths),
        make_action=make_action,
        settings_of=settings_of,
        remainder=TestModule(path=REMAINDER_PATH, kind=ModuleKind.REMAINDER) if remainder else None,
        remainder_expected=expected,
    )


def told(plan: Plan, *known: Story) -> list[str] | None:
    """The modules that are told to their end, in order; ``None`` where some must be executed."""
    stories = {events[0].module: events for events in known if hasattr(events[0], "module")}
    events = recalled_events(plan, Recalled(stories))
    if events is None:
        return None
    return [event.module for event in events if isinstance(event, ev.ModuleFinished)]


def test_all_modules_are_told_in_their_order() -> None:
    assert told(plan_of("b.py", "a.py"), story("a.py"), story("b.py")) == ["b.py", "a.py"]


def test_one_that_must_be_executed_needs_a_run() -> None:
    assert told(plan_of("a.py", "b.py"), story("a.py")) is None


def test_a_run_of_nothing_is_no_replay() -> None:
    assert told(plan_of()) is None


REST = story(REMAINDER_PATH)


@pytest.mark.parametrize(
    ("expected", "foreign", "rest_known", "result"),
    [
        (False, False, False, ["a.py"]),
        (False, False, True, ["a.py"]),
        (False, True, False, None),
        (False, True, True, ["a.py", REMAINDER_PATH]),
        (True, False, False, None),
        (True, False, True, ["a.py", REMAINDER_PATH]),
        (True, True, True, ["a.py", REMAINDER_PATH]),
    ],
)
def test_the_remainder_is_told_where_it_would_be_run(
    expected: bool, foreign: bool, rest_known: bool, result: list[str] | None
) -> None:
    plan = plan_of("a.py", remainder=True, expected=expected)
    known = [story("a.py", foreign=foreign), *([REST] if rest_known else [])]
    assert told(plan, *known) == result


def config_at(root: Path) -> Config:
    return Config(root=str(root), invocation_dir=str(root))


def play(root: Path, *, warnings: Sequence[str] = ()) -> tuple[list[ev.Envelope], RunStats]:
    plan = plan_of("a.py", "b.py")
    stories = {"a.py": story("a.py"), "b.py": story("b.py", outcome=Outcome.SKIPPED)}
    events = recalled_events(plan, Recalled(stories))
    assert events is not None
    heard: list[ev.Envelope] = []
    stats = replay(
        config_at(root),
        plan,
        events,
        lambda envelope, _: heard.append(envelope),
        time.perf_counter(),
        warnings,
    )
    return heard, stats


def test_a_replay_is_a_run_like_any_other(tmp_path: Path) -> None:
    heard, stats = play(tmp_path, warnings=["careful"])
    assert check(heard) == stats
    assert (stats.exit_code, stats.passed, stats.sources[Source.LOCAL_CACHE]) == (0, 1, 2)
    warnings = [each.event.message for each in heard if isinstance(each.event, ev.WarningIssued)]
    assert warnings == ["careful"]


def test_a_replay_has_a_journal(tmp_path: Path) -> None:
    heard, _ = play(tmp_path)
    (file,) = (tmp_path / ".test_cache" / "v1" / "runs").iterdir()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["seq"] for line in lines] == [
        each.seq for each in heard if not isinstance(each.event, ev.TestStarted)
    ]
    started = heard[0].event
    assert isinstance(started, ev.RunStarted)
    assert file.name == f"{started.run_id}.jsonl"


def test_a_replay_is_no_measurement_but_knows_what_passed(tmp_path: Path) -> None:
    play(tmp_path)
    names = {each.name for each in (tmp_path / ".test_cache" / "v1").iterdir()}
    assert not names & {"durations", "durations.json"}


def test_where_nothing_can_be_kept_it_is_told_once(tmp_path: Path) -> None:
    (tmp_path / ".test_cache").write_text("")
    heard, stats = play(tmp_path)
    assert check(heard) == stats
    assert stats.exit_code == 0
    warnings = [each.event for each in heard if isinstance(each.event, ev.WarningIssued)]
    assert len(warnings) == 1
    assert ".test_cache" in warnings[0].message


def test_ids_of_runs_sort_by_time_and_differ() -> None:
    ids = [records.new_run_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert [each[:15] for each in ids] == sorted(each[:15] for each in ids)


def test_an_opening_tells_all_that_is_known_before(tmp_path: Path) -> None:
    plan = plan_of("a.py", remainder=True, expected=True)
    first, *rest = records.opening(config_at(tmp_path), plan, "run", ["one", "two"])
    assert isinstance(first, ev.RunStarted)
    assert (first.modules, first.run_id) == (2, "run")
    assert [each.message for each in rest if isinstance(each, ev.WarningIssued)] == ["one", "two"]
