"""Plain ``pytest`` and ``iopio run`` over the same trees give the same outcome for each node id."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from end_to_end import sides
from fixture_projects.pytest_case import EXIT_CODES, Case
from fixture_projects.pytest_cases import CASES

START_METHODS = ("spawn", "forkserver")


def _parameters() -> list[object]:
    parameters = []
    for case in CASES.values():
        for method in START_METHODS:
            # What a case is about hardly depends on how its processes came about.
            marks = [pytest.mark.slow] if case.slow or method == "spawn" else []
            parameters.append(pytest.param(case, method, id=f"{case.name}-{method}", marks=marks))
    return parameters


@pytest.mark.parametrize(("case", "method"), _parameters())
def test_parity(case: Case, method: str, tmp_path: Path) -> None:
    if int(pytest.__version__.partition(".")[0]) < case.needs_pytest:
        pytest.skip(f"needs pytest {case.needs_pytest}")
    with ThreadPoolExecutor(2) as sides_at_once:
        plain_run = sides_at_once.submit(
            sides.run_plain, case, sides.lay_out(case, tmp_path / "plain" / "project")
        )
        own_run = sides_at_once.submit(
            sides.run_iopio,
            case,
            sides.lay_out(case, tmp_path / "own" / "project"),
            f"--start-method={method}",
        )
        plain, own = plain_run.result(), own_run.result()
    assert plain.flat == case.outcomes, plain.output
    assert plain.code == case.exit, plain.output
    assert own.flat == case.own_outcomes, own.output
    expected_code = EXIT_CODES[case.exit] if case.own_exit is None else case.own_exit
    assert own.code == expected_code, own.output
    assert own.report["summary"]["exit_code"] == own.code


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_difference_differs_and_has_a_reason(case: Case) -> None:
    for node, (outcome, why) in case.differences.items():
        assert case.outcomes.get(node) != outcome, f"{node} does not differ"
        assert why
    assert (case.own_exit is None) == (not case.because)
