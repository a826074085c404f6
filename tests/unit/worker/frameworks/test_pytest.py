"""The pytest adapter, module by module: what it collects, what it tells, what it leaves alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.model.action import Limits
from iopio_async.model.module import ModuleKind
from iopio_async.wire import messages as msg
from iopio_async.worker.frameworks.pytest_narrowing import _parents, _path_part

Run = Callable[..., Any]


@pytest.fixture
def run(run_source: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a module by pytest in a project of its own, without the installed plugins."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    private = tmp_path / "private"
    private.mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\nnorecursedirs = private\n")

    def run_module(source: str, path: str = "test_it.py", **fields: Any) -> Any:
        fields.setdefault("arguments", (path,))
        return run_source("pytest", source, path, private_dir=str(private), **fields)

    return run_module


def notes(attempt: Any) -> list[str]:
    return [each.failure.message for each in attempt.messages if isinstance(each, msg.Note)]


def test_greets_with_versions(run: Run) -> None:
    hello = run("").messages[0]
    assert hello.versions["pytest"] == pytest.__version__
    assert "python" in hello.versions


def test_each_test_starts_and_finishes_in_order(run: Run) -> None:
    attempt = run("def test_b():\n    pass\ndef test_a():\n    assert 0\n")
    assert attempt.order == [
        ("Started", "test_b"),
        ("Finished", "test_b"),
        ("Started", "test_a"),
        ("Finished", "test_a"),
    ]
    assert attempt.certificate.complete
    assert attempt.certificate.end.exit_code == 1
    assert attempt.finished["test_a"].line == 3


def test_only_the_module_and_the_way_to_it_are_imported(run: Run, tmp_path: Path) -> None:
    for name in ("test_sibling.py", "b/test_cousin.py", "b/conftest.py", "test_a_sibling.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise RuntimeError('never imported')\n")
    attempt = run("def test_x():\n    pass\n", "a/test_it.py", arguments=())
    assert attempt.outcomes == {"a/test_it.py::test_x": "passed"}
    assert notes(attempt) == []


def test_what_pytest_would_not_collect_is_not_collected(run: Run) -> None:
    attempt = run("def test_x():\n    pass\n", "private/test_it.py", arguments=())
    assert attempt.certificate.complete
    assert attempt.outcomes == {}
    assert attempt.certificate.end.exit_code == 5


def test_a_file_of_any_name_is_collected_where_it_is_named(run: Run) -> None:
    attempt = run("def test_x():\n    pass\n", "odd_name.py")
    assert attempt.outcomes == {"odd_name.py::test_x": "passed"}


def test_node_ids_among_the_arguments_narrow_it(run: Run) -> None:
    source = "def test_a():\n    pass\ndef test_b():\n    pass\n"
    attempt = run(source, arguments=("test_it.py::test_b", "elsewhere"))
    assert attempt.outcomes == {"test_it.py::test_b": "passed"}


def test_selected_tests_alone_are_run(run: Run) -> None:
    source = (
        "import pytest\n"
        "@pytest.mark.parametrize('x', ['a::b', 'c[d]'])\n"
        "def test_p(x):\n    pass\n"
        "def test_q():\n    pass\n"
    )
    attempt = run(source, selectors=("test_it.py::test_p[c[d]]",))
    assert attempt.outcomes == {"test_it.py::test_p[c[d]]": "passed"}
    assert attempt.certificate.deselected == 2


def test_deselected_tests_are_counted(run: Run) -> None:
    source = "def test_a():\n    pass\ndef test_b():\n    pass\n"
    attempt = run(source, arguments=("test_it.py", "-k", "test_a"))
    assert list(attempt.outcomes) == ["test_it.py::test_a"]
    assert attempt.certificate.deselected == 1


def test_the_remainder_is_all_but_the_known(run: Run, tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_x():\n    pass\n")
    attempt = run(
        "raise RuntimeError('never imported')\n",
        kind=ModuleKind.REMAINDER,
        known_paths=("test_it.py",),
        arguments=(),
    )
    assert attempt.outcomes == {"test_other.py::test_x": "passed"}


@pytest.mark.parametrize(
    ("conftest", "foreign"),
    [
        ("", False),
        ("def pytest_collection_modifyitems():\n    pass\n", False),
        ("def pytest_collect_file():\n    return None\n", True),
    ],
)
def test_collectors_of_others_are_told_of(
    run: Run, tmp_path: Path, conftest: str, foreign: bool
) -> None:
    (tmp_path / "conftest.py").write_text(conftest)
    assert run("def test_x():\n    pass\n").certificate.foreign_collectors is foreign


def test_stops_at_the_failure_limit(run: Run) -> None:
    source = "".join(f"def test_{n}():\n    assert 0\n" for n in range(4))
    attempt = run(source, maxfail=2)
    assert list(attempt.outcomes.values()) == ["failed", "failed", "not-run", "not-run"]
    assert attempt.certificate.end.stopped_early


@pytest.mark.parametrize("deed", ["pytest.exit('x', 0)", "raise KeyboardInterrupt"])
def test_a_test_that_ends_the_session_was_in_flight(run: Run, deed: str) -> None:
    source = f"import pytest\ndef test_a():\n    pass\ndef test_b():\n    {deed}\n"
    attempt = run(source)
    assert attempt.outcomes == {"test_it.py::test_a": "passed", "test_it.py::test_b": "not-run"}
    assert attempt.certificate.ids[attempt.certificate.in_flight] == "test_it.py::test_b"
    (note,) = notes(attempt)
    assert note.startswith("the session was ended by ")


def test_a_module_that_skips_itself_counts_as_one(run: Run) -> None:
    source = "import pytest\npytest.skip('not here', allow_module_level=True)\n"
    attempt = run(source)
    assert attempt.outcomes == {"test_it.py": "skipped"}
    (finished,) = attempt.finished.values()
    assert finished.reason == "not here"


def test_what_can_be_collected_is_run_beside_what_cannot(run: Run, tmp_path: Path) -> None:
    source = "raise RuntimeError('while importing')\n"
    attempt = run(source)
    assert attempt.outcomes == {"test_it.py": "error"}
    (finished,) = attempt.finished.values()
    assert finished.failures[0].message == "RuntimeError: while importing"


def test_an_internal_error_is_noted(run: Run, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "def pytest_runtest_logfinish():\n    raise RuntimeError('in a hook')\n"
    )
    attempt = run("def test_a():\n    pass\n")
    assert notes(attempt) == ["internal error of pytest: RuntimeError: in a hook"]
    assert attempt.certificate.end.exit_code == 3


def test_texts_are_cut(run: Run) -> None:
    attempt = run(
        "def test_a():\n    print('x' * 10_000)\n    assert 0, 'y' * 10_000\n",
        limits=Limits(failure_chars=300, section_chars=200, property_chars=100),
    )
    finished = attempt.finished["test_a"]
    assert len(finished.failures[0].text) < 400
    assert len(finished.failures[0].message) < 200
    assert len(finished.sections[0].text) < 300


@pytest.mark.parametrize("color", [True, False])
def test_colour_of_failures(run: Run, color: bool) -> None:
    attempt = run("def test_a():\n    assert 1 == 2\n", color=color)
    assert ("\x1b[" in attempt.finished["test_a"].failures[0].text) is color


def test_a_forked_child_that_runs_on_tells_nothing(run: Run) -> None:
    source = (
        "import os\n"
        "def test_a():\n    child = os.fork()\n    if child:\n        os.waitpid(child, 0)\n"
        "def test_b():\n    pass\n"
    )
    attempt = run(source)
    assert attempt.outcomes == {"test_it.py::test_a": "passed", "test_it.py::test_b": "passed"}


@pytest.mark.parametrize(
    ("conftest", "expected"),
    [
        ("", "(True, (700, 10, 10))"),
        ("import gc\ngc.disable()\n", "(False, (700, 10, 10))"),
        ("import gc\ngc.set_threshold(123, 4, 5)\n", "(True, (123, 4, 5))"),
    ],
)
def test_the_garbage_collector_is_as_conftests_leave_it(
    run: Run, tmp_path: Path, conftest: str, expected: str
) -> None:
    (tmp_path / "conftest.py").write_text(conftest)
    source = (
        "import gc\n"
        "def test_gc():\n"
        f"    plain = {expected}\n"
        "    normal = plain if plain[1][0] == 123 else (plain[0], DEFAULT)\n"
        "    assert (gc.isenabled(), gc.get_threshold()) == normal\n"
    )
    import gc

    source = source.replace("DEFAULT", repr(gc.get_threshold()))
    attempt = run(source)
    assert attempt.outcomes == {"test_it.py::test_gc": "passed"}, attempt.messages


def test_temporary_directories_and_cache_are_private(run: Run, tmp_path: Path) -> None:
    attempt = run(
        "def test_a(tmp_path, cache):\n"
        f"    assert str(tmp_path).startswith({str(tmp_path / 'private')!r})\n"
        "    cache.set('a/b', 1)\n"
        "    assert cache.get('a/b', 0) == 1\n"
    )
    assert attempt.outcomes == {"test_it.py::test_a": "passed"}, attempt.messages
    assert not (tmp_path / ".pytest_cache").exists()


def test_nothing_is_printed(run: Run) -> None:
    attempt = run("def test_a():\n    print('hidden')\n    assert 0\n")
    assert attempt.output == ""


@given(path=st.text(st.characters(exclude_characters="[:\0"), min_size=1), names=st.text())
def test_paths_of_node_ids(path: str, names: str) -> None:
    assert _path_part(f"{path}::{names}") == path
    assert _path_part(path) == path


def test_parents() -> None:
    assert list(_parents("/a/b/c.py")) == ["/a/b", "/a", "/"]
