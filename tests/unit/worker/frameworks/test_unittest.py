import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iopio_async.model.outcome import Outcome
from iopio_async.wire import messages as msg

PROJECT = Path(__file__).parents[3] / "fixture_projects" / "unittest_suite"
MODULES = sorted(
    path.relative_to(PROJECT).as_posix() for path in (PROJECT / "tests").glob("test_*.py")
)

#: Modules that unittest itself does not bring to an end.
UNFINISHED = {"tests/test_class_fixture_exits.py", "tests/test_interrupted.py"}

#: Modules that unittest itself can't import.
UNIMPORTABLE = {
    "tests/test_import_exits.py",
    "tests/test_import_raises.py",
    "tests/test_import_skips.py",
    "tests/test_syntax_error.py",
}

#: Runs a module by unittest alone and counts: the tests, and how they ended, in a TestResult's
#: terms. Tests that a failed fixture kept back, and those that their own suite left out, are in
#: none of its lists.
REFERENCE = """
import json, sys, unittest

name, out = sys.argv[1:]
sys.path.insert(0, "")
suite = unittest.TestLoader().loadTestsFromName(name)
count = suite.countTestCases()
result = unittest.TestResult()
write = open(out, "w").write
suite.run(result)

def fixtures(entries):
    return [test.id() for test, _ in entries if type(test).__name__ == "_ErrorHolder"]

def tests(entries):
    whole = (getattr(test, "test_case", test) for test, _ in entries)
    return len({test.id() for test in whole if type(test).__name__ != "_ErrorHolder"})

write(json.dumps({
    "count": count,
    "failed": tests(result.failures) + len(result.unexpectedSuccesses),
    "error": tests(result.errors),
    "skipped": len([1 for test, _ in result.skipped if not hasattr(test, "test_case")]),
    "xfailed": len(result.expectedFailures),
    "fixtures": fixtures(result.errors) + fixtures(result.skipped),
}))
"""

#: Modules with shared fixtures or suites of their own: how many more tests iopio gives a bad or
#: skipped outcome than unittest does, which counts a failed fixture once, in place of its tests.
MORE = {
    "tests/test_class_fixtures.py": {"error": 3, "skipped": 2 - 1},
    "tests/test_load_tests.py": {"error": 1, "skipped": 1},
    "tests/test_module_set_up_raises.py": {"error": 2},
    "tests/test_module_set_up_skips.py": {"skipped": 2 - 1},
    "tests/test_module_tear_down_raises.py": {"error": 1},
    # One test fails twice over, in two of unittest's lists.
    "tests/test_outcomes.py": {"error": -1, "skipped": -1},
}


@pytest.mark.parametrize("path", MODULES)
def test_outcomes_are_those_of_the_data_model(
    path: str, expected: dict[str, dict[str, str]], run_project: Callable[..., Any]
) -> None:
    attempt = run_project("unittest_suite", path, "unittest")
    assert attempt.outcomes == {
        test_id: outcome
        for test_id, outcome in expected["unittest_suite"].items()
        if test_id.partition("::")[0] == path
    }
    interrupted = "not-run" in attempt.outcomes.values()
    assert attempt.certificate.complete is not interrupted


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path not in UNFINISHED | UNIMPORTABLE]
)
def test_counts_are_those_of_unittest_itself(
    path: str, tmp_path: Path, run_project: Callable[..., Any]
) -> None:
    out = tmp_path / "counts.json"
    name = path.removesuffix(".py").replace("/", ".")
    subprocess.run(
        [sys.executable, "-c", REFERENCE, name, str(out)],
        cwd=PROJECT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        capture_output=True,
    )
    counts = json.loads(out.read_text(encoding="utf-8"))
    outcomes = list(run_project("unittest_suite", path, "unittest").outcomes.values())
    more = MORE.get(path, {})
    assert len(outcomes) == counts["count"]
    for outcome in ("failed", "error", "skipped", "xfailed"):
        assert outcomes.count(outcome) == counts[outcome] + more.get(outcome, 0), outcome
    assert bool(counts["fixtures"]) == (path in MORE and "outcomes" not in path)


def test_every_expectation_has_its_module(expected: dict[str, dict[str, str]]) -> None:
    paths = {test_id.partition("::")[0] for test_id in expected["unittest_suite"]}
    assert paths | {"tests/test_empty.py"} == set(MODULES)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("tests/test_empty.py", 5),
        ("tests/test_module_set_up_skips.py", 0),
        ("tests/test_outcomes.py", 1),
        ("tests/test_import_exits.py", 1),
        ("tests/test_interrupted.py", 2),
    ],
)
def test_exit_codes_are_pytests(path: str, code: int, run_project: Callable[..., Any]) -> None:
    attempt = run_project("unittest_suite", path, "unittest")
    assert attempt.certificate.end is not None
    assert (attempt.exit_code, attempt.certificate.end.exit_code) == (code, code)


def test_failures_name_their_place_and_leave_out_the_runner(
    run_project: Callable[..., Any],
) -> None:
    attempt = run_project("unittest_suite", "tests/test_outcomes.py", "unittest")
    (failure,) = attempt.finished["Plain::test_fails"].failures
    assert failure.message == "AssertionError: 2 != 3"
    assert failure.path == str(PROJECT / "tests" / "test_outcomes.py")
    line = (PROJECT / "tests" / "test_outcomes.py").read_text().splitlines()[failure.line - 1]
    assert line.strip() == "self.assertEqual(1 + 1, 3)"
    assert failure.text.count("File ") == 1
    (bare,) = attempt.finished["Plain::test_fails_with_bare_assert"].failures
    assert bare.message == "AssertionError: assert total == 3"
    (lengthy,) = attempt.finished["Plain::test_raises"].failures
    assert lengthy.message == "ValueError: no such luck"
    assert "and no second line" in lengthy.text


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Plain::test_skips_itself", "not today"),
        ("Plain::test_skipped", "by decorator"),
        ("SkippedClass::test_two", "the whole class"),
        ("SetUpSkips::test_never_called", "nothing here"),
        ("Plain::test_fails_as_expected", "AssertionError: expected"),
    ],
)
def test_reasons_are_told(name: str, reason: str, run_project: Callable[..., Any]) -> None:
    attempt = run_project("unittest_suite", "tests/test_outcomes.py", "unittest")
    assert attempt.finished[name].reason == reason


def test_tests_tell_their_line(run_project: Callable[..., Any]) -> None:
    attempt = run_project("unittest_suite", "tests/test_outcomes.py", "unittest")
    source = (PROJECT / "tests" / "test_outcomes.py").read_text(encoding="utf-8").splitlines()
    line = attempt.finished["TearDownRaises::test_passes_before"].line
    assert source[line - 1].strip() == "def test_passes_before(self):"


def test_unimportable_modules_show_where(run_project: Callable[..., Any]) -> None:
    for path, line in (("tests/test_syntax_error.py", 4), ("tests/test_import_raises.py", 3)):
        attempt = run_project("unittest_suite", path, "unittest")
        (finished,) = attempt.finished.values()
        (failure,) = finished.failures
        assert (failure.path, failure.line) == (str(PROJECT / path), line)
        assert failure.phase == "collect"
        assert path.rpartition("/")[2] in failure.text


def test_subtests_are_listed_in_order_with_their_outcomes(run_project: Callable[..., Any]) -> None:
    attempt = run_project("unittest_suite", "tests/test_subtests.py", "unittest")
    finished = attempt.finished["Subtests::test_one_fails"]
    assert [(sub.description, sub.outcome) for sub in finished.subtests] == [
        ("[is it one?] (number=0)", Outcome.PASSED),
        ("[is it one?] (number=1)", Outcome.FAILED),
        ("[is it one?] (number=2)", Outcome.PASSED),
    ]
    (failure,) = finished.failures
    assert failure.message == "[is it one?] (number=1): AssertionError: 1 == 1"
    assert failure.phase == "subtest"
    skipped = attempt.finished["Subtests::test_one_is_skipped"]
    assert [sub.outcome for sub in skipped.subtests].count(Outcome.SKIPPED) == 1


def test_a_failed_class_fixture_is_the_failure_of_each_test(
    run_project: Callable[..., Any],
) -> None:
    attempt = run_project("unittest_suite", "tests/test_class_fixtures.py", "unittest")
    for name in ("test_one", "test_two"):
        failures = attempt.finished[f"A1SetUpRaises::{name}"].failures
        assert [failure.message for failure in failures] == [
            "RuntimeError: setUpClass",
            "ZeroDivisionError: division by zero",
        ]
        assert {failure.phase for failure in failures} == {"setup"}
    torn = attempt.finished["A5CleanupRaises::test_two"]
    assert [failure.phase for failure in torn.failures] == ["call", "teardown"]


def test_tampering_disturbs_neither_durations_nor_texts(run_project: Callable[..., Any]) -> None:
    attempt = run_project("unittest_suite", "tests/test_tampering.py", "unittest")
    assert all(0 <= finished.duration_s < 60 for finished in attempt.finished.values())
    (failure,) = attempt.finished["Tampering::test_d_open"].failures
    assert "without its source" in failure.text
    (section,) = attempt.finished["Tampering::test_e_afterwards"].sections
    assert (section.title, section.text) == ("Captured stdout call", "still heard\n")


PRINTING = """
import sys, unittest, warnings
print("while importing")
original = sys.stdout

class Printing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print("in a fixture")

    def test_a_prints(self):
        assert sys.stdout is not original
        print("é to stdout")
        sys.stdout.buffer.write(b"bytes \\xff\\n")
        sys.stderr.write("to stderr\\n")
        assert sys.stdout.fileno() == 1 and sys.stderr.fileno() == 2

    def test_b_is_silent(self):
        warnings.warn("old", DeprecationWarning)

    def test_c_prints_and_fails(self):
        sys.stdout = original
        print("around the capture")
        self.fail()

    def tearDown(self):
        if self._testMethodName == "test_a_prints":
            print("from tearDown")

def tearDownModule():
    assert sys.stdout is original
"""


def test_output_is_captured_for_each_test(run_source: Callable[..., Any]) -> None:
    attempt = run_source("unittest", PRINTING)
    sections = {
        name: {section.title: section.text for section in finished.sections}
        for name, finished in attempt.finished.items()
    }
    assert sections["Printing::test_a_prints"] == {
        "Captured stdout call": "é to stdout\nbytes \ufffd\nfrom tearDown\n",
        "Captured stderr call": "to stderr\n",
    }
    assert sections["Printing::test_c_prints_and_fails"] == {}
    assert attempt.output == "while importing\nin a fixture\naround the capture\n"
    assert list(attempt.outcomes.values()) == ["passed", "passed", "failed"]


def test_warnings_are_told_with_their_test(run_source: Callable[..., Any]) -> None:
    (warned,) = run_source("unittest", PRINTING).warned
    assert (warned.message, warned.category) == ("old", "DeprecationWarning")
    assert warned.test == "test_it.py::Printing::test_b_is_silent"
    assert PRINTING.splitlines()[warned.line - 1].strip().startswith("warnings.warn")


THREE = """
import unittest

class Some(unittest.TestCase):
    def test_one(self):
        self.fail()
    def test_three(self):
        pass
    def test_two(self):
        self.fail()

class Someone(unittest.TestCase):
    def test_one(self):
        pass
"""


@pytest.mark.parametrize(
    ("fields", "names", "deselected"),
    [
        ({"selectors": ("test_it.py::Some::test_two",)}, ["Some::test_two"], 0),
        ({"selectors": ("test_it.py::Someone",)}, ["Someone::test_one"], 0),
        ({"keyword": "Some.test_t"}, ["Some::test_three", "Some::test_two"], 2),
        ({"keyword": "*.Some*.test_one"}, ["Some::test_one", "Someone::test_one"], 2),
        ({"keyword": "SOME"}, [], 4),
        ({"selectors": ("test_it.py::Some",), "keyword": "one"}, ["Some::test_one"], 2),
    ],
)
def test_selection(
    fields: dict[str, Any], names: list[str], deselected: int, run_source: Callable[..., Any]
) -> None:
    attempt = run_source("unittest", THREE, **fields)
    assert list(attempt.finished) == names
    assert attempt.certificate.deselected == deselected
    assert attempt.certificate.complete


def test_maxfail_stops_early(run_source: Callable[..., Any]) -> None:
    attempt = run_source("unittest", THREE, maxfail=1)
    assert list(attempt.outcomes.values()) == ["failed", "not-run", "not-run", "not-run"]
    assert attempt.certificate.end is not None
    assert attempt.certificate.end.stopped_early


def test_maxfail_counts_tests_that_a_fixture_failed(run_source: Callable[..., Any]) -> None:
    source = """
import unittest

class Failing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise RuntimeError
    def test_one(self): ...
    def test_two(self): ...
    def test_three(self): ...
"""
    attempt = run_source("unittest", source, maxfail=2)
    assert list(attempt.outcomes.values()) == ["error", "error", "not-run"]


DUPLICATES = """
import unittest

class Twice(unittest.TestCase):
    seen = []
    def test_it(self):
        self.seen.append(self)
        self.assertEqual(len(self.seen), 1)

def load_tests(loader, tests, pattern):
    return unittest.TestSuite([Twice("test_it"), Twice("test_it")])
"""


def test_equal_ids_are_told_apart(run_source: Callable[..., Any]) -> None:
    certificate = run_source("unittest", DUPLICATES).certificate
    assert certificate.ids == ["test_it.py::Twice::test_it"] * 2
    assert certificate.outcomes == [Outcome.PASSED, Outcome.FAILED]


@pytest.mark.parametrize(
    ("fixture", "in_flight"), [("setUpClass", "test_a"), ("tearDownClass", "test_b")]
)
def test_a_process_lost_in_a_class_fixture_names_a_test_of_the_class(
    fixture: str, in_flight: str, run_source: Callable[..., Any]
) -> None:
    source = f"""
import os, unittest

class Before(unittest.TestCase):
    def test_before(self): ...

class Crashing(unittest.TestCase):
    @classmethod
    def {fixture}(cls):
        os._exit(0)
    def test_a(self): ...
    def test_b(self): ...

class Other(unittest.TestCase):
    def test_other(self): ...
"""
    certificate = run_source("unittest", source).certificate
    assert not certificate.complete
    assert certificate.in_flight is not None
    assert certificate.ids[certificate.in_flight].endswith(f"Crashing::{in_flight}")


def test_a_suite_that_breaks_off_is_no_pass(run_source: Callable[..., Any]) -> None:
    source = """
import unittest

class Broken(unittest.TestSuite):
    def run(self, result, debug=False):
        raise RuntimeError("no power")

class Some(unittest.TestCase):
    def test_it(self): ...

def load_tests(loader, tests, pattern):
    return Broken(tests)
"""
    attempt = run_source("unittest", source)
    assert not attempt.certificate.complete
    (note,) = [message for message in attempt.messages if isinstance(message, msg.Note)]
    assert note.failure.message == "the session was broken off by RuntimeError: no power"


def test_a_test_without_any_word_is_an_error(run_source: Callable[..., Any]) -> None:
    source = """
import unittest

class Mute(unittest.TestCase):
    def run(self, result=None):
        result.startTest(self)
        result.stopTest(self)
    def test_it(self): ...
"""
    attempt = run_source("unittest", source)
    (finished,) = attempt.finished.values()
    assert finished.outcome is Outcome.ERROR
    assert finished.failures[0].message == "the test ended without an outcome"


def test_results_look_to_tests_as_unittests_own(run_source: Callable[..., Any]) -> None:
    source = """
import unittest

class Looking(unittest.TestCase):
    def test_fails(self):
        self.fail("seen")
    def tearDown(self):
        (failed, text), = self._outcome.result.failures
        assert failed is self and "seen" in text
        assert self._outcome.result.testsRun == 1
"""
    attempt = run_source("unittest", source)
    (finished,) = attempt.finished.values()
    assert [failure.message for failure in finished.failures] == ["AssertionError: seen"]


def test_too_many_failing_subtests_are_cut_to_what_a_frame_holds(
    run_source: Callable[..., Any],
) -> None:
    source = """
import unittest

class Many(unittest.TestCase):
    def test_it(self):
        for number in range(3000):
            with self.subTest(number=number):
                assert number % 2, "x" * 100_000
"""
    attempt = run_source("unittest", source)
    (finished,) = attempt.finished.values()
    assert attempt.certificate.complete
    assert finished.outcome is Outcome.FAILED
    told = len(finished.failures) - 1
    assert finished.failures[-1].message == f"and {1500 - told} more failures of this test"
    assert sum(len(failure.text) for failure in finished.failures) < 4 * 1024 * 1024
    assert finished.subtests[-1].description == "and 500 more"


def test_asyncio_is_not_imported_for_tests_that_do_without(run_source: Callable[..., Any]) -> None:
    source = """
import sys, unittest

class Light(unittest.TestCase):
    def test_it(self):
        self.assertFalse({"asyncio", "anyio", "typer", "rich"} & set(sys.modules))
"""
    assert list(run_source("unittest", source).outcomes.values()) == ["passed"]
