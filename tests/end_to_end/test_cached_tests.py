"""``pytest --cache-tests``: single tests are replayed by plain pytest."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest
from end_to_end import sides

FILES = {
    "pytest.ini": "[pytest]\npythonpath = .\n",
    "data.txt": "10\n",
    "shop/__init__.py": "",
    "shop/tax.py": "def rate():\n    return 0.5\n",
    "shop/price.py": """\
from shop.tax import rate


def price(net):
    return net * (1 + rate())


def other():
    return 1
""",
    "tests/conftest.py": """\
import pytest


@pytest.fixture(scope="session")
def ten():
    with open("data.txt") as file:
        return int(file.read())
""",
    "tests/test_a.py": """\
import warnings

import pytest
from shop.price import other, price


def test_price():
    print("priced")
    assert price(2) == 3


def test_other(record_property):
    warnings.warn("hm")
    record_property("kind", "other")
    assert other() == 1


def test_ten(ten):
    assert ten == 10


@pytest.mark.skip(reason="not now")
def test_skipped():
    pass


@pytest.mark.xfail
def test_expected():
    assert 0
""",
    "tests/test_b.py": """\
def test_private(tmp_path, ten):
    (tmp_path / "x").write_text("1")


def test_late():
    from shop import tax

    assert tax.rate()


def test_fails():
    assert 0
""",
}

#: By their names, since none is loaded by itself here.
PLUGINS = ("-p", "no:cacheprovider", "-p", "iopio_async.pytest_plugin")

ALL, KEPT = 8, 7

PRICE, OTHER, TEN = "test_a.py::test_price", "test_a.py::test_other", "test_a.py::test_ten"
SKIPPED, EXPECTED = "test_a.py::test_skipped", "test_a.py::test_expected"
PRIVATE, LATE, FAILS = "test_b.py::test_private", "test_b.py::test_late", "test_b.py::test_fails"
OF_A = {PRICE, OTHER, TEN, SKIPPED, EXPECTED}

SEES_FUNCTIONS = sys.version_info >= (3, 12)


class Ran(NamedTuple):
    code: int
    text: str
    #: Each test case of the JUnit report, without times.
    cases: list[str]

    @property
    def replayed(self) -> tuple[int, int]:
        found = re.search(r"iopio: (\d+) of (\d+) tests replayed", self.text)
        assert found is not None, self.text
        return int(found[1]), int(found[2])

    @property
    def counts(self) -> str:
        return re.sub(r" in [\d.]+s.*", "", self.text.splitlines()[-1]).strip("= ")


class Project:
    """A project of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outside = folder.parent
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def run(self, *words: str, caches: bool = True, env: dict[str, str] | None = None) -> Ran:
        report = self.outside / "junit.xml"
        asked = ["--cache-tests"] if caches else []
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", *PLUGINS),
                *("-vv", f"--junitxml={report}", *asked, *words),
            ],
            cwd=self.folder,
            env=sides.environment({"COLUMNS": "200", **(env or {})}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=sides.GIVEN_UP_S,
            check=False,
        )
        assert "INTERNALERROR" not in ended.stdout + ended.stderr, ended.stdout + ended.stderr
        cases = [
            re.sub(r' time="[^"]*"', "", ET.tostring(case, encoding="unicode"))
            for case in ET.parse(report).iter("testcase")
        ]
        return Ran(ended.returncode, ended.stdout + ended.stderr, sorted(cases))

    def executed(self, *words: str) -> set[str]:
        """Run, and tell which tests were executed: those that are not replayed."""
        log = self.outside / "log"
        log.unlink(missing_ok=True)
        self.run("-p", "noting", *words, env={"PYTHONPATH": str(self.outside), "NOTES": str(log)})
        return set(log.read_text().splitlines()) if log.exists() else set()


#: A plugin that notes what is executed, from outside of the project.
NOTING = """\
import os

import pytest


ran = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    ran.append(item.nodeid.removeprefix("tests/"))
    return (yield)


def pytest_unconfigure():
    with open(os.environ["NOTES"], "w") as notes:
        notes.write("\\n".join(ran))
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "noting.py").write_text(NOTING)
    return Project(tmp_path / "project")


def test_replayed_tests_are_reported_like_executed_ones(project: Project) -> None:
    plain = project.run(caches=False)
    first, second = project.run(), project.run()
    assert (first.replayed, second.replayed) == ((0, ALL), (KEPT, ALL))
    for ran in (first, second):
        assert (ran.code, ran.counts, ran.cases) == (plain.code, plain.counts, plain.cases)
    assert second.counts.startswith("1 failed, 5 passed, 1 skipped, 1 xfailed, ")
    assert "UserWarning: hm" in second.text


def test_with_workers_of_xdist(project: Project) -> None:
    pytest.importorskip("xdist")
    plain = project.run("-p", "xdist", "-n2", caches=False)
    first, second = (project.run("-p", "xdist", "-n2") for _ in range(2))
    assert (first.replayed, second.replayed) == ((0, ALL), (KEPT, ALL))
    for ran in (first, second):
        assert (ran.code, ran.counts, ran.cases) == (plain.code, plain.counts, plain.cases)
    # Results are shared between both ways of running.
    assert project.run("-p", "xdist").replayed == (KEPT, ALL)


EDITS = {
    "function": (("shop/price.py", "return net *", "return 1.0 * net *"), {PRICE}),
    "function_far_away": (("shop/tax.py", "0.5", "1 / 2"), {PRICE, LATE}),
    "comment": (("shop/price.py", "def other", "# A remark.\ndef other"), set[str]()),
    "top_level": (("shop/price.py", "def other", "NEW = 1\n\n\ndef other"), OF_A),
    "data": (("data.txt", "10", "10 "), {TEN, PRIVATE}),
    "test": (("tests/test_b.py", "assert tax.rate()", "assert tax.rate() > 0"), {LATE}),
    "fixture": (("tests/conftest.py", "int(file.read())", "int(file.read(9))"), {TEN, PRIVATE}),
}


@pytest.mark.skipif(not SEES_FUNCTIONS, reason="a file is taken as a whole")
@pytest.mark.parametrize("edit", EDITS)
def test_what_is_affected_runs_again(project: Project, edit: str) -> None:
    words, affected = EDITS[edit]
    assert len(project.executed()) == ALL
    assert project.executed() == {FAILS}
    project.edit(*words)
    assert project.executed() == affected | {FAILS}
    assert project.executed() == {FAILS}


def test_whole_files_do_as_well(project: Project) -> None:
    project.executed()
    project.edit("shop/price.py", "return net *", "return 1.0 * net *")
    again = project.executed()
    assert {PRICE, FAILS} <= again <= OF_A | {FAILS}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("conftest.py", "import pytest\n\n@pytest.fixture(autouse=True)\ndef all():\n    pass\n"),
        ("pytest.ini", "[pytest]\npythonpath = .\nfilterwarnings = error\n"),
    ],
)
def test_what_concerns_all_runs_all(project: Project, name: str, text: str) -> None:
    project.executed()
    project.write(name, text)
    assert len(project.executed()) == ALL


def test_another_environment(project: Project) -> None:
    project.write("tests/test_c.py", "import os\ndef test_it():\n    assert not os.getenv('BAD')\n")
    project.write(
        "tests/test_d.py", "def test_it(monkeypatch):\n    monkeypatch.setenv('BAD', '')\n"
    )
    assert project.run().replayed == (0, ALL + 2)
    assert project.run().replayed == (KEPT + 2, ALL + 2)
    ran = project.run(env={"BAD": "1"})
    assert ran.replayed == (KEPT + 1, ALL + 2)
    assert "2 failed" in ran.counts


def test_what_an_earlier_test_had_computed_is_an_input_too(project: Project) -> None:
    project.write(
        "shop/memo.py",
        "import functools\n@functools.lru_cache\ndef load():\n    return open('memo.txt').read()\n",
    )
    project.write("memo.txt", "one")
    project.write(
        "tests/test_c.py",
        "from shop.memo import load\ndef test_first():\n    assert load()\n"
        "def test_second():\n    assert load() == 'one'\n"
        "def test_other():\n    pass\n",
    )
    project.executed()
    assert project.executed() == {FAILS}
    project.write("memo.txt", "two")
    assert project.executed() == {FAILS, "test_c.py::test_first", "test_c.py::test_second"}


def test_whoever_looks_at_the_command_line_runs_again_with_another(project: Project) -> None:
    project.write(
        "tests/test_c.py",
        "import sys\ndef test_argv():\n    assert sys.argv\n"
        "def test_config(request):\n    assert request.config.args is not None\n"
        "def test_neither():\n    pass\n",
    )
    project.executed()
    assert project.executed() == {FAILS}
    assert project.executed("tests/test_c.py") == {"test_c.py::test_argv", "test_c.py::test_config"}


def test_what_fails_or_must_not_be_kept_runs_again(project: Project) -> None:
    project.write(
        "tests/test_b.py",
        "import pytest\n"
        "@pytest.mark.iopio(cache=False)\ndef test_marked():\n    pass\n"
        "def test_testsuite(record_testsuite_property):\n    record_testsuite_property('a', 1)\n"
        "def test_rewrites():\n    with open('data.txt', 'r+') as file:\n"
        "        text = file.read()\n        file.seek(0)\n        file.write(text)\n"
        "def test_fails():\n    assert 0\n",
    )
    names = {f"test_b.py::test_{name}" for name in ("marked", "testsuite", "rewrites", "fails")}
    project.executed()
    # What is rewritten in each session can't be relied on either.
    assert project.executed() == names | {TEN}


def test_fixtures_of_wider_scope_are_torn_down_between_replayed_tests(project: Project) -> None:
    module = """\
import pytest

@pytest.fixture(scope="module")
def shared():
    yield 1
    print("torn down")

def test_first(shared):
    assert {fails}
def test_second(shared):
    pass
"""
    project.write("tests/test_b.py", module.format(fails="0"))
    project.write("tests/test_c.py", module.format(fails="0").replace("first", "third"))
    plain = project.run(caches=False)
    first, second = project.run(), project.run()
    assert (first.cases, first.counts) == (plain.cases, plain.counts)
    assert second.counts == plain.counts
    assert second.replayed[0] == first.replayed[1] - 2


def test_nothing_is_replayed_where_tests_have_to_run(project: Project) -> None:
    project.run()
    ran = project.run("-p", "pytest_cov", "--cov=shop")
    assert "no test is replayed: coverage can only be measured of tests that run" in ran.text
    assert "shop/price.py" in ran.text


def test_results_are_kept_where_asked(project: Project) -> None:
    folder = project.outside / "deep" / "results"
    assert project.run(f"--cache-dir={folder}").replayed == (0, ALL)
    assert project.run(f"--cache-dir={folder}").replayed == (KEPT, ALL)
    assert not (project.folder / ".test_cache").exists()


def test_without_a_place_for_results_tests_just_run(project: Project) -> None:
    project.write("file", "")
    ran = project.run("--cache-dir=file")
    assert ran.counts == project.run(caches=False).counts
    assert ran.text.count("iopio: warning: no test is replayed: ") == 1


def run_pytest(folder: Path, *words: str) -> Sequence[str]:
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", *PLUGINS, *words],
        cwd=folder,
        env=sides.environment({}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=sides.GIVEN_UP_S,
        check=False,
    )
    return [str(ended.returncode), *(ended.stdout + ended.stderr).splitlines()]


def test_a_folder_that_misleads_pytest_is_named(project: Project) -> None:
    (project.outside / "results").mkdir()
    code, *lines = run_pytest(
        project.folder, "--cache-tests", "--cache-dir", str(project.outside / "results")
    )
    assert code == "4"
    assert any("write --cache-dir=DIR" in line for line in lines)


def test_nothing_of_it_is_there_unless_asked_for(project: Project) -> None:
    _, *lines = run_pytest(project.folder)
    assert not any(line.startswith("iopio") for line in lines)
    assert not (project.folder / ".test_cache").exists()


def test_in_a_run_of_iopio_its_own_cache_counts(project: Project) -> None:
    asked = "-p iopio_async.pytest_plugin --cache-tests --performance-regression"
    project.write("pytest.ini", f"{FILES['pytest.ini']}addopts = {asked}\n")
    for words in ((), ("--no-cache",)):
        subprocess.run(
            [*sides.script("iopio"), "run", *words],
            cwd=project.folder,
            env=sides.environment({}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=sides.GIVEN_UP_S,
            check=False,
        )
    assert (project.folder / ".test_cache" / "v1" / "ac").is_dir()
    assert not (project.folder / ".test_cache" / "v1" / "tests").exists()
    assert not (project.folder / "performance_history").exists()
