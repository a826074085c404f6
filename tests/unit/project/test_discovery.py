"""Which modules are listed, in which order, and what is said about the rest."""

import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from iopio_async.errors import UsageError
from iopio_async.planning.selection import UNITTEST_FILES
from iopio_async.project.discovery import Discovery, discover, read_outlines
from iopio_async.project.pytest_config import locate_pytest_config
from iopio_async.project.tree import Tree

TEST = "def test_x(): pass\n"
DOCTEST = '"""\n>>> 1\n1\n"""\n'


class Project:
    """A directory with files, and discovery in it."""

    def __init__(self, top: Path) -> None:
        self.top = top

    def write(self, files: Mapping[str, str] | Sequence[str]) -> "Project":
        for name in files:
            path = self.top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[name] if isinstance(files, Mapping) else TEST)
        return self

    def find(
        self, *paths: str, here: str = ".", arguments: Sequence[str] = (), **options: Any
    ) -> Discovery:
        directory = Path(os.path.normpath(self.top / here))
        config = locate_pytest_config(directory, paths, arguments, {})
        return discover(config, directory, paths=paths, **options)

    def names(self, *paths: str, **options: Any) -> list[str]:
        return [module.path for module in self.find(*paths, **options).modules]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path).write({"pytest.ini": "[pytest]\n"})


# -- where to look --------------------------------------------------------------------------


def test_paths_come_first_and_files_are_taken_whatever_their_name(project: Project) -> None:
    project.write(["tests/test_a.py", "other/test_b.py", "other/odd.py", "other/notes.rst"])

    assert project.names("other") == ["other/test_b.py"]
    assert project.names("other/odd.py", "tests") == ["other/odd.py", "tests/test_a.py"]
    assert project.names("other/notes.rst") == ["other/notes.rst"]


def test_paths_are_relative_to_where_the_run_starts(project: Project) -> None:
    project.write(["tests/test_a.py", "other/test_b.py"])

    assert project.names("../other", here="tests") == ["other/test_b.py"]


def test_node_ids_of_one_file_are_one_module(project: Project) -> None:
    project.write(["tests/test_a.py", "tests/test_b.py"])

    found = project.find(
        "tests/test_b.py::TestB::test_c[x::y/z-1]", "tests/test_a.py", "tests/test_b.py::test_d"
    )

    assert [module.path for module in found.modules] == ["tests/test_b.py", "tests/test_a.py"]
    assert all(module.selectors == () for module in found.modules)
    assert found.roots[0] == "tests/test_b.py::TestB::test_c[x::y/z-1]"


def test_overlapping_paths_give_a_module_once(project: Project) -> None:
    project.write(["tests/unit/test_a.py", "tests/test_b.py"])

    assert project.names("tests/unit", "tests", "tests/test_b.py", "./tests/../tests") == [
        "tests/unit/test_a.py",
        "tests/test_b.py",
    ]


def test_iopio_testpaths_come_before_pytests(project: Project) -> None:
    project.write({"pytest.ini": "[pytest]\ntestpaths = tests\n"})
    project.write(["tests/test_a.py", "more/one/test_b.py", "more/two/test_c.py"])

    found = project.find(testpaths=["more/*"])

    assert [module.path for module in found.modules] == ["more/one/test_b.py", "more/two/test_c.py"]
    assert found.origin == "iopio testpaths"
    assert found.roots == ("more/one", "more/two")
    assert project.find(here="tests", testpaths=["more/one"]).roots == ("../more/one",)


def test_iopio_testpaths_that_match_nothing_are_refused(project: Project) -> None:
    with pytest.raises(UsageError, match="nope"):
        project.find(testpaths=["nope"])


def test_pytests_testpaths_count_in_the_root_directory_only(project: Project) -> None:
    project.write({"pytest.ini": "[pytest]\ntestpaths = b* a\n"})
    project.write(["a/test_a.py", "b1/test_b.py", "b2/test_b.py", "tests/test_t.py"])

    assert project.names() == ["b1/test_b.py", "b2/test_b.py", "a/test_a.py"]
    assert project.find().origin == "pytest testpaths"
    assert project.names(here="tests") == ["tests/test_t.py"]


def test_testpaths_that_match_nothing_warn_and_the_whole_directory_is_searched(
    project: Project,
) -> None:
    project.write({"pytest.ini": "[pytest]\ntestpaths = nope\n"})
    project.write(["tests/test_a.py", "other/test_b.py"])

    found = project.find()

    assert [module.path for module in found.modules] == ["other/test_b.py", "tests/test_a.py"]
    assert "testpaths match nothing: nope" in found.warnings[0]


def test_the_tests_folder_else_the_directory(project: Project) -> None:
    project.write(["pkg/test_a.py"])
    assert project.names() == ["pkg/test_a.py"]
    assert project.find().origin == "directory"
    assert project.find().roots == (str(project.top),)

    project.write(["tests/test_b.py"])
    assert project.names() == ["tests/test_b.py"]
    assert project.find().origin == "tests folder"
    assert project.names(here="pkg") == ["pkg/test_a.py"]


def test_paths_among_pytests_arguments_count_and_doubtful_words_do_not(project: Project) -> None:
    project.write(["tests/test_a.py", "tests/test_b.py", "src/test_c.py"])

    assert project.names(arguments=["-x", "tests/test_b.py"]) == ["tests/test_b.py"]
    assert len(project.names(arguments=["--cov", "src"])) == 2


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("nope", "no such file or directory: nope"),
        ("tests/nope.py::test_x", "no such file or directory: tests/nope.py"),
        ("tests::test_x", "a directory holds no tests of its own"),
        ("tests/fifo", "a FIFO"),
        ("tests/dangling", "no such file"),
    ],
)
def test_paths_of_no_use(project: Project, argument: str, message: str) -> None:
    project.write(["tests/test_a.py"])
    os.mkfifo(project.top / "tests/fifo")
    (project.top / "tests/dangling").symlink_to("nowhere")

    with pytest.raises(UsageError, match=message):
        project.find(argument)


def test_paths_outside_of_the_root(project: Project) -> None:
    project.write(["inner/test_a.py", "outer/test_b.py"])

    found = project.names("../outer", here="inner", arguments=["--rootdir=."])

    assert found == ["../outer/test_b.py"]


def test_paths_from_a_file_of_arguments(project: Project) -> None:
    project.write(["tests/test_a.py", "tests/test_b.py"])
    project.write({"list": "tests/test_b.py\ntests/test_a.py::test_x\n"})

    assert project.names("@list") == ["tests/test_b.py", "tests/test_a.py"]
    with pytest.raises(UsageError, match="nope"):
        project.find("@nope")


# -- packages by name -----------------------------------------------------------------------


def test_packages_by_name(project: Project) -> None:
    project.write(["lib/pkg/__init__.py", "lib/pkg/tests/__init__.py", "lib/pkg/tests/test_a.py"])
    options = {"arguments": ["--pyargs"], "search_path": ["lib"]}

    assert project.names("pkg.tests", **options) == ["lib/pkg/tests/test_a.py"]
    assert project.names("pkg.tests.test_a::test_x", **options) == ["lib/pkg/tests/test_a.py"]
    assert project.names("lib/pkg/tests/test_a.py", **options) == ["lib/pkg/tests/test_a.py"]


def test_a_package_that_only_an_import_could_find_is_left_over(project: Project) -> None:
    found = project.find("elsewhere.tests", arguments=["--pyargs"])

    assert found.leftover
    assert "elsewhere.tests: not found without importing it" in found.warnings
    with pytest.raises(UsageError):
        project.find("no/such/path", arguments=["--pyargs"])


def test_pythonpath_is_searched_for_packages(project: Project) -> None:
    project.write({"pytest.ini": "[pytest]\npythonpath = lib\n"})
    project.write(["lib/pkg/__init__.py", "lib/pkg/test_a.py"])

    assert project.names("pkg", arguments=["--pyargs"]) == ["lib/pkg/test_a.py"]


# -- names ----------------------------------------------------------------------------------


def test_order_is_by_name_with_files_and_directories_together(project: Project) -> None:
    project.write(["tests/test_b.py", "tests/test_b/test_z.py", "tests/a/test_a.py"])
    project.write(["tests/test_a.py", "tests/test_c/test_y.py", "tests/test_Z.py"])

    assert project.names() == [
        "tests/a/test_a.py",
        "tests/test_Z.py",
        "tests/test_a.py",
        "tests/test_b/test_z.py",
        "tests/test_b.py",
        "tests/test_c/test_y.py",
    ]


def test_a_package_comes_before_its_modules(project: Project) -> None:
    project.write(["tests/pkg/Aa.py", "tests/pkg/__init__.py", "tests/plain/Aa.py"])

    assert project.names(python_files=["*.py"]) == [
        "tests/pkg/__init__.py",
        "tests/pkg/Aa.py",
        "tests/plain/Aa.py",
    ]


def test_python_files(project: Project) -> None:
    project.write({"pytest.ini": "[pytest]\npython_files = check_*.py unit/*.py\n"})
    project.write(["tests/check_a.py", "tests/test_b.py", "tests/unit/c.py", "tests/check_d.txt"])

    assert project.names() == ["tests/check_a.py", "tests/unit/c.py"]


def test_unittests_patterns_in_their_place(project: Project) -> None:
    project.write(["tests/testing.py", "tests/test_b.py", "tests/b_test.py"])

    assert project.names(python_files=UNITTEST_FILES) == ["tests/test_b.py", "tests/testing.py"]


def test_only_python_has_the_suffix(project: Project) -> None:
    project.write(["tests/test_a.pyc", "tests/test_b.py.orig", "tests/.py", "tests/test_c.py"])

    assert project.names(python_files=["*"]) == ["tests/test_c.py"]


def test_a_name_that_is_not_utf8(project: Project) -> None:
    folder = project.top / "tests"
    folder.mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/test_\xff.py")).write_text(TEST)

    assert project.names() == ["tests/test_\udcff.py"]
    assert project.names("tests/test_\udcff.py") == ["tests/test_\udcff.py"]


def test_names_with_brackets_spaces_and_colons(project: Project) -> None:
    project.write(["tests/test_[1].py", "tests/test_ a.py", "tests/test_b:c.py"])

    assert project.names() == ["tests/test_ a.py", "tests/test_[1].py", "tests/test_b:c.py"]
    assert project.names("tests/test_[1].py") == ["tests/test_[1].py"]


def test_sizes(project: Project) -> None:
    project.write(["tests/test_a.py"])

    for found in (project.find(), project.find("tests/test_a.py")):
        assert [module.size_bytes for module in found.modules] == [len(TEST)]


# -- what is left out -----------------------------------------------------------------------


def test_directories_that_are_not_entered(project: Project) -> None:
    project.write(
        [f"tests/{name}/test_a.py" for name in (".git", "build", "x.egg", "venv", "__pycache__")]
    )
    project.write(["tests/env/test_a.py", "tests/env/pyvenv.cfg", "tests/good/test_a.py"])
    project.write(["tests/conda/test_a.py", "tests/conda/conda-meta/history"])

    assert project.names() == ["tests/good/test_a.py"]
    assert project.names("tests/build") == ["tests/build/test_a.py"]
    assert project.names(arguments=["--collect-in-virtualenv"]) == [
        "tests/conda/test_a.py",
        "tests/env/test_a.py",
        "tests/good/test_a.py",
    ]


def test_a_directory_on_the_way_to_a_named_path_is_entered(project: Project) -> None:
    project.write(["tests/build/test_a.py", "tests/build/test_b.py", "tests/dist/test_c.py"])

    assert project.names("tests", "tests/build/test_b.py") == [
        "tests/build/test_a.py",
        "tests/build/test_b.py",
    ]


def test_norecursedirs(project: Project) -> None:
    project.write({"pytest.ini": "[pytest]\nnorecursedirs = tests/data old_*\n"})
    project.write(
        [
            "tests/data/test_a.py",
            "tests/x/data/test_b.py",
            "tests/old_x/test_c.py",
            "tests/.x/test_d.py",
        ]
    )

    assert project.names() == ["tests/.x/test_d.py", "tests/x/data/test_b.py"]


def test_ignored_by_option(project: Project) -> None:
    project.write(
        ["tests/a/test_a.py", "tests/test_b.py", "tests/test_c.py", "tests/test_d_old.py"]
    )

    arguments = [
        "--ignore=tests/a",
        "--ignore",
        "tests/../tests/test_b.py",
        "--ignore-glob=*_old.py",
    ]

    assert project.names(arguments=arguments) == ["tests/test_c.py"]
    assert project.names("tests/test_b.py", arguments=arguments) == ["tests/test_b.py"]
    assert project.names("tests/a", arguments=arguments) == ["tests/a/test_a.py"]


def test_ignored_by_conftests(project: Project) -> None:
    project.write(
        ["tests/test_a.py", "tests/test_b.py", "tests/sub/test_c.py", "tests/sub/test_d.py"]
    )
    project.write({"conftest.py": "collect_ignore = ['tests/test_a.py', 'tests/sub/test_c.py']"})
    assert project.names() == ["tests/sub/test_d.py", "tests/test_b.py"]

    # The nearest list hides those above it.
    project.write(
        {"tests/sub/conftest.py": "collect_ignore_glob = ['*_d.py']\ncollect_ignore = []"}
    )
    assert project.names() == ["tests/sub/test_c.py", "tests/test_b.py"]
    assert project.names("tests/sub") == ["tests/sub/test_c.py"]
    assert project.names("tests/sub/test_d.py") == ["tests/sub/test_d.py"]

    assert len(project.names(arguments=["--noconftest"])) == 4


def test_a_conditional_list_ignores_nothing(project: Project) -> None:
    project.write({"tests/conftest.py": "if X:\n    collect_ignore = ['test_a.py']\n"})
    project.write(["tests/test_a.py"])

    assert project.names() == ["tests/test_a.py"]


def test_conftests_above_the_cut_do_not_count(project: Project) -> None:
    project.write({"conftest.py": "collect_ignore = ['tests/test_a.py']"})
    project.write({"tests/test_a.py": TEST, "tests/conftest.py": "", "tests/pytest.ini": ""})

    found = project.find("tests")

    assert [module.path for module in found.modules] == ["test_a.py"]
    assert found.conftests == ("conftest.py",)


def test_conftests_are_reported(project: Project) -> None:
    project.write(["conftest.py", "tests/conftest.py", "tests/test_a.py", "other/conftest.py"])

    assert project.find().conftests == ("conftest.py", "tests/conftest.py")
    assert project.find("tests/test_a.py").conftests == ("conftest.py", "tests/conftest.py")


# -- strange files --------------------------------------------------------------------------


def test_links_are_followed_under_their_own_names(project: Project) -> None:
    project.write(["shared/test_a.py"])
    (project.top / "tests").mkdir()
    (project.top / "tests/linked").symlink_to("../shared")
    (project.top / "tests/test_b.py").symlink_to("../shared/test_a.py")

    assert project.names() == ["tests/linked/test_a.py", "tests/test_b.py"]


@pytest.mark.parametrize("target", [".", "..", "../.."])
def test_a_link_that_leads_round_is_not_followed(project: Project, target: str) -> None:
    project.write(["tests/sub/test_a.py"])
    (project.top / "tests/sub/loop").symlink_to(target)

    found = project.find()

    assert [module.path for module in found.modules] == ["tests/sub/test_a.py"]
    assert found.warnings == ("tests/sub/loop: a link to a directory that holds it, not followed",)


def test_two_links_that_lead_to_each_other(project: Project) -> None:
    project.write(["tests/one/test_a.py", "tests/two/test_b.py"])
    (project.top / "tests/one/link").symlink_to("../two")
    (project.top / "tests/two/link").symlink_to("../one")

    found = project.find()

    assert [module.path for module in found.modules] == [
        "tests/one/link/test_b.py",
        "tests/one/test_a.py",
        "tests/two/link/test_a.py",
        "tests/two/test_b.py",
    ]
    assert len(found.warnings) == 2


def test_what_only_looks_like_a_module_is_warned_of_and_never_opened(project: Project) -> None:
    project.write(["tests/test_a.py"])
    os.mkfifo(project.top / "tests/test_fifo.py")
    os.mkfifo(project.top / "tests/conftest.py")
    os.mkfifo(project.top / "tests/notes")
    (project.top / "tests/test_dangling.py").symlink_to("nowhere")
    (project.top / "tests/test_self.py").symlink_to("test_self.py")
    (project.top / "tests/dangling").symlink_to("nowhere")

    found = project.find()

    assert [module.path for module in found.modules] == ["tests/test_a.py"]
    assert not found.leftover
    assert found.warnings[:2] == (
        "tests/test_dangling.py: left out: a link that leads nowhere",
        "tests/test_fifo.py: left out: a FIFO",
    )
    assert found.warnings[2].startswith("tests/test_self.py: left out: ")
    assert len(found.warnings) == 3


class LockedTree(Tree):
    """A tree with a directory that nobody may list."""

    def scan(self, directory: str) -> list[os.DirEntry[str]]:
        if directory.endswith("/locked"):
            raise PermissionError(13, "Permission denied")
        return super().scan(directory)


def test_a_directory_that_cannot_be_listed(project: Project) -> None:
    project.write(["tests/locked/test_a.py", "tests/test_b.py"])

    found = project.find(tree=LockedTree(str(project.top)))

    assert [module.path for module in found.modules] == ["tests/test_b.py"]
    assert found.warnings == ("tests/locked: cannot be listed: Permission denied",)
    assert found.leftover


def test_directories_may_be_deeper_than_the_stack(project: Project) -> None:
    deep = "tests/" + "d/" * 400 + "test_a.py"
    project.write([deep])
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(len(inspect.stack(0)) + 150)
        assert project.names() == [deep]
        assert project.names(deep) == [deep]
    finally:
        sys.setrecursionlimit(limit)


# -- doctests -------------------------------------------------------------------------------


def test_text_files_with_examples_are_modules(project: Project) -> None:
    project.write({"tests/test_a.txt": ">>> 1\n1\n", "tests/test_b.txt": "numpy\n"})
    project.write({"tests/readme.rst": ">>> 1\n1\n"})
    (project.top / "tests/test_c.txt").write_bytes(b"not utf-8: \xff\n")

    assert project.names() == ["tests/test_a.txt", "tests/test_c.txt"]
    assert project.names(arguments=["--doctest-glob=*.rst"]) == ["tests/readme.rst"]
    assert project.names(arguments=["--doctest-glob="]) == []
    assert project.names(arguments=["-p", "no:doctest"]) == []
    assert not project.find().leftover


def test_doctests_in_modules(project: Project) -> None:
    project.write({"pkg/a.py": DOCTEST, "pkg/b.py": "x = 1\n", "pkg/test_c.py": TEST})
    project.write({"pkg/__main__.py": DOCTEST, "setup.py": "import setuptools\n>>>"})

    found = project.find(arguments=["--doctest-modules"])

    assert [module.path for module in found.modules] == ["pkg/a.py", "pkg/test_c.py"]
    assert found.leftover
    assert not project.find("pkg/a.py", "pkg/b.py", arguments=["--doctest-modules"]).leftover
    (project.top / "pkg/b.py").unlink()
    assert not project.find(arguments=["--doctest-modules"]).leftover
    assert project.names(arguments=["--doctest-modules", "-p", "no:doctest"]) == ["pkg/test_c.py"]


# -- what cannot be seen --------------------------------------------------------------------

COLLECTOR = "def pytest_collect_file(file_path, parent): ...\n"


@pytest.mark.parametrize("place", ["conftest.py", "tests/conftest.py", "tests/sub/conftest.py"])
def test_a_conftest_that_collects_leaves_something_over(project: Project, place: str) -> None:
    project.write(["tests/sub/test_a.py", "tests/test_b.py", "other/test_c.py"])
    assert not project.find().leftover

    project.write({place: COLLECTOR})

    assert project.find().leftover
    assert project.find("tests/test_b.py", "tests").leftover
    assert not project.find("tests/sub/test_a.py").leftover
    assert project.find("other").leftover is (place == "conftest.py")


@pytest.mark.parametrize(
    ("conftest", "plugin"),
    [
        ("pytest_plugins = ['helpers.plugin']", "helpers/plugin.py"),
        ("pytest_plugins = 'plugin'", "tests/plugin.py"),
        ("pytest_plugins = 'tests.plugin'", "tests/plugin/__init__.py"),
        ("from .plugin import *", "tests/plugin.py"),
        ("from . import *", "tests/__init__.py"),
        ("from plugin import *", "tests/plugin.py"),
    ],
)
def test_plugins_of_a_conftest_are_looked_at(project: Project, conftest: str, plugin: str) -> None:
    project.write({"tests/conftest.py": conftest, plugin: "", "tests/test_a.py": TEST})
    assert not project.find().leftover

    project.write({plugin: COLLECTOR})
    assert project.find().leftover


@pytest.mark.parametrize(
    "options",
    [
        {"plugin_modules": ["installed"], "search_path": ["lib"]},
        {"arguments": ["-p", "installed"], "search_path": ["lib"]},
    ],
)
def test_other_plugins_are_looked_at_too(project: Project, options: dict[str, Any]) -> None:
    project.write({"lib/installed.py": COLLECTOR, "tests/test_a.py": TEST})

    assert project.find(**options).leftover
    assert not project.find("tests/test_a.py", **options).leftover


# -- outlines -------------------------------------------------------------------------------


def test_outlines_are_read_one_by_one(project: Project) -> None:
    project.write({"tests/test_a.py": TEST, "tests/test_b.txt": ">>> 1\n1\n"})
    project.write({"tests/test_c.py": "import pytest\n"})
    found = project.find()

    outlines = read_outlines(Tree(str(project.top)), found.modules)
    (project.top / "tests/test_c.py").write_text("")

    assert [(each.functions, each.imports_pytest) for each in outlines] == [(1, False), (0, False)]
