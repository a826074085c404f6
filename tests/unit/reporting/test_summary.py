"""The rules behind the last lines: what is named, what is cut, how ends are spelled."""

import pytest

from iopio_async.model import events as ev
from iopio_async.model.module import REMAINDER_PATH, Framework
from iopio_async.model.outcome import ExitStatus, Failure, ModuleStatus, Outcome
from iopio_async.model.stats import RunStats
from iopio_async.reporting import blocks, summary
from iopio_async.reporting.palette import Palette

PLAIN = Palette(color=False, unicode=True)


def run(*modules: tuple[str, ModuleStatus, dict[str, Outcome]]) -> RunStats:
    stats = RunStats()
    for module, status, tests in modules:
        stats.apply(ev.ModulePlanned(module=module, framework=Framework.PYTEST))
        for test, outcome in tests.items():
            stats.apply(
                ev.TestFinished(module=module, attempt=1, id=test, outcome=outcome, duration_s=0.0)
            )
        stats.apply(ev.ModuleFinished(module=module, status=status))
    return stats


def test_failures_are_named_by_test_and_broken_modules_by_path() -> None:
    stats = run(
        (
            "a.py",
            ModuleStatus.FAILED,
            {
                "a.py::x": Outcome.FAILED,
                "a.py::y": Outcome.ERROR,
                "a.py::z": Outcome.PASSED,
                "a.py::s": Outcome.SKIPPED,
            },
        ),
        ("b.py", ModuleStatus.CRASHED, {"b.py::x": Outcome.FAILED, "b.py::y": Outcome.NOT_RUN}),
        ("c.py", ModuleStatus.TIMED_OUT, {}),
        ("d.py", ModuleStatus.PASSED, {"d.py::x": Outcome.PASSED}),
        ("e.py", ModuleStatus.NOT_RUN, {"e.py::x": Outcome.NOT_RUN}),
    )
    assert summary.failed_names(stats) == ["a.py::x", "a.py::y", "b.py", "c.py"]
    assert "by name: iopio run a.py::x a.py::y b.py c.py\n" in summary.rerun_hint(
        PLAIN, stats, root="", invocation_dir=""
    )


@pytest.mark.parametrize(
    "stats",
    [
        run(("a.py", ModuleStatus.FAILED, {f"a.py::{n}": Outcome.FAILED for n in range(5)})),
        run((REMAINDER_PATH, ModuleStatus.FAILED, {"doc.txt::doc": Outcome.FAILED})),
        run(("a.py", ModuleStatus.FAILED, {"a.py::t[\u202e]": Outcome.FAILED})),
    ],
    ids=["too many", "not selectable", "not printable"],
)
def test_some_failures_are_not_named_in_the_command(stats: RunStats) -> None:
    hint = summary.rerun_hint(PLAIN, stats, root="", invocation_dir="")
    assert hint == "rerun the failures: iopio run --lf\n"


def test_a_good_run_needs_no_command() -> None:
    stats = run(("a.py", ModuleStatus.PASSED, {"a.py::x": Outcome.PASSED}))
    assert summary.rerun_hint(PLAIN, stats, root="", invocation_dir="") == ""
    assert summary.recall(PLAIN, stats, 100) == ""


@pytest.mark.parametrize(
    ("name", "invocation_dir", "expected"),
    [
        ("tests/a.py::t[x/y]", "/p", "tests/a.py::t[x/y]"),
        ("tests/a.py::t[x/y]", "/p/tests", "a.py::t[x/y]"),
        ("tests/a.py", "/p/docs", "../tests/a.py"),
        ("tests/a.py", "", "tests/a.py"),
    ],
)
def test_names_are_told_from_where_the_person_stands(
    name: str, invocation_dir: str, expected: str
) -> None:
    stats = run((name.partition("::")[0], ModuleStatus.FAILED, {name: Outcome.FAILED}))
    hint = summary.rerun_hint(PLAIN, stats, root="/p", invocation_dir=invocation_dir)
    quoted = f"'{expected}'" if "[" in expected else expected
    assert hint.endswith(f"by name: iopio run {quoted}\n")


def test_long_messages_are_cut_but_never_to_nothing() -> None:
    assert summary.clip(PLAIN, "x" * 10, 10) == "x" * 10
    assert summary.clip(PLAIN, "x" * 11, 10) == "x" * 9 + "…"
    stats = run(("a.py", ModuleStatus.FAILED, {"a.py::" + "n" * 200: Outcome.FAILED}))
    stats.apply(
        ev.TestFinished(
            module="a.py",
            attempt=1,
            id="a.py::y",
            outcome=Outcome.FAILED,
            duration_s=0.0,
            failures=(Failure("m" * 300),),
        )
    )
    first, second = summary.recall(PLAIN, stats, 80).splitlines()
    assert first == "FAIL a.py::" + "n" * 200
    assert second.startswith("FAIL a.py::y  mmm")
    assert len(second) <= 80


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (None, ""),
        (ExitStatus(signal=11), "SIGSEGV"),
        (ExitStatus(signal=200), "signal 200"),
        (ExitStatus(code=3), "exit code 3"),
        (ExitStatus(), ""),
    ],
)
def test_how_a_process_ended(status: ExitStatus | None, told: str) -> None:
    assert blocks.ending(status) == told


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (ModuleStatus.TIMED_OUT, "timed out after 5 s"),
        (ModuleStatus.CRASHED, "crashed: SIGKILL"),
        (
            ModuleStatus.INCOMPLETE,
            "its process went away before all tests had an outcome: SIGKILL",
        ),
        (ModuleStatus.NOT_RUN, "cut short"),
    ],
)
def test_an_attempt_without_a_reason_gets_one(status: ModuleStatus, told: str) -> None:
    attempt = ev.AttemptFinished(
        module="a.py",
        attempt=1,
        status=status,
        duration_s=5.0,
        exit_status=ExitStatus(signal=9),
    )
    assert blocks.has_trouble(attempt)
    assert blocks.reason(attempt) == told


def test_an_attempt_that_its_tests_explain_is_no_trouble() -> None:
    attempt = ev.AttemptFinished(
        module="a.py", attempt=1, status=ModuleStatus.FAILED, duration_s=5.0
    )
    assert not blocks.has_trouble(attempt)
