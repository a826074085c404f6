"""When everything began and ended, as far as the events tell."""

from iopio_async.model import events as ev
from iopio_async.model.module import Framework
from iopio_async.model.outcome import ModuleStatus, Outcome, Source
from iopio_async.model.spans import QueuePoint, fold


def started(workers: int = 2) -> ev.RunStarted:
    return ev.RunStarted(
        run_id="r", root="/", modules=2, workers=workers, python="3", iopio="1", started_at="now"
    )


def planned(*modules: str) -> list[ev.ModulePlanned]:
    return [ev.ModulePlanned(module=module, framework=Framework.PYTEST) for module in modules]


def begun(module: str, slot: int = 0, **fields: object) -> ev.AttemptStarted:
    return ev.AttemptStarted(**({"module": module, "attempt": 1, "slot": slot} | fields))


def test(module: str, name: str, duration_s: float) -> ev.TestFinished:
    return ev.TestFinished(
        module=module, attempt=1, id=name, outcome=Outcome.PASSED, duration_s=duration_s
    )


test.__test__ = False


def over(module: str, duration_s: float = 1.0, attempt: int = 1) -> ev.AttemptFinished:
    return ev.AttemptFinished(
        module=module, attempt=attempt, status=ModuleStatus.PASSED, duration_s=duration_s
    )


def final(module: str, source: Source = Source.EXECUTED, duration_s: float = 1.0) -> ev.AnyEvent:
    return ev.ModuleFinished(
        module=module, status=ModuleStatus.PASSED, source=source, duration_s=duration_s
    )


def at(*told: tuple[float, ev.AnyEvent]) -> list[ev.Envelope]:
    return [ev.Envelope(number, at_s, event) for number, (at_s, event) in enumerate(told)]


def test_tests_that_were_told_at_once_are_laid_out_one_after_the_other() -> None:
    spans = fold(
        at(
            (0.0, started()),
            (0.0, planned("a")[0]),
            (1.0, begun("a")),
            (2.0, test("a", "x", 0.25)),
            (2.0, test("a", "y", 0.5)),
            (2.5, test("a", "z", 0.25)),
            (3.0, over("a")),
            (3.0, final("a")),
        )
    )
    (attempt,) = spans.attempts
    assert (attempt.begin_s, attempt.end_s) == (1.0, 3.0)
    assert [(span.id, span.begin_s, span.end_s) for span in attempt.tests] == [
        ("x", 1.25, 1.5),
        ("y", 1.5, 2.0),
        ("z", 2.25, 2.5),
    ]


def test_tests_never_leave_their_attempt() -> None:
    spans = fold(at((1.0, begun("a")), (1.5, test("a", "x", 9.0)), (1.5, test("a", "y", 9.0))))
    (attempt,) = spans.attempts
    assert all(span.begin_s >= attempt.begin_s for span in attempt.tests)


def test_parts_are_left_where_they_were_told() -> None:
    spans = fold(
        at(
            (0.0, begun("a", parts=2)),
            (2.0, test("a", "x", 2.0)),
            (2.0, test("a", "y", 2.0)),
            (2.0, over("a", 4.0)),
        )
    )
    assert [span.begin_s for span in spans.attempts[0].tests] == [0.0, 0.0]


def test_what_was_recalled_took_place_in_another_run() -> None:
    story = [begun("a"), test("a", "x", 1.0), over("a"), final("a", Source.LOCAL_CACHE, 3.0)]
    spans = fold(at((0.0, started()), (0.0, planned("a")[0]), *((0.1, each) for each in story)))
    assert spans.attempts == []
    (recalled,) = spans.recalled
    assert (recalled.module, recalled.duration_s, recalled.tests) == ("a", 3.0, 1)
    assert spans.queue[-1] == QueuePoint(0.1, 0, 0)


def test_the_queue_counts_who_waits_and_who_runs() -> None:
    spans = fold(
        at(
            (0.0, started()),
            *((0.0, each) for each in planned("a", "b")),
            (0.5, begun("a")),
            (1.0, over("a")),
            (1.0, final("a")),
            (1.0, begun("b")),
            (2.0, over("b")),
            (2.0, final("b")),
            (2.5, ev.RunFinished(exit_code=0, duration_s=2.5)),
        )
    )
    assert spans.queue == [
        QueuePoint(0.0, 2, 0),
        QueuePoint(0.5, 1, 1),
        QueuePoint(1.0, 0, 1),
        QueuePoint(2.0, 0, 0),
    ]


def test_an_attempt_without_an_end_ends_with_the_run() -> None:
    spans = fold(
        at(
            (0.0, started()),
            (0.0, planned("a")[0]),
            (1.0, begun("a")),
            (4.0, ev.RunFinished(exit_code=130, duration_s=4.0)),
        )
    )
    assert (spans.attempts[0].end_s, spans.attempts[0].status) == (4.0, None)


def test_retries_are_attempts_of_their_own() -> None:
    spans = fold(
        at(
            (0.0, planned("a")[0]),
            (0.0, begun("a")),
            (1.0, over("a")),
            (1.0, begun("a", attempt=2)),
            (2.0, over("a", attempt=2)),
            (2.0, final("a")),
        )
    )
    assert [(each.attempt, each.begin_s, each.end_s) for each in spans.attempts] == [
        (1, 0.0, 1.0),
        (2, 1.0, 2.0),
    ]
