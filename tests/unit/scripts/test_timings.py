"""Counts, medians and ratios of timed runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timings import (
    Sample,
    add_counts,
    geometric_mean,
    grid,
    is_sound,
    markdown,
    parse_summary,
    ratio,
    summarise,
)


def sample(runner, wall_s, *, passed=100, turn=1, suite="s", exit_status=0, **counts):
    return Sample(
        suite, runner, turn, wall_s, 2 * wall_s, exit_status, {"passed": passed, **counts}
    )


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("===== 3 passed in 0.01s =====", {"passed": 3}),
        ("= 2434 passed, 24 skipped, 31000 deselected, 1 xfailed in 5.13s =",
         {"passed": 2434, "skipped": 24, "deselected": 31000, "xfailed": 1}),
        ("1 failed, 2 errors in 61.00s (0:01:01)", {"failed": 1, "error": 2}),
        ("1 error in 0.10s", {"error": 1}),
        ("3 passed, 7 subtests passed in 0.02s", {"passed": 3}),
        ("\x1b[32m====\x1b[0m \x1b[1m5 passed\x1b[0m\x1b[32m in 0.20s\x1b[0m", {"passed": 5}),
        ("no tests ran in 0.01s", {}),
        ("1484 passed, 17 skipped, 33 warnings in 12.92s", {"passed": 1484, "skipped": 17}),
    ],
)  # fmt: skip
def test_the_summary_line_is_counted(line, counts):
    assert parse_summary(f"test_a.py ...\n99 passed tests were here\n{line}\n\n") == counts


def test_output_without_a_summary_counts_nothing():
    assert parse_summary("Segmentation fault\n") == {}
    assert parse_summary("") == {}


def test_the_last_summary_counts():
    assert parse_summary("1 passed in 0.1s\n2 passed in 0.2s\n") == {"passed": 2}


def test_counts_add_up():
    assert add_counts([{"passed": 1}, {}, {"passed": 2, "failed": 1}]) == {
        "passed": 3,
        "failed": 1,
    }


def test_the_warm_up_is_left_out_and_the_median_taken():
    rounds = [sample("serial", wall, turn=turn) for turn, wall in enumerate([99.0, 3.0, 1.0, 2.0])]
    cell = summarise(rounds)["s"]["serial"]
    assert (cell.wall_s, cell.cpu_s, cell.rounds) == (2.0, 4.0, 3)
    assert cell.spread == pytest.approx(1.0)


def test_the_worst_round_is_the_one_shown():
    rounds = [
        sample("iopio", 1.0, turn=1),
        sample("iopio", 1.0, turn=2, passed=90, failed=9, error=1, exit_status=1),
    ]
    assert summarise(rounds)["s"]["iopio"].describe() == "0,1: 90 (10 not)"


def test_a_broken_runner_gets_no_ratio():
    cells = summarise([sample("serial", 10.0), sample("iopio", 1.0, passed=94)])["s"]
    assert not is_sound(cells, "iopio")
    assert ratio(cells, "iopio", "serial") is None


def test_isolation_s_own_few_failures_do_not_break_a_runner():
    cells = summarise([sample("serial", 10.0), sample("iopio", 5.0, passed=97, failed=3)])["s"]
    assert ratio(cells, "iopio", "serial") == pytest.approx(0.5)


def test_the_best_sound_mode_of_xdist_is_the_rival():
    cells = summarise(
        [
            sample("serial", 10.0),
            sample("load", 8.0),
            sample("loadfile", 4.0),
            sample("worksteal", 1.0, passed=0),
            sample("iopio", 2.0),
        ]
    )["s"]
    assert ratio(cells, "iopio", "xdist") == pytest.approx(0.5)
    assert ratio(cells, "iopio", "files") is None


@given(st.lists(st.floats(0.01, 100), min_size=1))
def test_the_geometric_mean_lies_between_the_extremes(values):
    mean = geometric_mean(values)
    assert min(values) * (1 - 1e-9) <= mean <= max(values) * (1 + 1e-9)


def test_the_geometric_mean_of_nothing_is_nothing():
    assert geometric_mean([]) is None
    assert geometric_mean([0.5, 2.0]) == pytest.approx(1.0)


def test_a_grid_is_a_markdown_table():
    assert grid(["a", "b"], [["x", "1"]]).splitlines() == [
        "| a | b |",
        "| --- | ---: |",
        "| x | 1 |",
    ]


def test_the_tables_show_ratios_means_and_what_is_broken():
    samples = [
        sample("serial", 4.0), sample("load", 2.0), sample("iopio", 1.0),
        sample("serial", 1.0, suite="t"), sample("load", 9.0, suite="t", passed=1),
        sample("iopio", 4.0, suite="t"),
    ]  # fmt: skip
    text = markdown(samples, ["serial", "load", "iopio"], {"s": (100, 5)}, ["a fact"])
    lines = text.splitlines()
    assert lines[0] == "- a fact"
    assert "| s | 100 | 5 | 4.00 | 2.00 | 1.00 | 0.25 | 0.50 | – |" in lines
    assert "| t | ? | ? | 1.00 | 9.00 (broken) | 4.00 | 4.00 | – | – |" in lines
    assert "| geometric mean |  |  |  |  |  | 1.00 | 0.50 | – |" in lines
    assert "| t | 0: 100 | 0: 1 | 0: 100 |" in lines


def test_every_table_has_as_many_cells_as_heads():
    samples = [sample("serial", 4.0), sample("iopio", 1.0, suite="t")]
    text = markdown(samples, ["serial", "iopio"], {}, [])
    for block in text.split("\n\n"):
        table = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in table}) <= 1
