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

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import iopio_async

Event = dict[str, Any]

#: What the promise allows beyond the time limit and the grace period.
PROMISED_S = 2.0

#: What a busy machine may add to that: starting two interpreters takes it seconds at times.
NOISE_S = 10.0

#: Where a run that hangs for good is given up.
GIVEN_UP_S = 40.0

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


@dataclass(kw_only=True)
class Module:
    """What a run said of one module; ``tests`` maps the ids' second part to outcomes."""

    path: str
    status: str = ""
    message: str = ""
    in_flight: str = ""
    stacks: str = ""
    stdout: str = ""
    stderr: str = ""
    stdout_bytes: int = 0
    tests: dict[str, str] = field(default_factory=dict)
    finished: list[Event] = field(default_factory=list)
    attempt: Event = field(default_factory=dict)

    @property
    def verdict(self) -> tuple[str, dict[str, str]]:
        """All that must be the same the next time."""
        return self.status, self.tests

    def test(self, name: str) -> Event:
        """The event that told the outcome of a test."""
        return next(event for event in self.finished if _short(event["id"]) == name)


@dataclass(kw_only=True)
class Outcome:
    """A run that is over."""

    code: int
    stdout: bytes
    stderr: str
    wall_s: float
    events: list[Event]

    @property
    def kinds(self) -> list[str]:
        """The names of the events, in order."""
        return [event["event"] for event in self.events]

    def of(self, kind: str, **fields: object) -> list[Event]:
        """The events of a kind, with these values."""
        return [event for event in self.events if matches(event, kind, fields)]

    @property
    def warnings(self) -> list[str]:
        """The messages of iopio's own warnings."""
        return [event["message"] for event in self.of("warning_issued", category="iopio")]

    @property
    def verdicts(self) -> dict[str, tuple[str, dict[str, str]]]:
        """What must be the same the next time, by module."""
        planned = [event["module"] for event in self.of("module_planned")]
        return {path: self.module(path).verdict for path in sorted(planned)}

    def module(self, path: str) -> Module:
        """What was said of a module."""
        module = Module(path=path)
        for event in self.events:
            if event.get("module") != path:
                continue
            match event["event"]:
                case "test_finished":
                    module.tests[_short(event["id"])] = event["outcome"]
                    module.finished.append(event)
                case "output_captured":
                    captured = event["captured"]
                    text = captured.get("head", "") + captured.get("tail", "")
                    setattr(module, event["stream"], text)
                    if event["stream"] == "stdout":
                        module.stdout_bytes = captured["total_bytes"]
                case "attempt_finished":
                    module.attempt = event
                    module.in_flight = event.get("in_flight", "")
                    module.stacks = event.get("stacks", "")
                case "module_finished":
                    module.status = event["status"]
                    module.message = event.get("failure", {}).get("message", "")
        return module


def matches(event: Event, kind: str, fields: Mapping[str, object]) -> bool:
    """True where an event is of a kind and has these values."""
    return event["event"] == kind and all(event.get(name) == fields[name] for name in fields)


def _short(test_id: str) -> str:
    return test_id.partition("::")[2] or test_id


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
        lines = whole.split(b"\n")
        return Outcome(
            code=self.process.returncode,
            stdout=whole,
            stderr=stderr.decode("utf-8", "backslashreplace"),
            wall_s=wall_s,
            events=read_events(line for line in lines if line.startswith(b'{"seq"')),
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
        check_grammar(outcome.events)
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
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in os.environ
    }
    return kept | {
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(package_home),
        # The machine's plugins are nobody's concern here, and each costs time at every start.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }


def read_events(lines: Iterator[bytes] | Sequence[bytes]) -> list[Event]:
    """Parse lines of the event stream; their numbers must rise."""
    envelopes = [json.loads(line) for line in lines]
    numbers = [envelope["seq"] for envelope in envelopes]
    assert numbers == sorted(set(numbers))
    times = [envelope["elapsed_s"] for envelope in envelopes]
    assert times == sorted(times)
    return [{**envelope["event"], "at_s": envelope["elapsed_s"]} for envelope in envelopes]


def check_grammar(events: Sequence[Event]) -> None:
    """Check the order of the events of a whole run."""
    kinds = [event["event"] for event in events]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "run_finished"
    assert kinds.count("run_started") == kinds.count("run_finished") == 1
    planned: set[str] = set()
    running: dict[str, int] = {}
    finished: set[str] = set()
    cancelled = False
    for event in events:
        module = event.get("module", "")
        match event["event"]:
            case "module_planned":
                assert module not in planned
                planned.add(module)
            case "attempt_started":
                assert module in planned - finished
                assert module not in running
                assert not cancelled
                running[module] = event["attempt"]
            case "attempt_finished":
                assert running.pop(module) == event["attempt"]
            case "module_finished":
                assert module in planned - finished
                assert module not in running
                finished.add(module)
            case "cancellation_started":
                assert not cancelled
                cancelled = True
            case "test_started" | "test_finished" | "tests_collected" | "output_captured":
                assert running[module] == event["attempt"]
            case _:
                assert not module or module in running
    assert planned == finished


# -- processes ---------------------------------------------------------------------------------


def survivors(run_id: str) -> list[int]:
    """Living processes of a run, and orphans; those that have ended are reaped on the way."""
    cookie = f"IOPIO_RUN_ID={run_id}".encode()
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with contextlib.suppress(OSError):
            if cookie in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    for pid in orphans():
        if is_zombie(pid):
            os.waitpid(pid, 0)
        elif pid not in found:
            found.append(pid)
    return [pid for pid in found if not is_zombie(pid)]


def orphans() -> list[int]:
    """Children of this process, which has started none but those that were waited for."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found.extend(map(int, (task / "children").read_text().split()))
    return found


def is_zombie(pid: int) -> bool:
    """True for a process that has ended, be it waited for or not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in {"Z", "X"}


def wait_for_end(pid: int, seconds: float) -> bool:
    """Wait for the end of any process; False where it has not come in time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def describe(pid: int) -> str:
    """A process in a few words."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        words = b"gone"
    return f"{pid} {words[:200].decode('utf-8', 'replace')}"


def peak_rss_bytes(pid: int) -> int:
    """The most memory that a living process has had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


class Gate:
    """A FIFO that tests wait at until they are let through; ``wait`` is what a test executes."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        # Opened for both directions, so that nobody ever waits for the other side.
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.wait = f"open({str(path)!r}, 'rb', 0).read(1)"

    def open(self, waiters: int = 1) -> None:
        """Let so many through, whether they have come yet or not."""
        os.write(self._descriptor, b"." * waiters)

    def close(self) -> None:
        os.close(self._descriptor)


class Meeting:
    """A pipe in the file system on which tests say that they have come so far."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._heard = b""
        self._path = path

    def say(self, word: str) -> str:
        """The statement by which a test says a word."""
        # All in one call, so that an interrupt finds nothing half-done.
        return f"__import__('pathlib').Path({str(self._path)!r}).write_text('<{word}>')"

    def hear(self, word: str) -> None:
        """Wait until the word was said."""
        while f"<{word}>".encode() not in self._heard:
            ready, _, _ = select.select([self._descriptor], [], [], GIVEN_UP_S)
            assert ready, f"nobody said {word}"
            self._heard += os.read(self._descriptor, 4096)

    def close(self) -> None:
        os.close(self._descriptor)
