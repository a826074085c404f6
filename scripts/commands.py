"""The command lines that are compared, and running one with its wall and CPU time taken.

Every run gets a temporary folder of its own and an environment without what the caller's shell
would change; it leads its own process group, which is killed when the run takes too long or the
script is interrupted.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suites import Installation, SuiteError, clean_tree, console_command, environment_for

RECORDING = Path(__file__).resolve().parent / "recording"


@dataclass(frozen=True)
class Target:
    """What a run is started on: a tree, an interpreter, and what pytest is given."""

    name: str
    tree: Path
    python: Path
    tests: tuple[str, ...]
    args: tuple[str, ...] = ()
    #: Whether the tree may be reset to its commit before a run.
    cleanable: bool = False

    def clean(self, keep: tuple[str, ...] = ()) -> None:
        """Resets the tree, where that is allowed."""
        if self.cleanable:
            clean_tree(self.tree, keep)


def target_of(installation: Installation) -> Target:
    """The target that an installed suite is."""
    suite = installation.suite
    return Target(
        suite.name, installation.tree, installation.python, suite.tests, suite.args, cleanable=True
    )


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    exit_status: int
    wall_s: float
    #: User and system time of everything that the command waited for.
    cpu_s: float
    output: str

    @property
    def timed_out(self) -> bool:
        """Whether the run was killed, which only its time limit does here."""
        return self.exit_status == -signal.SIGKILL


def pytest_command(target: Target, *options: str, tests: Sequence[str] = ()) -> list[str]:
    """Plain `pytest` over the target, or over some of its files."""
    return [
        *console_command(target.python, "pytest", "pytest"),
        *target.args,
        *options,
        *(tests or target.tests),
    ]


def file_command(target: Target, file: str) -> list[str]:
    """`python -m pytest FILE`: what people script when they want a process a module."""
    return [str(target.python), "-m", "pytest", *target.args, file]


def iopio_command(
    target: Target, workers: int, report: Path | None, options: Sequence[str] = ()
) -> list[str]:
    """`iopio run` over the same tests, with the same arguments for pytest. Raises SuiteError."""
    command = console_command(target.python, "iopio", "iopio_async")
    if len(command) > 1:
        raise SuiteError(
            f"{target.name}: no iopio in {target.python.parent}; run: python scripts/corpus.py link"
        )
    command += ["run", "--workers", str(workers), *options]
    command += ["--report", str(report)] if report else []
    return [*command, *target.tests, *(["--", *target.args] if target.args else [])]


@contextlib.contextmanager
def private_environment(
    python: Path, extra: Mapping[str, str] | None = None
) -> Iterator[dict[str, str]]:
    """An environment with a temporary folder that goes away with it."""
    with tempfile.TemporaryDirectory(prefix="run-", ignore_cleanup_errors=True) as folder:
        environment = environment_for(python) | {"TMPDIR": folder}
        yield {k: v for k, v in environment.items() if not k.startswith("IOPIO_")} | dict(
            extra or {}
        )


def children_cpu_s() -> float:
    """User and system time of all children that this process has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Ends the process and its group, which it leads."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run_bare(
    command: Sequence[str], cwd: Path, env: Mapping[str, str], timeout_s: float
) -> tuple[int, str]:
    """Runs a command in its own process group; returns its exit status and output."""
    with tempfile.TemporaryFile() as sink:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            kill_group(process)
        except BaseException:
            kill_group(process)
            raise
        sink.seek(0)
        return process.returncode, sink.read().decode("utf-8", "replace")


def run(
    target: Target,
    command: Sequence[str],
    *,
    extra: Mapping[str, str] | None = None,
    timeout_s: float = 3600.0,
) -> Finished:
    """Runs one command in the target's tree, and takes its times."""
    with private_environment(target.python, extra) as environment:
        cpu_s, started_s = children_cpu_s(), time.perf_counter()
        status, output = run_bare(command, target.tree, environment, timeout_s)
        wall_s = time.perf_counter() - started_s
        return Finished(status, wall_s, children_cpu_s() - cpu_s, output)


def run_each(
    target: Target, commands: Sequence[Sequence[str]], at_once: int, timeout_s: float = 3600.0
) -> tuple[Finished, list[Finished]]:
    """Runs commands, so many at once; returns the whole's times and each one's end.

    The CPU time of one among several running at once isn't known: each one's `cpu_s` is 0.
    """

    def one(command: Sequence[str]) -> Finished:
        with private_environment(target.python) as environment:
            started_s = time.perf_counter()
            status, output = run_bare(command, target.tree, environment, timeout_s)
            return Finished(status, time.perf_counter() - started_s, 0.0, output)

    cpu_s, started_s = children_cpu_s(), time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        ends = list(pool.map(one, commands))
    wall_s = time.perf_counter() - started_s
    bad = max((end.exit_status for end in ends if end.exit_status not in (0, 5)), default=0)
    return Finished(bad, wall_s, children_cpu_s() - cpu_s, ""), ends


def run_recorded(
    target: Target, *options: str, tests: Sequence[str] = (), timeout_s: float = 3600.0
) -> tuple[Finished, dict[str, Any] | None]:
    """Runs plain pytest with the recorder; returns its record too, None where the run left none."""
    with tempfile.TemporaryDirectory(prefix="record-") as folder:
        file = Path(folder) / "record.json"
        extra = {"PYTHONPATH": str(RECORDING), "IOPIO_RECORD_FILE": str(file)}
        command = pytest_command(target, "-p", "outcome_recorder", *options, tests=tests)
        finished = run(target, command, extra=extra, timeout_s=timeout_s)
        if not file.exists():
            return finished, None
        document: dict[str, Any] = json.loads(file.read_text(encoding="ascii"))
        return finished, document
