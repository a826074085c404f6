"""Durations of run after run: kept by machine, bounded, and never a reason to fail."""

from pathlib import Path

import pytest

from iopio_async.errors import InfrastructureError
from iopio_async.history import series
from iopio_async.history.machine import Machine, current, machine
from iopio_async.history.regressions import KEPT_RUNS
from iopio_async.model import events as ev
from iopio_async.model.outcome import ModuleStatus, Outcome, Source
from iopio_async.model.stats import ModuleStats, RunStats

HERE, THERE = Machine("here", "a fast one"), Machine("there", "a slow one")
PATH = "tests/test_a.py"


def stats(
    module_s: float = 1.0,
    tests: dict[str, float] | None = None,
    *,
    status: ModuleStatus = ModuleStatus.PASSED,
    source: Source = Source.EXECUTED,
    path: str = PATH,
) -> RunStats:
    finished = {
        (test, 1): ev.TestFinished(
            module=path, attempt=1, id=test, outcome=Outcome.PASSED, duration_s=value_s
        )
        for test, value_s in (tests or {}).items()
    }
    module = ModuleStats(
        path, tests=finished, status=status, source=source, attempts=1, duration_s=module_s
    )
    return RunStats(modules={path: module})


def test_runs_are_kept_in_order_and_by_machine(tmp_path: Path) -> None:
    root = str(tmp_path)
    series.record(root, stats(1.0, {"a": 0.5}), HERE)
    series.record(root, stats(2.0, {"a": 0.25, "b": 1.5}), HERE)
    series.record(root, stats(8.0, {"a": 4.0}), THERE)
    latest, earlier = series.of_module(root, PATH)
    assert (latest.machine, list(latest.module)) == (THERE, [8.0])
    assert (earlier.machine, list(earlier.module)) == (HERE, [1.0, 2.0])
    assert {test: list(values) for test, values in earlier.tests.items()} == {
        "a": [0.5, 0.25],
        "b": [1.5],
    }
    assert [path for path, _ in series.of_all(root)] == [PATH]


def test_the_oldest_runs_and_machines_go(tmp_path: Path) -> None:
    root = str(tmp_path)
    for number in range(KEPT_RUNS + 5):
        series.record(root, stats(float(number)), HERE)
    (known,) = series.of_module(root, PATH)
    assert list(known.module) == [float(number) for number in range(5, KEPT_RUNS + 5)]
    for number in range(series.KEPT_MACHINES):
        series.record(root, stats(), Machine(str(number), ""))
    ids = [each.machine.id for each in series.of_module(root, PATH)]
    assert ids == [str(number) for number in reversed(range(series.KEPT_MACHINES))]


def test_tests_that_are_too_short_are_left_out_until_they_are_not(tmp_path: Path) -> None:
    root = str(tmp_path)
    series.record(root, stats(1.0, {"a": 0.0001}), HERE)
    assert series.of_module(root, PATH)[0].tests == {}
    series.record(root, stats(1.0, {"a": 0.1}), HERE)
    series.record(root, stats(1.0, {"a": 0.0}), HERE)
    assert len(series.of_module(root, PATH)[0].tests["a"]) == 2
    series.record(root, stats(1.0, {}), HERE)
    assert series.of_module(root, PATH)[0].tests == {}


@pytest.mark.parametrize(
    "told",
    [
        stats(source=Source.LOCAL_CACHE),
        stats(status=ModuleStatus.CRASHED),
        stats(status=ModuleStatus.FLAKY),
        stats(status=ModuleStatus.NOT_RUN),
        RunStats(),
    ],
    ids=["recalled", "crashed", "flaky", "not run", "empty"],
)
def test_what_is_not_clean_is_no_news(tmp_path: Path, told: RunStats) -> None:
    series.record(str(tmp_path), told, HERE)
    assert not (tmp_path / ".test_cache").exists()


def test_modules_of_which_a_part_was_asked_for_are_no_news(tmp_path: Path) -> None:
    series.record(str(tmp_path), stats(), HERE, asked={PATH: ("a",)})
    assert series.of_module(str(tmp_path), PATH) == []


def test_damage_reads_as_nothing(tmp_path: Path) -> None:
    root = str(tmp_path)
    series.record(root, stats(), HERE)
    (file,) = (tmp_path / ".test_cache/v1/durations/series").iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    assert series.of_module(root, PATH) == []
    assert list(series.of_all(root)) == []
    series.record(root, stats(3.0), HERE)
    assert list(series.of_module(root, PATH)[0].module) == [3.0]


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / ".test_cache").write_text("")
    with pytest.raises(InfrastructureError):
        series.record(str(tmp_path), stats(), HERE)


def test_a_module_can_be_forgotten(tmp_path: Path) -> None:
    root = str(tmp_path)
    series.record(root, stats(), HERE)
    series.record(root, stats(path="other"), HERE)
    series.remove(root, [PATH])
    series.remove(root, [PATH, "unknown"])
    assert [path for path, _ in series.of_all(root)] == ["other"]
    assert series.of_module(root, PATH) == []


def slowed(root: str, module_s: float, tests: dict[str, float]) -> list[str]:
    """Names of what is slower after ten steady runs here and three of the given durations."""
    for _ in range(10):
        series.record(root, stats(1.0, {"a": 0.5, "b": 0.4}), HERE)
        series.record(root, stats(9.0, {"a": 9.0, "b": 9.0}), THERE)
    told = stats(module_s, tests)
    for _ in range(3):
        series.record(root, told, HERE)
    return [each.name for each in series.regressions(root, told, HERE, threshold=0.05)]


def test_tests_are_named_rather_than_their_module(tmp_path: Path) -> None:
    assert slowed(str(tmp_path), 1.5, {"a": 1.0, "b": 0.4}) == ["a"]


def test_a_module_is_named_where_its_tests_do_not_explain_it(tmp_path: Path) -> None:
    assert slowed(str(tmp_path), 3.0, {"a": 0.5, "b": 0.4}) == [PATH]


def test_the_worst_comes_first(tmp_path: Path) -> None:
    assert slowed(str(tmp_path), 2.5, {"a": 1.0, "b": 1.4}) == ["b", "a"]


def test_machines_are_kept_apart(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert slowed(root, 1.0, {"a": 0.5, "b": 0.4}) == []
    told = stats(9.0, {"a": 9.0, "b": 9.0})
    assert series.regressions(root, told, THERE, threshold=0.05) == []


def test_what_makes_a_machine() -> None:
    plain = machine(processor="P", cpus=2, workers=2, traced=True)
    others = [
        machine(processor="Q", cpus=2, workers=2, traced=True),
        machine(processor="P", cpus=4, workers=2, traced=True),
        machine(processor="P", cpus=2, workers=4, traced=True),
        machine(processor="P", cpus=2, workers=2, traced=False),
        machine(processor="P", cpus=2, workers=2, traced=True, arguments=["--cov"]),
    ]
    assert len({each.id for each in [plain, *others]}) == 6
    assert plain == machine(processor="P", cpus=2, workers=2, traced=True)
    assert plain.label.startswith("2 CPUs, P, ")
    assert current(workers=3, traced=True) == current(workers=3, traced=True)
