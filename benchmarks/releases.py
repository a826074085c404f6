"""Makes a git repository of a package's successive releases, one commit each.

The source archives come by `pip download`; which versions there are, `pip index versions` says. A
release whose archive can't be had is left out. What is in `FOLDER/downloads` isn't fetched again.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from suites import SuiteError, git

AUTHOR = ("-c", "user.name=releases", "-c", "user.email=releases@localhost")


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def versions_of(name: str) -> list[str]:
    """The versions that the index has, oldest first. Raises SuiteError."""
    done = _pip("index", "versions", name)
    for line in done.stdout.splitlines():
        label, _, rest = line.partition(":")
        if label == "Available versions":
            return [version.strip() for version in rest.split(",")][::-1]
    raise SuiteError(f"the index tells no versions of {name}: {done.stderr.strip()}")


def download(name: str, version: str, folder: Path) -> Path | None:
    """The source archive of a release, None where there is none to be had."""
    found = [*folder.glob("*.tar.gz")]
    if not found:
        folder.mkdir(parents=True, exist_ok=True)
        source = ("--no-deps", "--no-binary", ":all:")
        _pip("download", *source, "--dest", str(folder), f"{name}=={version}")
        found = [*folder.glob("*.tar.gz")]
    return found[0] if found else None


def _replace_tree(tree: Path, archive: Path) -> None:
    for entry in tree.iterdir():
        if entry.name != ".git":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    with tempfile.TemporaryDirectory(dir=tree.parent) as room:
        with tarfile.open(archive) as tar:
            tar.extractall(room, filter="data")
        (top,) = Path(room).iterdir()
        for entry in top.iterdir():
            entry.rename(tree / entry.name)


def build_repository(name: str, folder: Path, releases: int) -> Iterator[str]:
    """Builds `folder/tree`; yields a line for each release. Raises SuiteError."""
    tree = folder.resolve() / "tree"
    if tree.exists():
        raise SuiteError(f"{tree} is there already; remove it to build it anew")
    tree.mkdir(parents=True)
    git(tree, "init", "-q")
    (tree / ".git" / "info").mkdir(exist_ok=True)
    (tree / ".git" / "info" / "attributes").write_text("* -text -filter\n", encoding="utf-8")
    for version in versions_of(name)[-releases:]:
        archive = download(name, version, tree.parent / "downloads" / version)
        if archive is None:
            yield f"{name} {version}: no source archive"
            continue
        _replace_tree(tree, archive)
        git(tree, "add", "-A", "-f")
        git(tree, *AUTHOR, "commit", "-q", "--allow-empty", "-m", f"{name} {version}")
        yield f"{name} {version}: committed"
