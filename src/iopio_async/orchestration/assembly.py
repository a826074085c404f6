"""Builds the stack of a run from its configuration: the only file that names concrete back ends."""

import os
import subprocess
import sys
from collections.abc import Callable

from iopio_async.execution.executor import ExecutorSettings
from iopio_async.execution.forkserver import ForkserverExecutor
from iopio_async.execution.ports import Executor
from iopio_async.execution.subprocess import SpawnExecutor
from iopio_async.model.action import Action
from iopio_async.model.config import Config
from iopio_async.orchestration.coverage import Coverage


def _environment(config: Config) -> dict[str, str]:
    environment = dict(os.environ) | config.env
    # Spawned processes agree on the order of sets, and a test that is run again finds its id.
    environment.setdefault("PYTHONHASHSEED", "0")
    return environment


def _interpreter() -> tuple[str, ...]:
    return (sys.executable, *subprocess._args_from_interpreter_flags())  # type: ignore[attr-defined]


def make_coverage(config: Config) -> Coverage:
    """What puts together the coverage of the tests' processes."""
    return Coverage(_interpreter(), _environment(config), config.invocation_dir)


def make_executor(
    config: Config, run_id: str, *, owns_process: bool, keep: Callable[[Action, str], None]
) -> Executor:
    """The executor of the configured start method; ``keep`` is called as its settings say."""
    executor = ForkserverExecutor if config.forks else SpawnExecutor
    return executor(
        run_id,
        ExecutorSettings(
            grace_s=config.grace_s,
            leak_timeout_s=config.leak_timeout_s,
            output_bytes=config.output_bytes,
            environment=_environment(config),
            interpreter=_interpreter(),
            owns_children=owns_process,
            keep=keep,
        ),
    )
