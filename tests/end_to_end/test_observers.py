"""Observers of a run as a person sets them up: what they get, and what they cost."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from end_to_end.cached import COLOUR, DOUBLE, FILES, Project
from fakes.otlp import attributes, receiving

from iopio_async import open_run
from iopio_async.model import events as ev
from iopio_async.orchestration.embedding import load_config

OBSERVING = """\
import json, threading

class Writing:
    def __init__(self): self.events = []
    def handle(self, envelope): self.events.append(type(envelope.event).__name__)
    def close(self):
        with open("observed.json", "w") as file: json.dump(self.events, file)

class Raising(Writing):
    def handle(self, envelope): raise ValueError("not today")

class Hanging(Writing):
    def close(self): threading.Event().wait()

def make(): return Writing()
"""

needs_otel = pytest.mark.skipif(
    importlib.util.find_spec("opentelemetry") is None, reason="the extra otel is not installed"
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, {**FILES, "observing.py": OBSERVING})


def configure(project: Project, *observers: str) -> None:
    project.write("pyproject.toml", f"[tool.iopio]\nobservers = {json.dumps(observers)}\n")


def test_an_observer_gets_the_run_executed_and_recalled(project: Project) -> None:
    configure(project, "observing:make")
    for source in ("executed", "local_cache", "local_cache"):
        ran = project.run()
        assert set(ran.sources.values()) == {source}
        events = json.loads((project.folder / "observed.json").read_text())
        assert (events[0], events[-1]) == ("RunStarted", "RunFinished")
        assert events.count("ModuleFinished") == 2
        assert events.count("TestFinished") == 3
        (project.folder / "observed.json").unlink()


def test_one_answered_from_a_receipt_is_observed_too(project: Project) -> None:
    project.run()
    assert project.call("run").returncode == 0
    project.env["IOPIO_OBSERVERS"] = "observing:make"
    for _ in range(2):
        assert project.call("run").returncode == 0
        assert (project.folder / "observed.json").exists()
        (project.folder / "observed.json").unlink()


@pytest.mark.slow
def test_observers_that_raise_or_hang_cost_a_warning_each(project: Project) -> None:
    configure(project, "observing:Raising", "observing:Hanging", "observing:make")
    for _ in range(2):
        ran = project.run()
        raising, hanging = ran.stderr.splitlines()
        assert raising.endswith("Raising failed: ValueError: not today, and was left out")
        assert hanging.endswith("Hanging did not finish in time, and was left out")
        assert (project.folder / "observed.json").exists()
        assert "3 passed" in ran.stdout


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("observing", "names no factory"),
        ("observing:", "names no factory"),
        ("not_there:make", "ModuleNotFoundError"),
        ("observing:not_there", "AttributeError"),
        ("observing:json.__name__", "is not callable"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(project: Project, name: str, told: str) -> None:
    configure(project, name)
    ended = project.call("run")
    assert ended.returncode == 2
    assert re.search(rf"iopio: error: observers: .*{told}", ended.stderr)
    assert "\nhint: " in ended.stderr
    assert not project.cache.exists()


@needs_otel
def test_a_run_is_sent_to_a_receiver(project: Project) -> None:
    project.write("tests/test_red.py", "def test_red(): assert 0\n")
    project.write("pyproject.toml", "[tool.iopio]\notel = true\n")
    for source in ("executed", "cached"):
        with receiving() as receiver:
            project.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.url
            ran = project.run(code=1)
        assert ran.stderr == ""
        run = receiver.spans["iopio run"]
        assert set(receiver.spans) == {"iopio run", *ran.sources, *ran.outcomes}
        for path in (COLOUR, DOUBLE, "tests/test_red.py"):
            module = receiver.spans[path]
            assert module.parent_span_id == run.span_id
            about = attributes(module)
            assert about["iopio.source"] == ("executed" if "red" in path else source)
            assert (about["iopio.cpu_s"] > 0) is (about["iopio.source"] == "executed")
            assert run.start_time_unix_nano <= module.start_time_unix_nano
            assert module.end_time_unix_nano <= run.end_time_unix_nano
        for test, outcome in ran.outcomes.items():
            assert attributes(receiver.spans[test])["iopio.outcome"] == outcome
            parent = receiver.spans[test.partition("::")[0]]
            assert receiver.spans[test].parent_span_id == parent.span_id
        assert receiver.counts("iopio.tests")["passed", source] == 3
        assert receiver.counts("iopio.modules")["failed", "executed"] == 1


@needs_otel
@pytest.mark.parametrize("silent", [False, True])
def test_a_receiver_that_is_absent_or_silent_costs_one_warning(
    project: Project, silent: bool
) -> None:
    with receiving(silent=silent) as receiver:
        project.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.url
        if silent:
            ran = project.run("--otel")
    if not silent:
        ran = project.run("--otel")
    (told,) = ran.stderr.splitlines()
    assert told.startswith("iopio: warning: observer otel ")
    assert "3 passed" in ran.stdout


def test_without_the_extra_the_option_is_refused_with_a_hint(project: Project) -> None:
    # As if it were not installed: what is there of that name is no package.
    shadow = project.write("../shadow/opentelemetry.py", "").parent
    program = (
        f"import sys; sys.path.insert(0, {str(shadow)!r})\n"
        "from iopio_async.cli.main import main\n"
        "sys.exit(main(['run', '--otel'], cwd_on_path=False))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        "iopio: error: otel: opentelemetry.sdk is not installed\n"
        "hint: pip install 'iopio-async[otel]'\n"
    )


def test_unasked_nothing_of_it_is_loaded(project: Project) -> None:
    program = (
        "import sys\n"
        "from iopio_async.cli.main import main\n"
        "code = main(['run', '-q'], cwd_on_path=False)\n"
        "loaded = [name for name in sys.modules if name.startswith('opentelemetry')"
        " or name.endswith('observers')]\n"
        "sys.exit(str(loaded) if loaded else code)\n"
    )
    for _ in range(2):
        ended = subprocess.run(
            [sys.executable, "-c", program],
            cwd=project.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, "")


class Looking:
    def __init__(self, *, raises: bool = False) -> None:
        self.raises = raises
        self.seen: list[ev.Envelope] = []

    def handle(self, envelope: ev.Envelope) -> None:
        if self.raises:
            raise ValueError("no")
        self.seen.append(envelope)

    def close(self) -> None:
        pass


@pytest.mark.anyio
async def test_a_program_that_embeds_gives_the_same_objects(
    project: Project, anyio_backend_name: str
) -> None:
    good, bad = Looking(), Looking(raises=True)
    told: list[ev.Envelope] = []
    async with open_run(load_config(project.folder, workers=1), observers=[good, bad]) as run:
        async for batch in run.batches():
            told += batch
    assert good.seen == told
    assert run.left_out == ["observer Looking failed: ValueError: no, and was left out"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
