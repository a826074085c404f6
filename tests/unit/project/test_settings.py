"""How file, environment and flags become a configuration, and what is refused."""

import msgspec
import pytest

from iopio_async.errors import ConfigurationError, UsageError
from iopio_async.model.config import Config, Override, Shard
from iopio_async.model.module import Framework
from iopio_async.project.settings import load_config


class Facts(msgspec.Struct, frozen=True):
    root: str
    pyargs: bool = False


class Locate:
    """Answers with one root, and remembers what it was asked."""

    def __init__(self, root, *, pyargs=False):
        self.facts = Facts(str(root), pyargs)
        self.asked = []

    def __call__(self, invocation_dir, paths, arguments, environ):
        self.asked.append((invocation_dir, tuple(paths), tuple(arguments), dict(environ)))
        return self.facts


@pytest.fixture
def project(tmp_path):
    """An empty project; ``load`` resolves a configuration in it."""
    return Project(tmp_path)


class Project:
    def __init__(self, root):
        self.root = root
        self.here = root
        self.locate = Locate(root)

    def write(self, text, name="pyproject.toml"):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def load(self, environ=None, **flags) -> Config:
        return load_config(
            invocation_dir=self.here,
            flags=flags,
            environ=environ or {},
            cpu_count=4,
            locate=self.locate,
        )

    def refused(self, environ=None, **flags) -> ConfigurationError:
        with pytest.raises(ConfigurationError) as caught:
            self.load(environ, **flags)
        return caught.value


def test_defaults_are_those_of_the_model(project):
    root = str(project.root)
    expected = Config(root=root, invocation_dir=root, workers=4)
    assert project.load() == expected


def test_every_source_is_stronger_than_the_one_before(project):
    project.write("[tool.iopio]\nretries = 1\nmaxfail = 1\ngrace = 1\n")
    environ = {"IOPIO_RETRIES": "2", "IOPIO_MAXFAIL": "2"}
    config = project.load(environ, retries=3)
    assert (config.retries, config.maxfail, config.grace_s) == (3, 2, 1.0)


def test_all_settings_of_a_file(project):
    for folder in ("tests", "more", "env"):
        (project.root / folder).mkdir()
    file = project.write(
        """\
[project]
name = "x"

[tool.iopio]
testpaths = ["tests", "m*"]
framework = "unittest"
workers = 3
start-method = "spawn"
maxfail = 2
retries = 1
timeout = "1h30m"
slow_after = "90s"
grace = 2.5
leak-timeout = "300ms"
output-limit = "1MiB"
env = { A = "1" }
pytest-args = ["-p", "no:randomly"]
report = "out/report.json"
junit-xml = "-"
color = "never"
verbosity = 1

[[tool.iopio.overrides]]
paths = ["tests/slow/**"]
timeout = "none"
slow-after = 5
retries = 2
framework = "pytest"
group = "db"
env = { B = "2" }

[[tool.iopio.overrides]]
paths = ["a.py", "b.py"]
timeout = 7
"""
    )
    root = str(project.root)
    assert project.load() == Config(
        root=root,
        invocation_dir=root,
        config_file=str(file),
        testpaths=("tests", "m*"),
        framework="unittest",
        workers=3,
        start_method="spawn",
        maxfail=2,
        retries=1,
        timeout_s=5400.0,
        slow_after_s=90.0,
        grace_s=2.5,
        leak_timeout_s=0.3,
        output_bytes=1024**2,
        env={"A": "1"},
        arguments=("-p", "no:randomly"),
        report=f"{root}/out/report.json",
        junit_xml="-",
        color="never",
        verbosity=1,
        overrides=(
            Override(
                paths=("tests/slow/**",),
                timeout_s=0.0,
                slow_after_s=5.0,
                retries=2,
                framework=Framework.PYTEST,
                group="db",
                env={"B": "2"},
            ),
            Override(paths=("a.py", "b.py"), timeout_s=7.0),
        ),
    )


def test_all_variables(project):
    (project.root / "a").mkdir()
    (project.root / "b").mkdir()
    environ = {
        "IOPIO_TESTPATHS": "a:b",
        "IOPIO_FRAMEWORK": "functions",
        "IOPIO_WORKERS": "auto",
        "IOPIO_START_METHOD": "spawn",
        "IOPIO_MAXFAIL": "3",
        "IOPIO_RETRIES": " 2 ",
        "IOPIO_TIMEOUT": "none",
        "IOPIO_SLOW_AFTER": "5m",
        "IOPIO_GRACE": "0",
        "IOPIO_LEAK_TIMEOUT": "1.5",
        "IOPIO_OUTPUT_LIMIT": "2048",
        "IOPIO_PYTEST_ARGS": "-p 'no:x y'",
        "IOPIO_REPORT": "r.json",
        "IOPIO_JUNIT_XML": "/j.xml",
        "IOPIO_COLOR": "always",
        "IOPIO_VERBOSITY": "-1",
        "IOPIO_SHARD": "2/3",
        "IOPIO_SLOT": "7",
        "IOPIO_RUN_ID": "0",
    }
    root = str(project.root)
    assert project.load(environ) == Config(
        root=root,
        invocation_dir=root,
        testpaths=("a", "b"),
        framework="functions",
        workers=4,
        start_method="spawn",
        maxfail=3,
        retries=2,
        slow_after_s=300.0,
        grace_s=0.0,
        leak_timeout_s=1.5,
        output_bytes=2048,
        arguments=("-p", "no:x y"),
        report=f"{root}/r.json",
        junit_xml="/j.xml",
        color="always",
        verbosity=-1,
        shard=Shard(2, 3),
    )


def test_all_flags(project):
    project.write("", "test_a.py")
    config = project.load(
        paths=["test_a.py::test_b[1-2]"],
        arguments=["-s"],
        framework="pytest",
        workers="2",
        maxfail=1,
        retries=2,
        timeout_s="5m",
        slow_after_s=3,
        grace_s=1.5,
        keyword="a and b",
        markers="slow",
        last_failed=True,
        shard="1/2",
        report="r.json",
        junit_xml="j.xml",
        json=True,
        color="always",
        cwd_on_path=True,
    )
    root = str(project.root)
    assert config == Config(
        root=root,
        invocation_dir=root,
        paths=("test_a.py::test_b[1-2]",),
        arguments=("-s",),
        framework="pytest",
        workers=2,
        maxfail=1,
        retries=2,
        timeout_s=300.0,
        slow_after_s=3.0,
        grace_s=1.5,
        keyword="a and b",
        markers="slow",
        last_failed=True,
        shard=Shard(1, 2),
        report=f"{root}/r.json",
        junit_xml=f"{root}/j.xml",
        json=True,
        color="always",
        cwd_on_path=True,
    )


def test_an_empty_variable_counts_as_unset(project):
    assert project.load({"IOPIO_WORKERS": "", "IOPIO_TIMEOUT": ""}).workers == 4


def test_environment_tables_are_merged(project):
    project.write('[tool.iopio.env]\nA = "file"\nB = "file"\n')
    assert project.load(env={"B": "flag"}).env == {"A": "file", "B": "flag"}


def test_pytest_arguments_are_joined_the_strongest_last(project):
    project.write('[tool.iopio]\npytest-args = ["--a"]\n')
    config = project.load({"IOPIO_PYTEST_ARGS": "--b"}, arguments=["--c"])
    assert config.arguments == ("--a", "--b", "--c")
    # The file's own can't decide where it is found.
    assert project.locate.asked[0][2] == ("--b", "--c")


class TestOverridesGiveWay:
    TEXT = """\
[[tool.iopio.overrides]]
paths = ["a.py"]
timeout = 5
slow-after = 5
retries = 5
framework = "unittest"
group = "db"
env = { A = "1", B = "2" }
"""

    def only(self, config):
        (override,) = config.overrides
        return override

    def test_to_nothing_weaker(self, project):
        project.write(f"[tool.iopio]\ntimeout = 9\nretries = 9\n{self.TEXT}")
        override = self.only(project.load())
        assert (override.timeout_s, override.retries) == (5.0, 5)

    def test_to_flags_and_variables(self, project):
        project.write(self.TEXT)
        config = project.load(
            {"IOPIO_SLOW_AFTER": "1"}, timeout_s="none", framework="pytest", env={"A": "9"}
        )
        assert self.only(config) == Override(paths=("a.py",), retries=5, group="db", env={"B": "2"})

    def test_but_not_to_a_framework_of_auto(self, project):
        project.write(self.TEXT)
        assert self.only(project.load(framework="auto")).framework is Framework.UNITTEST

    def test_while_those_of_an_embedding_program_stay(self, project):
        project.write(self.TEXT)
        own = Override(paths=("b.py",), timeout_s=3.0)
        config = project.load(timeout_s=1, overrides=[own])
        assert [item.timeout_s for item in config.overrides] == [None, 3.0]


class TestWorkers:
    def test_auto_is_the_number_of_cpus(self, project):
        assert project.load(workers="auto").workers == 4

    def test_too_many_are_clamped_with_a_note(self, project):
        config = project.load(workers=10**9)
        assert config.workers == 256
        assert config.notes == ("1000000000 workers are too many: using the maximum of 256",)

    def test_a_large_machine_is_not_held_back(self, tmp_path):
        config = load_config(
            invocation_dir=tmp_path,
            flags={"workers": 500},
            environ={},
            cpu_count=384,
            locate=Locate(tmp_path),
        )
        assert config.workers == 384

    @pytest.mark.parametrize("value", [0, -1, True, 1.5, "0", "-1", "four", "", None])
    def test_none_or_fewer_are_refused(self, project, value):
        error = project.refused(workers=value)
        assert error.where == "--workers"
        assert 'expected a whole number from 1 up, or "auto"' in error.message


class TestRoot:
    def test_is_asked_of_pytests_configuration(self, project):
        project.here = project.root / "sub"
        project.here.mkdir()
        project.write("", "sub/test_a.py")
        config = project.load({"X": "y"}, paths=["test_a.py"], arguments=["-c", "x.ini"])
        assert (config.root, config.invocation_dir) == (str(project.root), str(project.here))
        assert project.locate.asked == [(project.here, ("test_a.py",), ("-c", "x.ini"), {"X": "y"})]

    def test_given_is_passed_on(self, project):
        (project.root / "sub").mkdir()
        project.load(rootdir="sub")
        assert project.locate.asked[0][2] == (f"--rootdir={project.root}/sub",)

    def test_missing_is_refused_with_a_suggestion(self, project):
        (project.root / "backend").mkdir()
        error = project.refused({"IOPIO_ROOTDIR": "bakend"})
        assert error.message == "IOPIO_ROOTDIR: no such directory: bakend"
        assert error.hint == "did you mean backend?"

    def test_that_is_a_file_is_refused(self, project):
        project.write("", "x.py")
        assert project.refused(rootdir="x.py").message == "--rootdir: not a directory: x.py"

    def test_works_with_pytests_real_configuration(self, tmp_path):
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        (tmp_path / "tests").mkdir()
        (tmp_path / "tests" / "test_a.py").touch()
        config = load_config(
            invocation_dir=tmp_path / "tests", flags={"paths": ["test_a.py"]}, environ={}
        )
        assert config.root == str(tmp_path)
        assert config.workers >= 1


@pytest.mark.parametrize(
    ("flags", "verbosity", "maxfail"),
    [
        ({"verbose": 1}, 1, 0),
        ({"verbose": 5}, 2, 0),
        ({"quiet": 2}, -1, 0),
        ({"exitfirst": True}, 0, 1),
        ({"exitfirst": False}, 0, 0),
    ],
)
def test_counted_flags(project, flags, verbosity, maxfail):
    config = project.load(**flags)
    assert (config.verbosity, config.maxfail) == (verbosity, maxfail)


class TestUnknown:
    def test_flag(self, project):
        error = project.refused(worker=3)
        assert error.message == "'worker': there is no such setting"
        assert error.hint == "did you mean workers?"

    def test_variable_that_looks_like_a_setting_is_noted(self, project):
        config = project.load({"IOPIO_WORKER": "3", "IOPIO_GPU": "1", "PATH": "/bin"})
        assert config.notes == (
            "the environment variable IOPIO_WORKER means nothing: did you mean IOPIO_WORKERS?",
        )

    def test_count_of_a_shorthand(self, project):
        assert project.refused(verbose="x").message == "-v: expected a count, not 'x'"


class TestReports:
    def test_of_a_file_are_relative_to_the_root(self, project):
        project.write('[tool.iopio]\nreport = "../r.json"\njunit-xml = "j.xml"\n')
        project.here = project.root / "sub"
        project.here.mkdir()
        config = project.load(junit_xml="j.xml")
        assert config.report == f"{project.root.parent}/r.json"
        assert config.junit_xml == f"{project.here}/j.xml"

    def test_that_are_directories_are_refused(self, project):
        project.write('[tool.iopio]\nreport = "."\n')
        error = project.refused()
        assert error.message == "pyproject.toml:2: . is a directory, not a file to write"


class TestTestpaths:
    def test_missing_is_refused_with_line_and_suggestion(self, project):
        (project.root / "tests").mkdir()
        project.write('[tool.iopio]\ntestpaths = [\n  "tests",\n  "tets",\n]\n')
        error = project.refused()
        assert error.message == "pyproject.toml:4: testpaths: no such file or directory: tets"
        assert error.hint == "did you mean tests?"

    def test_missing_from_a_variable(self, project):
        assert project.refused({"IOPIO_TESTPATHS": "nowhere"}).where == "IOPIO_TESTPATHS"

    def test_are_not_looked_at_when_paths_are_given(self, project):
        project.write('[tool.iopio]\ntestpaths = ["gone"]\n')
        project.write("", "test_a.py")
        assert project.load(paths=["test_a.py"]).testpaths == ("gone",)


class TestPaths:
    def test_missing_is_a_usage_error(self, project):
        with pytest.raises(UsageError, match=r"no such file or directory: test_a\.py"):
            project.load(paths=["test_a.py"])

    @pytest.mark.parametrize(
        "how", [{"arguments": ["--pyargs"]}, {"environ": {"IOPIO_PYTEST_ARGS": "-q --pyargs"}}]
    )
    def test_may_be_packages_under_pyargs(self, project, how):
        assert project.load(paths=["pkg.tests"], **how).paths == ("pkg.tests",)

    def test_may_be_packages_where_pytests_configuration_says_so(self, project):
        project.locate = Locate(project.root, pyargs=True)
        assert project.load(paths=["pkg.tests"]).paths == ("pkg.tests",)

    def test_are_a_list(self, project):
        assert project.refused(paths="tests").where == "paths"


@pytest.mark.parametrize(
    "option",
    [
        "--collect-only",
        "--co",
        "--setup-plan",
        "--setup-only",
        "--fixtures",
        "--fixtures-per-test",
        "--markers",
        "--version",
        "-vh",
    ],
)
@pytest.mark.parametrize("source", ["file", "environment", "flag"])
def test_options_with_which_nothing_runs_are_refused(project, option, source):
    project.write(f'[tool.iopio]\npytest-args = ["-s", "{option}"]\n' if source == "file" else "")
    environ = {"IOPIO_PYTEST_ARGS": f"-s {option}"} if source == "environment" else {}
    flags = {"arguments": ["-s", option]} if source == "flag" else {}

    error = project.refused(environ, **flags)

    spelling = "-h" if option == "-vh" else option
    assert f"with {spelling} pytest runs no test" in error.message
    assert f"call pytest {spelling}" in error.hint


@pytest.mark.parametrize("words", [("-k", "--co"), ("--tb", "--markers"), ("--cov",), ("-x", "-v")])
def test_what_only_looks_like_such_an_option_is_passed_on(project, words):
    assert project.load(arguments=list(words)).arguments == words


def test_memory_and_workers_of_modules(project):
    project.write(
        '[tool.iopio]\nmemory-limit = "2GiB"\n'
        '[[tool.iopio.overrides]]\npaths = ["tests/wide/**"]\nworkers = 3\n'
    )
    config = project.load()
    assert config.memory_limit_bytes == 2 << 30
    assert [override.workers for override in config.overrides] == [3]

    # How many workers the run has says nothing of a module's share of them.
    stronger = project.load(memory_limit_bytes="none", workers="2")
    assert stronger.memory_limit_bytes is None
    assert [override.workers for override in stronger.overrides] == [3]


@pytest.mark.parametrize("option", ["--rootdir=x", "-cx", "--config-file=x"])
def test_a_file_can_not_say_where_it_is_found(project, option):
    project.write(f'[tool.iopio]\nretries = 1\npytest-args = ["-s", "{option}"]\n')
    error = project.refused()
    assert error.where == "pyproject.toml:3"
    assert "can't be set in a file that is found by it" in error.message
