"""What ``iopio report`` prints of a run."""

from collections.abc import Callable
from types import ModuleType

from iopio_async.model.spans import RunSpans, fold
from iopio_async.model.stats import RunStats
from iopio_async.reporting import run_report
from iopio_async.reporting.metrics import measure


def test_a_run_in_words(story: ModuleType, snapshot: Callable[[str, str], None]) -> None:
    envelopes = story.tell()
    *_, (_, stats) = story.play(envelopes)
    spans = fold(envelopes)
    snapshot("run_report.txt", run_report.report(spans, stats, measure(spans, stats)))


def test_hostile_names_are_harmless(story: ModuleType) -> None:
    envelopes = story.tell()
    *_, (_, stats) = story.play(envelopes)
    spans = fold(envelopes)
    text = run_report.report(spans, stats, measure(spans, stats))
    assert all(line.isprintable() for line in text.splitlines())


def test_a_run_of_which_nothing_is_left() -> None:
    spans, stats = RunSpans(), RunStats()
    text = run_report.report(spans, stats, measure(spans, stats))
    assert "only a part is known" in text
    assert "no tests ran; cut off" in text


def test_runs_side_by_side(story: ModuleType) -> None:
    envelopes = story.tell()
    *_, (_, stats) = story.play(envelopes)
    spans = fold(envelopes)
    text = run_report.overview(
        [
            (spans, stats, measure(spans, stats)),
            (RunSpans(), RunStats(), measure(RunSpans(), RunStats())),
        ]
    )
    heading, first, second = text.splitlines()
    assert heading.split()[:2] == ["run", "started"]
    assert first.split() == [
        "r1",
        "2026-01-02",
        "03:04",
        "exit",
        "1",
        "95",
        "11",
        "16",
        "2",
        "12.2",
        "s",
        "1.1",
    ]
    assert "cut off" in second
