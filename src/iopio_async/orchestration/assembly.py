"""Builds the stack of a run from its configuration: the only file that names concrete back ends."""

import os
import secrets
import subprocess
import sys
import time

from iopio_async.execution.executor import ExecutorSettings
from iopio_async.execution.forkserver import ForkserverExecutor
from iopio_async.execution.ports import Executor
from iopio_async.execution.subprocess import SpawnExecutor
from iopio_async.model.config import Config


def new_run_id() -> str:
    """An id that is unique on earth and sorts by time: UTC to the second, then random digits."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"


def make_executor(config: Config, run_id: str, *, owns_process: bool) -> Executor:
    """The executor of the configured start method."""
    environment = dict(os.environ) | config.env
    # Spawned processes agree on the order of sets, and a test that is run again finds its id.
    environment.setdefault("PYTHONHASHSEED", "0")
    executor = ForkserverExecutor if config.forks else SpawnExecutor
    return executor(
        run_id,
        ExecutorSettings(
            grace_s=config.grace_s,
            leak_timeout_s=config.leak_timeout_s,
            output_bytes=config.output_bytes,
            environment=environment,
            interpreter=(sys.executable, *subprocess._args_from_interpreter_flags()),  # type: ignore[attr-defined]
            owns_children=owns_process,
        ),
    )
