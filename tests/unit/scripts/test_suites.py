"""Suites as values, their installation's state, and resetting a tree."""

import json
from dataclasses import replace

import pytest
from suites import (
    CORPUS_FILE,
    STEPS,
    Installation,
    Suite,
    SuiteError,
    clean_tree,
    console_command,
    environment_for,
    find_installation,
    git,
    installed_suites,
    load_suites,
    read_installation,
    suite_from,
)

SUITE = Suite(name="mine", requirement="mine==1.0", args=("--strict",))


def test_the_corpus_file_is_well_formed():
    suites = load_suites()
    assert len(suites) == len(json.loads(CORPUS_FILE.read_text(encoding="utf-8"))["suites"])
    assert {suite.kind for suite in suites.values()} == {"sdist", "wheel"}
    assert all("==" in suite.requirement and suite.tests for suite in suites.values())


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"requirement": "a"}, "'name' and 'requirement'"),
        ({"name": "a"}, "'name' and 'requirement'"),
        ({"name": "a", "requirement": "a", "tests": "tests"}, "'tests' must be a list"),
        ({"name": "a", "requirement": "a", "install": [1]}, "'install' must be a list"),
        ({"name": "a", "requirement": "a", "kind": "egg"}, "'kind' must be"),
    ],
)
def test_a_malformed_suite_is_refused_by_name_of_its_key(document, message):
    with pytest.raises(SuiteError, match=message):
        suite_from(document)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"suites": 3}'])
def test_a_malformed_corpus_file_is_refused(tmp_path, text):
    file = tmp_path / "corpus.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SuiteError, match="can't read the corpus file"):
        load_suites(file)


@pytest.mark.parametrize(
    "requirement", ["Mine==1.0", "Mine>=1", "Mine[all]==2", "Mine ; python_version>'3'", "Mine"]
)
def test_the_project_is_the_requirement_without_its_version(requirement):
    assert Suite(name="x", requirement=requirement).project == "Mine"


def test_an_installation_s_state_survives_a_round_trip(tmp_path):
    installation = Installation(tmp_path / "mine", SUITE, "3.12.1", ("download", "unpack"))
    installation.save()
    assert read_installation(tmp_path / "mine") == installation
    assert installed_suites(tmp_path) == {"mine": installation}


@pytest.mark.parametrize("text", [None, "", "[]", '{"version": 0}'])
def test_a_folder_without_a_state_of_ours_is_no_installation(tmp_path, text):
    if text is not None:
        (tmp_path / "state.json").write_text(text, encoding="utf-8")
    assert read_installation(tmp_path) is None


def test_a_suite_is_found_by_name_and_by_path_once_pytest_can_run(tmp_path):
    installation = Installation(tmp_path / "mine", SUITE, "3.12.1", STEPS[:-2])
    installation.save()
    with pytest.raises(SuiteError, match="step 'commit' is missing"):
        find_installation("mine", tmp_path)
    done = replace(installation, steps=STEPS[:-1])
    done.save()
    assert find_installation("mine", tmp_path) == done
    assert find_installation(str(tmp_path / "mine"), tmp_path / "elsewhere") == done


def test_a_known_suite_that_is_missing_is_told_from_an_unknown_one(tmp_path):
    with pytest.raises(SuiteError, match="'click' is not installed"):
        find_installation("click", tmp_path)
    with pytest.raises(SuiteError, match="unknown suite 'clock'; known: click"):
        find_installation("clock", tmp_path)


def test_a_suite_s_environment_leaves_out_what_would_change_its_runs(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-x")
    monkeypatch.setenv("KEPT", "yes")
    python = tmp_path / "bin" / "python"
    environment = environment_for(python)
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert "PYTEST_ADDOPTS" not in environment
    assert environment["KEPT"] == "yes"
    assert environment["PATH"].startswith(str(tmp_path / "bin"))


def test_a_command_is_the_environment_s_script_or_else_the_module(tmp_path):
    python = tmp_path / "python"
    assert console_command(python, "tool", "a_tool") == [str(python), "-m", "a_tool"]
    (tmp_path / "tool").touch()
    assert console_command(python, "tool", "a_tool") == [str(tmp_path / "tool")]


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "kept.txt").write_text("as it was\r\n", encoding="utf-8", newline="")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "-q", "-m", "all")
    return folder


def test_a_tree_is_reset_to_its_commit(tree):
    (tree / "kept.txt").write_text("changed", encoding="utf-8")
    (tree / "sub").mkdir()
    (tree / "sub" / "new.txt").touch()
    (tree / "sub" / "__pycache__").mkdir()
    (tree / "sub" / "__pycache__" / "a.pyc").touch()
    git(tree, "init", "-q", "nested")
    clean_tree(tree, keep=("__pycache__",))
    assert (tree / "kept.txt").read_bytes() == b"as it was\r\n"
    assert sorted(p.name for p in tree.rglob("*") if ".git" not in p.parts) == [
        "__pycache__",
        "a.pyc",
        "kept.txt",
        "sub",
    ]
    clean_tree(tree)
    assert sorted(p.name for p in tree.iterdir()) == [".git", "kept.txt"]


def test_a_removed_file_comes_back(tree):
    (tree / "kept.txt").unlink()
    clean_tree(tree)
    assert (tree / "kept.txt").exists()


def test_a_folder_inside_someone_s_repository_is_never_cleaned(tree):
    inside = tree / "inside"
    inside.mkdir()
    (inside / "precious.txt").touch()
    with pytest.raises(SuiteError, match="not the root of a git repository"):
        clean_tree(inside)
    assert (inside / "precious.txt").exists()


def test_git_s_refusal_becomes_a_message(tmp_path):
    with pytest.raises(SuiteError, match="git log failed"):
        git(tmp_path, "log")
