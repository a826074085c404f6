"""The corpus as values: what a suite is, where it is installed, how its tree is cleaned.

A suite is a test suite by others that the package index can provide. Each lives in a folder of its
own, `INTO/NAME/`: `download/` (the archive), `tree/` (unpacked, a git repository of one commit, so
that it can be reset between runs), `venv/`, `state.json` (the suite's definition, its interpreter
and the installation steps that are done). Everything here is standard library; `corpus.py`
installs, `parity.py` and the benchmarks run.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

REPOSITORY = Path(__file__).resolve().parent.parent
CORPUS_FILE = Path(__file__).resolve().with_name("corpus.json")
DEFAULT_FOLDER = REPOSITORY / ".corpus"
STATE_VERSION = 1

#: In the order in which they must happen; `link` may be redone whenever this checkout moves.
STEPS = ("download", "unpack", "venv", "base", "install", "commit", "link")

#: Variables of the caller's shell that would change what a measured or compared run does.
FOREIGN_VARIABLES = (
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONHASHSEED",
    "PYTEST_ADDOPTS",
    "PYTEST_PLUGINS",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD",
    "__PYVENV_LAUNCHER__",
)


class SuiteError(Exception):
    """The request can't be met: an unknown name, a malformed file, a suite that isn't installed."""


@dataclass(frozen=True)
class Suite:
    """One test suite: what to download, what to install, what pytest is given."""

    name: str
    requirement: str
    kind: Literal["sdist", "wheel"] = "sdist"
    install: tuple[str, ...] = ("-e", ".")
    tests: tuple[str, ...] = ("tests",)
    args: tuple[str, ...] = ()
    pytest: str = "pytest"
    unittest: tuple[str, ...] | None = None
    #: Paths inside the tree that are removed after unpacking.
    drop: tuple[str, ...] = ()
    note: str = ""

    @property
    def project(self) -> str:
        """The distribution's name, without version, extras or markers."""
        name = self.requirement
        for stop in "[=<>!~; @":
            name = name.split(stop, 1)[0]
        return name.strip()


def suite_from(document: dict[str, Any]) -> Suite:
    """Builds a suite from its JSON object; keys that this version doesn't know are ignored.

    Raises SuiteError when a key is missing or has a wrong type.
    """
    name = document.get("name")
    if not isinstance(name, str) or not isinstance(document.get("requirement"), str):
        raise SuiteError(f"malformed suite {name!r}: 'name' and 'requirement' must be strings")
    values: dict[str, Any] = {}
    for each in fields(Suite):
        if each.name not in document:
            continue
        value = document[each.name]
        if each.name in ("install", "tests", "args", "drop", "unittest") and value is not None:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise SuiteError(
                    f"malformed suite {name!r}: '{each.name}' must be a list of strings"
                )
            value = tuple(value)
        values[each.name] = value
    if values.get("kind", "sdist") not in ("sdist", "wheel"):
        raise SuiteError(f"malformed suite {name!r}: 'kind' must be 'sdist' or 'wheel'")
    return Suite(**values)


def load_suites(file: Path = CORPUS_FILE) -> dict[str, Suite]:
    """Reads the corpus file: name → suite, in its order. Raises SuiteError when it can't."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        suites = [suite_from(entry) for entry in document["suites"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SuiteError(f"can't read the corpus file {file}: {error}") from error
    return {suite.name: suite for suite in suites}


@dataclass(frozen=True)
class Installation:
    """A suite's folder, whether or not everything in it is there yet."""

    folder: Path
    suite: Suite
    python_version: str = ""
    steps: tuple[str, ...] = field(default=())

    @property
    def tree(self) -> Path:
        """The unpacked archive, where the tests run."""
        return self.folder / "tree"

    @property
    def venv(self) -> Path:
        """The virtual environment."""
        return self.folder / "venv"

    @property
    def python(self) -> Path:
        """The virtual environment's interpreter."""
        return self.venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def log(self) -> Path:
        """The output of all installation steps."""
        return self.folder / "install.log"

    @property
    def complete(self) -> bool:
        """Whether pytest can run; `link`, iopio itself, may still be missing."""
        return all(step in self.steps for step in STEPS if step != "link")

    def save(self) -> None:
        """Writes state.json in one step, so that an interrupted installation resumes."""
        document = {
            "version": STATE_VERSION,
            "suite": asdict(self.suite),
            "python": self.python_version,
            "steps": list(self.steps),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / "state.json.draft"
        draft.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        draft.replace(self.folder / "state.json")


def read_installation(folder: Path) -> Installation | None:
    """Reads a suite's folder; None where nothing (or something of another version) is recorded."""
    try:
        document = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(document, dict) or document.get("version") != STATE_VERSION:
        return None
    return Installation(
        folder, suite_from(document["suite"]), document["python"], tuple(document["steps"])
    )


def installed_suites(into: Path) -> dict[str, Installation]:
    """Every suite that `into` holds, the corpus file's order first, then those added by hand."""
    found = {}
    if into.is_dir():
        for folder in sorted(into.iterdir()):
            installation = read_installation(folder)
            if installation is not None:
                found[installation.suite.name] = installation
    order = {name: position for position, name in enumerate(load_suites())}
    return dict(sorted(found.items(), key=lambda pair: (order.get(pair[0], len(order)), pair[0])))


def find_installation(name: str, into: Path) -> Installation:
    """Finds an installed suite by name, or by the path of its folder. Raises SuiteError."""
    for folder in (into / name, Path(name)):
        installation = read_installation(folder)
        if installation is None:
            continue
        if not installation.complete:
            missing = next(step for step in STEPS if step not in installation.steps)
            raise SuiteError(
                f"suite {name!r} is not fully installed: step '{missing}' is missing; "
                f"run: python scripts/corpus.py install {installation.suite.name}"
            )
        return installation
    if name in load_suites():
        raise SuiteError(
            f"suite {name!r} is not installed; run: python scripts/corpus.py install {name}"
        )
    known = ", ".join({**load_suites(), **installed_suites(into)})
    raise SuiteError(f"unknown suite {name!r}; known: {known}")


def environment_for(python: Path) -> dict[str, str]:
    """The environment in which a suite's interpreter runs: the caller's, entered into that venv."""
    environment = {k: v for k, v in os.environ.items() if k not in FOREIGN_VARIABLES}
    if (python.parent.parent / "pyvenv.cfg").exists():
        environment["VIRTUAL_ENV"] = str(python.parent.parent)
    environment["PATH"] = os.pathsep.join([str(python.parent), environment.get("PATH", "")])
    return environment


def console_command(python: Path, script: str, module: str) -> list[str]:
    """The command `script` of the interpreter's environment, or `python -m module` if it has none.

    The two differ: `python -m` puts the current directory on `sys.path`.
    """
    beside = python.parent / (script + (".exe" if os.name == "nt" else ""))
    return [str(beside)] if beside.exists() else [str(python), "-m", module]


def git(tree: Path, *arguments: str) -> str:
    """Runs git in the tree without anybody's configuration. Raises SuiteError with its message."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", "-C", str(tree), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise SuiteError(f"git {arguments[0]} failed in {tree}: {done.stderr.strip()}")
    return done.stdout


def is_repository(tree: Path) -> bool:
    """Whether the tree is itself the root of a git repository, not merely inside one."""
    return (tree / ".git").exists()


def clean_tree(tree: Path, keep: tuple[str, ...] = ()) -> None:
    """Resets the tree to its commit: edits undone, other files gone but those matching `keep`.

    Raises SuiteError, and touches nothing, where the tree isn't itself a git repository.
    """
    if not is_repository(tree):
        raise SuiteError(f"can't clean {tree}: it is not the root of a git repository")
    git(tree, "reset", "-q", "--hard")
    excludes = [argument for pattern in keep for argument in ("-e", pattern)]
    git(tree, "clean", "-xffdq", *excludes)
