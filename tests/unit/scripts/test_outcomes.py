"""The comparison of two runs' outcomes, and what is made of pytest's reports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes import (
    ABSENT,
    SEVERITY,
    Difference,
    Node,
    broken_modules,
    compare,
    fold_reports,
    judge,
    read_report,
    worst,
)

PASSED, FAILED, ERROR = Node("passed"), Node("failed"), Node("error")

node_ids = st.builds(
    "{}::test_{}{}".format,
    st.sampled_from(["a.py", "b.py"]),
    st.sampled_from("xyz"),
    st.sampled_from(["", "[1]", "[2]", "[3]"]),
)
records = st.dictionaries(node_ids, st.builds(Node, st.sampled_from(SEVERITY)), max_size=12)


@pytest.mark.parametrize(
    ("phases", "outcome"),
    [
        ([("setup", "passed"), ("call", "passed"), ("teardown", "passed")], "passed"),
        ([("setup", "passed"), ("call", "failed"), ("teardown", "passed")], "failed"),
        ([("setup", "failed"), ("teardown", "passed")], "error"),
        ([("setup", "passed"), ("call", "passed"), ("teardown", "failed")], "error"),
        ([("setup", "passed"), ("call", "failed"), ("teardown", "failed")], "failed"),
        ([("setup", "skipped"), ("teardown", "passed")], "skipped"),
        ([("setup", "passed"), ("call", "skipped"), ("teardown", "failed")], "error"),
        ([("setup", "passed"), ("call", "passed"), ("teardown", "skipped")], "passed"),
        ([("setup", "xfailed"), ("teardown", "passed")], "xfailed"),
        ([("setup", "passed"), ("call", "xfailed"), ("teardown", "passed")], "xfailed"),
        ([("setup", "passed"), ("call", "xpassed"), ("teardown", "passed")], "xpassed"),
        (
            [("setup", "passed"), ("sub", "failed"), ("call", "passed"), ("teardown", "passed")],
            "failed",
        ),
        (
            [("setup", "passed"), ("sub", "skipped"), ("call", "passed"), ("teardown", "passed")],
            "passed",
        ),
        ([("collect", "failed")], "error"),
        ([("collect", "skipped")], "skipped"),
        ([("setup", "passed")], "not-run"),
    ],
)
def test_a_node_ends_as_its_worst_report(phases, outcome):
    assert fold_reports([["m.py::t", *phase] for phase in phases]) == {"m.py::t": Node(outcome)}


def test_a_node_that_ran_twice_is_told_from_one_that_ran_once():
    once = [["m.py::t", "setup", "passed"], ["m.py::t", "call", "passed"]]
    assert fold_reports(once * 2) == {"m.py::t": Node("passed", 2)}
    assert fold_reports(once * 2) != fold_reports(once)


def test_a_series_that_a_plugin_repeats_counts_once():
    phases = [
        ("setup", "passed"), ("call", "failed"), ("call", "rerun"), ("teardown", "passed"),
        ("setup", "passed"), ("call", "passed"), ("teardown", "passed"),
    ]  # fmt: skip
    assert fold_reports([["m.py::t", *phase] for phase in phases]) == {"m.py::t": PASSED}


def test_an_unknown_outcome_is_never_hidden_behind_a_known_one():
    assert worst(["failed", "exploded", "error"]) == "exploded"
    assert worst([]) == "not-run"


def test_the_report_counts_each_entry():
    document = {
        "schema_version": 1,
        "tests": [
            {"id": "a.py::t", "outcome": "passed"},
            {"id": "a.py::t", "outcome": "failed"},
            {"id": "broken.py", "outcome": "error"},
        ],
        "modules": [],
    }
    assert read_report(document) == {"a.py::t": Node("failed", 2), "broken.py": ERROR}


def test_modules_that_broke_are_told_with_their_reason():
    document = {
        "modules": [
            {"path": "a.py", "status": "failed"},
            {"path": "b.py", "status": "timed out"},
            {"path": "c.py", "status": "crashed", "failure": {"message": "ended by SIGSEGV"}},
            {"path": "d.py", "status": "empty"},
        ]
    }
    assert broken_modules(document) == [
        "module b.py ended as timed out",
        "module c.py ended as crashed: ended by SIGSEGV",
    ]


def test_a_report_of_another_version_is_refused():
    with pytest.raises(ValueError, match="schema_version 2"):
        read_report({"schema_version": 2, "tests": [], "modules": []})


@given(records)
def test_equal_runs_have_no_difference(record):
    comparison = compare(record, record, record)
    assert comparison.equal == len(record)
    assert comparison.differences == ()
    assert comparison.unstable == ()


@given(records, records)
def test_against_stable_runs_every_other_node_is_a_difference(plain, iopio):
    comparison = compare(plain, plain, iopio)
    other = {i for i in {*plain, *iopio} if plain.get(i) != iopio.get(i)}
    assert {each.node_id for each in comparison.differences} == other
    assert comparison.equal == len({*plain, *iopio}) - len(other)
    assert comparison.unstable == ()


@given(records, records)
def test_either_of_two_plain_runs_is_a_right_result(first, second):
    for iopio in (first, second):
        assert compare(first, second, iopio).differences == ()


def test_ids_with_the_time_of_day_are_unstable_not_different():
    first = {"m.py::t[12:00:01]": PASSED, "m.py::t[x]": PASSED}
    second = {"m.py::t[12:00:02]": PASSED, "m.py::t[x]": PASSED}
    iopio = {"m.py::t[12:00:03]": PASSED, "m.py::t[x]": PASSED}
    comparison = compare(first, second, iopio)
    assert comparison.equal == 1
    assert comparison.differences == ()
    assert comparison.unstable == ("m.py::t[12:00:01]", "m.py::t[12:00:02]", "m.py::t[12:00:03]")


@pytest.mark.parametrize(
    "iopio",
    [
        {},
        {"m.py::t[3]": FAILED},
        {"m.py::t[3]": PASSED, "m.py::t[4]": PASSED},
    ],
    ids=["missing", "failed", "too many"],
)
def test_unstable_ids_must_still_be_as_many_and_end_alike(iopio):
    comparison = compare({"m.py::t[1]": PASSED}, {"m.py::t[2]": PASSED}, iopio)
    assert comparison.differences


def test_a_flaky_outcome_is_unstable_but_a_third_one_differs():
    first, second = {"m.py::t": PASSED}, {"m.py::t": FAILED}
    assert compare(first, second, {"m.py::t": FAILED}).differences == ()
    assert compare(first, second, {"m.py::t": FAILED}).unstable == ("m.py::t",)
    assert compare(first, second, {"m.py::t": ERROR}).differences == (
        Difference("m.py::t", PASSED, ERROR),
    )
    assert compare(first, second, {}).differences == (Difference("m.py::t", PASSED, ABSENT),)


def test_a_difference_that_the_lone_module_shows_too_is_isolation():
    missing = Difference("m.py::gone", PASSED, ABSENT)
    failing = Difference("m.py::t", PASSED, FAILED)
    verdict = judge([failing, missing], {"m.py::t": PASSED}, {"m.py": {"m.py::t": FAILED}})
    assert set(verdict.isolation) == {failing, missing}
    assert not verdict.unstable
    assert not verdict.unexplained


@pytest.mark.parametrize("alone", [None, {"m.py::t": PASSED}, {"m.py::t": ERROR}, {}])
def test_a_difference_that_the_lone_module_does_not_show_is_unexplained(alone):
    failing = Difference("m.py::t", PASSED, FAILED)
    verdict = judge([failing], {"m.py::t": PASSED}, {"m.py": alone})
    assert verdict.unexplained == (failing,)


def test_ids_that_shift_only_in_the_third_sample_are_unstable():
    plain = {"m.py::t[monday]": PASSED}
    gone = Difference("m.py::t[monday]", PASSED, ABSENT)
    new = Difference("m.py::t[tuesday]", ABSENT, PASSED)
    verdict = judge([gone, new], plain, {"m.py": {"m.py::t[wednesday]": PASSED}})
    assert set(verdict.unstable) == {gone, new}
    assert not verdict.unexplained


def test_an_id_that_shifts_alone_and_has_no_match_under_iopio_is_unexplained():
    plain = {"m.py::t[monday]": PASSED}
    gone = Difference("m.py::t[monday]", PASSED, ABSENT)
    verdict = judge([gone], plain, {"m.py": {"m.py::t[wednesday]": PASSED}})
    assert verdict.unexplained == (gone,)


def test_an_id_that_the_lone_module_has_too_is_explained():
    new = Difference("m.py::t[extra]", ABSENT, PASSED)
    verdict = judge([new], {}, {"m.py": {"m.py::t[extra]": PASSED}})
    assert verdict.isolation == (new,)


def test_a_test_that_only_iopio_collects_is_unexplained():
    new = Difference("m.py::extra", ABSENT, PASSED)
    verdict = judge([new], {"m.py::t": PASSED}, {"m.py": {"m.py::t": PASSED}})
    assert verdict.unexplained == (new,)


@given(records, records, records)
def test_every_difference_gets_exactly_one_verdict(plain, iopio, alone):
    differences = compare(plain, plain, iopio).differences
    verdict = judge(differences, plain, {"a.py": alone, "b.py": None})
    sorted_out = [*verdict.isolation, *verdict.unstable, *verdict.unexplained]
    assert sorted(map(str, sorted_out)) == sorted(map(str, differences))
