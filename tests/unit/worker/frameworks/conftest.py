"""Runs modules by an adapter, each in a process of its own as in real life, and reads the stream.

The assertions of pytest itself, which would rewrite the modules, stay out of those processes.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import iopio_async
from iopio_async.model.action import Action
from iopio_async.model.module import Framework
from iopio_async.model.outcome import Outcome
from iopio_async.wire import messages as msg
from iopio_async.wire.certificate import Certificate
from iopio_async.wire.codec import decode_message, encode_action
from iopio_async.wire.frames import FrameSplitter

PROJECTS = Path(__file__).parents[3] / "fixture_projects"

CHILD = """
import importlib, sys
source, action, descriptor = sys.argv[1:]
sys.path.insert(0, source)
from iopio_async.wire.codec import decode_action
from iopio_async.worker.recorder import Recorder
action = decode_action(bytes.fromhex(action))
adapter = importlib.import_module(f"iopio_async.worker.frameworks.{action.framework}")
sys.path.remove(source)
sys.exit(adapter.run(action, Recorder(int(descriptor), action.limits)))
"""


@dataclass
class Attempt:
    """One module, run. ``output`` is what its process wrote to its own streams."""

    path: str
    exit_code: int
    certificate: Certificate
    messages: list[msg.AnyMessage]
    output: str

    @property
    def outcomes(self) -> dict[str, str]:
        outcomes = [outcome or Outcome.NOT_RUN for outcome in self.certificate.outcomes]
        return dict(zip(self.certificate.ids, map(str, outcomes), strict=True))

    @property
    def finished(self) -> dict[str, msg.Finished]:
        """What each test came to, by its id without the module's path."""
        return {
            self.certificate.ids[message.index].removeprefix(f"{self.path}::"): message
            for message in self.messages
            if isinstance(message, msg.Finished)
        }

    @property
    def warned(self) -> list[msg.Warned]:
        return [message for message in self.messages if isinstance(message, msg.Warned)]

    @property
    def order(self) -> list[tuple[str, str]]:
        """Starts and ends of tests as they came, by the last part of the test's id."""
        return [
            (type(message).__name__, self.certificate.ids[message.index].rpartition("::")[2])
            for message in self.messages
            if isinstance(message, msg.Started | msg.Finished)
        ]


def execute(root: Path, path: str, framework: str, **fields: Any) -> Attempt:
    fields.setdefault("import_root", str(root))
    action = Action(
        path=path,
        root=str(root),
        invocation_dir=str(root),
        framework=Framework(framework),
        **fields,
    )
    source = str(Path(iopio_async.__file__).parents[1])
    reading, writing = os.pipe()
    command = [sys.executable, "-P", "-c", CHILD, source, encode_action(action).hex(), str(writing)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONWARNINGS", None)
    with open(reading, "rb") as stream:
        try:
            process = subprocess.Popen(
                command,
                cwd=root,
                env=environment,
                pass_fds=(writing,),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        finally:
            os.close(writing)
        with process:
            certificate, messages, splitter = Certificate(), [], FrameSplitter()
            for body in splitter.feed(stream.read()):
                message = decode_message(body)
                certificate.accept(message, body)
                messages.append(message)
            assert process.stdout is not None
            output = process.stdout.read().decode(errors="replace")
    return Attempt(path, process.returncode, certificate, messages, output)


@pytest.fixture(scope="session")
def expected() -> dict[str, dict[str, str]]:
    """The outcomes of the fixture projects' tests, by project and id."""
    spec = importlib.util.spec_from_file_location("iopio_expected", PROJECTS / "expected.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    outcomes: dict[str, dict[str, str]] = module.OUTCOMES
    return outcomes


@pytest.fixture(scope="session")
def run_project() -> Callable[[str, str, str], Attempt]:
    """Runs a module of a fixture project, once a session."""
    attempts: dict[tuple[str, str, str], Attempt] = {}

    def run(project: str, path: str, framework: str) -> Attempt:
        key = (project, path, framework)
        if key not in attempts:
            attempts[key] = execute(PROJECTS / project, path, framework)
        return attempts[key]

    return run


@pytest.fixture
def run_source(tmp_path: Path) -> Callable[..., Attempt]:
    """Writes a module and runs it: ``run(framework, source, path=..., **fields of the action)``."""

    def run(framework: str, source: str, path: str = "test_it.py", **fields: Any) -> Attempt:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source, encoding="utf-8")
        return execute(tmp_path, path, framework, **fields)

    return run
