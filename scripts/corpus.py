"""Installs real test suites, from the package index alone, each into an environment of its own.

    python scripts/corpus.py install [NAME ...] [--into .corpus] [--python PATH]
    python scripts/corpus.py install NAME --requirement click==8.5.1 --install '-e .' --tests tests
    python scripts/corpus.py link [NAME ...]      (re)installs this checkout into the suites
    python scripts/corpus.py clean [NAME ...]     resets the suites' trees
    python scripts/corpus.py list

An installation is a sequence of steps, each recorded when done; running again resumes after the
last one, and does nothing where all are. A suite whose definition changed is installed from the
start. One folder holds one interpreter's environment a suite: give another `--into` (such as
`.corpus/3.11`) for another Python.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from suites import (
    DEFAULT_FOLDER,
    REPOSITORY,
    STEPS,
    Installation,
    Suite,
    SuiteError,
    clean_tree,
    environment_for,
    git,
    installed_suites,
    load_suites,
    read_installation,
)

#: What every environment gets beside pytest: the runners that the benchmarks compare with.
TOOLS = ("pytest-xdist", "pytest-testmon", "coverage")

#: Files by which pytest recognises a root directory that configures it. Without one in the tree,
#: pytest goes on upwards, and would find this checkout's own configuration.
PYTEST_CONFIGURATIONS = {
    "pytest.toml": "",
    ".pytest.toml": "",
    "pytest.ini": "",
    ".pytest.ini": "",
    "pyproject.toml": "[tool.pytest",
    "tox.ini": "[pytest]",
    "setup.cfg": "[tool:pytest]",
}


class StepError(Exception):
    """A step of an installation failed; the message ends with where its output is."""


def run_logged(installation: Installation, command: list[str], cwd: Path) -> None:
    """Runs a command with its output appended to the installation's log. Raises StepError."""
    environment = environment_for(installation.python)
    with installation.log.open("a", encoding="utf-8") as log:
        log.write(f"\n$ {shlex.join(command)}\n")
        log.flush()
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        lines = installation.log.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(f"    {line}" for line in lines[-12:])
        raise StepError(f"exit status {done.returncode} from {command[0]}:\n{tail}")


def pip(installation: Installation, *arguments: str, cwd: Path | None = None) -> None:
    """Runs the environment's own pip."""
    command = [str(installation.python), "-m", "pip", *arguments]
    run_logged(installation, command, cwd or installation.folder)


def archive_of(installation: Installation) -> Path:
    """The downloaded archive. Raises StepError unless there is exactly one of the kind."""
    kind, folder = installation.suite.kind, installation.folder / "download"
    suffixes = (".whl",) if kind == "wheel" else (".tar.gz", ".zip", ".tar.bz2")
    found = [file for file in sorted(folder.glob("*")) if file.name.endswith(suffixes)]
    if len(found) != 1:
        raise StepError(f"expected one {kind} in {folder}, got {len(found)}")
    return found[0]


def download(installation: Installation, python: Path) -> None:
    """Fetches the archive with the given interpreter's pip: the suite has none yet."""
    suite, target = installation.suite, installation.folder / "download"
    shutil.rmtree(target, ignore_errors=True)
    choice = "--no-binary" if suite.kind == "sdist" else "--only-binary"
    command = [str(python), "-m", "pip", "download", "--no-deps", "--dest", str(target)]
    run_logged(
        installation, [*command, choice, suite.project, suite.requirement], installation.folder
    )
    archive_of(installation)


def is_configured(tree: Path) -> bool:
    """Whether the tree itself carries a configuration that pytest takes for its root."""
    for name, section in PYTEST_CONFIGURATIONS.items():
        file = tree / name
        if file.is_file() and section in file.read_text(encoding="utf-8", errors="replace"):
            return True
    return False


def unpack(installation: Installation) -> None:
    """Unpacks the archive into `tree/` and starts its git repository.

    The repository comes before the build: tools that ask git for a version or for ignored files
    would otherwise find the checkout around it.
    """
    archive = archive_of(installation)
    tree, room = installation.tree, installation.folder / "unpacked"
    for folder in (tree, room):
        shutil.rmtree(folder, ignore_errors=True)
    room.mkdir()
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as zipped:
            zipped.extractall(room)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(room, filter="data")
    entries = list(room.iterdir())
    only = len(entries) == 1 and installation.suite.kind == "sdist"
    (entries[0] if only else room).rename(tree)
    shutil.rmtree(room, ignore_errors=True)
    for pattern in installation.suite.drop:
        for path in tree.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not is_configured(tree):
        (tree / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    git(tree, "init", "-q")
    # Line endings are part of some suites' expectations: git must never convert them.
    (tree / ".git" / "info").mkdir(exist_ok=True)
    (tree / ".git" / "info" / "attributes").write_text("* -text -filter\n", encoding="utf-8")


def make_venv(installation: Installation, python: Path) -> None:
    """Creates the virtual environment, anew if there was one."""
    run_logged(
        installation,
        [str(python), "-m", "venv", "--clear", str(installation.venv)],
        installation.folder,
    )


def install_base(installation: Installation) -> None:
    """Installs pytest, as pinned, and the runners to compare with."""
    pip(installation, "install", installation.suite.pytest, *TOOLS)


def install_suite(installation: Installation) -> None:
    """Installs the project and what its tests need; a wheel's tree goes on the path by .pth."""
    if installation.suite.install:
        pip(installation, "install", *installation.suite.install, cwd=installation.tree)
    if installation.suite.kind == "wheel":
        (site,) = {
            file.parent for file in installation.venv.glob("**/site-packages/pip/__init__.py")
        }
        line = f"{installation.tree.resolve()}\n"
        (site.parent / "corpus_suite.pth").write_text(line, encoding="utf-8")


def commit(installation: Installation) -> None:
    """Commits the whole tree, what the build left in it included, but no byte code."""
    tree = installation.tree
    for folder in list(tree.rglob("__pycache__")):
        shutil.rmtree(folder)
    git(tree, "add", "-A", "-f")
    author = ("-c", "user.name=corpus", "-c", "user.email=corpus@localhost")
    git(tree, *author, "commit", "-q", "--allow-empty", "-m", installation.suite.requirement)


def link(installation: Installation) -> None:
    """Installs iopio itself, editable from this checkout."""
    if not (REPOSITORY / "pyproject.toml").exists():
        raise StepError("this checkout has no pyproject.toml yet; later: scripts/corpus.py link")
    pip(installation, "install", "-e", str(REPOSITORY))


def install(installation: Installation, python: Path, say: Callable[[str], None]) -> Installation:
    """Runs the steps that aren't done, recording each. Raises StepError with the step's name."""
    actions: dict[str, Callable[[Installation], None]] = {
        "download": lambda it: download(it, python),
        "unpack": unpack,
        "venv": lambda it: make_venv(it, python),
        "base": install_base,
        "install": install_suite,
        "commit": commit,
        "link": link,
    }
    for step in STEPS:
        if step in installation.steps:
            continue
        started_s = time.monotonic()
        try:
            actions[step](installation)
        except (StepError, SuiteError, OSError, ValueError, tarfile.TarError) as error:
            name = installation.suite.name
            raise StepError(
                f"{name}: step '{step}' failed: {error}\n  log: {installation.log}"
            ) from error
        installation = replace(installation, steps=(*installation.steps, step))
        installation.save()
        say(f"{installation.suite.name}: {step} ({time.monotonic() - started_s:.1f} s)")
    return installation


def version_of(python: Path) -> str:
    """The interpreter's version, "3.12.1". Raises SuiteError where it doesn't run."""
    try:
        done = subprocess.run(
            [str(python), "-c", "import platform; print(platform.python_version())"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise SuiteError(f"can't run the interpreter {python}: {error}") from error
    return done.stdout.strip()


def prepare(suite: Suite, into: Path, python_version: str, explicit: bool) -> Installation:
    """The suite's installation as recorded, or a fresh one. Raises SuiteError."""
    folder = into.resolve() / suite.name
    recorded = read_installation(folder)
    if recorded is None or recorded.suite != suite:
        fresh = Installation(folder, suite, python_version)
        fresh.save()
        return fresh
    if recorded.python_version != python_version and explicit:
        raise SuiteError(
            f"{suite.name} is already in {into} for Python {recorded.python_version}; "
            f"give another --into for {python_version}"
        )
    return recorded


def suite_by_hand(options: argparse.Namespace) -> Suite:
    """A suite from the command line's own options."""
    if len(options.names) > 1:
        raise SuiteError("--requirement describes one suite: give one NAME, or none")

    def words(texts: list[str] | None, default: tuple[str, ...]) -> tuple[str, ...]:
        return default if texts is None else tuple(w for text in texts for w in shlex.split(text))

    bare = Suite(name="", requirement=options.requirement)
    return Suite(
        name=options.names[0] if options.names else bare.project.lower(),
        requirement=options.requirement,
        kind=options.kind,
        install=words(options.install, ("-e", ".") if options.kind == "sdist" else ()),
        tests=words(options.tests, ("tests",)),
        args=words(options.args, ()),
        pytest=options.pytest,
    )


def chosen(names: list[str], into: Path) -> list[Suite]:
    """The named suites, or the whole corpus file. Raises SuiteError on names nobody knows."""
    known = load_suites()
    for name, installation in installed_suites(into).items():
        known.setdefault(name, installation.suite)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SuiteError(f"unknown suite {', '.join(unknown)}; known: {', '.join(known)}")
    return [known[name] for name in names] if names else list(load_suites().values())


def run_install(options: argparse.Namespace) -> int:
    """Installs the chosen suites; one that fails doesn't stop the others."""
    suites = (
        [suite_by_hand(options)] if options.requirement else chosen(options.names, options.into)
    )
    python = Path(options.python or sys.executable).absolute()
    version = version_of(python)
    installations = [prepare(s, options.into, version, bool(options.python)) for s in suites]
    failures = 0
    for installation in installations:
        try:
            done = install(installation, python, lambda text: print(text, flush=True))
        except StepError as error:
            failures += 1
            print(error, file=sys.stderr, flush=True)
            continue
        print(f"{done.suite.name}: installed for Python {done.python_version}", flush=True)
    return 1 if failures else 0


def run_link(options: argparse.Namespace) -> int:
    """Installs this checkout into every chosen suite that is otherwise complete."""
    wanted = (
        {suite.name for suite in chosen(options.names, options.into)} if options.names else None
    )
    failures = 0
    for name, installation in installed_suites(options.into).items():
        if (wanted is not None and name not in wanted) or not installation.complete:
            continue
        steps = tuple(step for step in installation.steps if step != "link")
        try:
            install(replace(installation, steps=steps), installation.python, print)
        except StepError as error:
            failures += 1
            print(error, file=sys.stderr)
    return 1 if failures else 0


def run_clean(options: argparse.Namespace) -> int:
    """Resets the chosen suites' trees to their commit."""
    wanted = (
        {suite.name for suite in chosen(options.names, options.into)} if options.names else None
    )
    for name, installation in installed_suites(options.into).items():
        if (wanted is None or name in wanted) and "commit" in installation.steps:
            clean_tree(installation.tree)
            print(f"{name}: clean")
    return 0


def run_list(options: argparse.Namespace) -> int:
    """Prints each suite's state."""
    installed = installed_suites(options.into)
    for name, suite in {**load_suites(), **{n: i.suite for n, i in installed.items()}}.items():
        it = installed.get(name)
        if it is None:
            state = "not installed"
        elif not it.complete:
            state = f"partial: {', '.join(it.steps) or 'nothing yet'} (Python {it.python_version})"
        else:
            linked = "" if "link" in it.steps else ", iopio not linked"
            state = f"installed (Python {it.python_version}{linked})"
        print(f"{name:<14} {suite.requirement:<24} {suite.kind:<6} {state}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(
        prog="corpus.py", description="real test suites to run iopio on"
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for name, action, about in (
        ("install", run_install, "install suites, or resume"),
        ("link", run_link, "install this checkout into the suites' environments"),
        ("clean", run_clean, "reset the suites' trees"),
        ("list", run_list, "show what is installed"),
    ):
        command = commands.add_parser(name, help=about, description=about)
        command.set_defaults(action=action)
        command.add_argument("--into", type=Path, default=DEFAULT_FOLDER, help="default: .corpus")
        if name != "list":
            command.add_argument("names", nargs="*", metavar="NAME", help="default: all")
        if name == "install":
            command.add_argument("--python", help="interpreter; default: the one that runs this")
            group = command.add_argument_group("a suite that the corpus file doesn't have")
            group.add_argument("--requirement", help="such as click==8.5.1")
            group.add_argument("--kind", choices=("sdist", "wheel"), default="sdist")
            group.add_argument(
                "--install", action="append", metavar="WORDS", help="for pip: '-e . trio'"
            )
            group.add_argument("--tests", action="append", metavar="WORDS", help="default: tests")
            group.add_argument("--args", action="append", metavar="WORDS", help="more for pytest")
            group.add_argument("--pytest", default="pytest", help="requirement; default: pytest")
    return whole


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns its exit status: 1 an installation failed, 2 a wrong request."""
    options = parser().parse_args(arguments)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        status: int = options.action(options)
    except SuiteError as error:
        print(f"corpus.py: {error}", file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())
