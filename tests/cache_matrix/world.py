"""A project, an environment and the commands to run on them: what the matrix's rows happen in.

The environment is a virtual one of the interpreter that runs the tests, made by hand (three files),
which sees that interpreter's packages through a ``.pth`` file: so the rows have a ``site-packages``
of their own to change. The oracle is plain pytest in the same environment, with byte code kept in a
new place each time: what lies in ``__pycache__`` may be as old as it likes.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cache_matrix.mutations import Place
from cache_matrix.row import PRELUDE, Row
from end_to_end.sides import RECORDING, fold

import iopio_async

START_METHODS = ("spawn", "forkserver")

#: No run takes longer, on however busy a machine.
GIVEN_UP_S = 300.0

EXECUTED, CACHED = "executed", "local_cache"

Outcomes = dict[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A run of ``iopio run`` that is over."""

    code: int
    sources: dict[str, str]
    statuses: dict[str, str]
    outcomes: dict[str, Outcomes]
    report: dict[str, Any] = field(default_factory=dict)
    output: str = ""

    @property
    def warnings(self) -> str:
        """What it warned of, each on a line of its own."""
        lines = self.output.splitlines()
        return "".join(f"\n{line}" for line in lines if line.startswith("warning: "))


class World:
    """A project that rows are laid out in, and its environment."""

    def __init__(self, folder: Path, start_method: str) -> None:
        self.start_method = start_method
        self.folder = folder
        self.root = folder / "project"
        self.outside = folder / "outside"
        self.temporary = folder / "t"
        for each in (self.root, self.outside, self.temporary):
            each.mkdir(parents=True)
        (self.root / "pyproject.toml").write_text("")
        self.site, self.python = _make_environment(folder / "venv")
        self.variables = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.temporary),
        }

    def place(self, row: Row) -> Place:
        """Where the row is, or is going to be."""
        here = self.root / row.name
        folders = {"HERE": here, "TOP": self.root, "SITE": self.site, "OUT": self.outside}
        return Place(row.name, folders, self.variables)

    def lay_out(self, row: Row) -> None:
        """Write a row's files."""
        place = self.place(row)
        place.write("unrelated.txt", "as it was")
        place.write(row.module, PRELUDE + row.test)
        for name, content in row.files.items():
            place.write(name, content)
        for mutation in row.before:
            mutation.apply(place)

    def module(self, row: Row) -> str:
        """The path of a row's module as reports have it."""
        return self.place(row).path(row.module).relative_to(self.root).as_posix()

    def _environment(self, plugins: bool) -> dict[str, str]:
        extra = {} if plugins else {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return self.variables | extra

    def command(self, *arguments: str) -> list[str]:
        """The command line of ``iopio`` in the environment."""
        return [str(self.python), "-P", "-m", "iopio_async", *arguments]

    def start(self, *arguments: str, plugins: bool = False, **details: Any) -> Any:
        """Start ``iopio run``."""
        options = ("--start-method", self.start_method, "--workers", "2", "--color", "never")
        return subprocess.Popen(
            self.command("run", *options, *arguments),
            cwd=self.root,
            env=self._environment(plugins),
            stdin=subprocess.DEVNULL,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **details},
        )

    def run(self, *arguments: str, plugins: bool = False, **details: Any) -> Ran:
        """Run ``iopio run`` and read its report."""
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        split = arguments.index("--") if "--" in arguments else len(arguments)
        words = (*arguments[:split], "--report", str(report), *arguments[split:])
        with self.start(*words, plugins=plugins, **details) as process:
            stdout, _ = process.communicate(timeout=GIVEN_UP_S)
        output = stdout.decode("utf-8", "replace")
        assert report.exists(), f"no report, exit code {process.returncode}:\n{output}"
        return read_report(json.loads(report.read_bytes()), process.returncode, output)

    def run_plainly(self, *arguments: str, plugins: bool = False, **details: Any) -> Outcomes:
        """Run plain pytest; the outcomes of its node ids."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            record = Path(folder) / "record"
            environment = self._environment(plugins) | {
                "PYTHONPATH": f"{RECORDING}:{self.variables.get('PYTHONPATH', '')}".rstrip(":"),
                "PYTHONPYCACHEPREFIX": str(Path(folder) / "byte-code"),
                "PLAIN_RECORD": str(record),
            }
            options = ("-p", "no:cacheprovider", "-p", "plain_recorder")
            ended = subprocess.run(
                [str(self.python), "-P", "-m", "pytest", *options, *arguments],
                **{"cwd": self.root, "env": environment, "check": False, **details},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=GIVEN_UP_S,
            )
            assert record.exists(), ended.stdout.decode() + ended.stderr.decode()
            return fold(json.loads(record.read_bytes()))

    def why(self, row: Row, *arguments: str) -> str:
        """What ``iopio why`` says of a row's module."""
        ended = subprocess.run(
            self.command("why", self.module(row), *arguments),
            cwd=self.root,
            env=self._environment(row.plugins),
            capture_output=True,
            text=True,
            timeout=GIVEN_UP_S,
            check=False,
        )
        return ended.stdout + ended.stderr


def by_module(outcomes: Mapping[str, list[str]]) -> dict[str, Outcomes]:
    """Outcomes sorted into their modules."""
    sorted_out: dict[str, Outcomes] = {}
    for node, found in outcomes.items():
        sorted_out.setdefault(node.partition("::")[0], {})[node] = sorted(found)
    return sorted_out


def read_report(document: dict[str, Any], code: int, output: str = "") -> Ran:
    """What a JSON report says."""
    outcomes: Outcomes = {}
    for test in document["tests"]:
        outcomes.setdefault(test["id"], []).append(test["outcome"])
    return Ran(
        code=code,
        sources={module["path"]: module["source"] for module in document["modules"]},
        statuses={module["path"]: module["status"] for module in document["modules"]},
        outcomes=by_module(outcomes),
        report=document,
        output=output,
    )


def _make_environment(folder: Path) -> tuple[Path, Path]:
    """A virtual environment: its ``site-packages`` and its interpreter."""
    base = Path(os.path.realpath(sys.executable))
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = folder / "lib" / version / "site-packages"
    # The folder for byte code is made at the first import, which changes the time of what it is in.
    (site / "__pycache__").mkdir(parents=True)
    (folder / "bin").mkdir()
    python = folder / "bin" / "python"
    python.symlink_to(base)
    (folder / "pyvenv.cfg").write_text(
        f"home = {base.parent}\ninclude-system-site-packages = false\n"
    )
    shared: Iterable[str] = dict.fromkeys(
        (
            sysconfig.get_path("purelib"),
            sysconfig.get_path("platlib"),
            str(Path(iopio_async.__file__).parents[1]),
        )
    )
    (site / "shared.pth").write_text("".join(f"{path}\n" for path in shared))
    return site, python


def halves(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Every other row, and the rest."""
    return list(rows[::2]), list(rows[1::2])
