"""Discovery against pytest itself: no file from which pytest takes a test is missing.

One process runs pytest's own collection over all trees, and says which files gave tests, in which
order. Discovery must list these in this order; it may list more, for files that turn out empty.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from iopio_async.project.discovery import discover
from iopio_async.project.pytest_config import locate_pytest_config

pytestmark = pytest.mark.slow

TEST = "def test_x(): pass\n"
DOCTEST = '"""\n>>> 1\n1\n"""\n'
BOTH = DOCTEST + TEST


class Case(msgspec.Struct, kw_only=True):
    """A tree, how pytest is called in it, and the files that discovery may list in vain."""

    files: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    here: str = "."
    in_vain: tuple[str, ...] = ()


COMMON = {
    "tests/test_b.py": TEST,
    "tests/test_a.py": TEST,
    "tests/a_test.py": TEST,
    "tests/helper.py": DOCTEST,
    "tests/sub/test_c.py": BOTH,
    "tests/sub/__init__.py": "",
    "tests/build/test_d.py": TEST,
    "tests/.hidden/test_e.py": TEST,
    "tests/test_notes.txt": ">>> 1\n1\n",
    "tests/test_requirements.txt": "numpy\n",
    "tests/readme.rst": ">>> 1\n1\n",
    "tests/testless_test.py": "",
}

CASES = {
    "defaults": Case(files=COMMON),
    "one directory": Case(files=COMMON, arguments=("tests/sub",)),
    "files and node ids": Case(
        files=COMMON,
        arguments=("tests/test_b.py::test_x", "tests/helper.py", "tests/sub", "tests/test_a.py"),
        in_vain=("tests/helper.py",),
    ),
    "a directory that is not recursed into": Case(files=COMMON, arguments=("tests/build",)),
    "doctest modules": Case(files=COMMON, arguments=("--doctest-modules",)),
    "doctest glob": Case(files=COMMON, arguments=("--doctest-glob=*.rst",)),
    "no doctests": Case(files=COMMON, arguments=("-p", "no:doctest")),
    "ignored": Case(
        files=COMMON, arguments=("--ignore=tests/test_a.py", "--ignore-glob=*/sub/*_c.py")
    ),
    "from below": Case(files=COMMON, here="tests/sub", arguments=("..",)),
    "patterns": Case(
        files={
            **COMMON,
            "pytest.ini": "[pytest]\npython_files = helper.py sub/*.py test_a*\n"
            "norecursedirs = tests/.hid* nothing\n",
        },
        in_vain=("tests/helper.py", "tests/sub/__init__.py"),
    ),
    "testpaths": Case(
        files={
            **COMMON,
            "setup.cfg": "[tool:pytest]\ntestpaths = tests/s* tests/[ab]*.py\n",
        }
    ),
    "conftests": Case(
        files={
            **COMMON,
            "conftest.py": "collect_ignore = ['tests/test_a.py', 'tests/sub/test_c.py']\n",
            "tests/conftest.py": "collect_ignore_glob = ['*_test.py']\n",
            "tests/sub/conftest.py": "collect_ignore = []\n",
        }
    ),
    "a conditional conftest": Case(
        files={
            **COMMON,
            "tests/conftest.py": "import sys\n"
            "collect_ignore = ['test_b.py']\n"
            "if sys.version_info > (3,):\n"
            "    collect_ignore += ['test_a.py']\n",
        },
        in_vain=("tests/test_a.py",),
    ),
    "a virtual environment": Case(
        files={**COMMON, "tests/env/pyvenv.cfg": "", "tests/env/test_v.py": TEST}
    ),
}

ORACLE = """
import contextlib, io, json, os, sys
import pytest

class Listing:
    def __init__(self):
        self.files = {}
    def pytest_collection_finish(self, session):
        self.root = str(session.config.rootpath)
        for item in session.items:
            self.files.setdefault(os.path.relpath(item.path, self.root))

told = {}
for name, (top, here, arguments) in json.load(sys.stdin).items():
    os.chdir(os.path.join(top, here))
    before = set(sys.modules)
    listing = Listing()
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(["--collect-only", "--import-mode=importlib", *arguments], plugins=[listing])
    for module in set(sys.modules) - before:
        del sys.modules[module]
    told[name] = [listing.root, list(listing.files)]
json.dump(told, sys.stdout)
"""


@pytest.fixture(scope="module")
def tops(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    tops = {}
    for number, (name, case) in enumerate(CASES.items()):
        top = tops[name] = tmp_path_factory.mktemp(f"case{number}_")
        for file, text in case.files.items():
            path = top / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return tops


@pytest.fixture(scope="module")
def told(tops: dict[str, Path]) -> dict[str, tuple[str, list[str]]]:
    cases = {name: (str(tops[name]), case.here, case.arguments) for name, case in CASES.items()}
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        [sys.executable, "-B", "-c", ORACLE],
        input=json.dumps(cases),
        env=environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    answers: dict[str, tuple[str, list[str]]] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_missing_and_the_order_is_pytests(
    name: str, tops: dict[str, Path], told: dict[str, tuple[str, list[str]]]
) -> None:
    case = CASES[name]
    root, files = told[name]
    here = Path(os.path.normpath(tops[name] / case.here))

    config = locate_pytest_config(here, (), case.arguments, {})
    found = discover(config, here)

    assert config.root == root
    assert files
    assert [module.path for module in found.modules if module.path in files] == files
    extra = {module.path for module in found.modules} - set(files)
    assert {name for name in extra if not name.endswith("testless_test.py")} <= set(case.in_vain)
