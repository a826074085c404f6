from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iopio_async.model.outcome import Outcome
from iopio_async.wire import messages as msg

PROJECT = Path(__file__).parents[3] / "fixture_projects" / "functions_suite"
MODULES = sorted(
    path.relative_to(PROJECT).as_posix() for path in (PROJECT / "checks").glob("test_*.py")
)


@pytest.mark.parametrize("path", MODULES)
def test_outcomes_are_those_of_the_data_model(
    path: str, expected: dict[str, dict[str, str]], run_project: Callable[..., Any]
) -> None:
    attempt = run_project("functions_suite", path, "functions")
    # The order counts as well: it is that of the definitions.
    assert list(attempt.outcomes.items()) == [
        (test_id, outcome)
        for test_id, outcome in expected["functions_suite"].items()
        if test_id.partition("::")[0] == path
    ]
    interrupted = "not-run" in attempt.outcomes.values()
    assert attempt.certificate.complete is not interrupted
    assert attempt.output == ""


def test_every_expectation_has_its_module(expected: dict[str, dict[str, str]]) -> None:
    paths = {test_id.partition("::")[0] for test_id in expected["functions_suite"]}
    assert paths == set(MODULES)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("test_fails", "AssertionError: sums are off"),
        ("test_fails_with_bare_assert", "AssertionError: assert total == 3"),
        ("test_fails_with_long_assert", "AssertionError: assert ( total == 3 )"),
        ("test_raises", "ValueError"),
        ("test_exits", "SystemExit: 0"),
        ("test_yields", "yield tests are not supported: test_yields is a generator"),
        ("test_generator_of_a_wrapper", "yield tests are not supported"),
        (
            "test_needs_arguments",
            (
                "test_needs_arguments needs 'client', 'database', but plain functions are called "
                "without arguments (fixtures and parametrisation are pytest's: --framework pytest)"
            ),
        ),
    ],
)
def test_messages(name: str, message: str, run_project: Callable[..., Any]) -> None:
    attempt = run_project("functions_suite", "checks/test_functions.py", "functions")
    (failure,) = attempt.finished[name].failures
    assert failure.message == message


def test_a_class_that_needs_arguments_says_which(run_project: Callable[..., Any]) -> None:
    attempt = run_project("functions_suite", "checks/test_classes.py", "functions")
    (failure,) = attempt.finished["TestNeedsArguments::test_one"].failures
    assert failure.message == (
        "TestNeedsArguments can't be made without arguments: it needs 'size'"
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("test_skips_like_unittest", "as unittest"),
        ("test_skips_like_home", "as at home"),
        ("test_skips_like_a_child_of_home", "as a child"),
        ("test_skips_like_pytest", "as pytest"),
        ("test_fails_as_expected", "known bug"),
        ("test_skipped_by_decorator", "by decorator"),
    ],
)
def test_reasons_are_told(name: str, reason: str, run_project: Callable[..., Any]) -> None:
    attempt = run_project("functions_suite", "checks/test_functions.py", "functions")
    assert attempt.finished[name].reason == reason


def test_a_real_skip_of_pytest_is_one(run_source: Callable[..., Any]) -> None:
    source = """
import pytest

def test_skips():
    pytest.skip("not here")

def test_fails():
    pytest.fail("not so")

def test_xfails():
    pytest.xfail("not yet")
"""
    attempt = run_source("functions", source)
    assert list(attempt.outcomes.values()) == ["skipped", "failed", "xfailed"]


def test_failures_name_their_place_and_leave_out_the_runner(
    run_project: Callable[..., Any],
) -> None:
    attempt = run_project("functions_suite", "checks/test_functions.py", "functions")
    source = (PROJECT / "checks" / "test_functions.py").read_text(encoding="utf-8").splitlines()
    for name, line in {
        "test_fails": 'assert 1 + 1 == 3, "sums are off"',
        "test_awaited_fails": 'assert calls == ["awaited", "never"]',
    }.items():
        (failure,) = attempt.finished[name].failures
        assert failure.path == str(PROJECT / "checks" / "test_functions.py")
        assert source[failure.line - 1].strip() == line
        assert failure.text.count("File ") == 1
    assert source[attempt.finished["test_fails"].line - 1] == "def test_fails():"


def test_phases_of_failures(run_project: Callable[..., Any]) -> None:
    attempt = run_project("functions_suite", "checks/test_fixtures.py", "functions")
    phases = {
        name: [failure.phase for failure in attempt.finished[name].failures]
        for name in ("TestBroken::test_never_called", "TestUntidy::test_fails_before")
    }
    assert list(phases.values()) == [["setup"], ["call", "teardown"]]


def test_output_and_warnings_are_told_with_their_test(run_source: Callable[..., Any]) -> None:
    source = """
import warnings

def setup_function():
    print("set up")

def test_it():
    print("called")
    warnings.warn("careful")

async def test_silent():
    pass
"""
    attempt = run_source("functions", source)
    section, shown = attempt.finished["test_it"].sections
    assert (section.title, section.text) == ("Captured stdout call", "set up\ncalled\n")
    assert shown.text.endswith('UserWarning: careful\n  warnings.warn("careful")\n')
    (warned,) = attempt.warned
    assert (warned.message, warned.test) == ("careful", "test_it.py::test_it")


MIXED = """
import unittest

def test_first():
    raise ValueError

class Case(unittest.TestCase):
    def test_second(self):
        self.fail()
    def test_third(self):
        pass

class TestPlain:
    def test_fourth(self):
        pass
"""


@pytest.mark.parametrize(
    ("fields", "outcomes", "deselected"),
    [
        ({"maxfail": 1}, ["failed", "not-run", "not-run", "not-run"], 0),
        ({"maxfail": 2}, ["failed", "failed", "not-run", "not-run"], 0),
        ({"keyword": "Case"}, ["failed", "passed"], 2),
        ({"keyword": "test_it.test_first"}, ["failed"], 3),
        ({"selectors": ("test_it.py::TestPlain::test_fourth",)}, ["passed"], 0),
        ({"selectors": ("test_it.py::Case", "test_it.py::test_first")}, ["failed"] * 2, 0),
    ],
)
def test_selection_and_limits(
    fields: dict[str, Any],
    outcomes: list[str],
    deselected: int,
    run_source: Callable[..., Any],
) -> None:
    attempt = run_source("functions", MIXED, **fields)
    assert list(attempt.outcomes.values())[: len(outcomes)] == outcomes
    assert attempt.certificate.deselected == deselected
    assert attempt.certificate.end is not None
    assert attempt.certificate.end.stopped_early is ("maxfail" in fields)


def test_tests_start_and_finish_in_turn(run_source: Callable[..., Any]) -> None:
    attempt = run_source("functions", MIXED)
    assert attempt.order == [
        (kind, name)
        for name in ("test_first", "test_second", "test_third", "test_fourth")
        for kind in ("Started", "Finished")
    ]


def test_a_failed_module_fixture_tears_nothing_down(run_source: Callable[..., Any]) -> None:
    source = """
def setup_module():
    raise RuntimeError("once")

def teardown_module():
    raise RuntimeError("never")

def test_one(): ...
def test_two(): ...
"""
    attempt = run_source("functions", source)
    messages = [
        [failure.message for failure in finished.failures] for finished in attempt.finished.values()
    ]
    assert messages == [["RuntimeError: once"]] * 2


def test_skips_in_a_teardown_change_nothing(run_source: Callable[..., Any]) -> None:
    source = """
import unittest

def teardown_function():
    raise unittest.SkipTest("too late")

def test_one(): ...
"""
    (finished,) = run_source("functions", source).finished.values()
    assert finished.outcome is Outcome.PASSED


def test_a_task_left_running_is_cancelled_with_its_test(run_source: Callable[..., Any]) -> None:
    source = """
import asyncio
tasks = []

async def test_leaves_a_task():
    tasks.append(asyncio.create_task(asyncio.sleep(3600)))
    await asyncio.sleep(0)

def test_it_is_gone():
    assert tasks[0].cancelled()
"""
    attempt = run_source("functions", source)
    assert list(attempt.outcomes.values()) == ["passed", "passed"]


def test_nothing_heavy_is_imported_for_tests_that_do_without(
    run_source: Callable[..., Any],
) -> None:
    source = """
import sys

def test_it():
    assert not {"asyncio", "anyio", "typer", "rich", "unittest"} & set(sys.modules)
"""
    attempt = run_source("functions", source)
    (finished,) = attempt.finished.values()
    assert finished.failures == ()


def test_an_empty_module_ends_with_pytests_code(run_source: Callable[..., Any]) -> None:
    attempt = run_source("functions", "x = 1\n")
    assert attempt.certificate.complete
    assert attempt.exit_code == 5


def test_a_forked_child_that_runs_on_is_not_heard(run_source: Callable[..., Any]) -> None:
    source = """
import os

def test_forks():
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)

def test_after():
    pass
"""
    attempt = run_source("functions", source)
    assert attempt.certificate.complete
    assert sum(isinstance(message, msg.Finished) for message in attempt.messages) == 2
