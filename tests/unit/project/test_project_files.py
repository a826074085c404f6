"""Which files are a project's own."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from iopio_async.project.listings import Listing, scan
from iopio_async.project.project_files import project_files


def listing(path: str) -> Listing:
    return Listing(path, scan(path), 0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (
        "a.py",
        "data/b.txt",
        "build/out.txt",
        "data/__pycache__/b.pyc",
        ".hypothesis/x",
        "venv/pyvenv.cfg",
        "venv/lib/c.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "link").symlink_to("data")
    return tmp_path


def git(root: Path, *arguments: str) -> None:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(
        ["git", "-C", root, *arguments], check=True, capture_output=True, env=environment
    )


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def test_all_files_but_those_of_caches_and_environments(root: Path) -> None:
    assert project_files(str(root), listing) == ["a.py", "build/out.txt", "data/b.txt", "link"]


@needs_git
def test_what_git_ignores_is_left_out(root: Path) -> None:
    git(root, "init")
    (root / ".gitignore").write_text("build/\nvenv/\n")
    (root / "build/kept.txt").touch()
    git(root, "add", "-f", "a.py", "build/kept.txt")
    (root / "a.py").unlink()

    assert project_files(str(root), listing) == [
        ".gitignore",
        "a.py",
        "build/kept.txt",
        "data/b.txt",
        "link",
    ]
    assert project_files(str(root / "data"), listing) == ["b.txt"]


@needs_git
def test_a_repository_inside_is_looked_into(root: Path) -> None:
    git(root, "init")
    git(root / "data", "init")

    assert "data/b.txt" in project_files(str(root), listing)


@needs_git
def test_a_project_that_git_ignores_is_walked(root: Path) -> None:
    git(root, "init")
    (root / ".gitignore").write_text("data/\n")

    assert project_files(str(root / "data"), listing) == ["b.txt"]


def test_where_git_fails_the_project_is_walked(root: Path) -> None:
    (root / ".git").write_text("gitdir: nowhere")

    assert "build/out.txt" in project_files(str(root), listing)
