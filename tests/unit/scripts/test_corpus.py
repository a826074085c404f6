"""The installer's decisions: which suites, what is resumed, what is refused. No downloads."""

import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import corpus
import pytest
from suites import STEPS, Installation, Suite, git, read_installation

SUITE = Suite(name="mine", requirement="mine==1.0")


def by_hand(*arguments):
    return corpus.suite_by_hand(corpus.parser().parse_args(["install", *arguments]))


def test_a_suite_from_the_command_line():
    suite = by_hand(
        "--requirement", "Click==8.5.1", "--install", "-e . trio", "--install=simplejson",
        "--tests", "tests more", "--args", "--rootdir=. -q", "--pytest", "pytest==9.2.0",
    )  # fmt: skip
    assert suite == Suite(
        name="click",
        requirement="Click==8.5.1",
        install=("-e", ".", "trio", "simplejson"),
        tests=("tests", "more"),
        args=("--rootdir=.", "-q"),
        pytest="pytest==9.2.0",
    )


def test_a_suite_from_the_command_line_has_defaults_by_kind():
    assert by_hand("mine", "--requirement", "x").install == ("-e", ".")
    wheel = by_hand("mine", "--requirement", "x", "--kind", "wheel")
    assert (wheel.name, wheel.install, wheel.tests) == ("mine", (), ("tests",))


def test_a_requirement_describes_one_suite(tmp_path, capsys):
    status = corpus.main(["install", "a", "b", "--requirement", "x", "--into", str(tmp_path)])
    assert status == 2
    assert "one suite" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["install", "link", "clean"])
def test_an_unknown_name_is_a_wrong_request(tmp_path, capsys, command):
    assert corpus.main([command, "clock", "--into", str(tmp_path)]) == 2
    assert "unknown suite clock; known: click" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_interpreter_that_does_not_run_is_a_wrong_request(tmp_path, capsys):
    arguments = ["install", "click", "--into", str(tmp_path), "--python", "/no/such/python"]
    assert corpus.main(arguments) == 2
    assert "can't run the interpreter" in capsys.readouterr().err


def test_a_complete_installation_is_left_alone(tmp_path, capsys):
    done = Installation(tmp_path / "click", corpus.load_suites()["click"], "3.0.0", STEPS)
    done.save()
    assert corpus.main(["install", "click", "--into", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "click: installed for Python 3.0.0\n"
    assert read_installation(tmp_path / "click") == done


def test_another_interpreter_needs_another_folder(tmp_path, capsys):
    suite = corpus.load_suites()["click"]
    Installation(tmp_path / "click", suite, "3.0.0", STEPS).save()
    arguments = ["install", "click", "--into", str(tmp_path), "--python", sys.executable]
    assert corpus.main(arguments) == 2
    assert "already" in capsys.readouterr().err


def test_a_changed_definition_starts_anew(tmp_path):
    Installation(tmp_path / "mine", SUITE, "3.12.1", STEPS).save()
    changed = replace(SUITE, requirement="mine==2.0")
    assert corpus.prepare(SUITE, tmp_path, "3.12.1", explicit=False).steps == STEPS
    assert corpus.prepare(changed, tmp_path, "3.12.1", explicit=False).steps == ()


def test_an_installation_resumes_after_its_last_step(tmp_path):
    tree = tmp_path / "mine" / "tree"
    started = Installation(tmp_path / "mine", SUITE, "3.12.1", STEPS[:5])
    started.save()
    tree.mkdir()
    (tree / "a.py").touch()
    git(tree, "init", "-q")
    said = []
    with pytest.raises(corpus.StepError, match="mine: step 'link' failed"):
        corpus.install(started, Path(sys.executable), said.append)
    assert len(said) == 1
    assert said[0].startswith("mine: commit")
    assert read_installation(tmp_path / "mine").steps == STEPS[:6]
    assert git(tree, "ls-files").split() == ["a.py"]


def test_the_list_shows_each_suite_s_state(tmp_path, capsys):
    Installation(tmp_path / "mine", SUITE, "3.12.1", ("download",)).save()
    Installation(tmp_path / "toolz", replace(SUITE, name="toolz"), "3.12.1", STEPS[:-1]).save()
    assert corpus.main(["list", "--into", str(tmp_path)]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["click"].endswith("not installed")
    assert lines["mine"].endswith("partial: download (Python 3.12.1)")
    assert lines["toolz"].endswith("installed (Python 3.12.1, iopio not linked)")


def archive(folder: Path, files: dict[str, str]) -> None:
    source = folder / "source" / "mine-1.0"
    for name, text in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text, encoding="utf-8")
    (folder / "download").mkdir()
    with tarfile.open(folder / "download" / "mine-1.0.tar.gz", "w:gz") as tar:
        tar.add(source, "mine-1.0")


@pytest.mark.parametrize(
    ("files", "configured"),
    [
        ({"pyproject.toml": "[project]\n"}, False),
        ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, True),
        ({"pyproject.toml": "[tool.pytest]\n"}, True),
        ({"tox.ini": "[tox]\n", "setup.cfg": "[metadata]\n"}, False),
        ({"tox.ini": "[pytest]\n"}, True),
        ({"setup.cfg": "[tool:pytest]\n"}, True),
        ({"pytest.ini": ""}, True),
    ],
)
def test_a_tree_that_pytest_would_look_above_gets_a_root_of_its_own(tmp_path, files, configured):
    archive(tmp_path, files)
    corpus.unpack(Installation(tmp_path, SUITE))
    made = (tmp_path / "tree" / "pytest.ini").exists() and "pytest.ini" not in files
    assert made is not configured
    assert (tmp_path / "tree" / ".git").is_dir()


def test_what_a_suite_drops_is_not_in_its_tree(tmp_path):
    archive(tmp_path, {"tests/test_a.py": "", "tests/slow/test_b.py": "", "bad.py": ""})
    corpus.unpack(Installation(tmp_path, replace(SUITE, drop=("tests/slow", "*.py"))))
    found = {p.name for p in (tmp_path / "tree").rglob("*.py")}
    assert found == {"test_a.py"}


def test_line_endings_are_kept_whatever_the_project_asks_of_git(tmp_path):
    archive(tmp_path, {".gitattributes": "* text eol=crlf\n", "data.txt": "one\ntwo\n"})
    installation = Installation(tmp_path, SUITE)
    corpus.unpack(installation)
    corpus.commit(installation)
    (installation.tree / "data.txt").unlink()
    corpus.clean_tree(installation.tree)
    assert (installation.tree / "data.txt").read_bytes() == b"one\ntwo\n"


def test_a_commit_holds_ignored_files_but_no_byte_code(tmp_path):
    archive(tmp_path, {".gitignore": "*.egg-info\n", "a.egg-info/x": "", "__pycache__/a.pyc": ""})
    installation = Installation(tmp_path, SUITE)
    corpus.unpack(installation)
    corpus.commit(installation)
    files = git(installation.tree, "ls-files").split()
    assert files == [".gitignore", "a.egg-info/x", "pytest.ini"]


def test_two_archives_are_refused(tmp_path):
    archive(tmp_path, {"a.py": ""})
    (tmp_path / "download" / "b.zip").touch()
    with pytest.raises(corpus.StepError, match="expected one sdist"):
        corpus.unpack(Installation(tmp_path, SUITE))
