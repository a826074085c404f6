"""What to say of a run that spends much of its time on setting up the same fixtures again.

Each module's process sets up the fixtures of the session that it needs. Where that is a large part
of what the modules took, a group would have them set up once.
"""

from iopio_async.model.outcome import Source
from iopio_async.model.stats import RunStats
from iopio_async.reporting import wording
from iopio_async.reporting.escape import escape_line

#: It is worth a word from this share of the modules' time on, and this time.
SHARE = 0.2
LEAST_S = 1.0

#: So many fixtures are named, the dearest first.
NAMED = 3


def fixture_advice(stats: RunStats) -> str:
    """A line about what a group would save, or ``""`` where that is little.

    Nothing is said of a run that replayed something, which spent no time on that.
    """
    if any(source is not Source.EXECUTED for source in stats.sources):
        return ""
    spent_s = sum(module.duration_s for module in stats.modules.values())
    # Once it has to be set up in any case.
    saved_s = {
        fixture: sum(each_s) - max(each_s)
        for fixture, each_s in stats.setups_s.items()
        if len(each_s) > 1
    }
    total_s = sum(saved_s.values())
    if total_s < LEAST_S or total_s < SHARE * spent_s:
        return ""
    dearest = sorted(saved_s, key=lambda fixture: (-saved_s[fixture], fixture))[:NAMED]
    named = ", ".join(_named(fixture, stats.setups_s[fixture]) for fixture in dearest)
    all_s = sum(map(sum, stats.setups_s.values()))
    share = f"{min(all_s / spent_s, 1.0):.0%}" if spent_s > 0 else "all"
    return (
        f"session fixtures took {share} of the modules' time: {named}; "
        'group = "..." would set them up once a group\n'
    )


def _named(fixture: str, each_s: list[float]) -> str:
    times = len(each_s)
    return f"{escape_line(fixture)} ({times} times {wording.seconds(sum(each_s) / times)})"
