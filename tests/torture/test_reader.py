"""Nobody reads what the command writes, or it can't be written: cases 40-42 and 51."""

import json
import os
import pty
import signal

import pytest
from torture.harness import CONTROL, NOISE_S, START_METHODS
from torture.processes import peak_rss_bytes, wait_for_end


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_40_the_reader_leaves_after_the_first_line(project, gates, options):
    first, never = gates("first"), gates("never")
    project.write("test_waits.py", f"def test_it():\n    {first.wait}\n")
    project.write("test_hangs.py", f"def test_it():\n    {never.wait}\n")
    with project.start(*options, "-vv" if not options else "test_waits.py", json=False) as live:
        assert os.read(live.process.stdout.fileno(), 10)
        live.stop_reading()
        first.open()
        outcome = live.rest()
    assert outcome.code == 141, outcome.stderr
    assert outcome.stderr == ""
    project.check_gone(project.journal()[0]["run_id"])


#: Says far more than any terminal, pipe or queue holds: a quarter of a megabyte for each number.
LOUD = """\
import pytest
@pytest.mark.parametrize("number", range({count}))
def test_loud(number):
    raise ValueError("loud " * 60_000)
def test_says_so():
    {say}
"""

#: The orchestrator's bound with nothing queued, and what a full queue may add.
MEMORY_BYTES = (150 + 64) * 1024 * 1024


def test_41_nobody_reads_the_terminal(project, meeting):
    project.write("test_loud.py", LOUD.format(count=60, say=meeting.say("loud")))
    project.write("test_other.py", f"def test_it():\n    {meeting.say('other')}\n")
    ours, theirs = pty.openpty()
    try:
        with project.start("-vv", "--workers=1", json=False, stdout=theirs) as live:
            os.close(theirs)
            meeting.hear("loud")
            meeting.hear("other")
            assert peak_rss_bytes(live.pid) < MEMORY_BYTES
            os.close(ours)
            ours = -1
            outcome = live.rest()
    finally:
        if ours >= 0:
            os.close(ours)
    assert outcome.code == 1, outcome.stderr
    assert outcome.stderr == ""
    journal = project.journal()
    assert journal[-1]["event"] == "run_finished"
    project.check_gone(journal[0]["run_id"])


@pytest.mark.slow
def test_41_a_terminal_that_stays_blocked_is_left_alone(project):
    project.write("test_loud.py", LOUD.format(count=60, say="pass"))
    ours, theirs = pty.openpty()
    try:
        with project.start("-vv", json=False, stdout=theirs) as live:
            os.close(theirs)
            outcome = live.rest()
    finally:
        os.close(ours)
    assert outcome.code == 1, outcome.stderr
    assert outcome.wall_s < 30


def test_41_nobody_reads_the_pipe(project, meeting):
    project.write("test_loud.py", LOUD.format(count=60, say=meeting.say("loud")))
    project.write("test_other.py", f"def test_it():\n    {meeting.say('other')}\n")
    with project.start("-vv", "--workers=1", json=False) as live:
        meeting.hear("loud")
        meeting.hear("other")
        assert peak_rss_bytes(live.pid) < MEMORY_BYTES
        live.stop_reading()
        outcome = live.rest()
    assert outcome.code == 141
    assert outcome.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("ends", ["by a time limit", "by an interrupt"])
def test_41_nobody_reads_the_stream_of_events(project, meeting, ends):
    # Nothing of it may be left out, so the tests have to wait; but time limits and signals hold.
    timeout_s = 3.0
    loud = LOUD.format(count=300, say="pass")
    # By then, more waits to be written than is let in.
    says = f"    if number == 60: {meeting.say('loud')}\n"
    project.write("test_loud.py", loud.replace("    raise", f"{says}    raise"))
    project.write(
        "test_hangs.py",
        f"import signal\ndef test_it():\n    {meeting.say('hangs')}\n"
        "    while True:\n        signal.pause()\n",
    )
    overrides = f"[[tool.iopio.overrides]]\npaths = ['test_hangs.py']\ntimeout = {timeout_s}\n"
    project.write("pyproject.toml", overrides if ends == "by a time limit" else "")
    with project.start("test_loud.py", "test_hangs.py", "--grace=300ms") as live:
        hanging = live.until("attempt_started", module="test_hangs.py")["pid"]
        meeting.hear("hangs")
        meeting.hear("loud")
        if ends == "by an interrupt":
            live.send(signal.SIGINT)
        assert wait_for_end(hanging, timeout_s + NOISE_S)
        live.send(signal.SIGINT)
        live.send(signal.SIGINT)
        assert wait_for_end(live.pid, NOISE_S)
        live.stop_reading()
        outcome = live.rest()
    assert outcome.code == 130
    assert "Traceback" not in outcome.stderr
    project.check_gone(live.events[0]["run_id"])


@pytest.mark.slow
def test_41_nobody_reads_the_end_of_the_stream_of_events(project, meeting):
    # Less than what is let in, more than a pipe holds: the run itself comes to its end.
    project.write("test_loud.py", LOUD.format(count=5, say=meeting.say("loud")))
    with project.start("--workers=1") as live:
        meeting.hear("loud")
        run_id = live.until("run_started")["run_id"]
        assert not wait_for_end(live.pid, 0.5)
        live.send(signal.SIGINT)
        live.send(signal.SIGTERM)
        assert wait_for_end(live.pid, NOISE_S)
        # The last line that was taken is cut, so this is no stream to be read as a whole.
        _, stderr = live.process.communicate()
    assert live.process.returncode in {130, 143}
    assert stderr == b""
    project.check_gone(run_id)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("method", START_METHODS)
def test_42_standard_descriptors_closed_from_the_start(project, closed, method):
    project.write("test_fails.py", "def test_it():\n    print('said')\n    assert False\n")
    preparation = f"for number in {closed}: os.close(number)"
    arguments = (f"--start-method={method}", "--report=report.json")
    with project.start(*arguments, json=False, preparation=preparation) as live:
        outcome = live.rest()
    assert outcome.code == 1, outcome.stderr
    assert "Traceback" not in outcome.stderr
    report = json.loads((project.root / "report.json").read_bytes())
    statuses = {module["path"]: module["status"] for module in report["modules"]}
    assert statuses == {CONTROL: "passed", "test_fails.py": "failed"}
    project.check_gone(report["summary"]["run_id"])


def test_51_a_report_that_cannot_be_written(project):
    project.write("test_it.py", "import os\ndef test_it():\n    os.mkdir('report.json')\n")
    outcome = project.run(code=3)
    assert "report.json" in outcome.stderr
    assert "iopio: error: " in outcome.stderr
    assert outcome.events[-1]["event"] == "run_finished"


BREAKS = """\
import sys
from iopio_async.reporting.json_report import JsonReporter
seen = []
def broken(self, envelope, stats):
    seen.append(envelope)
    if len(seen) == 5:
        raise RuntimeError("the reporter broke")
JsonReporter.handle = broken
from iopio_async.cli.main import main
sys.exit(main(["run", *sys.argv[1:]], cwd_on_path=False))
"""


def test_51_a_reporter_that_raises_costs_nobody_a_result(project):
    outcome = project.run(code=3, program=("-c", BREAKS))
    assert "RuntimeError: the reporter broke" in outcome.stderr
    assert not (project.root / "report.json").exists()
