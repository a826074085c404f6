"""How much time is left: what is shown, and how calmly."""

import random
from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest

from iopio_async.model import events as ev
from iopio_async.model.module import Framework
from iopio_async.model.outcome import CancelReason, ModuleStatus, Source
from iopio_async.planning.estimate import Outlook
from iopio_async.reporting.forecast import KNOWN_SHARE, STEPS_S, Forecast


def started(workers: int = 2) -> ev.RunStarted:
    return ev.RunStarted(
        run_id="r", root="/", modules=1, workers=workers, python="3", iopio="1", started_at=""
    )


def planned(path: str) -> ev.ModulePlanned:
    return ev.ModulePlanned(module=path, framework=Framework.PYTEST)


def begins(path: str) -> ev.AttemptStarted:
    return ev.AttemptStarted(module=path, attempt=1, slot=0)


def ends(path: str) -> tuple[ev.AnyEvent, ev.AnyEvent]:
    return (
        ev.AttemptFinished(module=path, attempt=1, status=ModuleStatus.PASSED, duration_s=1.0),
        ev.ModuleFinished(module=path, status=ModuleStatus.PASSED),
    )


def forecast(
    durations_s: dict[str, float],
    *,
    workers: int = 2,
    known: float = 1.0,
    slots: dict[str, int] | None = None,
) -> Forecast:
    made = Forecast(Outlook(durations_s=durations_s, known_share=known, slots=slots or {}))
    note(made, 0.0, started(workers), *map(planned, durations_s))
    return made


def note(it: Forecast, at_s: float, *events: ev.AnyEvent) -> None:
    for event in events:
        it.note(ev.Envelope(0, at_s, event))


def test_the_estimate_follows_what_happens() -> None:
    it = forecast({"a": 10.0, "b": 10.0, "c": 20.0})
    assert it.estimate_s(0.0) == pytest.approx(20.0)

    note(it, 0.0, begins("a"), begins("b"))
    assert it.estimate_s(4.0) == pytest.approx(26.0)

    note(it, 5.0, *ends("a"), begins("c"))
    assert it.estimate_s(5.0) == pytest.approx(20.0)

    note(it, 9.0, *ends("b"))
    assert it.estimate_s(15.0) == pytest.approx(10.0)

    note(it, 25.0, *ends("c"))
    assert it.estimate_s(25.0) == 0.0


def test_what_comes_from_the_cache_takes_no_time() -> None:
    it = forecast({"a": 10.0, "b": 90.0}, workers=1)
    hit = ev.ModuleFinished(module="b", status=ModuleStatus.PASSED, source=Source.LOCAL_CACHE)
    note(it, 0.0, hit)

    assert it.estimate_s(0.0) == pytest.approx(10.0)


def test_a_module_of_several_slots_counts_as_several() -> None:
    it = forecast({"wide": 10.0, "a": 10.0, "b": 10.0}, slots={"wide": 2})
    assert it.estimate_s(0.0) == pytest.approx(20.0)

    note(it, 0.0, begins("wide"))
    assert it.estimate_s(4.0) == pytest.approx(16.0)


def test_a_module_that_joins_counts() -> None:
    it = forecast({"a": 10.0}, workers=1)
    note(it, 3.0, planned("<more>"))

    assert it.estimate_s(3.0) == pytest.approx(10.0)


def test_nothing_is_shown_where_too_little_is_known() -> None:
    assert forecast({"a": 50.0}, known=KNOWN_SHARE - 0.01).told_s(5.0) is None
    assert forecast({"a": 50.0}, known=KNOWN_SHARE).told_s(5.0) is not None


def test_nothing_is_shown_at_first_nor_at_last_nor_when_it_is_cut_short() -> None:
    it = forecast({"a": 50.0})
    assert it.told_s(0.5) is None
    assert it.told_s(2.0) == 50.0

    note(it, 3.0, ev.CancellationStarted(reason=CancelReason.INTERRUPT))
    assert it.told_s(4.0) is None

    over = forecast({"a": 5.0})
    note(over, 2.0, begins("a"), *ends("a"))
    assert over.told_s(2.0) is None


@pytest.mark.parametrize(
    ("left_s", "told_s"), [(3.2, 4.0), (12.0, 15.0), (41.0, 50.0), (91.0, 120.0), (3000.0, 3000.0)]
)
def test_steps_fit_the_size(left_s: float, told_s: float) -> None:
    assert forecast({"a": left_s}).told_s(2.0) == told_s


def test_a_little_more_than_thought_changes_nothing_and_much_more_does() -> None:
    it = forecast({"a": 40.0, "b": 4.0, "c": 60.0}, workers=1)
    note(it, 0.0, begins("c"), *ends("c"))
    shown = [it.told_s(2.0)]
    note(it, 2.0, planned("more"))
    shown.append(it.told_s(2.1))
    assert shown == [50.0, 50.0]

    surprise = forecast({"a": 20.0, "b": 80.0, "c": 80.0}, workers=1)
    note(surprise, 0.0, begins("b"), *ends("b"), begins("c"), *ends("c"))
    assert surprise.told_s(2.0) == 20.0
    note(surprise, 2.0, planned("b"), planned("c"))
    assert surprise.told_s(12.0) == 180.0


def run(
    durations_s: dict[str, float], factors: Iterable[float], workers: int
) -> Iterator[tuple[float, float | None, float]]:
    """Run modules that take a multiple of what is expected: time, what is shown, what is left."""
    it = forecast(durations_s, workers=workers)
    true_s = {path: each * next(iter(factors)) for path, each in durations_s.items()}
    waiting = sorted(durations_s, key=lambda path: -durations_s[path])
    running: dict[str, float] = {}
    now_s = 0.0
    shown: list[tuple[float, float | None]] = []
    while waiting or running:
        for path in [path for path, end_s in running.items() if end_s <= now_s]:
            del running[path]
            note(it, now_s, *ends(path))
        while waiting and len(running) < workers:
            path = waiting.pop(0)
            running[path] = now_s + true_s[path]
            note(it, now_s, begins(path))
        shown.append((now_s, it.told_s(now_s)))
        now_s += 0.1
    for at_s, told_s in shown:
        yield at_s, told_s, now_s - at_s


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("workers", [1, 2, 8])
def test_the_figure_is_calm_and_about_right(seed: int, workers: int) -> None:
    chance = random.Random(seed)
    durations_s = {f"test_{n}.py": chance.lognormvariate(-0.5, 1.0) for n in range(60 * workers)}
    factors = iter(lambda: chance.lognormvariate(0.0, 0.3), None)

    figures = [
        (told_s, left_s)
        for _, told_s, left_s in run(durations_s, factors, workers)
        if told_s is not None
    ]
    changes = [b - a for (a, _), (b, _) in pairwise(figures) if a != b]
    off = [abs(told_s - left_s) for told_s, left_s in figures if left_s > 5]

    assert sum(change > 0 for change in changes) <= 1
    assert sum(off) / len(off) <= 0.15 * figures[0][1] + STEPS_S[1][1]


def test_each_figure_holds_for_a_while() -> None:
    durations_s = {f"test_{n}.py": 1.0 for n in range(200)}

    figures = [told_s for at_s, told_s, _ in run(durations_s, iter(lambda: 1.0, None), 2)]

    assert len(set(figures)) <= 22
    assert figures[20] == 120.0
