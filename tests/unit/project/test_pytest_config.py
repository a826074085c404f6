"""pytest's root directory, configuration file and settings, found without pytest."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from iopio_async.errors import ConfigurationError, UsageError
from iopio_async.project.pytest_config import (
    DEFAULT_DOCTEST_GLOBS,
    DEFAULT_NORECURSEDIRS,
    DEFAULT_PYTHON_FILES,
    PytestConfig,
    locate_pytest_config,
)


def locate(
    here: Path,
    *paths: str,
    arguments: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> PytestConfig:
    return locate_pytest_config(here, paths, arguments, environ or {})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("tests/unit", "src/pkg", "docs"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "tests/unit/test_a.py").write_text("")
    return tmp_path


def test_nothing_configured(project: Path) -> None:
    config = locate(project)

    assert config == PytestConfig(root=str(project), confcutdir=str(project))
    assert config.python_files == DEFAULT_PYTHON_FILES
    assert config.norecursedirs == DEFAULT_NORECURSEDIRS
    assert config.doctest_globs == DEFAULT_DOCTEST_GLOBS


def test_the_file_above_the_paths_makes_the_root(project: Path) -> None:
    (project / "tests/pytest.ini").write_text("[pytest]\n")

    for argument in ("tests/unit", "tests/unit/test_a.py", "tests/unit/test_a.py::T::t[a::b/c]"):
        config = locate(project, argument)
        assert config.root == str(project / "tests")
        assert config.file == str(project / "tests/pytest.ini")
        assert config.configured
    assert locate(project).root == str(project)


def test_the_common_ancestor_counts_and_paths_that_do_not_exist_do_not(project: Path) -> None:
    (project / "pytest.ini").write_text("[pytest]\n")
    (project / "tests/pytest.ini").write_text("[pytest]\n")

    assert locate(project, "tests", "docs").root == str(project)
    assert locate(project, "tests/unit", "tests", "nope/x.py").root == str(project / "tests")
    assert locate(project / "docs", "nope").root == str(project)


def test_setup_py_marks_the_root_where_nothing_configures(project: Path) -> None:
    (project / "setup.py").write_text("")

    config = locate(project / "src/pkg")

    assert config.root == str(project)
    assert config.file == ""
    assert not config.configured


def test_each_path_is_searched_where_their_ancestor_has_nothing(project: Path) -> None:
    (project / "src/tox.ini").write_text("[pytest]\n")

    assert locate(project, "docs", "src/pkg").root == str(project / "src")


def test_the_root_is_above_the_paths_and_the_invocation(project: Path) -> None:
    assert locate(project / "docs", "../tests").root == str(project)


def test_a_pyproject_without_settings_is_a_root_but_configures_nothing(project: Path) -> None:
    (project / "pyproject.toml").write_text("[project]\nname = 'x'\n")

    config = locate(project / "tests")

    assert config.root == str(project)
    assert config.file == str(project / "pyproject.toml")
    assert not config.configured


@pytest.mark.parametrize("arguments", [["-c", "docs/any.ini"], ["--config-file=docs/any.ini"]])
def test_a_named_file_makes_its_directory_the_root(project: Path, arguments: list[str]) -> None:
    (project / "docs/any.ini").write_text("[pytest]\ntestpaths = a\n")
    (project / "pytest.ini").write_text("")

    config = locate(project, "tests", arguments=arguments)

    assert config.root == str(project / "docs")
    assert config.testpaths == ("a",)
    assert config.confcutdir == str(project / "docs")


def test_a_device_as_file_says_nothing_about_the_root(project: Path) -> None:
    (project / "pytest.ini").write_text("[pytest]\ntestpaths = a\n")

    config = locate(project, "tests", arguments=["-c", "/dev/null"])

    assert config.root == str(project / "tests")
    assert not config.configured
    assert config.testpaths == ()


@pytest.mark.parametrize("arguments", [["--rootdir", "$HERE/docs"], ["--rootdir=docs"]])
def test_a_given_root_directory(
    project: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERE", str(project))
    (project / "pytest.ini").write_text("[pytest]\ntestpaths = a\n")

    config = locate(project, arguments=arguments)

    assert config.root == str(project / "docs")
    assert config.file == str(project / "pytest.ini")
    assert config.confcutdir == str(project)


def test_root_directory_and_file_may_stand_in_the_environment_but_not_in_the_file(
    project: Path,
) -> None:
    (project / "pytest.ini").write_text("[pytest]\naddopts = --rootdir=tests\n")

    assert locate(project).root == str(project)
    environ = {"PYTEST_ADDOPTS": "--rootdir=tests"}
    assert locate(project, environ=environ).root == str(project / "tests")


def test_symbolic_links_keep_their_names(project: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(project / "docs")

    assert locate(link).root == str(link)


def test_settings_from_an_ini_file(project: Path) -> None:
    (project / "pytest.ini").write_text(
        "[pytest]\n"
        "python_files = check_*.py 'with space_*.py'\n"
        "norecursedirs =\n    a\n    b\n"
        "testpaths = tests docs\n"
        "pythonpath = src\n"
        "consider_namespace_packages = yes\n"
        "doctest_encoding = latin-1\n"
    )

    config = locate(project)

    assert config.python_files == ("check_*.py", "with space_*.py")
    assert config.norecursedirs == ("a", "b")
    assert config.testpaths == ("tests", "docs")
    assert config.pythonpath == (str(project / "src"),)
    assert config.namespace_packages
    assert config.doctest_encoding == "latin-1"


def test_settings_from_toml_in_both_styles(project: Path) -> None:
    file = project / "pyproject.toml"
    file.write_text(
        "[tool.pytest.ini_options]\ntestpaths = 'a b'\npython_files = ['c d']\n"
        "consider_namespace_packages = true\n"
    )
    config = locate(project)
    assert (config.testpaths, config.python_files) == (("a", "b"), ("c d",))
    assert config.namespace_packages

    file.write_text("[tool.pytest]\ntestpaths = ['a b']\nconsider_namespace_packages = true\n")
    config = locate(project)
    assert config.testpaths == ("a b",)
    assert config.namespace_packages


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("[tool.pytest]\nx = 1\ntestpaths = 'a'\n", 3, "'testpaths' is to be a list"),
        ("[tool.pytest]\npython_files = [1]\n", 2, "'python_files' is to be a list"),
        ("[tool.pytest]\nconsider_namespace_packages = 'yes'\n", 2, "true or false"),
        ("[tool.pytest.ini_options]\nconsider_namespace_packages = 'maybe'\n", 2, "true or false"),
        ('[tool.pytest.ini_options]\naddopts = "-k \'a"\n', 2, "cannot be split"),
        ("[tool.pytest.ini_options]\ndoctest_encoding = ['a']\n", 2, "is to be a string"),
    ],
)
def test_unfit_values_are_refused_at_their_line(
    project: Path, text: str, line: int, problem: str
) -> None:
    file = project / "pyproject.toml"
    file.write_text(text)

    with pytest.raises(ConfigurationError, match=problem) as caught:
        locate(project)
    assert caught.value.where == f"{file}:{line}"


@pytest.mark.parametrize(
    ("arguments", "environ", "where"),
    [
        (["-o", "nothing"], {}, "-o/--override-ini"),
        (["-o", "testpaths='a"], {}, "-o/--override-ini"),
        (["--rootdir", "nope"], {}, "--rootdir"),
        ([], {"PYTEST_ADDOPTS": "-k 'a"}, "PYTEST_ADDOPTS"),
    ],
)
def test_unfit_options(
    project: Path, arguments: list[str], environ: dict[str, str], where: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        locate(project, arguments=arguments, environ=environ)
    assert caught.value.where == where


def test_options_from_file_environment_and_command_line_in_this_order(project: Path) -> None:
    (project / "pytest.ini").write_text(
        "[pytest]\naddopts = --ignore=a -p one --doctest-modules in_file\n"
    )

    config = locate(
        project,
        "given",
        arguments=["--ignore=docs/../c", "-p", "three", "in_arguments", "--import-mode=importlib"],
        environ={"PYTEST_ADDOPTS": "--ignore b -p two", "PYTEST_PLUGINS": "four,five"},
    )

    assert config.addopts == ("--ignore=a", "-p", "one", "--doctest-modules", "in_file")
    assert config.ignore == tuple(str(project / name) for name in "abc")
    assert config.plugins == ("one", "two", "three", "four", "five")
    assert config.positionals == ("in_file", "in_arguments")
    assert config.doctest_modules
    assert config.import_mode == "importlib"


def test_a_command_line_can_replace_what_the_file_says(project: Path) -> None:
    (project / "pytest.ini").write_text(
        "[pytest]\naddopts = --doctest-modules -o python_files=c.py\npython_files = a.py\n"
        "testpaths = x\n"
    )

    assert locate(project).python_files == ("c.py",)
    config = locate(project, arguments=["-o", "addopts=", "-o", "testpaths=y z"])
    assert not config.doctest_modules
    assert config.python_files == ("a.py",)
    assert config.testpaths == ("y", "z")
    assert config.overrides == (("addopts", ""), ("testpaths", "y z"))


def test_the_remaining_options(project: Path) -> None:
    config = locate(
        project,
        arguments=[
            "--pyargs",
            "--noconftest",
            "--collect-in-virtualenv",
            "--doctest-glob=*.rst",
            "--doctest-glob",
            "*.md",
            "--ignore-glob=*/old",
            "--deselect=a::b",
            "--confcutdir=tests",
        ],
    )

    assert config.pyargs
    assert config.noconftest
    assert config.collect_in_virtualenv
    assert config.doctest_globs == ("*.rst", "*.md")
    assert config.ignore_glob == (str(project / "*/old"),)
    assert config.deselect == ("a::b",)
    assert config.confcutdir == str(project / "tests")


@pytest.mark.parametrize(
    ("plugins", "there"),
    [
        ((), True),
        (("no:doctest",), False),
        (("no:doctest", "doctest"), True),
        (("doctest", "no:doctest"), False),
        (("no:other",), True),
    ],
)
def test_a_plugin_that_is_switched_off(plugins: tuple[str, ...], *, there: bool) -> None:
    assert PytestConfig(root="/", plugins=plugins).has_plugin("doctest") is there


def test_arguments_and_paths_from_files(project: Path) -> None:
    (project / "list").write_text("--ignore=x\ntests/unit\n")
    (project / "tests/pytest.ini").write_text("")

    config = locate(project, "@list")
    assert config.root == str(project / "tests")

    config = locate(project, arguments=["@list"])
    assert config.ignore == (str(project / "x"),)
    assert config.positionals == ("tests/unit",)


def test_a_missing_file_of_arguments(project: Path) -> None:
    with pytest.raises(UsageError, match="nope"):
        locate(project, arguments=["@nope"])
