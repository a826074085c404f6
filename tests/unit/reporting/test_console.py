"""Which console a stream gets."""

import io
import os
import pty
from collections.abc import Iterator
from types import ModuleType
from typing import TextIO

import pytest

from iopio_async.reporting.console import make_console_reporter
from iopio_async.reporting.plain import PlainReporter
from iopio_async.reporting.terminal import TerminalReporter, terminal_size


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    controlling, descriptor = pty.openpty()
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        yield stream
        os.close(controlling)


@pytest.mark.parametrize(
    ("environ", "verbosity", "is_ci", "expected"),
    [
        ({"TERM": "xterm"}, 0, None, TerminalReporter),
        ({"TERM": "xterm", "NO_COLOR": "1"}, 0, None, TerminalReporter),
        ({"TERM": "xterm", "CI": "false"}, 0, None, TerminalReporter),
        ({"TERM": "xterm", "CI": "true"}, 0, False, TerminalReporter),
        ({"TERM": "xterm", "CI": "true"}, 0, None, PlainReporter),
        ({"TERM": "xterm", "CI": "1"}, 0, None, PlainReporter),
        ({"TERM": "xterm"}, 0, True, PlainReporter),
        ({"TERM": "dumb"}, 0, None, PlainReporter),
        ({"TERM": "xterm"}, -1, None, PlainReporter),
    ],
)
def test_a_terminal_gets_what_moves_unless_something_speaks_against_it(
    terminal: TextIO,
    environ: dict[str, str],
    verbosity: int,
    is_ci: bool | None,
    expected: type,
) -> None:
    reporter = make_console_reporter(
        stream=terminal, verbosity=verbosity, color="auto", environ=environ, is_ci=is_ci
    )
    assert type(reporter) is expected
    reporter.close()


def test_colour_does_not_make_a_pipe_a_terminal() -> None:
    reporter = make_console_reporter(
        stream=io.StringIO(), verbosity=0, color="always", environ={"TERM": "xterm"}
    )
    assert type(reporter) is PlainReporter


def test_no_stream_is_fine(story: ModuleType) -> None:
    reporter = make_console_reporter(stream=None, verbosity=2, color="auto", environ={})
    story.report(reporter, story.tell())
    assert not reporter.sink.broken


def test_a_reader_that_leaves_is_told(story: ModuleType) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    told: list[bool] = []
    with os.fdopen(writing, "w") as stream:
        reporter = make_console_reporter(
            stream=stream,
            verbosity=0,
            color="auto",
            environ={},
            on_broken=lambda: told.append(True),
        )
        story.report(reporter, story.tell())
    assert told == [True]
    assert reporter.sink.broken


def test_the_size_of_what_is_no_terminal() -> None:
    reading, writing = os.pipe()
    assert terminal_size(writing) == (80, 24)
    os.close(reading)
    os.close(writing)
