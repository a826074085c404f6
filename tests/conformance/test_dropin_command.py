"""The original's command, as its documentation calls it."""

import json
import runpy
import sys
from pathlib import Path

import pytest
from conformance.original import Project, Said

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "optimized_test_runner.py"

PASSING = {
    "tests/test_a.py": "def test_a(): pass\ndef test_b(): pass\n",
    "tests/test_c.py": "def test_c(): pass\n",
}
FAILING = "def test_bare():\n    one = 1\n    assert one == 2\ndef test_good(): pass\n"

SUMMARY = """\
Test Execution Summary:
- Total tests: {total}
- Passed: {passed}
- Failed: {failed}
- Cached: {cached}
- Executed: {executed}
- Execution time: """


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    for name, text in PASSING.items():
        project.write(name, text)
    return project


def summary(total: int, passed: int, cached: int) -> str:
    return SUMMARY.format(
        total=total, passed=passed, failed=total - passed, cached=cached, executed=total - cached
    )


def test_the_bare_command(project: Project) -> None:
    first = project.command()
    assert (first.code, first.stderr) == (0, "")
    assert summary(3, 3, 0) in first.stdout
    assert "\n- Cache hit rate: 0%\n- Parallel efficiency: " in first.stdout
    again = project.command()
    assert again.code == 0
    assert summary(3, 3, 3) in again.stdout
    assert "\n- Cache hit rate: 100%\n" in again.stdout
    project.write("tests/test_bad.py", FAILING)
    bad = project.command()
    assert bad.code == 1
    assert summary(5, 4, 3) in bad.stdout


@pytest.mark.parametrize(
    ("arguments", "cached"),
    [
        (["--no-parallel"], 3),
        (["--no-cache"], 0),
        (["--parallel", "--cache"], 3),
        (["--no-parallel", "--cache"], 3),
        (["--cache", "--workers", "4"], 3),
        (["-P", "-c", "-w", "2"], 3),
    ],
)
def test_options(project: Project, arguments: list[str], cached: int) -> None:
    project.command(*arguments, "--report", "first.json")
    again = project.command(*arguments, "--report", "again.json")
    assert again.code == 0, again.stderr
    first, results = (
        json.loads((project.root / name).read_text()) for name in ("first.json", "again.json")
    )
    assert (first["cached"], results["cached"]) == (0, cached)
    if "--no-parallel" in arguments:
        assert results["max_workers"] == 1
    if "4" in arguments:
        assert results["max_workers"] == 4


@pytest.mark.parametrize("workers", ["0", "-1", "many"])
def test_workers_that_are_none(project: Project, workers: str) -> None:
    said = project.command("--workers", workers)
    assert said.code == 2
    assert "is not a positive number" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_directory(project: Project) -> None:
    project.write("my_tests/test_mine.py", "def test_mine(): pass\n")
    said = project.command("--directory", "./my_tests")
    assert said.code == 0
    assert summary(1, 1, 0) in said.stdout
    missing = project.command("--directory", "missing")
    assert missing.code == 1
    assert "no such directory: missing" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_an_empty_directory(project: Project) -> None:
    (project.root / "nothing").mkdir()
    said = project.command("-d", "nothing")
    assert said.code == 1
    assert "no tests found in nothing" in said.stderr


def test_listing_imports_nothing(project: Project) -> None:
    project.write("tests/deep/test_loud.py", "open('imported', 'w')\n")
    said = project.command("--list")
    assert said.code == 0
    assert [line for line in said.stdout.splitlines() if line.startswith("- ")] == [
        "- tests/test_a.py",
        "- tests/test_c.py",
        "- tests/deep/test_loud.py",
    ]
    assert not (project.root / "imported").exists()
    assert not (project.root / ".test_cache").exists()


def test_a_pattern(project: Project) -> None:
    project.write("tests/check_it.py", "def test_it(): pass\n")
    said = project.command("--pattern", "check_*.py")
    assert said.code == 0
    assert summary(1, 1, 0) in said.stdout


def test_the_report_is_what_the_api_returns(project: Project) -> None:
    project.write("tests/test_bad.py", FAILING)
    said = project.command("--report", "results.json", "--verbose")
    assert said.code == 1
    (failed,) = [line for line in said.stdout.splitlines() if line.startswith("FAILED")]
    assert failed == "FAILED tests/test_bad.py::test_bare: AssertionError: assert one == 2"
    for heading in ("Execution Metrics:", "Cache Metrics:", "Worker Metrics:"):
        assert f"\n{heading}\n" in said.stdout
    report = json.loads((project.root / "results.json").read_text())
    results = project.results(
        "from test_optimization import run_test_directory\n"
        "results = run_test_directory('tests', cache_enabled=False)\n"
    )
    assert report.keys() == results.keys()
    same = ("total_tests", "passed", "failed")
    assert [report[key] for key in same] == [results[key] for key in same]
    for ours, theirs in zip(report["results"], results["results"], strict=True):
        assert ours.keys() == theirs.keys()
        assert (ours["test"], ours["error"]) == (theirs["test"], theirs["error"])


def test_a_file_that_can_not_be_imported(project: Project) -> None:
    project.write("tests/test_bad.py", "import surely_not_there\n")
    said = project.command()
    assert said.code == 1
    assert "ERROR tests/test_bad.py: ModuleNotFoundError" in said.stdout
    assert "- Passed: 3\n" in said.stdout


def test_other_ways_to_call_it(project: Project) -> None:
    def check(said: Said) -> None:
        assert said.code == 0, said.stderr
        assert "- Passed: 3\n" in said.stdout

    check(project.python("-m", "optimized_test_runner.py"))
    check(project.python(str(SCRIPT)))
    check(project.python("-m", "cProfile", "-o", "profile.stats", str(SCRIPT)))
    assert (project.root / "profile.stats").stat().st_size


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start_method", "options"), [("forkserver", ()), ("spawn", ("--branch", "--source=."))]
)
def test_coverage_counts_what_the_isolated_processes_execute(
    project: Project, start_method: str, options: tuple[str, ...]
) -> None:
    pytest.importorskip("coverage", "7.10")
    project.write("product.py", "def double(n):\n    return 2 * n\ndef never():\n    return 3\n")
    project.write("tests/test_c.py", "from product import double\ndef test_c(): assert double(1)\n")
    project.write(
        "tests/test_d.py",
        "import pytest\nfrom product import double\n"
        "@pytest.mark.parametrize('n', [1])\ndef test_d(n): assert double(n)\n",
    )
    for _ in range(2):
        said = project.python(
            *("-m", "coverage", "run", *options, "-m", "optimized_test_runner.py"),
            IOPIO_START_METHOD=start_method,
        )
        assert said.code == 0, said.stderr
        assert "Traceback" not in said.stderr
        assert (project.root / ".coverage").stat().st_size
        told = project.python("-m", "coverage", "json", "-o", "coverage.json")
        assert told.code == 0, told.stdout + told.stderr
        files = json.loads((project.root / "coverage.json").read_text())["files"]
        assert files["product.py"]["executed_lines"] == [1, 2, 3]
        assert files["product.py"]["missing_lines"] == [4]
        assert files["tests/test_d.py"]["missing_lines"] == []
        (project.root / ".coverage").unlink()


def test_a_broken_configuration(project: Project) -> None:
    project.write("pyproject.toml", "[tool.iopio]\nworkers = 'none'\n")
    said = project.command()
    assert said.code == 2
    assert said.stderr.startswith("error: ")
    assert "Traceback" not in said.stderr


def test_the_modules_only_re_export() -> None:
    import optimized_test_runner
    import test_optimization
    from iopio_async import dropin
    from iopio_async.dropin import command

    assert set(test_optimization.__all__) == set(dropin.__all__)
    for name in dropin.__all__:
        assert getattr(test_optimization, name) is getattr(dropin, name)
    assert optimized_test_runner.main is command.main
    for name in dropin.__all__:
        if name.startswith("Test"):
            assert getattr(dropin, name).__test__ is False


def test_the_script_is_the_module(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["optimized_test_runner.py", "--help"])
    with pytest.raises(SystemExit) as leaving:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert leaving.value.code == 0
    assert "--no-parallel" in capsys.readouterr().out
