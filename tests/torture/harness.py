"""Runs the real command on a tiny project, and holds every run to what no run may break.

A case writes a :class:`Project` and runs it. Whatever the case is about, :meth:`Project.run` then
checks that

* no process of the run is left: none that carries its cookie, and none that was orphaned (the
  test process is a sub-reaper, so that orphans come to it), and its temporary files are gone;
* the control module, which is part of every project, did as it does when it runs alone;
* the run ended within its limits;
* the stream of ``--json`` parses and obeys the grammar, and so does the journal, which holds the
  same events;
* the report tells what the stream told.

Nothing here sleeps: whoever has to wait waits for a process, a pipe or a line of the stream.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
from fakes import grammar
from torture.outcome import Event, Outcome, event_lines, matches, read_events
from torture.processes import GIVEN_UP_S, describe, survivors, wait_for_end

import iopio_async
from iopio_async.model.events import Envelope

decode = msgspec.json.Decoder(Envelope).decode

#: What the promise allows beyond the time limit and the grace period.
PROMISED_S = 2.0

#: What a busy machine may add to that: starting two interpreters takes it seconds at times.
NOISE_S = 10.0

#: Each of these is another way into a process, and out of it.
START_METHODS = ("spawn", "forkserver")

CONTROL = "test_control.py"

CONTROL_SOURCE = """\
import pytest
def test_passes(tmp_path):
    tmp_path.joinpath("file").write_text("text")
def test_prints(capsys):
    print("text")
    assert capsys.readouterr().out == "text\\n"
@pytest.mark.parametrize("number", range(3))
def test_numbers(number):
    assert number < 3
def test_skips():
    pytest.skip("as planned")
@pytest.mark.xfail
def test_fails():
    assert False
"""

#: Runs ahead of the command in the same process, for what it is to inherit.
LAUNCHER = """\
import os, resource, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
{preparation}
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class Live:
    """A command in progress, as a context manager: whatever happens, it is ended and reaped."""

    def __init__(
        self,
        project: "Project",
        arguments: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        preparation: str = "",
        stdout: int = subprocess.PIPE,
        program: Sequence[str] = ("-m", "iopio_async", "run"),
    ) -> None:
        self.project = project
        words = [*program, *arguments]
        if preparation:
            words = ["-I", "-S", "-c", LAUNCHER.format(preparation=preparation), *words]
        self.began_s = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, *words],
            cwd=project.root,
            env=project.environment | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.events: list[Event] = []
        self._unread = b""
        self._lines: list[bytes] = []
        self._told: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        """Send the command a signal; not its group, as a terminal would."""
        self.process.send_signal(number)

    def until(self, kind: str, **fields: object) -> Event:
        """Read the stream until there is such an event that was not returned before."""
        seen = 0
        while True:
            while seen < len(self.events):
                seen += 1
                if seen not in self._told and matches(self.events[seen - 1], kind, fields):
                    self._told.add(seen)
                    return self.events[seen - 1]
            if not self._read_more():
                raise AssertionError(f"no {kind} {fields} came; stderr: {self.rest().stderr}")

    def until_any(self) -> Event:
        """Read the stream until there is an event that was not returned before."""
        while len(self._told) == len(self.events):
            assert self._read_more(), "the stream has ended"
        self._told.add(len(self._told) + 1)
        return self.events[len(self._told) - 1]

    def until_output(self, text: bytes) -> None:
        """Read standard output, whatever it holds, until this text has come."""
        while text not in b"\n".join([*self._lines, self._unread]):
            assert self._read_more(), f"{text!r} never came"

    def _read_more(self) -> bool:
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        ready, _, _ = select.select([descriptor], [], [], GIVEN_UP_S)
        assert ready, "the command said nothing for too long"
        data = os.read(descriptor, 1 << 20)
        *lines, self._unread = (self._unread + data).split(b"\n")
        self._lines += lines
        self.events.extend(read_events(line for line in lines if line.startswith(b'{"seq"')))
        return bool(data)

    def stop_reading(self) -> None:
        """Close our end of standard output: nobody reads it from now on."""
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.stdout = None

    def wait_stopped(self) -> None:
        """Wait until the command has stopped itself."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), f"it ended instead of stopping: {status}"

    def rest(self) -> Outcome:
        """Let it go on to its end."""
        try:
            stdout, stderr = self.process.communicate(timeout=GIVEN_UP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        wall_s = time.monotonic() - self.began_s
        whole = b"\n".join([*self._lines, self._unread]) + (stdout or b"")
        return Outcome(
            code=self.process.returncode,
            stdout=whole,
            stderr=stderr.decode("utf-8", "backslashreplace"),
            wall_s=wall_s,
            events=read_events(event_lines(whole)),
        )


class Project:
    """A folder with tests, and the command to run on it."""

    def __init__(self, folder: Path, control: Mapping[str, str]) -> None:
        self.root = folder / "project"
        self.root.mkdir()
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._control = control
        self.environment = clean_environment() | {"TMPDIR": str(self.temporary)}
        # An empty one keeps the search for a configuration inside of the project.
        self.write("pyproject.toml", "")
        self.write(CONTROL, CONTROL_SOURCE)

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def start(self, *arguments: str, json: bool = True, **details: Any) -> Live:
        """Start ``iopio run``; the caller ends it."""
        common = ["--workers", "2", "--grace", "1s"]
        if json:
            common += ["--json", "--report", "report.json"]
        return Live(self, [*common, *arguments], **details)

    def run(
        self,
        *arguments: str,
        timeout_s: float = 0.0,
        code: int | None = None,
        control: bool = True,
        again: bool = False,
        **details: Any,
    ) -> Outcome:
        """Run to the end, and check what holds for every run.

        ``timeout_s`` is the longest that the case's own tests may take; ``control`` says that the
        control module runs along; ``again`` runs it all once more, which must come to the same.
        """
        with self.start(*arguments, **details) as live:
            outcome = live.rest()
        self.check(outcome, timeout_s=timeout_s, code=code, control=control)
        if again:
            second = self.run(
                *arguments, timeout_s=timeout_s, code=code, control=control, **details
            )
            assert second.verdicts == outcome.verdicts
        return outcome

    def check(
        self,
        outcome: Outcome,
        *,
        timeout_s: float = 0.0,
        code: int | None = None,
        control: bool = True,
        grace_s: float = 1.0,
    ) -> None:
        """Check what holds for every run that came to its end with ``--json``."""
        assert "Traceback" not in outcome.stderr, outcome.stderr
        assert outcome.events, outcome.stderr
        assert outcome.wall_s <= timeout_s + grace_s + PROMISED_S + NOISE_S
        grammar.check(decode(line) for line in event_lines(outcome.stdout))
        assert outcome.events[-1]["exit_code"] == outcome.code or outcome.code == 3
        journal = self.journal(outcome.events[0]["run_id"])
        told = [event for event in outcome.events if event["event"] != "test_started"]
        assert journal == told
        self.check_gone(outcome.events[0]["run_id"])
        assert sorted(os.listdir(self.temporary)) == [], "temporary files are left"
        if control:
            assert outcome.module(CONTROL).verdict == ("passed", self._control)
        if code is not None:
            assert outcome.code == code, outcome.stderr
        self._check_report(outcome)

    def _check_report(self, outcome: Outcome) -> None:
        file = self.root / "report.json"
        if outcome.code == 3 or not file.is_file():
            return
        report = json.loads(file.read_bytes())
        told = {event["module"]: event["status"] for event in outcome.of("module_finished")}
        assert {module["path"]: module["status"] for module in report["modules"]} == told
        assert report["summary"]["exit_code"] == outcome.code
        assert len(report["tests"]) == len(outcome.of("test_finished"))

    def journal(self, run_id: str = "") -> list[Event]:
        """The events in the journal of a run, or of the latest."""
        folder = self.root / ".test_cache" / "v1" / "runs"
        file = folder / f"{run_id}.jsonl" if run_id else max(folder.iterdir())
        return read_events(file.read_bytes().splitlines())

    def check_gone(self, run_id: str, within_s: float = 0.0) -> None:
        """Check that nothing of a run is alive, at the latest after ``within_s``."""
        deadline_s = time.monotonic() + within_s
        while found := survivors(run_id):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                words = [describe(pid) for pid in found]
                for pid in found:
                    # The next case is not to find them again.
                    os.kill(pid, signal.SIGKILL)
                raise AssertionError(f"still alive: {words}")
            wait_for_end(found[0], left_s)


def clean_environment() -> dict[str, str]:
    """The environment of a command that nobody has prepared anything for."""
    package_home = Path(iopio_async.__file__).parents[1]
    names = ("PATH", "HOME", "LD_LIBRARY_PATH")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return kept | {
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(package_home),
        # The machine's plugins are nobody's concern here, and each costs time at every start.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
