"""The console as a log: the story, letter by letter, at each level of detail."""

import io
import re
from collections.abc import Callable
from types import ModuleType

import pytest

from iopio_async.model import events as ev
from iopio_async.model.module import Framework
from iopio_async.model.outcome import (
    CancelReason,
    Captured,
    ExitCode,
    Failure,
    ModuleStatus,
    Outcome,
)
from iopio_async.reporting.console import make_console_reporter
from iopio_async.reporting.plain import PlainReporter

Snapshot = Callable[[str, str], None]
CURSOR_CODE = re.compile(r"\x1b(?!\[[0-9;]*m)|\r")


class Buffer(io.StringIO):
    """A text stream in memory that has an encoding."""

    encoding = "utf-8"


def told(
    story: ModuleType,
    envelopes: list[ev.Envelope],
    verbosity: int = 0,
    *,
    color: str = "auto",
    environ: dict[str, str] | None = None,
    **options: str,
) -> str:
    stream = Buffer()
    reporter = make_console_reporter(
        stream=stream, verbosity=verbosity, color=color, environ=environ or {}, **options
    )
    assert isinstance(reporter, PlainReporter)
    story.report(reporter, envelopes)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "verbosity"), [("quiet", -1), ("default", 0), ("verbose", 1), ("very_verbose", 2)]
)
def test_the_story_at_each_level(
    story: ModuleType, snapshot: Snapshot, name: str, verbosity: int
) -> None:
    snapshot(f"plain_{name}.txt", told(story, story.tell(), verbosity))


def test_without_colour_there_is_no_escape_sequence(story: ModuleType) -> None:
    assert "\x1b" not in told(story, story.tell(), 2)


def test_with_colour_there_is_nothing_but_colour(story: ModuleType) -> None:
    text = told(story, story.tell(), 2, color="always")
    assert "\x1b[1m\x1b[31mE       AssertionError: assert 30 == 3\x1b[0m" in text
    assert not CURSOR_CODE.search(text)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert plain == told(story, story.tell(), 2)


def test_on_github_tests_cannot_give_commands(story: ModuleType) -> None:
    text = told(story, story.tell(), 2, environ={"GITHUB_ACTIONS": "true", "CI": "true"})
    token: str | None = None
    for line in text.splitlines():
        if line.startswith("::stop-commands::"):
            assert token is None
            token = line.removeprefix("::stop-commands::")
            assert len(token) == 32
        elif token is not None and line == f"::{token}::":
            token = None
        elif token is None:
            assert not line.lstrip().startswith("::")
            assert "##[" not in line
    assert token is None
    assert "::error::" in text


def test_off_github_nothing_is_quoted(story: ModuleType) -> None:
    assert "stop-commands" not in told(story, story.tell(), environ={"CI": "true"})


def test_ascii_where_the_encoding_has_no_more(story: ModuleType) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    reporter = make_console_reporter(stream=stream, verbosity=0, color="auto", environ={})
    story.report(reporter, story.tell())
    text = raw.getvalue().decode("ascii")
    assert "\n-- FAIL tests/test_parse.py::test_roundtrip[3] 0.02 s ---" in text
    assert "\nFAIL: 3 failed, 1 error, 7 not run, " in text


def small_run(story: ModuleType, *modules: str) -> "object":
    script = story.Script()
    script.add(
        ev.RunStarted(
            run_id="r",
            root=story.ROOT,
            modules=len(modules),
            workers=1,
            python="3.12.1",
            iopio="0.1.0",
            started_at="",
        )
    )
    for module in modules:
        script.add(ev.ModulePlanned(module=module, framework=Framework.PYTEST))
    return script


def test_a_good_run_ends_in_one_line(story: ModuleType) -> None:
    script = small_run(story, "tests/test_a.py").start("tests/test_a.py", 0, 2)
    script.test("tests/test_a.py", "test_x").test("tests/test_a.py", "test_y")
    script.end("tests/test_a.py", ModuleStatus.PASSED, 0.5)
    script.add(ev.RunFinished(exit_code=0, duration_s=0.61))
    assert told(story, script.envelopes) == (
        "1 module, 1 worker (iopio 0.1.0, Python 3.12.1)\n"
        "[1/1] PASS  tests/test_a.py (2 tests, 0.50 s)\n"
        "\n"
        "✓ 2 passed in 0.61 s (1 module, 1 worker)\n"
    )
    assert told(story, script.envelopes, -1) == "✓ 2 passed in 0.61 s (1 module, 1 worker)\n"


def test_few_failures_are_named_in_the_command(story: ModuleType) -> None:
    script = small_run(story, "tests/test_a.py").start("tests/test_a.py", 0, 1)
    failure = Failure("ValueError: no")
    script.test("tests/test_a.py", "test_x[a b]", Outcome.FAILED, failures=(failure,))
    script.end("tests/test_a.py", ModuleStatus.FAILED, 0.5)
    script.add(ev.RunFinished(exit_code=1, duration_s=0.61))
    assert told(story, script.envelopes).endswith(
        "\nrerun the failures: iopio run --lf\n"
        "            by name: iopio run 'tests/test_a.py::test_x[a b]'\n"
    )
    elsewhere = told(story, script.envelopes, invocation_dir=f"{story.ROOT}/tests/deep")
    assert elsewhere.endswith("by name: iopio run '../test_a.py::test_x[a b]'\n")


def test_nothing_ran(story: ModuleType) -> None:
    script = small_run(story, "tests/test_a.py").start("tests/test_a.py", 0, 0)
    script.end("tests/test_a.py", ModuleStatus.EMPTY, 0.5)
    script.add(ev.RunFinished(exit_code=ExitCode.NOTHING_RAN, duration_s=0.61))
    assert told(story, script.envelopes, -1) == "! no tests ran in 0.61 s (1 module, 1 worker)\n"


def test_an_interrupted_run_counts_what_it_did_not_run(story: ModuleType) -> None:
    modules = [f"tests/test_{number}.py" for number in range(50)]
    script = small_run(story, *modules).start(modules[0], 0, 2)
    script.test(modules[0], "test_x")
    script.add(ev.CancellationStarted(reason=CancelReason.INTERRUPT))
    script.test(modules[0], "test_y", Outcome.NOT_RUN)
    script.end(modules[0], ModuleStatus.NOT_RUN, 0.5)
    for module in modules[1:]:
        script.add(
            ev.ModuleFinished(
                module=module, status=ModuleStatus.NOT_RUN, failure=Failure("interrupted")
            )
        )
    script.add(ev.RunFinished(exit_code=130, duration_s=0.61, cancelled=CancelReason.INTERRUPT))
    assert told(story, script.envelopes) == (
        "50 modules, 1 worker (iopio 0.1.0, Python 3.12.1)\n"
        "interrupted: nothing new starts, running modules get their grace period; "
        "interrupt again to end them now\n"
        "\n"
        "NOT RUN tests/test_0.py  cut short, 1 test not run\n"
        "NOT RUN 49 modules\n"
        "\n"
        "✗ interrupted: 1 not run, 1 passed in 0.61 s (50 modules, 50 not run, 1 worker)\n"
    )


def test_a_thousand_failures_are_recalled_in_part(story: ModuleType) -> None:
    script = small_run(story, "tests/test_a.py").start("tests/test_a.py", 0, 1000)
    for number in range(1000):
        script.test("tests/test_a.py", f"test_x[{number}]", Outcome.FAILED)
    script.end("tests/test_a.py", ModuleStatus.FAILED, 0.5)
    script.add(ev.RunFinished(exit_code=1, duration_s=0.61))
    recall = told(story, script.envelopes).split("\n\n")[-2].splitlines()
    assert len(recall) == 101
    assert recall[99:] == ["FAIL tests/test_a.py::test_x[99]", "and 900 more"]


def test_warnings_are_counted_and_with_v_listed_by_kind(story: ModuleType) -> None:
    script = small_run(story)
    for number in range(5):
        script.add(
            ev.WarningIssued(
                message="old" if number else "older",
                category="DeprecationWarning",
                path="tests/test_a.py",
                line=3,
            )
        )
    script.add(ev.RunFinished(exit_code=0, duration_s=0.61))
    assert "\n5 warnings, shown with -v\n" in told(story, script.envelopes)
    verbose = told(story, script.envelopes, 1)
    assert (
        "\n"
        "   4 DeprecationWarning tests/test_a.py:3 old\n"
        "   1 DeprecationWarning tests/test_a.py:3 older\n"
        "\n" in verbose
    )
    assert "shown with -v" not in verbose


def test_output_of_good_modules_is_not_shown(story: ModuleType) -> None:
    script = small_run(story, "tests/test_a.py").start("tests/test_a.py", 0, 1)
    script.test("tests/test_a.py", "test_x")
    captured = story.Captured("noise\n", "", 6, 6)
    script.add(
        ev.OutputCaptured(module="tests/test_a.py", attempt=1, stream="stdout", captured=captured)
    )
    script.end("tests/test_a.py", ModuleStatus.PASSED, 0.5)
    script.add(ev.RunFinished(exit_code=0, duration_s=0.61))
    assert "noise" not in told(story, script.envelopes, 2)


def test_a_failure_that_only_the_module_tells_is_shown(story: ModuleType) -> None:
    script = small_run(story, "tests/test_a.py")
    failure = Failure("cannot start a process: too many open files", path="tests/test_a.py", line=1)
    script.add(
        ev.ModuleFinished(module="tests/test_a.py", status=ModuleStatus.ERROR, failure=failure)
    )
    script.add(ev.RunFinished(exit_code=1, duration_s=0.61))
    text = told(story, script.envelopes, -1)
    assert text.startswith("\n── ERROR tests/test_a.py 0.00 s ──")
    assert "\ntests/test_a.py:1: cannot start a process: too many open files\n" in text


def refused(script: object, module: str, reason: str) -> None:
    """The framework does not even begin with the module."""
    captured = Captured(reason, "", len(reason), len(reason))
    failure = Failure("the framework refused its arguments", phase="session")
    script.add(
        ev.AttemptStarted(module=module, attempt=1, slot=0),
        ev.OutputCaptured(module=module, attempt=1, stream="stderr", captured=captured),
        ev.AttemptFinished(
            module=module, attempt=1, status=ModuleStatus.ERROR, duration_s=0.1, failure=failure
        ),
        ev.ModuleFinished(module=module, status=ModuleStatus.ERROR, failure=failure),
    )


def test_what_keeps_all_modules_from_running_is_told_once(story: ModuleType) -> None:
    paths = [f"tests/test_{number}.py" for number in range(4)]
    script = small_run(story, *paths)
    for path in paths:
        refused(script, path, "no such option: --bogus\n")
    script.add(ev.RunFinished(exit_code=1, duration_s=0.61))

    text = told(story, script.envelopes)
    assert text.count("── ERROR ") == text.count("no such option: --bogus") == 1
    assert "\n[2/4] ERROR tests/test_1.py (no tests, as tests/test_0.py, 0.10 s)\n" in text
    assert text.count(", as tests/test_0.py") == 3
    assert "\nno module could run, all for the same reason\n" in text


def test_what_keeps_modules_from_running_for_different_reasons_is_told_each_time(
    story: ModuleType,
) -> None:
    paths = [f"tests/test_{number}.py" for number in range(3)]
    script = small_run(story, *paths)
    for path, reason in zip(paths, ("this", "that", "this"), strict=True):
        refused(script, path, f"because of {reason}\n")
    script.add(ev.RunFinished(exit_code=1, duration_s=0.61))

    text = told(story, script.envelopes)
    assert text.count("── ERROR ") == 2
    assert "for the same reason" not in text


def test_the_command_names_no_test_that_cannot_be_pasted(story: ModuleType) -> None:
    script = small_run(story, "tests/test_a.py").start("tests/test_a.py", 0, 1)
    script.test("tests/test_a.py", "test_x[\x1b[2J]", Outcome.FAILED)
    script.end("tests/test_a.py", ModuleStatus.FAILED, 0.5)
    script.add(ev.RunFinished(exit_code=1, duration_s=0.61))
    assert told(story, script.envelopes).endswith("\nrerun the failures: iopio run --lf\n")
