"""A part of a module under the pytest adapter, and what ties the module's tests together."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.worker.frameworks.pytest import _spans

Run = Callable[..., Any]

SIX = "".join(f"def test_{name}():\n    pass\n" for name in "abcdef")


@pytest.fixture
def run(run_source: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a module by pytest in a project of its own, without the installed plugins."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    private = tmp_path / "private"
    private.mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\nnorecursedirs = private\n")

    def run_module(source: str, **fields: Any) -> Any:
        return run_source(
            "pytest",
            source,
            "test_it.py",
            private_dir=str(private),
            arguments=("test_it.py",),
            **fields,
        )

    return run_module


def ids(*names: str) -> tuple[str, ...]:
    return tuple(f"test_it.py::test_{name}" for name in names)


def test_a_part_runs_what_it_names(run: Run) -> None:
    attempt = run(SIX, part=ids("b", "d", "gone"))

    assert attempt.certificate.complete
    assert attempt.certificate.ids == list(ids(*"abcdef"))
    assert attempt.certificate.own_ids == list(ids("b", "d"))
    assert attempt.certificate.end.exit_code == 0
    assert attempt.certificate.deselected == 0
    assert [name for kind, name in attempt.order if kind == "Finished"] == ["test_b", "test_d"]


def test_the_last_part_runs_what_nobody_names(run: Run) -> None:
    attempt = run(SIX, leave_out=ids("a", "b", "c", "gone"))

    assert attempt.certificate.own_ids == list(ids(*"def"))


def test_a_part_of_nothing_is_empty(run: Run) -> None:
    attempt = run(SIX, part=ids("gone"))

    assert attempt.certificate.complete
    assert attempt.certificate.own_ids == []
    assert attempt.certificate.end.exit_code == 5


def test_what_can_not_be_collected_belongs_to_every_part(run: Run) -> None:
    attempt = run(f"{SIX}raise OSError\n", part=ids("a"))

    assert attempt.certificate.collectors == 1
    assert attempt.outcomes == {"test_it.py": "error"}


def test_a_failure_limit_counts_in_each_part(run: Run) -> None:
    attempt = run(SIX.replace("pass", "assert 0"), part=ids("b", "c", "d"), maxfail=2)

    assert attempt.outcomes[ids("c")[0]] == "failed"
    assert attempt.certificate.unfinished() == [3]


TIED = """\
import pytest

@pytest.fixture(scope="module")
def one(): pass

@pytest.fixture(scope="module")
def base(): pass

@pytest.fixture(scope="module")
def two(base): pass

@pytest.fixture(scope="session")
def wide(): pass

@pytest.fixture
def narrow(): pass

def test_free(narrow, wide): pass
def test_one(one): pass
def test_two(two): pass
def test_base(base): pass
@pytest.mark.usefixtures("one")
def test_used(): pass
@pytest.mark.parametrize("n", [1, 2])
def test_many(one, n): pass
"""


def test_tests_that_share_a_fixture_of_the_module_have_the_same_number(run: Run) -> None:
    scopes = run(TIED).certificate.scopes

    one, two = scopes[ids("one")[0]], scopes[ids("two")[0]]
    assert one != two
    assert scopes == dict.fromkeys(ids("one", "used", "many[1]", "many[2]"), one) | dict.fromkeys(
        ids("two", "base"), two
    )


def test_a_test_of_two_fixtures_joins_both(run: Run) -> None:
    scopes = run(f"{TIED}def test_both(one, two): pass\n").certificate.scopes

    assert len(set(scopes.values())) == 1
    assert ids("free")[0] not in scopes


@pytest.mark.parametrize(
    ("marks", "tied"),
    [
        (("dependency()", "dependency(depends=['x'])", "other"), [1, 1, 0]),
        (("order(1)", "other", "order(2)"), [1, 0, 1]),
        (("xdist_group('a')", "xdist_group('b')", "xdist_group('a')"), [1, 2, 1]),
        (("xdist_group('a')", "xdist_group(name='a')", "other"), [1, 2, 0]),
    ],
)
def test_marks_may_tie_tests(run: Run, marks: tuple[str, ...], tied: list[int]) -> None:
    source = "import pytest\n" + "".join(
        f"@pytest.mark.{mark}\ndef test_{name}(): pass\n"
        for name, mark in zip("abc", marks, strict=True)
    )

    certificate = run(source).certificate

    assert [certificate.scopes.get(test, 0) for test in certificate.ids] == tied


def test_where_nothing_ties_there_are_no_numbers(run: Run) -> None:
    assert run(SIX).certificate.scopes == {}


CLOCKED = """\
import pytest, time

@pytest.fixture(scope="session")
def inner():
    now = time.perf_counter()
    while time.perf_counter() < now + 0.2: pass

@pytest.fixture(scope="session")
def outer(request):
    request.getfixturevalue("inner")

@pytest.fixture(scope="package")
def package(): pass

@pytest.fixture(scope="module")
def module(): pass

def test_a(outer, inner, package, module, monkeypatch):
    monkeypatch.setattr(time, "perf_counter", None)
"""


def test_set_up_of_the_session_is_measured_without_what_it_sets_up_in_turn(run: Run) -> None:
    shared = run(CLOCKED).certificate.shared

    setups_s = dict(shared.setups_s)
    assert sorted(setups_s) == [f"{name} of test_it.py" for name in ("inner", "outer", "package")]
    assert setups_s["inner of test_it.py"] >= 0.2
    assert setups_s["outer of test_it.py"] < 0.2
    assert not shared.hidden


def test_fixtures_of_the_module_that_no_signature_names_are_told_of(run: Run) -> None:
    source = (
        "import pytest\n"
        "@pytest.fixture(scope='module')\n"
        "def numbers(): return []\n"
        "def test_a(request): request.getfixturevalue('numbers')\n"
    )

    assert run(source).certificate.shared.hidden
    assert run(SIX).certificate.shared is None


@given(st.sets(st.integers(0, 30)))
def test_spans_hold_just_what_is_given(indices: set[int]) -> None:
    spans = _spans(sorted(indices))

    assert {index for start, end in spans for index in range(start, end)} == indices
    assert all(end < start for (_, end), (start, _) in pairwise(spans))
