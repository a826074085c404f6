"""``--timeline FILE``: the run as one page that needs nothing else, to be looked at in a browser.

The page (``timeline_page.html``) is a constant; a run's data is put into it as JSON, in rows rather
than objects, and in a form in which no text of a test can end the element that it stands in. The
page puts text into itself as text only, and its policy lets it load nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from iopio_async.model.events import Envelope
from iopio_async.model.outcome import BAD_OUTCOMES
from iopio_async.model.spans import AttemptSpan, RunSpans, lanes
from iopio_async.model.stats import RunStats
from iopio_async.reporting.artefact import write_artefact
from iopio_async.reporting.escape import escape_line
from iopio_async.reporting.json_text import dumps
from iopio_async.reporting.metrics import measure, memory_over_time

#: Beyond so many tests, only the modules are drawn: nobody could tell the tests apart.
TESTS_DRAWN = 100_000

#: The place of the data in the page.
PLACE = b"__DATA__"


class TimelineReporter:
    """Writes the page when it is closed."""

    name = "timeline"

    def __init__(self, path: str) -> None:
        self._path = path
        self._spans = RunSpans()
        self._stats = RunStats()

    def handle(self, envelope: Envelope, stats: RunStats) -> None:
        """Remember when what began and ended."""
        self._stats = stats
        self._spans.apply(envelope)

    def close(self) -> None:
        """Write the page.

        Raises:
            InfrastructureError: it can't be written.
        """
        write_artefact(self._path, pieces(self._spans, self._stats))


def pieces(spans: RunSpans, stats: RunStats) -> Iterator[bytes]:
    """The whole page, in pieces."""
    before, _, after = Path(__file__).with_name("timeline_page.html").read_bytes().partition(PLACE)
    yield before
    yield _embedded(data(spans, stats))
    yield after


def data(spans: RunSpans, stats: RunStats) -> dict[str, Any]:
    """What the page shows. Times are milliseconds from the run's start.

    ``bars`` are (lane, begin, end, module, status, attempt, parts, CPU seconds, peak bytes, tests,
    bad tests); ``tests`` are (bar, begin, end, id, outcome); ``recalled`` are (at, module, status,
    seconds, tests); ``queue`` is (at, waiting, running) and ``memory`` (at, bytes).
    """
    figures = measure(spans, stats)
    rows = lanes(spans)
    placed = [(number, each) for number, lane in enumerate(rows) for each in lane.attempts]
    drawn = sum(len(each.tests) for _, each in placed) <= TESTS_DRAWN
    critical = {(step.module, step.attempt) for step in figures.critical_path}
    started = spans.started
    return {
        "run": {
            "id": started.run_id if started else "",
            "project": Path(started.root).name if started else "",
            "started_at": started.started_at if started else "",
            "python": started.python if started else "",
            "iopio": started.iopio if started else "",
            "duration": _ms(spans.duration_s),
            "exit_code": stats.exit_code,
            "outcomes": {each.value: number for each, number in stats.outcomes.items() if number},
            "modules": len(stats.modules),
            "cached": figures.cache.hits,
            "saved_s": figures.cache.saved_s,
            "workers": figures.max_workers,
            "speedup": figures.speedup,
            "utilisation": figures.utilisation,
            "peak": figures.peak_rss_bytes,
            "together": figures.concurrent_peak_rss_bytes,
            "critical_s": figures.critical_path_s,
            "bottleneck": figures.bottleneck.name if figures.bottleneck else "",
        },
        "lanes": [f"{lane.slot}{'′' * lane.row}" for lane in rows],
        "bars": [_bar(number, each) for number, each in placed],
        "critical": [
            bar for bar, (_, each) in enumerate(placed) if (each.module, each.attempt) in critical
        ],
        "tests": [
            (bar, _ms(test.begin_s), _ms(test.end_s), escape_line(test.id), test.outcome)
            for bar, (_, each) in enumerate(placed)
            for test in each.tests
        ]
        if drawn
        else [],
        "recalled": [
            (_ms(each.at_s), escape_line(each.module), each.status, each.duration_s, each.tests)
            for each in spans.recalled
        ],
        "queue": [(_ms(point.at_s), point.waiting, point.running) for point in spans.queue],
        "memory": [(_ms(at_s), total) for at_s, total in memory_over_time(spans.attempts)],
    }


def _bar(lane: int, attempt: AttemptSpan) -> tuple[object, ...]:
    return (
        lane,
        _ms(attempt.begin_s),
        _ms(attempt.end_s),
        escape_line(attempt.module),
        attempt.status or "unknown",
        attempt.attempt,
        attempt.parts,
        attempt.cpu_s,
        attempt.peak_rss_bytes,
        len(attempt.tests),
        sum(test.outcome in BAD_OUTCOMES for test in attempt.tests),
    )


def _embedded(value: object) -> bytes:
    encoded = dumps(value)
    # In JSON, these only occur in strings, where they may as well be spelled out.
    for sign in b"<>&":
        encoded = encoded.replace(bytes([sign]), b"\\u%04x" % sign)
    return encoded


def _ms(value_s: float) -> float:
    return round(value_s * 1000, 2)
