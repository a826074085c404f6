"""When a group is advised: where much time goes into setting up the same things again."""

import pytest

from iopio_async.model import events as ev
from iopio_async.model.module import Framework
from iopio_async.model.outcome import ModuleStatus, Source
from iopio_async.model.stats import RunStats
from iopio_async.reporting.fixture_advice import fixture_advice


def run(
    *setups_s: tuple[tuple[str, float], ...],
    duration_s: float = 2.0,
    source: Source = Source.EXECUTED,
) -> RunStats:
    """A run of modules that take so long each and set these fixtures up."""
    stats = RunStats()
    for number, own_s in enumerate(setups_s):
        path = f"test_{number}.py"
        for event in (
            ev.ModulePlanned(module=path, framework=Framework.PYTEST),
            ev.AttemptStarted(module=path, attempt=1, slot=0),
            ev.AttemptFinished(
                module=path,
                attempt=1,
                status=ModuleStatus.PASSED,
                duration_s=duration_s,
                setups_s=own_s,
            ),
            ev.ModuleFinished(module=path, status=ModuleStatus.PASSED, source=source),
        ):
            stats.apply(event)
    return stats


def test_a_dear_fixture_is_named_with_what_it_costs() -> None:
    stats = run(*[(("db", 1.3), ("web", 0.01))] * 12)

    assert fixture_advice(stats) == (
        "session fixtures took 66% of the modules' time: db (12 times 1.30 s), web (12 times "
        '0.01 s); group = "..." would set them up once a group\n'
    )


@pytest.mark.parametrize(
    "stats",
    [
        RunStats(),
        run((("db", 60.0),), (), (), duration_s=61.0),
        run(*[(("db", 0.3),)] * 3, duration_s=0.4),
        run(*[(("db", 1.0),)] * 3, duration_s=20.0),
        run(*[((f"fixture_{n}", 1.0),) for n in range(9)]),
        run(*[(("db", 1.3),)] * 12, source=Source.LOCAL_CACHE),
    ],
    ids=["nothing", "once", "little time", "a small share", "nothing in common", "replayed"],
)
def test_there_is_no_advice_that_would_save_little(stats: RunStats) -> None:
    assert fixture_advice(stats) == ""


def test_only_the_dearest_are_named_and_none_can_do_harm() -> None:
    stats = run(*[tuple((f"f{n}\x1b[2J", float(n)) for n in range(1, 6))] * 2, duration_s=20.0)

    advice = fixture_advice(stats)

    assert [f"f{n}" in advice for n in range(1, 6)] == [False, False, True, True, True]
    assert "\x1b" not in advice
