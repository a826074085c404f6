"""Which tests failed when they last ran, from run to run."""

import os
from pathlib import Path

import pytest

from iopio_async import state
from iopio_async.errors import InfrastructureError
from iopio_async.history import last_failed
from iopio_async.history.last_failed import Record, load, merge, store
from iopio_async.model import events as ev
from iopio_async.model.module import Framework
from iopio_async.model.outcome import ModuleStatus, Outcome
from iopio_async.model.stats import RunStats

PASSED, FAILED, ERROR, NOT_RUN = Outcome.PASSED, Outcome.FAILED, Outcome.ERROR, Outcome.NOT_RUN


def ran(status: ModuleStatus | None, path: str = "a", **outcomes: Outcome) -> RunStats:
    """The statistics of a run of one module; tests are named ``path::name``."""
    stats = RunStats()
    stats.apply(ev.ModulePlanned(module=path, framework=Framework.PYTEST))
    for name, outcome in outcomes.items():
        stats.apply(
            ev.TestFinished(
                module=path, attempt=1, id=f"{path}::{name}", outcome=outcome, duration_s=0.1
            )
        )
    if status is not None:
        stats.apply(ev.ModuleFinished(module=path, status=status))
    return stats


KNOWN: Record = {"a": ("a::x", "a::y"), "b": ("b::x",)}

#: A run, and what is on record of module ``a`` after it; that of ``b`` stays.
WHOLE_RUNS = [
    (ran(ModuleStatus.PASSED, x=PASSED, y=PASSED), None),
    (ran(ModuleStatus.FLAKY, x=PASSED, y=PASSED), None),
    (ran(ModuleStatus.LEAKED, x=PASSED), None),
    (ran(ModuleStatus.EMPTY), None),
    (ran(ModuleStatus.FAILED, x=PASSED, y=FAILED, z=ERROR), ("a::y", "a::z")),
    (ran(ModuleStatus.CRASHED, x=PASSED, y=FAILED, z=NOT_RUN), ("a::y", "a::z")),
    (ran(ModuleStatus.FAILED, z=FAILED), ("a::z",)),
    (ran(ModuleStatus.ERROR, x=PASSED), ()),
    (ran(ModuleStatus.CRASHED), ()),
    # Cut short: only what had its turn is known anew.
    (ran(ModuleStatus.NOT_RUN), ("a::x", "a::y")),
    (ran(ModuleStatus.NOT_RUN, x=NOT_RUN, z=NOT_RUN), ("a::x", "a::y")),
    (ran(ModuleStatus.NOT_RUN, x=PASSED, y=NOT_RUN), ("a::y",)),
    (ran(ModuleStatus.NOT_RUN, x=PASSED, y=PASSED, z=NOT_RUN), None),
    (ran(None, x=PASSED), ("a::x", "a::y")),
]

#: What was asked for of module ``a``, the run, and what is on record of it then.
NARROWED_RUNS = [
    (("a::x",), ran(ModuleStatus.PASSED, x=PASSED), ("a::y",)),
    (("a::z",), ran(ModuleStatus.FAILED, z=FAILED), ("a::x", "a::y", "a::z")),
    (("a::x", "a::y"), ran(ModuleStatus.PASSED, x=PASSED, y=PASSED), None),
    # Asked for by its name, and not there any more.
    (("a::x", "a::y"), ran(ModuleStatus.PASSED, x=PASSED), None),
    (("a::x", "a::y"), ran(ModuleStatus.FAILED, x=FAILED), ("a::x",)),
    (("a::x", "a::y"), ran(ModuleStatus.EMPTY), None),
]

#: The same where a keyword or the like may have kept tests from running.
FILTERED_RUNS = [
    (ran(ModuleStatus.PASSED, x=PASSED), ("a::y",)),
    (ran(ModuleStatus.EMPTY), ("a::x", "a::y")),
    (ran(ModuleStatus.FAILED, z=FAILED), ("a::x", "a::y", "a::z")),
    (ran(ModuleStatus.CRASHED), ()),
]


@pytest.mark.parametrize(("stats", "expected"), WHOLE_RUNS)
def test_a_module_that_ran_is_known_anew(stats: RunStats, expected: tuple[str, ...] | None) -> None:
    after = merge(KNOWN, stats)

    assert after.get("a") == expected
    assert after["b"] == KNOWN["b"]


@pytest.mark.parametrize(("asked", "stats", "expected"), NARROWED_RUNS)
def test_tests_that_nobody_asked_for_stay_as_they_were(
    asked: tuple[str, ...], stats: RunStats, expected: tuple[str, ...] | None
) -> None:
    after = merge(KNOWN, stats, asked={"a": asked, "b": ()})

    assert after.get("a") == expected
    assert after["b"] == KNOWN["b"]


@pytest.mark.parametrize(("stats", "expected"), FILTERED_RUNS)
def test_tests_that_may_have_been_left_out_stay_as_they_were(
    stats: RunStats, expected: tuple[str, ...] | None
) -> None:
    after = merge(KNOWN, stats, filtered=True)

    assert after.get("a") == expected
    assert after["b"] == KNOWN["b"]


def test_a_module_that_failed_as_a_whole_is_not_narrowed_by_being_cut_short() -> None:
    stats = ran(ModuleStatus.NOT_RUN, x=PASSED, y=NOT_RUN)

    assert merge({"a": ()}, stats) == {"a": ()}


def test_a_test_of_a_name_that_several_have_is_recorded_once() -> None:
    stats = ran(None)
    for _ in range(2):
        stats.apply(
            ev.TestFinished(module="a", attempt=1, id="a::x", outcome=FAILED, duration_s=0.1)
        )
    stats.apply(ev.ModuleFinished(module="a", status=ModuleStatus.FAILED))

    assert merge({}, stats) == {"a": ("a::x",)}


def test_what_failed_is_there_in_the_next_run(tmp_path: Path) -> None:
    root = str(tmp_path)
    store(root, ran(ModuleStatus.FAILED, x=PASSED, y=FAILED))
    store(root, ran(ModuleStatus.CRASHED, path="b"))
    assert load(root) == {"a": ("a::y",), "b": ()}

    store(root, ran(ModuleStatus.PASSED, x=PASSED, y=PASSED))

    assert load(root) == {"b": ()}


def test_names_that_are_not_utf_8_are_remembered(tmp_path: Path) -> None:
    store(str(tmp_path), ran(ModuleStatus.FAILED, path="tests/\udcff.py", x=FAILED))

    assert load(str(tmp_path)) == {"tests/\udcff.py": ("tests/\udcff.py::x",)}


def test_nothing_is_written_where_nothing_has_changed(tmp_path: Path) -> None:
    store(str(tmp_path), ran(ModuleStatus.PASSED, x=PASSED))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"a": "x"}', b'{"a": [1]}', b"\xff\x00", b"[" * 100_000],
    ids=["empty", "cut", "a list", "text", "numbers", "bytes", "deep"],
)
def test_a_record_that_is_damaged_is_none(tmp_path: Path, content: bytes) -> None:
    folder = Path(state.ensure(state.folder_of(str(tmp_path))))
    (folder / "last_failed.json").write_bytes(content)

    assert load(str(tmp_path)) == {}


def test_a_record_that_is_no_file_is_none(tmp_path: Path) -> None:
    folder = Path(state.ensure(state.folder_of(str(tmp_path))))
    os.mkfifo(folder / "last_failed.json")

    assert load(str(tmp_path)) == {}


def test_what_can_not_be_written_is_an_infrastructure_error(tmp_path: Path) -> None:
    folder = Path(state.ensure(state.folder_of(str(tmp_path))))
    (folder / last_failed._FILE / "full").mkdir(parents=True)

    with pytest.raises(InfrastructureError, match=r"last_failed.json can't be written: Is a dir"):
        store(str(tmp_path), ran(ModuleStatus.FAILED, x=FAILED))
