"""What a run tells of its tests beside their outcomes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from end_to_end import sides
from end_to_end.sides import Side
from fixture_projects.pytest_cases import CASES

RunCase = Callable[[str], Side]


@pytest.fixture(scope="module")
def run_case(tmp_path_factory: pytest.TempPathFactory) -> RunCase:
    """Runs a case by iopio, once for all tests of this module."""
    done: dict[str, Side] = {}

    def run(name: str) -> Side:
        if name not in done:
            folder = tmp_path_factory.mktemp("case") / "project"
            done[name] = sides.run_iopio(CASES[name], sides.lay_out(CASES[name], folder))
        return done[name]

    return run


def sections(row: dict[str, Any]) -> dict[str, str]:
    return {section["title"]: section["text"] for section in row.get("sections", ())}


def test_captured_streams_of_all_phases(run_case: RunCase) -> None:
    row = run_case("telling").test("test_output.py::test_streams")
    found = sections(row)
    assert found["Captured stdout setup"] == "set-up speaks\n"
    assert found["Captured stdout call"] == "on stdout\n"
    assert found["Captured stderr call"] == "on stderr\n"
    assert "in the log" in found["Captured log call"]
    assert found["Captured stdout teardown"] == "teardown speaks\n"


def test_captured_descriptors(run_case: RunCase) -> None:
    found = sections(run_case("telling").test("test_output.py::test_descriptors"))
    assert found == {
        "Captured stdout call": "low stdout\nfrom a child\n",
        "Captured stderr call": "low stderr\n",
    }


def test_odd_bytes_survive_as_text(run_case: RunCase) -> None:
    row = run_case("telling").test("test_output.py::test_escapes")
    # pytest's own capture makes a question mark of what it can't encode.
    assert sections(row)["Captured stdout call"].startswith("red \x1b]0;title\x07 ? \u202e nul\0")
    assert "\\udcff" in row["failures"][0]["message"]
    assert "nul\0" in row["failures"][0]["message"]


def test_failure_points_at_its_place(run_case: RunCase) -> None:
    (failure,) = run_case("telling").test("test_output.py::test_multiline")["failures"]
    assert failure["message"] == "AssertionError: first"
    assert failure["phase"] == "call"
    assert failure["path"].endswith("test_output.py")
    assert 'raise AssertionError("first\\nsecond\\nthird")' in failure["text"]
    assert "E       third" in failure["text"]
    source = (sides.PROJECTS / "pytest_telling" / "test_output.py").read_text().splitlines()
    assert 'raise AssertionError("first' in source[failure["line"] - 1]


def test_what_cannot_be_shown_is_told_anyway(run_case: RunCase) -> None:
    side = run_case("telling")
    assert "Unspeakable" in side.test("test_output.py::test_unspeakable")["failures"][0]["text"]
    assert "Unnameable" in side.test("test_output.py::test_unnameable")["failures"][0]["message"]


def test_properties(run_case: RunCase) -> None:
    row = run_case("telling").test("test_output.py::test_properties")
    assert row["properties"] == [
        ["text", "plain"],
        ["number", "3"],
        ["list", "[1, {'two': 3}]"],
        ["unspeakable", "<Unspeakable: its repr raised RuntimeError>"],
        ["('odd', 'key')", "None"],
        ["text", "twice"],
    ]


def test_warnings_name_test_and_place(run_case: RunCase) -> None:
    warnings = run_case("telling").report["warnings"]
    told = {(each["category"], each["message"]): each for each in warnings}
    in_test = told["UserWarning", "by the user"]
    assert in_test["test"] == "test_output.py::test_warns"
    assert in_test["module"] == "test_output.py"
    assert in_test["path"].endswith("test_output.py")
    assert in_test["line"] > 0
    at_import = told["FutureWarning", "at import"]
    assert at_import["module"] == "test_import_warns.py"
    assert "test" not in at_import
    assert ("DeprecationWarning", "old") in told


def test_output_at_import_is_not_lost(run_case: RunCase) -> None:
    # pytest shows it only where the collection fails; so does iopio.
    module = run_case("telling").module("test_import_warns.py")
    assert module["status"] == "passed"
    assert "stdout" not in module


def test_subtests(run_case: RunCase) -> None:
    side = run_case("subtests")
    row = side.test("test_fixture.py::test_one_fails")
    assert [each["outcome"] for each in row["subtests"]] == ["passed", "failed", "passed"]
    assert row["failures"][0]["phase"] == "subtest"
    assert "number=1" in row["failures"][0]["message"]
    both = side.test("test_fixture.py::test_fails_beside_failing_ones")
    assert [each["phase"] for each in both["failures"]] == ["subtest", "call"]
    of_unittest = side.test("test_unittest.py::Case::test_two_fail")
    assert [each["outcome"] for each in of_unittest["subtests"]].count("failed") == 2


def test_phases_of_failures(run_case: RunCase) -> None:
    side = run_case("outcomes")
    row = side.test("tests/test_phases.py::test_fails_and_tears_down_badly")
    assert [each["phase"] for each in row["failures"]] == ["call", "teardown"]
    row = side.test("tests/test_phases.py::test_set_up_error")
    assert [each["phase"] for each in row["failures"]] == ["setup"]
    row = side.test("tests/test_phases.py::test_skipped_at_the_end")
    assert row["reason"] == "too late"


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ("tests/test_phases.py::test_skipped_in_call", "here"),
        ("tests/test_skipped_module.py", "not on this planet"),
        ("tests/test_xfail.py::test_passes", "it should not pass"),
        ("tests/test_phases.py::test_given_up_in_call", "given up"),
        ("tests/test_classes.py::TestSkipped::test_one", "whole class"),
    ],
)
def test_reasons(run_case: RunCase, node: str, reason: str) -> None:
    assert run_case("outcomes").test(node)["reason"] == reason


def test_collection_error_says_where(run_case: RunCase) -> None:
    row = run_case("collection errors").test("tests/test_import_error.py")
    (failure,) = row["failures"]
    assert failure["phase"] == "collect"
    assert failure["message"].startswith("ModuleNotFoundError: No module named 'no_such_module")
    assert "tests/test_import_error.py:1" in failure["text"]


def test_reruns_are_counted(run_case: RunCase) -> None:
    side = run_case("reruns")
    assert side.test("tests/test_shaky.py::test_third_time")["reruns"] == 2
    assert side.test("tests/test_shaky.py::test_second_set_up")["reruns"] == 1
    assert "reruns" not in side.test("tests/test_small.py::test_passes")


def test_a_failure_of_a_surplus_round_is_told(run_case: RunCase) -> None:
    module = run_case("two rounds").module("tests/test_shaky.py")
    assert module["status"] == "error"
    assert "test_third_time failed when it was run once more" in module["failure"]["message"]


def test_why_a_session_failed_without_a_failing_test(run_case: RunCase) -> None:
    module = run_case("fails the session").module("tests/test_one.py")
    assert module["status"] == "error"
    assert module["failure"]["message"] == (
        "a plugin or hook failed the session though no test failed"
    )


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("--strict-config", "no_such_key"),
        ("a conftest that raises", "OSError: no"),
    ],
)
def test_why_pytest_refused(run_case: RunCase, case: str, said: str) -> None:
    module = run_case(case).module("tests/test_one.py")
    assert module["status"] == "error"
    assert said in module["stderr"]


def test_no_file_is_written_that_modules_would_share(tmp_path: Path) -> None:
    case = CASES["--junitxml"]
    folder = sides.lay_out(case, tmp_path / "project")
    assert sides.run_iopio(case, folder).code == 1
    assert not (folder / "x.xml").exists()
    assert not (folder / ".pytest_cache").exists()
